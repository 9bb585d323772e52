"""`python -m proofward.cli`."""

from proofward.cli import main

main()
