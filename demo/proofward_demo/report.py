"""What the demo shows while it runs, and what it writes when it is done."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from proofward.amounts import UNIT
from proofward.files import write_whole
from proofward_demo.faults import Refusal


@dataclass
class Report:
    """The demo's result, in the shape of build/demo.json (see docs/cli.md), and its teller.

    `stream` gets the steps as they happen; None keeps quiet.
    """

    stream: TextIO | None = sys.stdout
    chain: dict[str, Any] = field(default_factory=dict)
    workers: list[dict[str, Any]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def step(self, who: str, what: str, block: int | None = None) -> None:
        """One line: time since the start, block, who, what."""
        if self.stream is not None:
            seconds = time.monotonic() - self._began
            at = "" if block is None else f"#{block}"
            print(f"{seconds:6.1f} s {at:>6}  {who:<10} {what}", file=self.stream, flush=True)

    def refusal(self, refusal: Refusal) -> None:
        """A fault that was refused where it should be."""
        self.refused.append(refusal)
        self.step(refusal.where, f"refused {refusal.fault}: {refusal.error}")

    def table(self) -> None:
        """The jobs and the faults, as a table."""
        if self.stream is None:
            return
        print(file=self.stream)
        head = (
            "job",
            "model",
            "lane",
            "setup",
            "level",
            "worker",
            "verdict",
            "paid",
            "proof",
            "prove",
            "answer",
            "float",
            "truth",
        )
        rows = [_row(job) for job in self.jobs]
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        for row in (head, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), file=self.stream)
        print(file=self.stream)
        for refusal in self.refused:
            print(f"refused by {refusal.where:<9} {refusal.fault}", file=self.stream)

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole or not at all."""
        document = {
            "chain": self.chain,
            "workers": self.workers,
            "models": self.models,
            "jobs": self.jobs,
            "refused": [asdict(refusal) for refusal in self.refused],
            "seconds": round(time.monotonic() - self._began, 1),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{json.dumps(document, indent=2)}\n".encode(), mode=0o666)


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    prove = job["seconds"].get("prove")
    probability = [("" if job[name] is None else f"{job[name]:.3f}") for name in ("answer", "float_answer")]
    return (
        job["id"][:10],
        job["model"],
        job["lane"],
        job["setup"],
        job["level"] or "-",
        job["worker"] or "-",
        job["verdict"],
        f"{job['paid'] / UNIT:g}",
        f"{job['proof_bytes']} B",
        "-" if prove is None else f"<= {prove * 1000:.0f} ms",
        *probability,
        str(job["truth"]),
    )
