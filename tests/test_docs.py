"""The documentation as a text: its width, its links, and that what it names is there."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
WIDTH = 110
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "prover/*.md", "tests/*/README.md")
    for path in ROOT.glob(pattern)
)
#: What targets of the Makefile make, or a program writes: not in a bare checkout.
MADE = ("build/", ".venv/", "contracts/node_modules", "target/")

FILE = re.compile(r"[\w.-]+(?:/[\w.*-]+)+/?|[\w-]+\.(?:md|py|rs|mjs|toml|lock)")
#: What hashes begin with, for a domain of their own.
TAG = re.compile(r"proofward/[a-z-]+/v\d(?:/[a-z]+)?")
MODULE = re.compile(r"proofward(?:_\w+)?(?:\.\w+)+")
MARKDOWN = MarkdownIt("commonmark").enable("table")


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


ROOTS = {path.name for path in ROOT.iterdir()}
TARGETS = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


def too_wide(text: str) -> list[str]:
    """Lines over the width in paragraphs and headings; tables, code and a lone link cannot be broken."""
    lines = text.splitlines()
    return [
        f"{number + 1}: {lines[number]}"
        for token in MARKDOWN.parse(text)
        if token.type in ("paragraph_open", "heading_open") and token.map
        for number in range(*token.map)
        if len(lines[number]) > WIDTH and " " in lines[number].strip()
    ]


def inline(text: str, kind: str) -> list[Token]:
    """Every link or span of code in the text."""
    return [child for token in MARKDOWN.parse(text) for child in token.children or () if child.type == kind]


def links(text: str) -> list[str]:
    return [str(one.attrs["href"]) for one in inline(text, "link_open")]


def anchors(text: str) -> set[str]:
    """The names by which headings are linked to."""
    tokens = MARKDOWN.parse(text)
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def broken(page: str, text: str) -> list[str]:
    """Relative links to a file or a heading that is not there."""
    found = []
    for link in links(text):
        name, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (ROOT / page).parent / name if name else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


def unknown(text: str) -> list[str]:
    """Files, modules and targets that a text names in backticks and nobody has."""
    return [one.content for one in inline(text, "code_inline") if not _known(one.content)]


def _known(span: str) -> bool:
    if TAG.fullmatch(span):
        return True
    if FILE.fullmatch(span) and span.split("/")[0] in ROOTS and not span.startswith(MADE):
        return any(ROOT.glob(span.removesuffix("/")))
    if MODULE.fullmatch(span):
        return _resolves(span)
    command = re.fullmatch(r"make ([a-z-]+)", span)
    return not command or command[1] in TARGETS


def _resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or a chain of attributes of one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        try:
            for name in parts[count:]:
                value = getattr(value, name)
        except AttributeError:
            return False
        return True
    return False


@pytest.mark.parametrize("page", PAGES)
def test_a_page(page: str) -> None:
    text = read(page)
    assert not too_wide(text)
    assert not broken(page, text)
    assert not unknown(text)


def test_the_index_lists_every_page() -> None:
    listed = {link for link in links(read("docs/index.md")) if "://" not in link}
    docs = ROOT / "docs"
    found = [*docs.glob("*.md"), *docs.glob("tutorials/*.md")]
    pages = {path.relative_to(docs).as_posix() for path in found} - {"index.md"}
    assert listed == pages | {"decisions/README.md"}
    decisions = {path.name for path in (ROOT / "docs" / "decisions").glob("0*.md")}
    assert set(links(read("docs/decisions/README.md"))) == decisions


def test_the_faults_are_seen() -> None:
    """The test's own power."""
    wide = "word " * 30
    assert too_wide(f"{wide}\n\n|a|\n|-|\n|{wide}|\n\n```\n{wide}\n```\n\n    {wide}") == [f"1: {wide}"]
    assert broken("README.md", "[a](gone.md) [b](#nowhere) [c](docs/cli.md#exit-codes)") == [
        "gone.md",
        "#nowhere",
    ]
    named = (
        "`docs/gone.md` `docs/cli.md` `tests/*/gone.py` `proofward.Client.gone` `proofward.Client` "
        + "`make gone`"
    )
    assert unknown(named) == [
        "docs/gone.md",
        "tests/*/gone.py",
        "proofward.Client.gone",
        "make gone",
    ]
