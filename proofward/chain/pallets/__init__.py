"""The pallets of Proofward, typed: one module each, with records to read and calls to sign."""

from __future__ import annotations

from typing import Final

GOVERNANCE: Final = ("Consortium", "Grandpa", "Offences", "Council", "TxPause", "Sudo")
"""Pallets of whose events the history of members and finality is made."""
KEPT: Final = frozenset(
    {"Attestation", "Federation", "InferenceSessions", "Jobs", "Models", "Workers", *GOVERNANCE}
)
"""Pallets whose events an index or an auditor's export has."""
