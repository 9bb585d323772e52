"""Reading a file of this room: bounded, and a refusal for whatever is not one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from proofward.statements.errors import StatementError

MAX_FILE = 64 << 10
Document = TypeVar("Document", bound=BaseModel)


def read_document(path: Path, kind: type[Document], what: str) -> Document:
    """The document of a kind in a JSON file. Raises StatementError: `what` says what it is not."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise ValueError
        return kind.model_validate(json.loads(data))
    except OSError as error:
        raise StatementError(f"cannot read {path}: {error.strerror}", code="not-found") from error
    except (ValueError, RecursionError) as error:
        raise StatementError(f"{path} is no {what}") from error
