"""Flower runs the rounds: its strategy as it is, over a Grid of ours that carries no update in clear.

A strategy sends the model to its nodes and averages what they answer. Here the nodes are hospitals that
answer to the enclave, and what the strategy gets back is one answer: the model after the enclave's sum.
FedAvg takes it as it is; an adaptive strategy (FedYogi, FedAdam) takes the step from the model before as its
gradient. Needs flwr.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Strategy
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from proofward_federation.errors import FederationError
from proofward_federation.update import Floats

ARRAYS: Final = "arrays"
Exchange = Callable[[Floats], Floats]
"""The weights before a round -> the weights after its sum. What it raises ends the run."""


class SealedGrid(Grid):  # type: ignore[misc]
    """What a Flower server sends through, in one process with it."""

    def __init__(self, nodes: int, exchange: Exchange) -> None:
        """`nodes`: sites of the study, told to the strategy as 1 to `nodes`."""
        self._nodes, self._exchange = nodes, exchange
        self._run: Run | None = None
        # Flower's own processes set these from their command line; here there is one run and one process
        TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 0

    def set_run(self, run: Run) -> None:
        """Keep Flower's own record of the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """Flower's own record of the run. Raises FederationError before `set_run`."""
        if self._run is None:
            raise FederationError("no run was set", code="no-run")
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """As Flower's own grids make one."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """One a site."""
        return range(1, self._nodes + 1)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Refused: there is no message of one site, only a round of all."""
        raise FederationError("single messages are not carried: use send_and_receive", code="one-by-one")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Refused, as `push_messages` is."""
        raise FederationError("single messages are not carried: use send_and_receive", code="one-by-one")

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """One round of the sites and the enclave, answered once for all. A strategy that tells its nodes
        different models is refused: the sum would be of different things. Raises FederationError.
        """
        asked = list(messages)
        if not asked:
            return []
        models = [_weights(message) for message in asked]
        if any(not np.array_equal(models[0], other) for other in models[1:]):
            raise FederationError("a strategy told its nodes different models", code="different-models")
        after = self._exchange(models[0])
        content = RecordDict(
            {ARRAYS: ArrayRecord([after]), "metrics": MetricRecord({"num-examples": float(len(asked))})}
        )
        return [Message(content, reply_to=asked[0])]


def learn(
    initial: Floats, exchange: Exchange, *, nodes: int, rounds: int, strategy: Strategy | None = None
) -> Floats:
    """The weights after so many rounds under a strategy, by default FedAvg.

    Raises FederationError, and whatever `exchange` does.
    """
    logging.getLogger("flwr").setLevel(logging.ERROR)
    chosen = strategy or FedAvg(fraction_evaluate=0.0)
    result = chosen.start(
        grid=SealedGrid(nodes, exchange), initial_arrays=ArrayRecord([initial]), num_rounds=rounds
    )
    if result.arrays is None:
        raise FederationError("no round gave a sum", code="no-sum")
    found: Floats = result.arrays.to_numpy_ndarrays()[0]
    return found


def _weights(message: Message) -> Floats:
    arrays: list[Floats] = message.content.array_records[ARRAYS].to_numpy_ndarrays()
    if len(arrays) != 1:
        raise FederationError("a model is one vector of weights", code="bad-model")
    return arrays[0]
