"""What the chain holds, as JSON-ready values: models, workers, and who runs it."""

from __future__ import annotations

from typing import Any

from proofward.chain import SubstrateClient
from proofward.chain.pallets import consortium as chain_consortium
from proofward.chain.pallets import models as chain_models
from proofward.chain.pallets import workers as chain_workers
from proofward.cli.render import plain
from proofward.client import Client


def models(url: str, retired: bool) -> list[dict[str, Any]]:
    """Every published model; retired ones when asked for."""
    with SubstrateClient.connect(url) as client:
        return [plain(record) for _, record in chain_models.all(client) if retired or not record.retired]


def model(url: str, which: str) -> dict[str, Any]:
    """One model's record, by id or name. Raises NotFound, Refused."""
    with Client(url) as client:
        return dict(plain(client.model(which)))


def workers(url: str) -> list[dict[str, Any]]:
    """Every registered worker, and the chain time left until it expires."""
    with SubstrateClient.connect(url) as client:
        now = client.timestamp()
        return [
            {**plain(record), "expires_in_seconds": (record.expires_at - now) // 1000}
            for _, record in chain_workers.all(client)
        ]


def consortium(url: str) -> dict[str, Any]:
    """Members, settings, and decisions that do not hold yet, as of one finalised block."""
    with SubstrateClient.connect(url) as client:
        head = client.finalised_head()
        return {
            "block": head.number,
            "settings": plain(chain_consortium.settings(client, head.hash)),
            "members": plain(chain_consortium.members(client, head.hash)),
            "notices": plain(chain_consortium.notices(client, head.hash)),
        }
