"""What several verbs take: a study's document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from proofward_federation.study import Study

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY.JSON", help="A study's canonical document.")]


def study_of(path: Path) -> Study:
    """A study by its file. Raises FederationError."""
    from proofward.files import TooLong, read_whole
    from proofward_federation.errors import FederationError
    from proofward_federation.study import MAX_DOCUMENT, Study

    try:
        return Study.parse(read_whole(path, MAX_DOCUMENT))
    except OSError as error:
        raise FederationError(f"cannot read {path}: {error.strerror}", code="bad-study") from None
    except TooLong as error:
        raise FederationError(f"{path} is no study: {error}", code="bad-study") from None
