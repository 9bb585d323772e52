"""A model's name is looked for among few models only: everybody may publish as many as it pays for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proofward.chain.pallets import models


class Chain:
    """A chain of models without end; counts those that were read."""

    def __init__(self) -> None:
        self.read = 0

    def iterate(self, pallet: str, item: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
        assert (pallet, item) == ("Models", "Models")
        while True:
            self.read += 1
            yield self.read.to_bytes(32, "big"), {}


@pytest.mark.parametrize("most", [0, 1, 1_000])
def test_a_name_is_not_looked_for_among_more_models_than_that(most: int) -> None:
    chain = Chain()
    assert models.named(chain, "mlp", most) is None  # type: ignore[arg-type]
    assert chain.read == most + 1


def test_nothing_but_listings_reads_a_whole_map_of_the_chain() -> None:
    """`all` and `iterate` grow with what others have put on the chain."""
    root = Path(models.__file__).parents[3]
    found = set()
    for folder in ("proofward", "node", "enclave_runtime"):
        for path in (root / folder).rglob("*.py"):
            for match in re.finditer(
                r"\b(?:(?:chain_)?(?:jobs|models|workers)\.all|\.iterate)\(", path.read_text()
            ):
                found.add(f"{path.relative_to(root)}: {match.group()}")
    assert found == {
        "proofward/chain/pallets/attestation.py: .iterate(",
        "proofward/chain/pallets/consortium.py: .iterate(",  # its members, 32 at most
        "proofward/chain/pallets/jobs.py: .iterate(",
        "proofward/chain/pallets/models.py: .iterate(",
        "proofward/chain/pallets/workers.py: .iterate(",
        "proofward/cli/listings.py: chain_models.all(",
        "proofward/cli/listings.py: chain_workers.all(",
    }
