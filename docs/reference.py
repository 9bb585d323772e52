"""The API reference, from the docstrings: `python docs/reference.py FOLDER`. A warning of pdoc ends it."""

from __future__ import annotations

import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc

import proofward

if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)
    for name in proofward.__all__:  # these are loaded on first use, and pdoc reads what is there
        setattr(proofward, name, getattr(proofward, name))
    # `__all__` has no room, so they are named; the verbs say what they do by --help
    rooms = [one.name for one in pkgutil.iter_modules(proofward.__path__, "proofward.")]
    pdoc.pdoc("proofward", *rooms, "!proofward.cli", output_directory=Path(sys.argv[1]))
