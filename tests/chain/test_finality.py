"""When finality counts as stalled, by tables of what a node tells."""

from __future__ import annotations

import pytest

from proofward.chain import FinalityStalled, FinalityWatch, SubstrateClient
from proofward.chain.answers import SaidHeader


def _watch(now: list[float]) -> FinalityWatch:
    return FinalityWatch(blocks=4, seconds=30, clock=lambda: now[0])


@pytest.mark.parametrize(
    ("fault", "heads", "reason"),
    [
        ("none: one of four is dead, finality is 4 behind", [(0, 10, 14), (40, 20, 24)], None),
        ("blocks go on, finality stands", [(0, 10, 12), (4, 10, 15)], "5 blocks behind"),
        ("blocks are rare and finality stands", [(0, 10, 11), (31, 10, 14)], "4 blocks came meanwhile"),
        ("no block at all", [(0, 10, 10), (31, 10, 10)], "no block came at all"),
        ("the node was replaced by one that is behind", [(0, 10, 10), (31, 7, 7)], "no block came at all"),
        ("none: a node told its best block late", [(0, 10, 9), (5, 11, 9)], None),
        ("none: finality came back in one leap", [(0, 10, 99), (60, 99, 100)], None),
        ("finality is back, and far behind", [(0, 10, 99), (60, 11, 100)], "89 blocks behind"),
    ],
)
def test_finality_is_judged(fault: str, heads: list[tuple[int, int, int]], reason: str | None) -> None:
    now = [0.0]
    watch = _watch(now)
    for at, finalised, best in heads:
        now[0] = at
        seen = watch.saw(finalised, best)
    assert (seen.reason is None) == (reason is None), fault
    assert reason is None or reason in str(seen.reason)
    assert seen.stalled == (reason is not None)


class _Lagging(SubstrateClient):
    """A chain whose node tells of a finalised and a best block, and of nothing else."""

    def __init__(self, finalised: int, best: int) -> None:
        self._heads = {"0x" + "00" * 32: finalised, None: best}  # by what is asked for

    url = "ws://nowhere"

    def rpc(self, method: str, *params: object) -> object:
        if method == "chain_getFinalizedHead":
            return bytes(32)
        assert method == "chain_getHeader"
        number = self._heads[params[0] if params else None]  # type: ignore[index]
        return SaidHeader(number, bytes(32), b"", ())


def test_a_client_sends_nothing_into_a_chain_that_does_not_finalise() -> None:
    _Lagging(100, 112).require_finality()
    with pytest.raises(FinalityStalled, match="stands at block 100, 13 behind"):
        _Lagging(100, 113).require_finality()
