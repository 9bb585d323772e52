"""What a site, an aggregator or an auditor refuses."""

from __future__ import annotations

from proofward.errors import ProofwardError


class FederationError(ProofwardError):
    """A study, an update or a sum that is not what it should be."""

    code = "federation-refused"


class PolicyRefused(ProofwardError):
    """The site's policy does not let it; `code` says which rule, and nothing was emitted."""

    code = "policy-refused"


class EngineMissing(ProofwardError):
    """A package of the engine is not installed."""

    code = "missing-extra"

    @classmethod
    def of(cls, package: str) -> EngineMissing:
        """What to tell who lacks one."""
        return cls(
            f"this needs the package {package}: `make federation` installs it, with all of its lock, into "
            "build/federation (`build/federation/bin/python -m proofward.cli …`)"
        )
