"""The library's log: events go where the application that uses it sends them, and nowhere before it has said
so. A program that prints an answer finds nothing else on its standard output.
"""

from __future__ import annotations

from typing import Any

import structlog


class Logger:
    """A structlog logger that is silent until the application configures structlog."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _tell(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if structlog.is_configured():
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
