"""The worker's configuration: one TOML file, checked whole before anything starts.

Every field has a unit in its name or its docstring. A mistake is answered with the file, the key and what to
write instead; unknown keys are refused, since a misspelt `min_price` would otherwise be a worker that works
for nothing.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from proofward.amounts import UNIT
from proofward.chain import accounts
from proofward.chain.finality import STALL_BLOCKS, STALL_SECONDS
from proofward.chain.signer import SCHEME
from proofward.chain.transport import check_address
from proofward.errors import ProofwardError
from proofward.files import read_whole
from proofward_node.session_pace import WINDOW_BLOCKS, checkpoint_every

MAX_BYTES = 1 << 20
SOCKET_PATH_MAX = 107
"""Unix socket paths longer than this are refused by the kernel (sun_path, unix(7))."""


class ConfigError(ProofwardError):
    """The configuration cannot be used. The message names the file, the key and the remedy."""

    code = "bad-config"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChainConfig(_Section):
    """Where the chain is. `genesis`, when given, pins it: another chain behind the same address is
    refused.
    """

    url: str = "ws://127.0.0.1:9944"
    genesis: Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")] | None = None
    block_seconds: Annotated[StrictFloat, Field(gt=0, le=60)] = 1.0
    retry_seconds: Annotated[StrictFloat, Field(gt=0, le=600)] = 2.0
    stall_blocks: Annotated[StrictInt, Field(ge=1, le=1000)] = STALL_BLOCKS
    """Blocks that finality may be behind the newest block before nothing new is claimed."""
    stall_seconds: Annotated[StrictFloat, Field(gt=0, le=3600)] = STALL_SECONDS
    """Seconds without a newly finalised block after which nothing new is claimed."""

    @field_validator("url")
    @classmethod
    def _websocket(cls, value: str) -> str:
        return check_address(value)


def _account(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no account: SS58, or 0x and 64 hex digits, as text")
    try:
        return accounts.address(value)
    except accounts.AccountError as error:
        raise ValueError(f"{value!r} is no account: {error.message}") from None


def _model(value: object) -> bytes:
    if not isinstance(value, str) or re.fullmatch(r"0x[0-9a-fA-F]{64}", value) is None:
        raise ValueError(f"{value!r} is no model's id: 0x and 64 hex digits")
    return bytes.fromhex(value[2:])


Account = Annotated[bytes, BeforeValidator(_account)]
"""An account as 32 bytes, written as SS58 or hexadecimal; a development name (`//Bob`) stands for its key."""
ModelId = Annotated[bytes, BeforeValidator(_model)]


class WorkerConfig(_Section):
    """Who works, whose models, for what price at least and on what bond at most (plancks, 10^-12 UNIT), and
    where the journal lives.

    `key_file` holds one line, a mnemonic or a `0x` seed, mode 0600. `dev_account` (`//Alice`) is accepted
    on development chains only. `signer_socket` is that of a `proofward signer serve` that has the key.
    """

    key_file: Path | None = None
    dev_account: Annotated[str, Field(pattern=r"^//[A-Za-z0-9/_-]{1,64}$")] | None = None
    signer_socket: Path | None = None
    data_dir: Path
    endpoint: Annotated[str, Field(max_length=128)] = ""
    publishers: Annotated[tuple[Account, ...], Field(max_length=256)] = ()
    """Whose models are served when their artefacts are loaded: SS58 addresses or 0x and 64 hex digits."""
    models: Annotated[tuple[ModelId, ...], Field(max_length=256)] = ()
    """Models that are served whoever published them: 0x and 64 hex digits."""
    min_price: Annotated[StrictInt, Field(ge=0)] = 0
    max_bond: Annotated[StrictInt, Field(ge=0)] = UNIT
    """The most that is put down for one claim; models that ask for more are not served."""
    shutdown_seconds: Annotated[StrictFloat, Field(ge=1, le=3600)] = 30.0
    expected_seconds: Annotated[StrictFloat, Field(gt=0, le=3600)] = 5.0
    """First guess of a job's working time; measured times replace it."""
    margin_blocks: Annotated[StrictInt, Field(ge=2, le=300)] = 10
    """Blocks kept free between the expected end of the work and the lapse or the deadline."""
    renew_before_seconds: Annotated[StrictInt, Field(ge=60)] = 6 * 3600
    epoch_seconds: Annotated[StrictInt, Field(ge=60)] = 24 * 3600
    """Keys are rotated at least this often: HPKE's base mode has no forward secrecy (RFC 9180, section
    9.7)."""

    @model_validator(mode="after")
    def _one_account(self) -> WorkerConfig:
        if [self.key_file, self.dev_account, self.signer_socket].count(None) != 2:
            raise ValueError(
                "give exactly one of key_file (a file of mode 0600), signer_socket (a signer's) and "
                "dev_account (development only)"
            )
        return self


class EnclaveConfig(_Section):
    """The enclave process. With `spawn = false` somebody else starts it (a VM's init) and only `socket`
    matters.
    """

    provider: Literal["simulator", "dstack", "tsm"]
    socket: Path | None = None
    spawn: StrictBool = True
    models: Path
    work_timeout_seconds: Annotated[StrictFloat, Field(gt=0, le=3600)] = 300.0
    restart_backoff_seconds: Annotated[StrictFloat, Field(gt=0, le=600)] = 1.0
    keep_keys: StrictBool = False
    """Keep the epochs' keys in `data_dir`, sealed to the TEE, so that an enclave that starts again can work
    what was sealed to it. Costs forward secrecy: docs/threat-model.md. An enclave that somebody else starts
    needs `--keep-keys` as well."""
    pccs_url: str | None = None
    """Where collateral is fetched when the quote's provider brings none."""
    early_collateral: Path | None = None
    """A file of Intel's `early` collateral, looked at for `worker tcb` where the PCS cannot be reached."""

    @field_validator("socket")
    @classmethod
    def _short(cls, value: Path | None) -> Path | None:
        if value is not None and len(str(value)) > SOCKET_PATH_MAX:
            raise ValueError(
                f"is longer than {SOCKET_PATH_MAX} bytes, the kernel's limit: choose a shorter path"
            )
        return value


class HttpConfig(_Section):
    """Metrics and health. Bound to the loopback unless told otherwise; `port = 0` takes a free port."""

    enabled: StrictBool = True
    host: str = "127.0.0.1"
    port: Annotated[StrictInt, Field(ge=0, le=65535)] = 9615


class SessionsConfig(_Section):
    """Sessions, where this section stands: on what terms (plancks, 10^-12 UNIT), how many at once of each
    model, and what they may use. The offer is made for every served model that its publisher opened to
    sessions.
    """

    price: Annotated[StrictInt, Field(ge=1)]
    """For one inference."""
    bond: Annotated[StrictInt, Field(ge=1)] = UNIT
    """Put down for each session, for all that are offered at once."""
    capacity: Annotated[StrictInt, Field(ge=1, le=64)] = 4
    most_sampled_percent: Annotated[StrictFloat, Field(gt=0, le=100)] = 2.0
    """The most pages that a client may have proved: each costs some sixty times what its answers cost."""
    least_window_blocks: Annotated[StrictInt, Field(ge=5, le=600)] = 120
    """The fewest blocks for proofs, from the beacon's word on."""
    checkpoint_blocks: Annotated[StrictInt, Field(ge=1, le=600)] = 12
    checkpoint_pages: Annotated[StrictInt, Field(ge=1, le=4096)] = 2048
    """A checkpoint is made after so many blocks, and after so many pages without one."""
    voucher_blocks: Annotated[StrictInt, Field(ge=10, le=14_400)] = 150
    """A session is ended whose client leaves what it was answered for so many blocks without its voucher."""
    proofs_at_once: Annotated[StrictInt, Field(ge=1, le=16)] = 1
    memory_mebibytes: Annotated[StrictInt, Field(ge=1, le=65536)] = 256
    """For pages that may yet have to be proved; above it records are refused until windows end."""


class LogConfig(_Section):
    """Verbosity of the JSON log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class NodeConfig(_Section):
    """The whole file."""

    chain: ChainConfig = ChainConfig()
    worker: WorkerConfig
    enclave: EnclaveConfig
    http: HttpConfig = HttpConfig()
    sessions: SessionsConfig | None = None
    log: LogConfig = LogConfig()

    @model_validator(mode="after")
    def _sessions_leave_time_to_vouch(self) -> NodeConfig:
        told = self.sessions
        if told is None:
            return self
        longest = checkpoint_every(told.checkpoint_blocks, WINDOW_BLOCKS[-1])
        if told.voucher_blocks <= longest:
            raise ValueError(
                f"sessions.voucher_blocks is {told.voucher_blocks}, and a client with long windows is asked "
                f"for a voucher only every {longest} blocks: set it higher"
            )
        return self

    @model_validator(mode="after")
    def _sessions_need_a_door(self) -> NodeConfig:
        if self.sessions is not None and not self.http.enabled:
            raise ValueError("sessions are served by the HTTP server: set http.enabled, or drop [sessions]")
        if self.sessions is not None and not self.worker.endpoint.startswith(("http://", "https://")):
            raise ValueError(
                "clients of sessions connect to worker.endpoint: set it to the HTTP server's http(s):// "
                "address, or drop [sessions]"
            )
        return self

    @property
    def socket(self) -> Path:
        """The enclave's socket: `enclave.socket`, or `enclave.sock` in the data directory."""
        return self.enclave.socket or self.worker.data_dir / "enclave.sock"

    @property
    def signer(self) -> str:
        """Where the account's key comes from: `//Name`, the path of the key file, or `unix:` and a signer's
        socket.
        """
        if self.worker.signer_socket is not None:
            return f"{SCHEME}{self.worker.signer_socket}"
        return self.worker.dev_account or str(self.worker.key_file)

    @property
    def kept_keys(self) -> Path | None:
        """The file of the enclave's sealed keys, if they are kept."""
        return self.worker.data_dir / "keys.sealed" if self.enclave.keep_keys else None

    @property
    def journal(self) -> Path:
        """The journal's database file."""
        return self.worker.data_dir / "journal.sqlite"

    @property
    def hold(self) -> Path:
        """The file that says why nothing new is claimed, while there is one."""
        return self.worker.data_dir / "hold.json"

    @property
    def diary(self) -> Path:
        """The database of reasons, for people's questions."""
        return self.worker.data_dir / "diary.sqlite"

    @property
    def session_journal(self) -> Path:
        """The database of vouchers."""
        return self.worker.data_dir / "sessions.sqlite"

    @property
    def outbox(self) -> Path:
        """The database of signed extrinsics."""
        return self.worker.data_dir / "outbox.sqlite"


def load(path: Path) -> NodeConfig:
    """Read and check a configuration file; relative paths in it are relative to the file.

    Raises:
        ConfigError: unreadable file, bad TOML, unknown or wrong keys.
    """
    try:
        raw = tomllib.loads(read_whole(path, MAX_BYTES).decode())
    except OSError as error:
        raise ConfigError(
            f"cannot read configuration {path}: {error.strerror}; give the path with --config"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"configuration {path} is not TOML: {error}") from error
    try:
        config = NodeConfig.model_validate(_absolute(raw, path.resolve().parent))
    except RuntimeError as error:  # of a user whom nobody knows
        raise ConfigError(f"configuration {path} has a path with `~`: {error} Write it out") from error
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {_say(item)}"
            for item in error.errors()
        ]
        raise ConfigError(f"configuration {path} is refused: " + "; ".join(lines)) from error
    if len(str(config.socket)) > SOCKET_PATH_MAX:
        raise ConfigError(
            f"configuration {path} is refused: the enclave's socket {config.socket} is longer than "
            f"{SOCKET_PATH_MAX} bytes; "
            "set enclave.socket to a shorter path"
        )
    return config


def _say(item: object) -> str:
    assert isinstance(item, dict)
    if item["type"] == "extra_forbidden":
        return "unknown key; see docs/operators.md for the keys there are"
    return str(item["msg"]).removeprefix("Value error, ")


def _absolute(raw: dict[str, object], base: Path) -> dict[str, object]:
    paths = {
        ("worker", "key_file"),
        ("worker", "signer_socket"),
        ("worker", "data_dir"),
        ("enclave", "socket"),
        ("enclave", "models"),
        ("enclave", "early_collateral"),
    }
    out: dict[str, object] = dict(raw)
    for section, key in paths:
        table = out.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), str):
            out[section] = {**table, key: str(base / Path(table[key]).expanduser())}
    return out
