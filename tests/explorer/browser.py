"""Headless Chromium, driven from Python's tests through explorer/test/browser.mjs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from types import TracebackType
from typing import Any

from tests.explorer.site import EXPLORER, missing, require_packages

STATIC = EXPLORER / "proofward_explorer" / "static"


def require_browser() -> None:
    """Skip, or fail under `make explorer-test`, without Chromium or the built site."""
    require_packages()
    if shutil.which(os.environ.get("CHROMIUM", "chromium")) is None:
        missing("Chromium is not installed (Debian: apt-get install chromium)")
    if not (STATIC / "verify.html").is_file():
        missing("the site is not built: `make explorer`")


class Browser:
    """One browser with one page; use it as a context manager."""

    def __enter__(self) -> Browser:
        require_browser()
        self._process = subprocess.Popen(
            ["node", str(EXPLORER / "test" / "browser.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def marked(self) -> str:
        """What a job's page marked, in milliseconds from navigation, and beside how much other work."""
        marks = self.do("costs")["marks"]
        steps = [f"{name} at {marks[name]} ms" for name in ("chain open", "evidence read", "verdict")]
        return f"{', '.join(steps)}, at a load of {os.getloadavg()[0]:.1f}"

    def do(self, step: str, **options: Any) -> Any:
        """One step of explorer/test/browser.mjs, and its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"step": step, **options}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, (step, answer["error"])
        return answer["value"]
