"""Quotes from the Linux kernel's configfs (Documentation/ABI/testing/configfs-tsm-report)."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from proofward.protocol.bounds import MAX_QUOTE
from proofward_enclave.providers.base import Evidence, NoSealingKey, ProviderError

REPORTS: Final = Path("/sys/kernel/config/tsm/report")
_PROVIDER: Final = "tdx_guest"


class TsmProvider:
    """A bare TDX guest with Linux 6.7 or newer; one report directory a quote, so that nobody shares its
    options.
    """

    name = "tsm"
    simulated = False

    def __init__(self, reports: Path = REPORTS) -> None:
        """Raises ProviderError when the kernel offers no reports."""
        if not reports.is_dir():
            raise ProviderError(
                f"{reports} is missing: mount configfs in a TDX guest with CONFIG_TSM_REPORTS"
            )
        self._reports = reports

    def quote(self, report_data: bytes) -> Evidence:
        """A quote over the 64 bytes. Raises ProviderError."""
        entry = self._reports / f"proofward-{secrets.token_hex(8)}"
        try:
            entry.mkdir()
            try:
                return Evidence(self._read(entry, report_data))
            finally:
                entry.rmdir()
        except OSError as error:
            raise ProviderError(f"the kernel gave no quote in {entry}: {error.strerror}") from None

    def sealing_key(self) -> bytes:
        """Raises NoSealingKey: a TDX guest by itself has none (SGX's EGETKEY has no counterpart there)."""
        raise NoSealingKey(
            "a bare TDX guest has no key of its measurement: start without --keep-keys, or under dstack with "
            "its local key provider"
        )

    def _read(self, entry: Path, report_data: bytes) -> bytes:
        (entry / "inblob").write_bytes(report_data)
        before = int((entry / "generation").read_text())
        quote = (entry / "outblob").read_bytes()
        provider = (entry / "provider").read_text().strip()
        if int((entry / "generation").read_text()) != before:
            raise ProviderError("the report's options changed while it was read: try again")
        if provider != _PROVIDER:
            raise ProviderError(f"the kernel's reports come from {provider}, not from a TDX guest")
        if not 0 < len(quote) <= MAX_QUOTE:
            raise ProviderError(f"the kernel gave a quote of {len(quote)} bytes")
        return quote
