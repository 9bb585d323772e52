"""Keys that outlive the process: the same measurement has them again, nobody else, and the file's keeper
gains nothing by what he does with it.
"""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from proofward.protocol import HpkeSuite, verify_receipt
from proofward.protocol.enclave import EnclaveError
from proofward.zkml import Artifact, load_artifact
from proofward_enclave.epochs import Epochs
from proofward_enclave.kept import MAX_FILE, KeptKeys
from proofward_enclave.providers.base import NoSealingKey
from proofward_enclave.providers.dstack import DstackProvider
from proofward_enclave.providers.simulator import SimulatorProvider
from proofward_enclave.providers.tsm import TsmProvider
from tests.enclave import world
from tests.enclave.test_process import process
from tests.enclave.test_providers import guest_agent
from tests.enclave.test_sessions import Peer
from tests.enclave.test_sessions import World as Sessions
from tests.enclave.world import ACCOUNT, GENESIS, Host, Job, Refused, begin
from tests.vectors.make import value

SEALING_KEY = value("sealing key")


def kept(path: Path, key: bytes = SEALING_KEY) -> KeptKeys:
    return KeptKeys(path / "keys.sealed", key)


def restored(path: Path, key: bytes = SEALING_KEY) -> Epochs:
    """What an enclave has that starts on this file."""
    epochs = Epochs(kept=kept(path, key))
    epochs.restore()
    return epochs


def publics(epochs: Epochs) -> dict[int, tuple[bytes, bytes]]:
    """The public keys of each epoch."""
    found = epochs.of(GENESIS, ACCOUNT)
    return {number: (epoch.hpke.public, epoch.receipt.public) for number, epoch in found.items()}


@pytest.mark.parametrize("suite", HpkeSuite)
def test_the_same_measurement_comes_back_with_the_keys_of_both_epochs(
    tmp_path: Path, suite: HpkeSuite
) -> None:
    first = Epochs(suite, kept(tmp_path))
    for number in (3, 4, 5):
        first.begin(GENESIS, ACCOUNT, number)
    held = publics(first)
    assert held.keys() == {4, 5}
    first.erase()  # as a process that ends in peace does
    again = Epochs(suite, kept(tmp_path))
    assert again.restore() == [4, 5]
    assert publics(again) == held
    assert (again.restored, first.restored) == (True, False)
    assert stat.S_IMODE((tmp_path / "keys.sealed").stat().st_mode) == 0o600
    again.begin(GENESIS, ACCOUNT, 6)
    assert not again.restored
    assert publics(restored(tmp_path)).keys() == {5, 6}


def test_another_measurement_does_not_open_it(tmp_path: Path) -> None:
    ours = SimulatorProvider()
    upgraded = SimulatorProvider(mrtd=value("another program", 48))
    Epochs(kept=kept(tmp_path, ours.sealing_key())).begin(GENESIS, ACCOUNT, 1)
    assert publics(restored(tmp_path, SimulatorProvider().sealing_key()))
    with pytest.raises(EnclaveError, match="another measurement") as caught:
        restored(tmp_path, upgraded.sealing_key())
    assert caught.value.code == "kept-keys-refused"
    fresh = Epochs(kept=kept(tmp_path, upgraded.sealing_key()))
    with pytest.raises(EnclaveError):
        fresh.restore()
    assert fresh.current is None, "nothing of a refused file is used"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: b"proofward/kept-keys/v2\n" + content[23:],
        lambda content: content * (MAX_FILE // len(content) + 1),
        lambda _: b"",
    ],
    ids=["cut", "longer", "another salt", "another tag", "another version", "oversize", "empty"],
)
def test_a_file_that_was_altered_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    Epochs(kept=kept(tmp_path)).begin(GENESIS, ACCOUNT, 1)
    file = tmp_path / "keys.sealed"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(EnclaveError) as caught:
        restored(tmp_path)
    assert caught.value.code == "kept-keys-refused"


def test_an_older_file_brings_older_keys_back_and_takes_no_epoch_twice(tmp_path: Path) -> None:
    """Rollback: the chain names a later epoch, so that the next one gets keys that nobody had before."""
    file = tmp_path / "keys.sealed"
    epochs = Epochs(kept=kept(tmp_path))
    epochs.begin(GENESIS, ACCOUNT, 1)
    old = file.read_bytes()
    later = epochs.begin(GENESIS, ACCOUNT, 2).hpke.public
    file.write_bytes(old)
    back = restored(tmp_path)
    assert publics(back).keys() == {1}
    assert back.current == 1  # what the node compares with the chain's, which says 2: it begins epoch 3
    third = back.begin(GENESIS, ACCOUNT, 3).hpke.public
    assert third not in (later, publics(epochs)[2][0])
    with pytest.raises(EnclaveError, match="epoch 3 has begun"):
        back.begin(GENESIS, ACCOUNT, 2)


def test_keys_that_cannot_be_kept_begin_no_epoch(tmp_path: Path) -> None:
    epochs = Epochs(kept=kept(tmp_path / "absent"))
    with pytest.raises(EnclaveError) as caught:
        epochs.begin(GENESIS, ACCOUNT, 1)
    assert caught.value.code == "keys-not-kept"
    assert epochs.current is None


def test_a_job_behind_a_restart_is_the_same_statement_again(tmp_path: Path, artifact: Artifact) -> None:
    """A rolled back or doubled enclave proves the same commitments: no second salt, no second output."""
    models = artifact.path.parent
    manifest = artifact.manifest
    job = Job(artifact.public, values=(1,) * (manifest.batch * manifest.input.quantiser.features), records=1)
    results = []
    served: dict[str, Any] = {"load": load_artifact, "kept": kept(tmp_path), "folder": tmp_path}
    for block in (7, 8):
        with world.enclave(models, **served) as (host, _):
            host.call("load_model", path=artifact.path.name)
            assert host.call("status")["restored"] is (block == 8)
            keys = begin(host)
            sealed = job.seal(keys["hpke_key"])
            results.append(host.call("work", job=job.request(), envelope=sealed, block=block))
            assert host.call("status")["restored"] is (block == 8)
            verify_receipt(
                job.receipt(results[-1], block), results[-1]["receipt_signature"], keys["receipt_key"]
            )
    first, second = results
    assert first["output_commitment"] == second["output_commitment"]
    assert job.open(first) == job.open(second)
    assert first["proof"] != second["proof"], "another proof of the same statement, which says nothing more"
    other = job.but(name=value("another"))
    with world.enclave(models, **served) as (host, _):
        host.call("load_model", path=artifact.path.name)
        sealed = other.seal(begin(host)["hpke_key"])
        third = host.call("work", job=other.request(), envelope=sealed, block=9)
    assert other.open(third).output_salt != job.open(first).output_salt


def test_no_session_goes_on_in_an_epoch_that_an_earlier_process_began(tmp_path: Path) -> None:
    """Its pages would be numbered anew under the same salts, its checkpoints contradict the earlier ones."""
    public = world.add_model(tmp_path / "models", "sum")
    for restart in (False, True):
        with world.enclave(tmp_path / "models", kept=kept(tmp_path)) as (host, service):
            host.call("load_model", path="sum")
            peer = Peer(Sessions(host, service, public, begin(host)))
            if restart:
                with pytest.raises(Refused, match="unknown-epoch"):
                    peer.connect()
                peer = Peer(Sessions(host, service, public, begin(host, 2)), epoch=2)
            assert peer.connect()


def test_a_killed_process_has_its_keys_again_only_where_they_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "keys.sealed"
    keys = []
    for _ in range(2):
        with process(tmp_path, "--keep-keys", str(file)) as started:
            keys.append(begin(Host(started.path)))
            started.running.send_signal(signal.SIGKILL)
    assert keys[0]["hpke_key"] == keys[1]["hpke_key"]
    assert keys[0]["receipt_key"] == keys[1]["receipt_key"]
    content = file.read_bytes()
    with process(tmp_path) as started:
        assert begin(Host(started.path))["hpke_key"] != keys[0]["hpke_key"]
    assert file.read_bytes() == content
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with process(tmp_path, "--keep-keys", str(file)) as started:
        assert "kept-keys-refused" in [event["event"] for event in started.events]
        assert begin(Host(started.path))["hpke_key"] != keys[0]["hpke_key"]


INFO: dict[str, Any] = {
    "app_id": "ab" * 20,
    "instance_id": "cd" * 20,
    "app_cert": "",
    "app_name": "worker",
    "device_id": "",
    "compose_hash": "ab" * 32,
    "tcb_info": {
        **{name: name[-1].encode().hex() * 48 for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")},
        "app_compose": "",
        "event_log": [],
        "mr_aggregated": "",
        "os_image_hash": "",
        "compose_hash": "ab" * 32,
        "device_id": "",
    },
    "key_provider_info": json.dumps({"name": "local-sgx", "id": "00" * 32}),
}


def agent(tmp_path: Path, key: str = "11" * 32, **changes: Any) -> AbstractContextManager[str]:
    """A guest agent that derives keys."""
    tcb = INFO["tcb_info"] | {name: given for name, given in changes.items() if name in INFO["tcb_info"]}
    info = (
        INFO | {"tcb_info": json.dumps(tcb)} | {name: changes[name] for name in changes.keys() & INFO.keys()}
    )
    replies = {"/Info": info, "/GetKey": {"key": key, "signature_chain": []}}
    return guest_agent(tmp_path / "d.sock", lambda _: (404, {}), replies)


def sealing_key(tmp_path: Path, **changes: Any) -> bytes:
    with agent(tmp_path, **changes) as endpoint:
        try:
            return DstackProvider(endpoint).sealing_key()
        finally:
            Path(endpoint).unlink()


def test_dstacks_key_is_of_the_apps_measurement(tmp_path: Path) -> None:
    ours = sealing_key(tmp_path)
    assert len(ours) == 32
    assert sealing_key(tmp_path) == ours
    others = [sealing_key(tmp_path, **{name: "00" * 48}) for name in ("mrtd", "rtmr0", "rtmr2", "rtmr3")]
    assert len({ours, sealing_key(tmp_path, key="22" * 32), *others}) == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"key_provider_info": json.dumps({"name": "kms", "id": ""})},
        {"key_provider_info": json.dumps({"type": "none", "id": ""})},
        {"key_provider_info": ""},
        {"key": "11"},
        {"key": "no hex"},
        {"rtmr3": ""},
    ],
    ids=["a KMS", "no provider", "nothing said", "a short key", "no key", "no register"],
)
def test_dstacks_key_is_not_used_where_another_measurement_gets_it(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(NoSealingKey):
        sealing_key(tmp_path, **changes)


def test_a_bare_guest_has_no_sealing_key(tmp_path: Path) -> None:
    with pytest.raises(NoSealingKey, match="local key provider"):
        TsmProvider(tmp_path).sealing_key()
