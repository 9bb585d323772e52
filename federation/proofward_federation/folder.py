"""A hospital's folder: `site.toml`, `consents.json`, and its records: `records.vault` with their keys, or
`records.csv` (a column `record` of its own numbers of patients).
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from proofward.protocol import sha256
from proofward.tables.reader import read_table
from proofward_federation.consents import Register
from proofward_federation.errors import FederationError
from proofward_federation.policy import SitePolicy
from proofward_federation.site import Records, Site
from proofward_federation.update import Floats
from proofward_federation.vault import VAULT, Vault


def read_site(folder: Path, account: bytes | None = None) -> Site:
    """A hospital's folder; `account` is the chain's name of it. Raises FederationError, TableError."""
    policy = SitePolicy.load(folder / "site.toml")
    records = Vault.load(folder).open() if (folder / VAULT).exists() else read_table_of(folder)
    register = Register.load(folder / "consents.json")
    return Site(account or sha256(policy.name.encode()), policy, records, register, time.time)


def read_table_of(folder: Path) -> Records:
    """The records of `records.csv`. Raises FederationError, TableError."""
    table = read_table(folder / "records.csv")
    names = table.names or ()
    if "record" not in names:
        raise FederationError(f"{folder}/records.csv has no column `record`", code="bad-records")
    columns: dict[str, Floats] = {name: table.values[:, place] for place, name in enumerate(names)}
    numbers = columns.pop("record")
    if not np.array_equal(numbers, np.trunc(numbers)) or len(set(numbers.tolist())) != len(numbers):
        raise FederationError(
            f"{folder}/records.csv: `record` is a whole number of its own in each row", code="bad-records"
        )
    return Records(tuple(str(int(number)) for number in numbers), columns)
