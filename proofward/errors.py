"""Every failure that we expect, under one root.

ProofwardError
├─ CodedError                     the text begins with the code: what programs say to each other
│  ├─ ProtocolError               also a ValueError: a message that breaks the protocol
│  ├─ AciError                    also a ValueError: a document or request breaks ACI
│  ├─ AttestationError            also a ValueError: a quote or its collateral is refused
│  ├─ EnclaveError                the enclave refused a request
│  │  ├─ FrameError
│  │  ├─ NoSealingKey
│  │  └─ ProviderError
│  └─ ChainError                  something about the chain
│     ├─ ChainUnreachable
│     ├─ ChainTimeout
│     ├─ FinalityStalled
│     ├─ RpcError
│     ├─ SignerUnreachable
│     ├─ SigningRefused
│     ├─ EthError
│     │  └─ BadParameter
│     ├─ MetadataError
│     ├─ ExtrinsicInvalid
│     ├─ DispatchError
│     ├─ AccountError
│     ├─ ContractReverted
│     ├─ ContractFailed
│     ├─ DevnetError
│     └─ LightError
├─ ZkmlError                      compiling, loading, proving, verifying a model
│  ├─ ArtifactError
│  ├─ InputRangeError
│  ├─ UnsupportedModel
│  │  └─ UnsupportedOperator
│  ├─ AccuracyError
│  ├─ CompileError
│  ├─ ProvingError
│  ├─ LaneUnavailable
│  ├─ ContractError
│  ├─ NotHiding
│  └─ ProofFileError
├─ OutputLost                     standard output cannot be written
├─ TooLong                        also a ValueError: a file has more bytes than its reader takes
├─ NotFound                       what was named does not exist
├─ Refused                        a check failed
├─ ClientError                    a job that did not end well
│  ├─ OutputMismatch
│  ├─ JobRefunded
│  ├─ JobTimeout
│  └─ SessionError              a session that cannot go on
├─ StatementError                 a sentence that cannot be read, proved or shown
├─ EdgeError                      a device's source, log or run
├─ BundleError
├─ AuditError
├─ BadProof                       of a final header, or of the state under it
│  └─ OlderThanCheckpoint
├─ FetchError                     a server does not have an artefact, or has another one
├─ NetworkError                   the network on this machine cannot do what was asked
├─ MissingExtra                   a package that only some need is not installed
├─ TableError
├─ CardError                      a model's card that nobody here reads
├─ NewerSchema
├─ DiskFailed
├─ ChainDown                      from here on: the worker's daemon and its verbs
├─ ChainMoved
├─ ConfigError
├─ EnclaveDown
│  └─ EnclaveImpossible
├─ JournalError
├─ RegistrationRefused
├─ RivalWorker
├─ RetireRefused
├─ SessionRefused               a session's connection that the worker ends
├─ ReportRefused
├─ DrainRefused
├─ BackupRefused
├─ TcbUnknown
├─ ContributionRefused
├─ SetupRefused
├─ AnswerError                    private language-model calls
├─ NoRecords
├─ NothingSent
├─ Unproved
├─ AnswerRefused
├─ GatewayError
│  ├─ GatewayConfigError
│  └─ StoreError
├─ EngineMissing                  federated studies
├─ FederationError
│  ├─ AggregatorAway
│  ├─ CommitmentTaken
│  ├─ ConsentsMoved
│  ├─ PeersAway
│  └─ RecordsNotYet
├─ PolicyRefused
├─ Refusal
├─ Broken
├─ Gone
├─ Unanswerable
├─ IndexUnusable                  the explorer's
├─ BadQuestion
├─ SiteMissing
├─ DemoFailed                     the demo's
└─ NotRefused
"""

from __future__ import annotations


class ProofwardError(Exception):
    """An expected failure. `message` says what happened, to what, and what to do; never a secret.

    Args:
        message: one sentence for people.
        code: kebab-case and stable, for programs; a class has one by default.
    """

    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class CodedError(ProofwardError):
    """A failure whose text begins with its code, since one program tells it to another."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NotFound(ProofwardError):
    """There is no such job, model, worker, artefact or state."""

    code = "not-found"


class Refused(ProofwardError):
    """A check failed, or the caller asks for less safety than the chain is for."""

    code = "refused"
