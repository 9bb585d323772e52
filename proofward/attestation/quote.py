"""A TDX quote taken apart, nothing of it believed yet (Intel TDX DCAP quoting library API, appendix A.3)."""

from __future__ import annotations

from dataclasses import dataclass

import dcap_qvl

from proofward.attestation.errors import AttestationError, Code
from proofward.protocol import bounds
from proofward.protocol.measurement import measurement

TDX_VERSIONS = (4, 5)


@dataclass(frozen=True, slots=True)
class Quote:
    """The fields that matter here; registers are 48 bytes, report_data 64."""

    version: int
    report_data: bytes
    td_attributes: bytes
    mrtd: bytes
    rtmrs: tuple[bytes, bytes, bytes, bytes]
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    fmspc: bytes
    """Platform family, 6 bytes: with `ca` it names the collateral."""
    ca: str
    """`platform` or `processor`."""

    @property
    def measurement(self) -> bytes:
        """The protocol's one hash of all registers, 32 bytes."""
        return measurement(
            mrtd=self.mrtd,
            rtmrs=self.rtmrs,
            mr_config_id=self.mr_config_id,
            mr_owner=self.mr_owner,
            mr_owner_config=self.mr_owner_config,
        )

    @property
    def debug(self) -> bool:
        """Whether the host may read the trust domain: any bit of the TUD group (the lowest byte) is set."""
        return self.td_attributes[0] != 0


def parse_quote(quote: bytes) -> Quote:
    """Parse a quote. Raises AttestationError(malformed-quote): too long, no quote, or none of a TDX v4 or
    v5.
    """
    if len(quote) > bounds.MAX_QUOTE:
        raise AttestationError(
            f"a quote has at most {bounds.MAX_QUOTE} bytes, not {len(quote)}", code=Code.MALFORMED_QUOTE
        )
    try:
        parsed = dcap_qvl.parse_quote(quote)
        fmspc, ca = bytes.fromhex(parsed.fmspc()), str(parsed.ca())
    except ValueError as error:
        raise AttestationError(f"it is no quote: {error}", code=Code.MALFORMED_QUOTE) from None
    if not parsed.is_tdx() or parsed.header.version not in TDX_VERSIONS:
        raise AttestationError(
            f"a TDX quote of version 4 or 5 is needed, not {parsed.quote_type()} "
            f"version {parsed.header.version}",
            code=Code.MALFORMED_QUOTE,
        )
    report = parsed.report
    return Quote(
        version=parsed.header.version,
        report_data=bytes(report.report_data),
        td_attributes=bytes(report.td_attributes),
        mrtd=bytes(report.mr_td),
        rtmrs=(bytes(report.rt_mr0), bytes(report.rt_mr1), bytes(report.rt_mr2), bytes(report.rt_mr3)),
        mr_config_id=bytes(report.mr_config_id),
        mr_owner=bytes(report.mr_owner),
        mr_owner_config=bytes(report.mr_owner_config),
        fmspc=fmspc,
        ca=ca,
    )
