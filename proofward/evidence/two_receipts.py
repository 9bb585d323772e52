"""Two receipts of one id that say different things, both signed by keys that one quote attests: a proof that
the gateway, or whoever holds its keys, lies. It holds hashes alone, so it may be shown to anybody.

Source: ACI, section 7 (a receipt is final).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proofward.aci import documents, jcs
from proofward.aci.errors import AciError
from proofward.attestation.gateway import CHANNEL, Channel, GatewayPolicy, appraise
from proofward.check import Check
from proofward.evidence import answer_file
from proofward.evidence.answer import Answer, dated
from proofward.evidence.answer_file import AnswerError, begins_as, write_document
from proofward.evidence.judged import judged_id, signed_bytes, stake_checks
from proofward.evidence.policy import Policy
from proofward.evidence.verdict import Verdict
from proofward.files import TooLong, read_whole
from proofward.protocol import Level

FORMAT: Final = "proofward/two-receipts/v1"
MAX_FILE: Final = 4 << 20


@dataclass(frozen=True, slots=True, repr=False)
class TwoReceipts:
    """The attestation of a gateway at a Unix second, and two receipts that should be one."""

    gateway: str
    at: int
    nonce: str
    report: bytes
    receipts: tuple[Mapping[str, Any], Mapping[str, Any]]

    @classmethod
    def of(cls, answer: Answer, other: Mapping[str, Any]) -> TwoReceipts:
        """An answer's own receipt and another. Raises AnswerError(no-contradiction) for one and the same."""
        mine = answer.receipt
        if mine.get("receipt_id") != other.get("receipt_id"):
            raise AnswerError(
                "the receipts have different ids: they say nothing against each other", code=_NONE
            )
        if signed_bytes(mine) == signed_bytes(other):
            raise AnswerError("both receipts say the same", code=_NONE)
        return cls(answer.gateway, answer.at, answer.nonce, answer.report, (mine, other))

    def signed(self) -> tuple[bytes, tuple[bytes, bytes], tuple[bytes, bytes]]:
        """The key (Ed25519, 32 bytes) that signed both, and the bytes and signature of each: what a chain's
        workers pallet reads (chain/pallets/workers/src/answers.rs).

        Raises AnswerError(not-for-a-chain): two keys, a signature that does not verify, or another form.
        """
        try:
            keyset = documents.Keyset.read(jcs.loads(self.report)["attestation"]["workload_keyset"])
            names = {str(one.get("key_id")) for one in self.receipts}
            for receipt in self.receipts:
                documents.check_receipt(receipt, keyset)
            (key,) = {keyset.receipt_key(name).public_bytes_raw() for name in names}
        except (AciError, KeyError, TypeError, ValueError) as error:
            told = error.message if isinstance(error, AciError) else "they are not of one key in the report"
            raise AnswerError(f"a chain cannot judge these receipts: {told}", code=_NO_CASE) from None
        said = [signed_bytes(one) for one in self.receipts]
        found = {judged_id(one) for one in said}
        if None in found or len(found) != 1 or said[0] == said[1]:
            told = "they are not two of one id, in the form and order of members that the pallet reads"
            raise AnswerError(f"a chain cannot judge these receipts: {told}", code=_NO_CASE)
        first, second = (
            (text, bytes.fromhex(one["signature"])) for text, one in zip(said, self.receipts, strict=True)
        )
        return key, first, second

    def checks(self, policy: Policy) -> tuple[Check, ...]:
        """Whether both are signed by attested keys, and differ. `accepted` means: the lie is proved.

        Which TLS key the gateway was met under is not asked: the signatures speak.
        """
        found = appraise(
            self.report,
            nonce=self.nonce,
            channel=Channel("", ""),
            now=self.at,
            policy=GatewayPolicy(policy.roots, policy.measurements),
        )
        checks = [one for one in found.checks if one.name != CHANNEL]
        checks.append(dated(self.at, policy))
        for name, receipt in zip(("first receipt", "second receipt"), self.receipts, strict=True):
            try:
                if found.keyset is None:
                    raise AciError("without a keyset no receipt can be checked")
                documents.check_receipt(receipt, found.keyset)
                checks.append(Check(name, True, "signed by the attested key"))
                checks += stake_checks(receipt, found.keyset)
            except AciError as error:
                checks.append(Check(name, False, error.message))
        first, second = self.receipts
        one = str(first.get("receipt_id"))
        if one != str(second.get("receipt_id")) or signed_bytes(first) == signed_bytes(second):
            return (*checks, Check("contradiction", False, "the receipts do not contradict each other"))
        names = sorted({*first, *second} - {"signature"})
        told = ", ".join(name for name in names if first.get(name) != second.get(name))
        return (*checks, Check("contradiction", True, f"{one} is two receipts: they differ in {told}"))

    def verdict(self, policy: Policy) -> Verdict:
        """The checks, and the one word that they come to."""
        checks = self.checks(policy)
        simulated = any(Level.SIMULATED.label in one.detail for one in checks if one.name == "hardware")
        return Verdict(b"", (Level.SIMULATED.label,) if simulated else (), checks)

    def save(self, path: Path) -> None:
        """Write the file anew. Raises AnswerError."""
        value = {
            "format": FORMAT,
            "gateway": self.gateway,
            "at": self.at,
            "nonce": self.nonce,
            "report": base64.b64encode(self.report).decode("ascii"),
            "receipts": list(self.receipts),
        }
        write_document(path, value, 0o644)


_NONE: Final = "no-contradiction"
_NO_CASE: Final = "not-for-a-chain"


def is_two_receipts(path: Path) -> bool:
    """Whether a file begins as `save` writes one."""
    return begins_as(path, FORMAT)


def load(path: Path) -> TwoReceipts:
    """Read a file. Raises AnswerError."""
    try:
        value = jcs.loads(read_whole(path, MAX_FILE), limit=MAX_FILE)
        first, second = (dict(one) for one in value["receipts"])
        if value["format"] != FORMAT or type(value["at"]) is not int or not 0 <= value["at"] < 1 << 53:
            raise ValueError("another format")
        for one in (first, second):
            signed_bytes(one)  # of a canonical form, as all that was ever signed
        return TwoReceipts(
            str(value["gateway"]),
            value["at"],
            documents.nonce_of(str(value["nonce"])),
            base64.b64decode(value["report"], validate=True),
            (first, second),
        )
    except OSError as error:
        raise AnswerError(f"{path} cannot be read: {error.strerror}") from None
    except (AciError, KeyError, TypeError, ValueError) as error:
        told = "a member is missing, or is of another kind"
        if isinstance(error, (AciError, TooLong)):
            told = error.message
        raise AnswerError(f"{path} does not hold two receipts: {told}") from None


def receipt_in(path: Path) -> Mapping[str, Any]:
    """The receipt in an answer's file, or one by itself as a gateway serves it. Raises AnswerError."""
    if answer_file.is_answer(path):
        return answer_file.load(path).receipt
    try:
        value = jcs.loads(read_whole(path, MAX_FILE), limit=MAX_FILE)
    except OSError as error:
        raise AnswerError(f"{path} cannot be read: {error.strerror}") from None
    except (AciError, TooLong) as error:
        raise AnswerError(f"{path} holds no receipt: {error.message}") from None
    if not isinstance(value, dict) or "receipt_id" not in value:
        raise AnswerError(f"{path} holds no receipt")
    return value
