"""One fuzzer, until its time is over: `python -m tests.fuzz.one TARGET LIBFUZZER_OPTIONS... FOLDERS...`."""

from __future__ import annotations

import logging
import sys

import atheris

with atheris.instrument_imports(include=["proofward", "proofward_federation", "tests.fuzz.targets"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Does not return."""
    logging.disable()
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


main()
