"""Files that are read whole or refused, and the one place that does it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from proofward.files import TooLong, read_stream, read_whole
from tests.test_rooms import PACKAGES, ROOT

BY_HAND = re.compile(r"\.read\([\w.]+ \+ 1\)")


def test_a_file_of_the_limit_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_whole(path, 8) == b"12345678"
    with pytest.raises(TooLong, match="more than 7 bytes"):
        read_whole(path, 7)


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(TooLong):
        read_whole(Path("/dev/zero"), 1 << 16)


def test_a_stream_is_left_where_it_was_refused() -> None:
    stream = io.BytesIO(bytes(100))
    with pytest.raises(TooLong):
        read_stream(stream, 9)
    assert stream.tell() == 10


def test_nobody_else_reads_one_byte_more_than_the_limit() -> None:
    modules = [path for folder in PACKAGES.values() for path in (ROOT / folder).glob("proofward*/**/*.py")]
    assert modules
    found = {str(path.relative_to(ROOT)) for path in modules if BY_HAND.search(path.read_text())}
    assert found == {"proofward/files.py"}
