"""`python -m node CONFIG`: the daemon without the command line around it."""

import sys
from pathlib import Path

from proofward_node.daemon import run

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m node worker.toml")
    sys.exit(run(Path(sys.argv[1])))
