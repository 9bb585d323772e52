"""The client for asyncio shows the arguments of the one that it wraps."""

from __future__ import annotations

import inspect
import pydoc

import pytest

from proofward.client import Client
from proofward.client.aio import AsyncClient


def test_help_names_the_arguments_of_connect() -> None:
    """Fault: they were shown to type checkers alone, and `help()` had `(*args, **options)`."""
    own, theirs = inspect.signature(AsyncClient.connect), inspect.signature(Client, eval_str=True)
    assert list(own.parameters.values()) == list(theirs.parameters.values())
    shown = pydoc.plain(pydoc.render_doc(AsyncClient.connect))
    named = (
        "connect(url: str | proofward.chain.client.SubstrateClient, signer: str | None = None, *, development"
    )
    assert named in shown
    assert "AsyncClient" in str(own.return_annotation)


@pytest.mark.parametrize("name", ["submit", "wait", "verify"])
def test_help_names_the_arguments_of_a_method(name: str) -> None:
    own, theirs = (inspect.signature(getattr(one, name)) for one in (AsyncClient, Client))
    assert list(own.parameters) == list(theirs.parameters)
