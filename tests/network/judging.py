"""What a line of the campaign must say for the network to have held, by the kind of fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ONE_GONE = ("one killed", "database deleted")
TWO_GONE = ("two killed", "parted 2|2")
FAULTS = ("one killed", "two killed", "parted 2|2", "database deleted")


@dataclass(frozen=True)
class Bounds:
    """What was wanted; lags are blocks, `calm_lag` the 95th percentile of a time without faults."""

    calm_lag: int = 2
    lag_with_one_gone: int = 4
    back_seconds: float = 30.0
    block_seconds: float = 2.0
    block_part: float = 0.05
    validator_megabytes: int = 350
    archive_megabytes: int = 400
    """More than the 350 that were wanted: the figures of docs/network.md say by how much it was missed."""


def wrong(line: Mapping[str, Any], bounds: Bounds = Bounds()) -> list[str]:
    """What is wrong with one line, empty when nothing is. A line of no known kind is wrong."""
    if "calm" in line:
        return _calm(line["calm"], bounds)
    if "jobs" in line:
        return _jobs(line["jobs"], int(line["seeds"]))
    if "left out" in line:
        return []
    if "error" in line:
        return [f"it was not seen to its end: {line['error']}"]
    if line.get("fault") in FAULTS:
        return _fault(line, bounds)
    return [f"a line of no known kind: {dict(line)}"]


def _calm(calm: Mapping[str, Any], bounds: Bounds) -> list[str]:
    found = []
    if calm["lag_p95"] > bounds.calm_lag:
        found.append(f"finality is {calm['lag_p95']} blocks behind without a fault, not {bounds.calm_lag}")
    off = abs(calm["block_seconds"] - bounds.block_seconds)
    if off > bounds.block_part * bounds.block_seconds:
        found.append(f"a block takes {calm['block_seconds']} s, not {bounds.block_seconds}")
    for who, most in (("validator", bounds.validator_megabytes), ("archive", bounds.archive_megabytes)):
        if not 0 < calm[f"{who}_mb"] <= most:
            found.append(f"the greatest {who} has {calm[f'{who}_mb']} MB, not {most} at most")
    return found


def _fault(line: Mapping[str, Any], bounds: Bounds) -> list[str]:
    found = []
    if line["fault"] in ONE_GONE:
        if line["worst_lag"] > bounds.lag_with_one_gone:
            found.append(f"finality fell {line['worst_lag']} blocks behind with three of four")
        if line["finalised_during"] <= 0:
            found.append("finality stood with three of four")
    else:
        if line["finalised_during"] != 0:
            found.append("two of four finalised")
        if line["stalls"] < line["workers"]:
            found.append(f"{line['stalls']} of {line['workers']} workers said that finality stands")
    if line["back_seconds"] is None:
        found.append("the network did not come back")
    elif line["back_seconds"] > bounds.back_seconds:
        found.append(f"it was back after {line['back_seconds']} s, not {bounds.back_seconds:g}")
    if line["accepted"] < 1:
        found.append("no job was accepted since the fault before: the stream stands")
    return found


def _jobs(jobs: Mapping[str, Any], seeds: int) -> list[str]:
    found = [
        f"{jobs[name]} jobs were {name.replace('_', ' ')}"
        for name in ("lost", "accepted_twice", "lapsed", "rejected")
        if jobs[name]
    ]
    if jobs["submitted"] < seeds:
        found.append(f"{jobs['submitted']} jobs were submitted in {seeds} faults: the stream stood")
    if jobs["stalls_logged"] != jobs["resumptions_logged"]:
        found.append(f"{jobs['stalls_logged']} stalls were logged, {jobs['resumptions_logged']} resumptions")
    return found
