"""Makes keys in a process that ends right after: whoever finds what a setup knew can forge proofs.

The program's bytes come on stdin, the batch and the proving key's path as arguments; {verifying_key, sha256}
goes to stdout, in hexadecimal. It imports nothing but the prover.
"""

import ctypes
import json
import resource
import signal
import sys

import proofward_prover as prover

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def main() -> int:
    """Set up once; the exit code."""
    # It ends with its parent, dumps no core, and no other process of this user reads its memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    batch, target = int(sys.argv[1]), sys.argv[2]
    try:
        key, digest = prover.setup(prover.Circuit(sys.stdin.buffer.read(), batch), target)
    except prover.ProverError as error:
        print(error, file=sys.stderr)
        return 1
    json.dump({"verifying_key": key.hex(), "sha256": digest.hex()}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
