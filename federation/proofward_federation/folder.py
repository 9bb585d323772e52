"""A hospital's folder: `site.toml`, `consents.json`, `spent.json` once it answered a round, and its records:
`records.vault` with their keys, or one of `records.csv` and `records.parquet` (a column `record` of its own
numbers of patients) and `records.json` (FHIR Observations or a Bundle of them: a record a subject, named by
its reference; columns are LOINC codes).

A column whose unit the table gives is named with it, `2093-3 [mg/dL]`: a study and a policy name the unit
that they mean, and results in another one are another column.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import numpy as np

from proofward.chain.extrinsic import Signer
from proofward.chain.keypair import Keypair
from proofward.protocol import sha256
from proofward.tables.reader import read_table
from proofward_federation.consents import Register
from proofward_federation.errors import FederationError
from proofward_federation.policy import SitePolicy
from proofward_federation.site import Records, Site
from proofward_federation.spent import Ledger
from proofward_federation.update import Floats
from proofward_federation.vault import VAULT, Vault


def read_site(folder: Path, key: Signer | None = None, *, ledger: Ledger | None = None) -> Site:
    """A hospital's folder; `key` is its account's, by default one that is made of its name and keeps nothing
    secret; `ledger` where its answers are written down: what is rehearsed without one costs nothing. Raises
    FederationError, TableError.
    """
    policy = SitePolicy.load(folder / "site.toml")
    records = Vault.load(folder).open() if _sealed(folder) else read_table_of(folder)
    register = Register.load(folder / "consents.json")
    key = key or Keypair.of_seed(sha256(policy.name.encode()))
    return Site(bytes(key.public_key), key.sign, policy, records, register, time.time, ledger)


TABLES: Final = ("records.csv", "records.parquet", "records.json")


def _sealed(folder: Path) -> bool:
    """Whether the records are in a vault. Raises FederationError(bad-records): there and in clear."""
    sealed = (folder / VAULT).exists()
    clear = [name for name in TABLES if (folder / name).exists()]
    if sealed and clear:
        raise FederationError(
            f"{folder} holds {VAULT} and its records in clear, {' and '.join(clear)}: remove the one that is "
            "not meant",
            code="bad-records",
        )
    return sealed


def table_of(folder: Path) -> Path:
    """The one file of records in a folder. Raises FederationError(bad-records): none, several, or a vault
    too.
    """
    _sealed(folder)
    found = [folder / name for name in TABLES if (folder / name).exists()]
    if len(found) != 1:
        told = " and ".join(path.name for path in found) or "none"
        raise FederationError(
            f"{folder} holds {told}: one of {', '.join(TABLES)} is needed", code="bad-records"
        )
    return found[0]


def read_table_of(folder: Path) -> Records:
    """The records of a folder's table. Raises FederationError, TableError, MissingExtra."""
    path = table_of(folder)
    table = read_table(path)
    units = table.units or ("",) * table.columns
    named = zip(table.names or (), units, strict=False)
    names = [f"{name} [{unit}]" if unit else name for name, unit in named]
    columns: dict[str, Floats] = {name: table.values[:, place] for place, name in enumerate(names)}
    if table.coded:
        if not table.subjects or "" in table.subjects:
            raise FederationError(f"{path}: each Observation needs its subject", code="bad-records")
        return Records(table.subjects, columns)
    if "record" not in columns:
        raise FederationError(f"{path} has no column `record`", code="bad-records")
    numbers = columns.pop("record")
    if not np.array_equal(numbers, np.trunc(numbers)) or len(set(numbers.tolist())) != len(numbers):
        raise FederationError(
            f"{path}: `record` is a whole number of its own in each row", code="bad-records"
        )
    return Records(tuple(str(int(number)) for number in numbers), columns)
