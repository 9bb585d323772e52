"""The site's verifier, asked by Python's tests; where the site's npm packages are not installed they skip."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

EXPLORER = Path(__file__).parents[2] / "explorer"
#: Set by `make explorer-test`: what is missing is then a failure.
NEEDED = "PROOFWARD_EXPLORER"


def require_packages() -> None:
    """Skip, or fail under `make explorer-test`, without the site's npm packages."""
    if not (EXPLORER / "node_modules" / "esbuild").is_dir():
        missing("the site's npm packages are not installed: `make explorer-test` installs them")


def missing(reason: str) -> None:
    """Skip, or fail under `make explorer-test`."""
    if os.environ.get(NEEDED):
        pytest.fail(reason)
    pytest.skip(reason)


def ask(questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verifier's answer to each question."""
    require_packages()
    done = subprocess.run(
        ["node", str(EXPLORER / "test" / "verdicts.mjs")],
        input="\n".join(map(json.dumps, questions)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(questions)
    return answers
