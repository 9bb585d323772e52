"""What the user's options come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from proofward.aci.documents import DIGEST
from proofward.client.ids import hash32
from proofward.client.targets import Pins
from proofward_gateway.channel import Origin
from proofward_gateway.proxy.server import AnswerRefused, Settings


def settings_of(
    gateway: str,
    *,
    pins: Sequence[str],
    upstream_pins: Sequence[str],
    folder: Path,
    development: bool,
    allow_unverified: bool,
    weights: Sequence[str] = (),
    genesis: str | None = None,
    spec: Path | None = None,
    require_stake: bool = False,
) -> Settings:
    """With `spec`, the chain's raw one, an upstream must be one that this chain's final state has.

    Raises AnswerRefused(usage) without a pin outside of development, GatewayError(bad-url), ProofwardError
    for a genesis that is no hash or a spec that is none.
    """
    if require_stake and spec is None:
        raise AnswerRefused("--require-stake needs --spec: the chain's authorities prove it", code="usage")
    if wrong := [one for one in weights if not DIGEST.fullmatch(one)]:
        raise AnswerRefused(
            f"{wrong[0]!r} is no digest of weights: `sha256:` and 64 hex digits", code="usage"
        )
    measurements = frozenset(hash32(one, "measurement") for one in pins)
    if not measurements and development:
        from proofward_gateway.measure import simulated_measurement

        measurements = frozenset({simulated_measurement()})
    if not measurements:
        raise AnswerRefused(
            "pin the gateway's software: give --measurement, from its publisher's release or your own build",
            code="usage",
        )
    upstreams = frozenset(hash32(one, "upstream measurement") for one in upstream_pins) or measurements
    asked = Pins(development=development, genesis=genesis, spec=spec)
    policy = replace(asked.policy(), measurements=measurements)
    return Settings(
        Origin.parse(gateway), policy, upstreams, folder, allow_unverified, frozenset(weights), require_stake
    )
