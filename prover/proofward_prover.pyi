"""Groth16 over BN254 for integer programs (IR.md defines their semantics and bytes).

Field elements, commitments and salts are 32 bytes. Values are signed 64-bit integers, flat, record after
record. Every function releases the GIL while it computes, and raises ProverError for all that it refuses.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Literal, final

__version__: str

Code = Literal[
    "bad-contribution",
    "bad-salt",
    "input-length",
    "input-out-of-range",
    "internal",
    "io",
    "key-mismatch",
    "malformed-ceremony",
    "malformed-commitment",
    "malformed-key",
    "malformed-program",
    "malformed-proof",
    "malformed-ptau",
    "over-limit",
    "overflow",
    "unsatisfied",
]
Form = Literal["tree", "flat"]
"""How the records of a batch are committed to together: each for itself and a tree over them, so that one can
be opened without the others, or all in one hash.
"""
CODES: tuple[Code, ...]
"""Every code, as `Refusal` in src/error.rs has them."""

class ProverError(Exception):
    """A refusal. `code` is for programs, the message for people."""

    code: Code

@final
class Circuit:
    """The constraint system of `batch` copies of an integer program, with its two commitments, of `form`
    (IR.md, "Commitments"). Raises malformed-program, over-limit, overflow.
    """

    def __new__(cls, program: bytes, batch: int = 1, form: Form = "tree") -> Circuit: ...
    @staticmethod
    def statement(program: bytes, records: int, values: int, together: bool) -> Circuit:
        """The circuit of a statement (IR.md, "Statements").

        The first `records * values` inputs are what is committed to, `together` as a batch or each by itself;
        the outputs are the claim. Raises malformed-program, over-limit, overflow, input-length.
        """
    @property
    def digest(self) -> bytes:
        """SHA-256 over the program, the batch and every row of the constraint system (32 bytes)."""
    @property
    def batch(self) -> int: ...
    @property
    def constraints(self) -> int: ...
    @property
    def domain(self) -> int:
        """Size of the evaluation domain (rows rounded up to 2^k, 9*2^k or 3*2^k)."""
    @property
    def constraints_by_layer(self) -> list[tuple[str, int]]:
        """(label, constraints) of each node in order, all records together; then of the commitments and the
        public rows.
        """
    @property
    def input_bounds(self) -> list[tuple[int, int]]:
        """Declared (lo, hi) of each input of one record."""
    @property
    def output_bounds(self) -> list[tuple[int, int]]:
        """Static (lo, hi) of each output of one record; with them a client opens an output commitment."""
    def evaluate(self, values: Sequence[int]) -> list[int]:
        """Outputs of all records. Raises input-length, input-out-of-range."""

@final
class ProvingKey:
    """A proving key in this process's own memory, found well formed for its circuit. Shared by SHA-256."""

    @staticmethod
    def load(
        path: str | PathLike[str],
        circuit: Circuit,
        sha256: bytes | None = None,
        verifying_key: bytes | None = None,
    ) -> ProvingKey:
        """Read the file once, compare its SHA-256 and its verifying key (if given), check every point.

        Whatever the file holds, a key that loads proves every input alike, and its proofs tell nothing about
        it (docs/keys.md). Takes a second for 18,000 rows. Raises io, malformed-key, key-mismatch.
        """
    @property
    def verifying_key(self) -> bytes: ...
    @property
    def circuit_digest(self) -> bytes: ...

@final
class Proof:
    @property
    def proof(self) -> bytes:
        """256 bytes: A.x A.y B.x1 B.x0 B.y1 B.y0 C.x C.y, big-endian, as the EVM's precompile reads them."""
    @property
    def input_commitment(self) -> bytes: ...
    @property
    def output_commitment(self) -> bytes: ...
    @property
    def outputs(self) -> list[int]: ...
    @property
    def seconds(self) -> dict[str, float]:
        """Wall time of `witness`, `prove` and `total`."""

def setup(circuit: Circuit, path: str | PathLike[str], threads: int = 0) -> tuple[bytes, bytes]:
    """Make keys from the operating system's randomness; write the proving key to `path` (atomic, mode 0600).

    Returns (verifying key, SHA-256 of the proving key file). The randomness is erased before returning:
    whoever could read this process while it ran can forge proofs under this key. threads = 0 means all cores.
    """

def check_key(path: str | PathLike[str], circuit: Circuit, threads: int = 0) -> tuple[bytes, bytes]:
    """Check a proving key's file as ProvingKey.load does; (verifying key, SHA-256 of the file).

    So the verifying key is the circuit's. Raises io, malformed-key, key-mismatch.
    """

@final
class Ceremony:
    """Phase 2 of a ceremony for a circuit's keys, between two contributors (docs/ceremony.md)."""

    @staticmethod
    def new(circuit: Circuit, ptau: str | PathLike[str]) -> Ceremony:
        """Begin with a .ptau file. Raises io, malformed-ptau."""
    @staticmethod
    def read(path: str | PathLike[str]) -> Ceremony:
        """What `write` wrote. Raises io, malformed-ceremony, malformed-key."""
    def write(self, path: str | PathLike[str]) -> None:
        """Write all of it, atomically. Raises io."""
    def contribute(self, name: str) -> Ceremony:
        """With a secret share more, made and erased here.

        Raises bad-contribution, malformed-ceremony, over-limit.
        """
    def beacon(self, name: str, value: bytes, iterations: int) -> Ceremony:
        """With a public share more: `value` (32 bytes) hashed 2^iterations times, iterations up to 40."""
    def check(self, circuit: Circuit, ptau: str | PathLike[str]) -> None:
        """Check phase 1, every contribution and the key.

        Raises io, malformed-ptau, key-mismatch, bad-contribution, malformed-key.
        """
    def finish(self, path: str | PathLike[str]) -> tuple[bytes, bytes]:
        """Write the proving key; (verifying key, SHA-256). Raises bad-contribution if nobody contributed."""
    @property
    def transcript(self) -> bytes:
        """Every contribution, for `check_transcript`."""
    @property
    def contributions(self) -> list[tuple[str, bool, bytes]]:
        """(name, whether it is a beacon, transcript hash after it) of each."""
    @property
    def circuit_digest(self) -> bytes: ...
    @property
    def phase1(self) -> bytes:
        """SHA-256 of the .ptau file."""

def check_transcript(
    transcript: bytes, circuit: Circuit, ptau: str | PathLike[str], verifying_key: bytes
) -> list[tuple[str, bool, bytes]]:
    """The contributions (like Ceremony.contributions), if they made this key for this circuit.

    Raises io, malformed-ceremony, malformed-ptau, malformed-key, key-mismatch, bad-contribution.
    """

def read_transcript(
    transcript: bytes, verifying_key: bytes
) -> tuple[bytes, bytes, list[tuple[str, bool, bytes]]]:
    """(circuit's digest, SHA-256 of the .ptau, contributions), if these hold, one is a secret, and they end
    in this key. That its other points are the circuit's over those powers takes `check_transcript`.

    Raises malformed-ceremony, malformed-key, key-mismatch, bad-contribution.
    """

def make_ptau(path: str | PathLike[str], power: int) -> None:
    """Write a .ptau of 2^power powers that rest on this process alone, power up to 20.

    Raises io, over-limit.
    """

def r1cs(circuit: Circuit) -> bytes:
    """The constraint system in iden3's .r1cs format: wire 0 is 1, wires 1 and 2 are the commitments."""

def prove(
    key: ProvingKey,
    circuit: Circuit,
    values: Sequence[int],
    input_salt: bytes,
    output_salt: bytes,
    threads: int = 0,
) -> Proof:
    """Evaluate, commit and prove; the proof is verified before it is returned. Salts are 32 random bytes.

    Raises input-length, input-out-of-range, bad-salt, key-mismatch, unsatisfied.
    """

def prove_statement(
    key: ProvingKey, circuit: Circuit, values: Sequence[int], salts: Sequence[bytes], threads: int = 0
) -> Proof:
    """Prove a statement; `salts` are the records' own (`open_record`), 32 bytes, the last of them 0.

    `output_commitment` of what is returned is the claim. Raises what `prove` raises.
    """

def statement_root(commitments: Sequence[bytes]) -> bytes:
    """The first public input of a statement about 1 to 32 commitments; of one, itself.

    Raises malformed-commitment, input-length.
    """

def statement_claim(bounds: Sequence[tuple[int, int]], values: Sequence[int]) -> bytes:
    """The second public input: the outputs, packed by the circuit's `output_bounds`; of several field
    elements their hash.

    Raises input-length, input-out-of-range, over-limit, overflow.
    """

def evaluate(program: bytes, values: Sequence[int]) -> list[int]:
    """Outputs of the records in `values` (one or more), without building a circuit."""

def commit(
    bounds: Sequence[tuple[int, int]], batch: int, values: Sequence[int], salt: bytes, form: Form = "tree"
) -> bytes:
    """Commitment to `batch` records with the bounds of each value (Circuit.input_bounds or .output_bounds).

    Needs no key and no program. Raises input-length, input-out-of-range, bad-salt, over-limit, overflow.
    """

def open_record(
    bounds: Sequence[tuple[int, int]], batch: int, values: Sequence[int], salt: bytes, index: int
) -> tuple[bytes, list[bytes]]:
    """(record salt, path) that open record `index` of a tree alone, without the others' values or salts."""

def check_record(
    bounds: Sequence[tuple[int, int]],
    batch: int,
    index: int,
    record: Sequence[int],
    record_salt: bytes,
    path: Sequence[bytes],
    commitment: bytes,
) -> bool:
    """Whether `record` is record `index` of `commitment`."""

def verify(verifying_key: bytes, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
    """False for a wrong or malformed proof or commitment; raises malformed-key for a bad key."""

def verify_made(
    verifying_key: bytes, input_commitment: bytes, output_commitment: bytes, proof: bytes
) -> bool:
    """`verify`, without a second pairing for the very bytes that `prove` verified of late in this process."""

def batch_verify(verifying_key: bytes, items: Sequence[tuple[bytes, bytes, bytes]], threads: int = 0) -> bool:
    """Whether every (input commitment, output commitment, proof) verifies, by a random linear combination.

    The error is 2^-128 at most. False for anything malformed; raises malformed-key for a bad key, and
    input-length where there is no proof.
    """

def verifying_key_json(verifying_key: bytes) -> str:
    """The key in snarkjs' JSON form."""

def proof_json(input_commitment: bytes, output_commitment: bytes, proof: bytes) -> tuple[str, str]:
    """(proof, public signals) in snarkjs' JSON form."""

def poseidon(inputs: Sequence[bytes], capacity: bytes | None = None) -> bytes:
    """circomlib's Poseidon of 1..16 field elements (32 bytes big-endian each, below the modulus).

    `capacity` is circomlib's initial state, 0 if it is not given.
    """

def vector_commit(values: Sequence[int], blinding: bytes) -> bytes:
    """Pedersen commitment (32 bytes, ristretto255) to 1 to 131,072 integers of at most 52 bits.

    `blinding`: 32 bytes, a scalar below the group's order. Raises input-length, input-out-of-range, bad-salt.
    """

def vector_sum(commitments: Sequence[bytes]) -> bytes:
    """The commitment to the sum of what these are to. Raises malformed-commitment."""

def blinding_new() -> bytes:
    """A uniform blinding, 32 bytes, from the operating system. Raises io."""

def blinding_sum(blindings: Sequence[bytes]) -> bytes:
    """The blinding of the sum. Raises bad-salt."""

def vector_norm_prove(
    values: Sequence[int], blinding: bytes, bound: int, slacks: Sequence[int], context: bytes
) -> bytes:
    """A proof that the sum of squares of `values` is at most `bound` (80 bits); it shows nothing else.

    `slacks`: four integers whose squares make up the difference. Raises unsatisfied, over-limit, and what
    `vector_commit` raises.
    """

def vector_norm_verify(commitment: bytes, length: int, bound: int, context: bytes, proof: bytes) -> bool:
    """Whether the proof holds. Raises malformed-proof, malformed-commitment, over-limit, input-length."""
