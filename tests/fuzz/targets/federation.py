"""What the members of a study hand each other."""

from __future__ import annotations

import contextlib

from proofward.protocol.errors import ProtocolError
from proofward_federation.enclave import SEALED_UPDATE
from proofward_federation.errors import FederationError
from proofward_federation.policy import SitePolicy
from proofward_federation.study import Study
from proofward_federation.transcript import Transcript, audit
from tests.fuzz.targets.scratch import file_of


def federation(data: bytes) -> None:
    """What hospitals, researchers and auditors hand each other: studies, rules, updates, transcripts."""
    with contextlib.suppress(FederationError):
        assert Study.parse(data).document() == data
    with contextlib.suppress(FederationError):
        policy = SitePolicy.parse(data)
        assert 0 < policy.round <= policy.yearly
    with contextlib.suppress(ProtocolError):
        read = SEALED_UPDATE.decode(data)
        assert SEALED_UPDATE.encode(read) == data
    with contextlib.suppress(FederationError):
        audit(Transcript.load(file_of(data, "transcript.json")))
