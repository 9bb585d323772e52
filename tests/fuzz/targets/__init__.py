"""What each fuzzer runs: a reader refuses with its own error, or gives what is written as the same bytes.

Any other exception is a finding. A target's module imports its own readers only: counters in all that is
imported take longer than a short run.
"""

from __future__ import annotations

TARGETS = {
    "bundle": "evidence",
    "manifest": "evidence",
    "envelope": "wire",
    "frame": "wire",
    "scale": "wire",
    "table": "tables",
    "program": "programs",
    "federation": "federation",
    "statement": "statements",
    "chain": "chains",
    "gateway": "gateways",
    "kept": "files",
}
"""Target -> the module here that has it, as a function of its name that takes bytes."""
