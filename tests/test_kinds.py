"""What is read from JSON has the kind that its field says: a truth value is no number, nor is a text."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from proofward.network.errors import NetworkError
from proofward.network.spec import read_members
from tests.test_rooms import PACKAGES, ROOT

#: TOML is read into it as Python's values, so that each of its fields is strict by itself.
BY_FIELD = "proofward_node.config"


def models() -> Iterator[type[BaseModel]]:
    for folder in PACKAGES.values():
        for path in (ROOT / folder).glob("proofward*/**/*.py"):
            if "BaseModel" in path.read_text():
                name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
                importlib.import_module(name.removesuffix(".__init__"))
    waiting = [BaseModel]
    while waiting:
        for one in waiting.pop().__subclasses__():
            waiting.append(one)
            if one.__module__.split(".")[0] in PACKAGES and one.__module__ != BY_FIELD:
                yield one


def test_no_document_takes_one_kind_for_another() -> None:
    """Fault: `"balance": true` in a consortium's members was a balance of 1."""
    lax = [one for one in models() if not one.model_config.get("strict")]
    assert not lax


@pytest.mark.parametrize("balance", [True, "5", 5.0, [5]])
def test_a_member_s_balance_is_a_number(tmp_path: Path, balance: object) -> None:
    member = {
        "legal_name": "A", "account": "5" * 48, "aura": "5" * 48, "grandpa": "5" * 48, "endpoint": "https://a",
        "balance": balance,
    }  # fmt: skip
    path = tmp_path / "members.json"
    path.write_text(json.dumps({"name": "N", "id": "n", "members": [member] * 4}))
    with pytest.raises(NetworkError, match=r"members\.0\.balance"):
        read_members(path)
