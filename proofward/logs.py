"""The library's log: events go where the application that uses it sends them, and nowhere before it has said
so. A program that prints an answer finds nothing else on its standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_GRAVE: Final = ("warning", "error", "exception")

_configure: Callable[[], None] | None = None


@contextmanager
def warnings_by(configure: Callable[[], None]) -> Iterator[None]:
    """Within the block, let the first warning or error have `configure` set structlog up, unless somebody has
    done so: loading it is a quarter of a short command's time, and few commands log anything.
    """
    global _configure
    before, _configure = _configure, configure
    try:
        yield
    finally:
        if _configure is None:
            sys.modules["structlog"].reset_defaults()
        _configure = before


def _set_up(level: str) -> bool:
    """Whether structlog is configured, which whoever configures it has loaded."""
    global _configure
    loaded = sys.modules.get("structlog")
    if loaded is not None and loaded.is_configured():
        return True
    if _configure is None or level not in _GRAVE:
        return False
    configure, _configure = _configure, None
    configure()
    return True


class Logger:
    """A structlog logger that is silent until the application configures structlog."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _tell(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if _set_up(level):
            import structlog

            getattr(structlog.get_logger(self._name), level)(event, **fields)

    def debug(self, event: str, **fields: Any) -> None:
        """Log an event with its fields: ids and numbers, never plaintext or keys."""
        self._tell("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """As `debug`."""
        self._tell("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """As `debug`."""
        self._tell("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """As `debug`."""
        self._tell("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """As `error`, with the traceback of the exception that is being handled."""
        self._tell("exception", event, fields)
