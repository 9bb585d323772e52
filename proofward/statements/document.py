"""Reading a file of this room: bounded, and a refusal for whatever is not one."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from proofward.files import read_whole
from proofward.statements.errors import StatementError

MAX_FILE = 64 << 10
Document = TypeVar("Document", bound=BaseModel)


def read_document(path: Path, kind: type[Document], what: str) -> Document:
    """The document of a kind in a JSON file. Raises StatementError: `what` says what it is not."""
    try:
        return kind.model_validate_json(read_whole(path, MAX_FILE))
    except OSError as error:
        raise StatementError(f"cannot read {path}: {error.strerror}", code="not-found") from error
    except ValueError as error:
        raise StatementError(f"{path} is no {what}") from error
