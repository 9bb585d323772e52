"""Text of others on somebody's terminal."""

from __future__ import annotations

import unicodedata


def shown(text: str, *, keep: str = "") -> str:
    """Text without what steers a terminal or hides in it: control characters, those that turn the direction
    of writing and other invisible ones are shown as a dot, but for those to `keep`.
    """
    if text.isprintable():
        return text
    return "".join("·" if unicodedata.category(one)[0] == "C" and one not in keep else one for one in text)
