"""smoldot in a process of its own: `python -m proofward.light.smoldot`.

First line in: the chain spec. Then a JSON-RPC request a line in, an answer or a notification a line out. It
is a process because smoldot ends a thread on some faults of the network code, after which some questions are
never answered: the parent sees it on standard error, ends all of it, and begins again.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Final

_POLL_SECONDS: Final = 0.005
_DRAINED: Final = 64


def main() -> int:
    """Serve until standard input ends. Exit code 2 when the spec is refused, with the reason on standard
    error.
    """
    from smoldot_light import SmoldotClient

    client = SmoldotClient(user_agent_name="proofward")
    try:
        chain = client.add_chain(sys.stdin.readline())
    except Exception as error:  # noqa: BLE001 - whatever smoldot raises is its reason
        print(f"refused: {error}", file=sys.stderr, flush=True)
        return 2

    def ask() -> None:
        for line in sys.stdin:
            client.json_rpc_request(chain, line)
        done.set()

    done = threading.Event()
    threading.Thread(target=ask, daemon=True).start()
    while not done.is_set():
        answers = client.drain_responses(chain, max=_DRAINED)
        for answer in answers:
            sys.stdout.write(answer + "\n")
        sys.stdout.flush()
        if not answers:
            time.sleep(_POLL_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
