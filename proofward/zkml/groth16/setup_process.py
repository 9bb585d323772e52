"""Makes keys in a process that ends right after: whoever finds what a setup knew can forge proofs.

The program's bytes come on stdin, the circuit's form and the proving key's path as arguments; {verifying_key,
sha256} goes to stdout, in hexadecimal. A form is the batch of a model's circuit, `flat:` and the batch where
it is committed to in one, or `statement:RECORDS:VALUES:TOGETHER`. It imports nothing but the prover.
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
    form, target = sys.argv[1:3]
    try:
        key, digest = prover.setup(circuit(form, sys.stdin.buffer.read()), target)
    except prover.ProverError as error:
        print(error, file=sys.stderr)
        return 1
    json.dump({"verifying_key": key.hex(), "sha256": digest.hex()}, sys.stdout)
    return 0


def circuit(form: str, program: bytes) -> prover.Circuit:
    """The circuit that a form and a program make."""
    kind, *numbers = form.split(":")
    if kind == "flat":
        return prover.Circuit(program, int(numbers[0]), "flat")
    if kind != "statement":
        return prover.Circuit(program, int(kind))
    records, values, together = map(int, numbers)
    return prover.Circuit.statement(program, records, values, bool(together))


if __name__ == "__main__":
    sys.exit(main())
