"""What documents tell people to type is there, and each row of the compliance page names what shows it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
import typer.main
from typer import Exit
from typer._click.core import Command, Context
from typer._click.exceptions import UsageError
from typer.core import TyperGroup

from proofward.cli import app
from tests.test_docs import MARKDOWN, PAGES, inline, read
from tests.test_threat_model import named_tests

COMMANDS = typer.main.get_command(app)
#: Where the words of a command end in a line of shell, or in a drawing.
ENDS = re.compile(r"[|&<>;()]+|──.*")
#: What pages write in place of a value: by it a number's option cannot be tried.
PLACEHOLDER = re.compile(r"^[A-Z][A-Z_]*$|…")


def typed(page: str) -> Iterator[str]:
    """Every command of the page's blocks of code, continued lines joined."""
    for token in MARKDOWN.parse(read(page)):
        if token.type in ("fence", "code_block") and token.info in ("", "bash", "console", "sh"):
            for line in token.content.replace("\\\n", " ").splitlines():
                yield from re.findall(r"(?:^\s*|[($!] ?)(proofward [a-z].*)", line)


def spoken(page: str) -> Iterator[str]:
    """Every command that the page names in backticks."""
    for token in inline(read(page), "code_inline"):
        if token.content.startswith("proofward ") and re.match(r"proofward [a-z]", token.content):
            yield token.content


def words_of(text: str) -> list[str]:
    """The words of a line's first command. Raises ValueError for a quotation without its end."""
    lexer = shlex.shlex(re.sub(r"\s\d>", " >", text), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if ENDS.fullmatch(word):
            break
        words.append(word)
    return words


def fault(text: str, *, whole: bool) -> str | None:
    """What is wrong with a command, None when nothing is. `whole`: its arguments are all there."""
    try:
        words = words_of(text)[1:]
    except ValueError as error:
        return f"{text}: {error}"
    command: Command = COMMANDS
    context = Context(command, info_name="proofward")
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        names = words.pop(0).rstrip(",").split("|")
        found = [command.get_command(context, name) for name in names]
        if None in found:
            return f"{text}: there is no verb {' or '.join(names)}"
        command = found[0] or command
        context = Context(command, info_name=names[0], parent=context)
    known = {"--help", "-h"}
    known |= {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in known:
            return f"{text}: {context.info_name} has no {option}"
    if whole and not any(PLACEHOLDER.search(word) for word in words):
        try:
            command.make_context(context.info_name, list(words), parent=context.parent)
        except UsageError as error:
            return f"{text}: {error.format_message()}"
        except Exit:
            return None
    return None


@pytest.mark.parametrize("page", PAGES)
def test_a_pages_commands_are_there(page: str) -> None:
    wrong = [fault(text, whole=True) for text in typed(page)]
    wrong += [fault(text, whole=False) for text in spoken(page)]
    assert not [one for one in wrong if one]


def rows(page: str, column: str) -> Iterator[str]:
    """The cells of a column, of every table of the page that has it."""
    at: int | None = None
    for line in read(page).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            at = None
        elif column in cells:
            at = cells.index(column)
        elif at is not None and not set(line) <= set("|-: "):
            yield cells[at]


def unshown(cell: str) -> list[str]:
    """Names in a cell that are neither a test nor a command; the cell itself when it names nothing."""
    names = re.findall(r"`([^`]+)`", cell)
    tests = named_tests()
    if not names:
        return [cell]
    others = [name for name in names if name not in tests]
    return [name for name in others if " " not in name or fault(name, whole=False) is not None]


def test_each_row_of_the_compliance_page_is_shown() -> None:
    cells = list(rows("docs/compliance.md", "shown by"))
    assert len(cells) > 20
    assert not [one for cell in cells for one in unshown(cell)]
    assert all(rows("docs/compliance.md", "stays with you")), "a row leaves nothing to the organisation"


def test_the_faults_are_seen() -> None:
    """The test's own power."""
    assert fault("proofward fly", whole=False)
    assert fault("proofward worker fly", whole=False)
    assert fault("proofward verify JOB --wings", whole=False)
    assert fault("proofward account send", whole=True)
    assert fault("proofward explorer --port many", whole=True)
    assert fault("proofward audit export|verify", whole=False) is None
    assert fault("proofward verify 0x00 --dev", whole=True) is None
    assert unshown("`test_that_is_not_there`, `proofward verify`") == ["test_that_is_not_there"]
    assert unshown("`proofward fly`") == ["proofward fly"]
    assert unshown("nothing") == ["nothing"]
