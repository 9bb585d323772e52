"""The API reference, from the docstrings: `python docs/reference.py FOLDER`. A warning of pdoc ends it."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pdoc

import proofward

if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)
    for name in proofward.__all__:  # these are loaded on first use, and pdoc reads what is there
        setattr(proofward, name, getattr(proofward, name))
    pdoc.pdoc("proofward", "!proofward.cli.__main__", output_directory=Path(sys.argv[1]))
