"""One fuzzer, until its time is over: `python -m tests.fuzz.one TARGET LIBFUZZER_OPTIONS... FOLDERS...`."""

from __future__ import annotations

import importlib
import logging
import sys

import atheris

from tests.fuzz.targets import TARGETS


def main() -> None:
    """Does not return."""
    logging.disable()
    name = sys.argv[1]
    with atheris.instrument_imports(include=["proofward", "proofward_federation", "tests.fuzz.targets"]):
        target = getattr(importlib.import_module(f"tests.fuzz.targets.{TARGETS[name]}"), name)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


main()
