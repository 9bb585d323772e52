"""What a dApp uses: submit a sealed job, wait for its verdict, open the answer, verify all of it."""

from proofward.client.aio import AsyncClient
from proofward.client.answer import Answer, open_answer
from proofward.client.client import Client
from proofward.client.errors import (
    ClientError,
    JobRefunded,
    JobTimeout,
    OutputMismatch,
)
from proofward.client.job import Job, Offer, Outcome
from proofward.errors import NotFound, Refused
from proofward.evidence.verify import Policy, Verdict, verify_bundle

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "ClientError",
    "Job",
    "JobRefunded",
    "JobTimeout",
    "NotFound",
    "Offer",
    "Outcome",
    "OutputMismatch",
    "Policy",
    "Refused",
    "Verdict",
    "open_answer",
    "verify_bundle",
]
