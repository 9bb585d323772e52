"""Stands in for smoldot in its process: plays what the spec's name says, and panics as smoldot does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

GENESIS, HEAD = "0x" + "00" * 32, "0x" + "11" * 32


class SmoldotClient:
    def __init__(self, user_agent_name: str) -> None:
        self._out: list[str] = []
        self._follows = 0

    def add_chain(self, spec: str) -> int:
        self._play = json.loads(spec)["name"]
        if self._play == "refused":
            raise ValueError("InvalidGenesisStorage")
        starts = Path(os.environ["STARTS"])
        with starts.open("a") as file:
            file.write("x")
        self._start = len(starts.read_text())
        return 0

    def _say(self, **message: Any) -> None:
        self._out.append(json.dumps({"jsonrpc": "2.0", **message}))

    def _event(self, **event: Any) -> None:
        self._say(method="chainHead_v1_followEvent", params={"subscription": "s", "result": event})

    def json_rpc_request(self, chain: int, line: str) -> None:
        asked = json.loads(line)
        method, number = asked["method"], asked["id"]
        if method == "chain_getBlockHash":
            self._say(id=number, result=GENESIS)
        elif method == "chainHead_v1_follow":
            self._follows += 1
            self._say(id=number, result="s")
            if self._follows == 1:
                self._event(event="initialized", finalizedBlockHashes=[GENESIS])
                if self._play != "never final":
                    self._event(event="stop")  # warp sync went ahead
            else:
                self._event(event="initialized", finalizedBlockHashes=[HEAD])
        elif self._play == "panics" and self._start < 3:
            print("thread 'smoldot-light-0' panicked at yamux.rs:1736:32:", file=sys.stderr, flush=True)
        elif self._play == "nobody proves":
            self._say(id=number, error={"code": -32000, "message": "storage proof query failed"})
        else:
            self._say(id=number, result=f"answer of start {self._start}")

    def drain_responses(self, chain: int, max: int) -> list[str]:
        out, self._out = self._out, []
        return out
