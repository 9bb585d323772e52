"""For mkdocs: links that leave docs/ for the checkout lead to its files in the repository.

In the checkout, and on a forge, `../README.md` is right; the site has no such page.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

REPOSITORY = "https://github.com/proofward/proofward/blob/main/"
LINK = re.compile(r"\]\(((?:\.\./)+[^)\s]*)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """mkdocs' hook: the text of one page, with such links changed."""
    folder = Path("docs", page.file.src_uri).parent

    def changed(found: re.Match[str]) -> str:
        target = posixpath.normpath((folder / found[1]).as_posix())
        return found[0] if target.startswith("docs/") else f"]({REPOSITORY}{target})"

    return LINK.sub(changed, markdown)
