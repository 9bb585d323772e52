"""One page number that an enclave signed twice, for different pages: it costs a worker half of its stake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from proofward.chain.pallets import sessions
from proofward.chain.values import Call
from proofward.client.store import Hash
from proofward.errors import NotFound, Refused
from proofward.files import read_whole
from proofward.protocol import ProtocolError
from proofward.protocol.keys import verify_signature
from proofward.protocol.sessions import leaf, page_message

_MAX_BYTES = 4096


class SignedPage(BaseModel):
    """A page's commitments and the enclave's signature, hex without a prefix."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    input_commitment: Hash
    output_commitment: Hash
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class DoublePage(BaseModel):
    """Two receipts of one page of a session. `check` says whether they show anything."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["proofward/double-page/v1"] = "proofward/double-page/v1"
    genesis: Hash
    session: Hash
    receipt_key: Hash
    page: Annotated[int, Field(ge=0, lt=1 << 32)]
    first: SignedPage
    second: SignedPage

    def _leaf(self, one: SignedPage) -> bytes:
        commitments = (bytes.fromhex(one.input_commitment), bytes.fromhex(one.output_commitment))
        return leaf(bytes.fromhex(self.session), self.page, *commitments)

    def check(self) -> None:
        """Raises Refused(no-evidence) where the pages are the same, or one is not signed."""
        if self._leaf(self.first) == self._leaf(self.second):
            raise Refused(f"both receipts are of the same page {self.page}", code="no-evidence")
        for one in (self.first, self.second):
            said = page_message(
                bytes.fromhex(self.genesis), bytes.fromhex(self.session), self.page, self._leaf(one)
            )
            try:
                verify_signature(bytes.fromhex(self.receipt_key), said, bytes.fromhex(one.signature))
            except ProtocolError:
                raise Refused(
                    f"a receipt of page {self.page} is not signed by the enclave's key", code="no-evidence"
                ) from None

    def call(self) -> Call:
        """What tells the chain."""
        return sessions.report(
            receipt_key=bytes.fromhex(self.receipt_key),
            session=bytes.fromhex(self.session),
            page=self.page,
            first=self._leaf(self.first),
            first_signature=bytes.fromhex(self.first.signature),
            second=self._leaf(self.second),
            second_signature=bytes.fromhex(self.second.signature),
        )


def double_page(
    genesis: bytes, session: bytes, receipt_key: bytes, page: int, *both: Mapping[str, Any]
) -> DoublePage:
    """Of two receipts as they are kept."""
    first, second = (SignedPage.model_validate(one) for one in both)
    return DoublePage(
        genesis=genesis.hex(), session=session.hex(), receipt_key=receipt_key.hex(), page=page,
        first=first, second=second,
    )  # fmt: skip


def load_double(path: Path) -> DoublePage:
    """Read what a session's client wrote. Raises NotFound, Refused."""
    try:
        return DoublePage.model_validate_json(read_whole(path, _MAX_BYTES))
    except OSError as error:
        raise NotFound(f"{path} cannot be read ({error.strerror}); give the file of two receipts") from error
    except ValueError:
        raise Refused(f"{path} holds no two receipts of a page", code="no-evidence") from None
