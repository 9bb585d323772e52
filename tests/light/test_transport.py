"""The light client's process, played by a stand-in: warp sync, panics, silence, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofward.light.errors import LightError
from proofward.light.spec import LightSpec
from proofward.light.transport import LightTransport
from tests.light.smoldot_light import HEAD

FOLDER = Path(__file__).parent


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{FOLDER}:{FOLDER.parents[1]}")
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))


def opened(play: str, seconds: float = 20.0) -> LightTransport:
    return LightTransport(LightSpec(play, "Local", f'{{"name": "{play}"}}', None), start_seconds=seconds)


def test_the_head_is_that_which_warp_sync_arrived_at() -> None:
    light = opened("well")
    try:
        assert light.call("chain_getFinalizedHead") == HEAD
        assert light.call("state_getStorage", ["0x"]) == "answer of start 1"
    finally:
        light.close()


def test_after_a_panic_it_begins_again_and_the_question_is_put_again() -> None:
    light = opened("panics")
    try:
        assert light.call("state_getStorage", ["0x"]) == "answer of start 3"
        assert light.restarts == 2
    finally:
        light.close()


def test_a_chain_that_proves_nothing_final_is_refused() -> None:
    with pytest.raises(LightError) as caught:
        opened("never final", 0.5)
    assert caught.value.code == "no-finality-proof"


def test_a_spec_that_the_light_client_refuses_is_refused_with_its_reason() -> None:
    with pytest.raises(LightError, match="InvalidGenesisStorage"):
        opened("refused")


def test_what_no_peer_proves_is_an_error() -> None:
    light = opened("nobody proves")
    try:
        with pytest.raises(LightError, match="storage proof query failed") as caught:
            light.call("state_getStorage", ["0x"])
        assert caught.value.code == "unproved"
    finally:
        light.close()
    with pytest.raises(LightError, match="closed"):
        light.call("state_getStorage", ["0x"])
