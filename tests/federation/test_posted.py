"""Roots of proofs of accuracy on the chain: found, dated, one; or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proofward.chain import Call, SubstrateClient, dev_keypair
from proofward.cli import app
from proofward.devnet.chains import Devnet
from proofward.statements.accuracy import Accuracy
from proofward_federation.errors import FederationError
from proofward_federation.network import posted
from proofward_federation.network.posted import checks, post, remark

HOSPITAL, OTHER = "//Charlie", "//Eve"


def proved(*, right: int = 78, root: str = "11" * 32, manifest: str = "22" * 32) -> Accuracy:
    return Accuracy(
        manifest_hash=manifest, records=101, right=right, root=root, key="33" * 32, proof="00" * 256
    )


@pytest.fixture(scope="module")
def chain() -> Iterator[tuple[SubstrateClient, str]]:
    with Devnet() as devnet, devnet.connect() as client:
        yield client, devnet.url


def test_a_root_stands_once_under_its_hospital_s_account(
    chain: tuple[SubstrateClient, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, url = chain
    account = bytes(dev_keypair(HOSPITAL).public_key)
    file, runner = tmp_path / "accuracy.json", CliRunner()
    proved().save(file)
    ask = ["federation", "posted", str(file), "--site", HOSPITAL, "--since", "1", "--chain", url]
    assert runner.invoke(app, ask).exit_code == 1, "nobody posted it"
    done = runner.invoke(
        app, ["federation", "post-accuracy", str(file), "--signer", HOSPITAL, "--chain", url]
    )
    assert done.exit_code == 0, done.output
    assert runner.invoke(app, ask).exit_code == 0

    def names(one: Accuracy, who: bytes = account) -> dict[str, bool | None]:
        return {check.name: check.ok for check in checks(client, one, who, since=1)}

    assert names(proved()) == {"root on the chain": True, "no other root": True}
    for wrong in (proved(right=79), proved(root="44" * 32), proved(manifest="55" * 32)):
        assert names(wrong) == {"root on the chain": False}
    assert names(proved(), bytes(dev_keypair(OTHER).public_key)) == {"root on the chain": False}
    # what others say, what is of another model, and what has another length takes nothing away
    post(client, dev_keypair(OTHER), proved(root="44" * 32))
    post(client, dev_keypair(HOSPITAL), proved(manifest="55" * 32, root="44" * 32))
    longer = Call("System", "remark_with_event", {"remark": remark(proved(root="44" * 32)) + b"\0"})
    client.submit(longer, dev_keypair(HOSPITAL))
    post(client, dev_keypair(HOSPITAL), proved())  # the same once more is no other
    assert names(proved()) == {"root on the chain": True, "no other root": True}
    post(client, dev_keypair(HOSPITAL), proved(right=99, root="44" * 32))
    assert names(proved()) == {"root on the chain": True, "no other root": False}
    monkeypatch.setattr(posted, "MAX_SEARCHED", 2)
    with pytest.raises(FederationError) as refused:
        checks(client, proved(), account, since=1)
    assert refused.value.code == "too-many-blocks"
