"""Footers of Parquet files with one byte changed: refused or read, and never the end of the process, which is
what pyarrow makes of some of them (`terminate called`) when a column is asked for before it is read.
"""

from __future__ import annotations

import subprocess
import sys

_EACH = """
import io
import pyarrow
from pyarrow import parquet
from proofward.tables.errors import TableError
from proofward.tables.parquet import parquet_table

made = io.BytesIO()
table = pyarrow.table({"record": [1.0, None, 3.0], "count": [1, 2, 3]})
parquet.write_table(table, made, store_schema=False)
data = made.getvalue()
start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
refused = read = 0
for at in range(start, len(data) - 8):
    for value in {data[at] ^ 1, data[at] ^ 2, data[at] ^ 0x80, 0, 0x16, 0xFF} - {data[at]}:
        try:
            parquet_table(data[:at] + bytes([value]) + data[at + 1:], "forged")
            read += 1
        except TableError:
            refused += 1
print(refused, read)
"""


def test_no_footer_that_contradicts_itself_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", _EACH], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-400:]
    refused, read = map(int, done.stdout.split())
    assert refused > 300
    assert read > 300
