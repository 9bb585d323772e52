"""Fixtures that several folders share."""

from tests.evidence import artifact, evidence

__all__ = ["artifact", "evidence"]
