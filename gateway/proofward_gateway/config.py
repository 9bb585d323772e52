"""The gateway's configuration: one TOML file, checked whole before anything starts."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proofward.files import read_whole
from proofward_enclave.providers import NAMES
from proofward_gateway.channel import GatewayError, Origin

KINDS: Final = ("aci", "legacy", "plain", "inside", "model", "proved")
ATTESTED: Final = ("aci", "legacy")
INSIDE: Final = ("inside", "model", "proved")
STARTED: Final = ("model", "proved")
"""Kinds that the gateway starts itself."""
MAX_BYTES: Final = 1 << 20
MAX_UPSTREAMS: Final = 64
HASH: Final = re.compile(r"0x[0-9a-f]{64}")
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class GatewayConfigError(GatewayError):
    """A configuration that cannot be used."""

    code = "bad-config"


@dataclass(frozen=True, slots=True)
class ProvedConfig:
    """A proved model of the chain, and on whose account it is asked."""

    node: str
    """ws:// address of a node of the chain."""
    model: bytes
    artifact: Path
    """Folder of its public artefact."""
    signer: str
    """A key file's path; `//Name` on a development chain."""


@dataclass(frozen=True, slots=True)
class ChainUpstream:
    """The account that an upstream is registered under, and the file in which the chain's proof comes."""

    account: bytes
    proof: Path


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """One upstream: its label, where it is, what it is, and the models that are asked of it.

    Kind `aci` is attested before each session under `measurements`, and so is `legacy`, by the older report;
    `plain` proves nothing and is used only for a caller who asks for that; `inside` runs in this trust
    domain, at a loopback address; `model` is started by the gateway itself, which measures its `weights` at
    load; `proved` is asked by jobs on the chain, to workers under `measurements`, whose proofs it verifies.
    """

    name: str
    origin: Origin
    kind: str
    models: tuple[str, ...]
    measurements: frozenset[bytes] = frozenset()
    key_file: Path | None = None
    """Holds the API key for this upstream, one line; a client's key is never passed on."""
    weights: Path | None = None
    """A GGUF file; of kind `model` only."""
    cache_salt: bool = False
    """Whether requests get `cache_salt`, of the caller's own, which vLLM knows."""
    collateral: Path | None = None
    """JSON of the collateral for an attested upstream's quotes, where its report brings none."""
    digest: str | None = None
    """`sha256:` of the weights that were loaded, or that a proof is to name; None until they are known."""
    proved: ProvedConfig | None = None
    """Of kind `proved` only."""
    registered: ChainUpstream | None = None
    """Of kind `aci`: its keys and software are then those that the chain has."""


@dataclass(frozen=True, slots=True)
class Bond:
    """Whose stake answers for this gateway's receipts, and on which chain (32 bytes each)."""

    genesis: bytes
    account: bytes
    spec: Path | None = None
    """The chain's raw spec: who finalises it. Upstreams that are known by the chain need it."""
    proof: Path | None = None
    """The file with the chain's proof of this account's registration, for users who demand the stake."""


@dataclass(frozen=True, slots=True)
class Config:
    """All of it; relative paths are of the file's folder."""

    listen: str
    port: int
    domain: str
    state: Path
    provider: str
    upstreams: tuple[UpstreamConfig, ...]
    development: bool = False
    """Admits upstreams whose quotes are simulated."""
    keys_sha256: frozenset[str] = frozenset()
    """Of the API keys that are let in; empty: everybody is."""
    collateral: Path | None = None
    """JSON of the collateral that goes with this machine's quotes, where the provider has none."""
    keyset_seconds: int = 24 * 3600
    session_seconds: int = 300
    retention_days: int = 30
    request_seconds: int = 600
    idle_seconds: int = 120
    max_requests: int = 256
    pad_bytes: int = 256
    bond: Bond | None = None

    @property
    def direct(self) -> bool:
        """Whether every model runs in this trust domain: then there is no second hop to attest."""
        return all(one.kind in INSIDE for one in self.upstreams)

    def route(self, model: str) -> UpstreamConfig | None:
        """The upstream that serves a model."""
        return next((one for one in self.upstreams if model in one.models), None)


UNBONDING_SECONDS: Final = 7 * 24 * 3600
"""How long a chain answers for a key that signs no more (`Unbonding` of the runtime)."""
PAST_KEYS: Final = 32
"""Most such keys of one account (MAX_KEYS of the workers pallet)."""
_LEAST_BONDED: Final = 2 * UNBONDING_SECONDS // PAST_KEYS

_NUMBERS: Final = {
    "keyset_seconds": (600, 24 * 3600),
    "session_seconds": (1, 3600),
    "retention_days": (2, 3650),
    "request_seconds": (1, 3600),
    "idle_seconds": (1, 600),
    "max_requests": (1, 4096),
    "pad_bytes": (0, 4096),
}
"""Key -> type, lowest, highest."""
_PROVED: Final = ("node", "model", "artifact", "signer")
_TEXTS: Final = ("listen", "domain", "state", "provider", "collateral")
_UPSTREAM: Final = {
    *("name", "url", "kind", "models", "measurements", "key_file", "weights", "cache_salt", "collateral"),
    *(*_PROVED, "worker", "registered"),
}


def load(path: Path) -> Config:
    """Read and check a file. Raises GatewayConfigError, which names the key."""
    try:
        value = tomllib.loads(read_whole(path, MAX_BYTES).decode())
    except OSError as error:
        raise GatewayConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise GatewayConfigError(f"{path} is no TOML: {error}") from None
    known = {*_NUMBERS, *_TEXTS, "development", "keys_sha256", "upstream", "chain"}
    if unknown := sorted(set(value) - known):
        raise _wrong(path, unknown[0], f"is not known: use {', '.join(sorted(known))}")
    for name in _TEXTS:
        if name in value and not isinstance(value[name], str):
            raise _wrong(path, name, "must be text")
    for name, (least, most) in _NUMBERS.items():
        one = value.get(name, least)
        if (
            not isinstance(one, int)
            or isinstance(one, bool)
            or not (least <= one <= most or one == 0 == least)
        ):
            raise _wrong(path, name, f"must be an integer from {least} to {most}")
    if "chain" in value and value.get("keyset_seconds", _LEAST_BONDED) < _LEAST_BONDED:
        told = f"must be at least {_LEAST_BONDED} with [chain]: it remembers {PAST_KEYS} keys in a week"
        raise _wrong(path, "keyset_seconds", f"{told}, and one is made at half of it")
    listen = Origin.parse(f"https://{value.get('listen', '127.0.0.1:8443')}")
    provider = value.get("provider", "simulator")
    if provider not in NAMES:
        raise _wrong(path, "provider", f"must be one of {', '.join(NAMES)}")
    if not isinstance(value.get("development", False), bool):
        raise _wrong(path, "development", "must be true or false")
    keys = value.get("keys_sha256", [])
    if not isinstance(keys, list) or not all(
        isinstance(k, str) and re.fullmatch(r"[0-9a-f]{64}", k) for k in keys
    ):
        raise _wrong(path, "keys_sha256", "must be a list of 64 hex digits each")
    upstreams = _upstreams(path, value.get("upstream", []))
    if "chain" not in value and any(one.proved for one in upstreams):
        raise _wrong(path, "chain", "must say which chain an upstream of kind `proved` is of")
    if any(one.proved for one in upstreams) and not keys and not value.get("development", False):
        raise _wrong(path, "keys_sha256", "must name who may spend the payer's money by a `proved` upstream")
    bond = _bond(path, value["chain"]) if "chain" in value else None
    if any(one.registered for one in upstreams) and (bond is None or bond.spec is None):
        raise _wrong(path, "chain.spec", "must say who finalises the chain that an upstream's `worker` is of")
    return Config(
        listen.host,
        listen.port if ":" in value.get("listen", "127.0.0.1:8443") else 8443,
        value.get("domain", listen.host),
        path.parent / value.get("state", "gateway-state"),
        provider,
        upstreams,
        development=value.get("development", False),
        keys_sha256=frozenset(keys),
        collateral=path.parent / value["collateral"] if "collateral" in value else None,
        bond=bond,
        **{name: value[name] for name in _NUMBERS if name in value},
    )


def _bond(path: Path, value: Any) -> Bond:
    names = ("genesis", "account")
    files = ("spec", "registered")
    if not isinstance(value, dict) or set(value) - set(files) != set(names):
        told = "needs genesis and account, has perhaps spec and registered, and nothing else"
        raise _wrong(path, "chain", told)
    for name in files:
        if not isinstance(value.get(name, ""), str):
            raise _wrong(path, f"chain.{name}", "is a file's path")
    if not all(isinstance(value[name], str) and HASH.fullmatch(value[name]) for name in names):
        raise _wrong(path, "chain", "has genesis and account as 0x and 64 hex digits each")
    genesis, account = (bytes.fromhex(value[name][2:]) for name in names)
    spec, proof = (path.parent / value[name] if name in value else None for name in files)
    return Bond(genesis, account, spec, proof)


def _upstreams(path: Path, value: Any) -> tuple[UpstreamConfig, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_UPSTREAMS:
        raise _wrong(path, "upstream", f"must be 1 to {MAX_UPSTREAMS} tables [[upstream]]")
    found = tuple(_upstream(path, one) for one in value)
    for what in ([one.name for one in found], [model for one in found for model in one.models]):
        if len(set(what)) != len(what):
            raise _wrong(path, "upstream", "names two upstreams alike, or one model twice")
    if len({one.kind in INSIDE for one in found}) != 1:
        told = "mixes kinds `inside`, `model` and `proved` with others: a gateway is direct, or it is not"
        raise _wrong(path, "upstream", told)
    return found


def _upstream(path: Path, value: Any) -> UpstreamConfig:
    began = value.get("kind") if isinstance(value, dict) else None
    own = began in STARTED
    where = {"model": {"weights"}, "proved": set(_PROVED)}.get(str(began), {"url"})
    needed = {"name", "kind", "models", *where}
    if not isinstance(value, dict) or not needed <= set(value) <= _UPSTREAM:
        told = f"needs {', '.join(sorted(needed))}, of {', '.join(sorted(_UPSTREAM))}"
        raise _wrong(path, "upstream", told)
    name, kind, models = value["name"], value["kind"], value["models"]
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise _wrong(path, "upstream.name", "must be 1 to 64 of letters, digits, `_`, `.`, `-`")
    for text in ("url", "key_file", "weights"):
        if not isinstance(value.get(text, ""), str):
            raise _wrong(path, f"upstream {name}.{text}", "must be text")
    if kind not in KINDS:
        raise _wrong(path, f"upstream {name}.kind", f"must be one of {', '.join(KINDS)}")
    if (
        not isinstance(models, list)
        or not models
        or not all(isinstance(m, str) and 0 < len(m) <= 256 for m in models)
    ):
        raise _wrong(path, f"upstream {name}.models", "must list the models' names")
    foreign = {"url", "key_file"} if own else set[str]()
    foreign |= set() if kind == "model" else {"weights"}
    foreign |= set() if kind == "proved" else set(_PROVED)
    if wrong := sorted(foreign & set(value)):
        raise _wrong(path, f"upstream {name}.{wrong[0]}", f"is not a key of kind `{kind}`")
    try:
        url = "http://127.0.0.1" if own else value["url"]
        origin = Origin.parse(url, plain=kind not in ATTESTED)
    except GatewayError as error:
        raise _wrong(path, f"upstream {name}.url", error.message) from None
    if kind == "inside" and origin.host not in _LOOPBACK:
        raise _wrong(path, f"upstream {name}.url", "of kind `inside` must be a loopback address")
    pins = value.get("measurements", [])
    if not isinstance(pins, list) or not all(isinstance(p, str) and HASH.fullmatch(p) for p in pins):
        raise _wrong(path, f"upstream {name}.measurements", "must be a list of 0x and 64 hex digits each")
    registered = _registered(path, name, value) if {"worker", "registered"} & set(value) else None
    if (kind in ATTESTED or kind == "proved") != bool(pins or registered):
        told = "must be there for kinds `aci` (or `worker`), `legacy` and `proved`, and for no other"
        raise _wrong(path, f"upstream {name}.measurements", told)
    published = value.get("collateral")
    if published is not None and (kind not in ATTESTED or not isinstance(published, str)):
        raise _wrong(path, f"upstream {name}.collateral", "is a file's path, for kinds `aci` and `legacy`")
    key = value.get("key_file")
    return UpstreamConfig(
        name,
        origin,
        kind,
        tuple(models),
        frozenset(bytes.fromhex(one[2:]) for one in pins),
        None if key is None else path.parent / key,
        path.parent / value["weights"] if kind == "model" else None,
        _flag(path, name, value.get("cache_salt", False)),
        None if published is None else path.parent / published,
        proved=_proved(path, name, value) if kind == "proved" else None,
        registered=registered,
    )


def _registered(path: Path, name: str, value: dict[str, Any]) -> ChainUpstream:
    account, proof = value.get("worker"), value.get("registered")
    if value["kind"] != "aci" or not isinstance(proof, str):
        raise _wrong(path, f"upstream {name}", "has worker and registered together, of kind `aci`")
    if not isinstance(account, str) or not HASH.fullmatch(account):
        raise _wrong(path, f"upstream {name}.worker", "must be an account, 0x and 64 hex digits")
    return ChainUpstream(bytes.fromhex(account[2:]), path.parent / proof)


def _proved(path: Path, name: str, value: dict[str, Any]) -> ProvedConfig:
    if not all(isinstance(value[key], str) for key in _PROVED):
        raise _wrong(path, f"upstream {name}", f"has {', '.join(_PROVED)} as text")
    if not HASH.fullmatch(value["model"]):
        raise _wrong(path, f"upstream {name}.model", "must be the model's id, 0x and 64 hex digits")
    if not re.match(r"wss?://", value["node"]):
        raise _wrong(path, f"upstream {name}.node", "must be a node's address, ws:// or wss://")
    signer = value["signer"]
    return ProvedConfig(
        value["node"],
        bytes.fromhex(value["model"][2:]),
        path.parent / value["artifact"],
        signer if signer.startswith("//") else str(path.parent / signer),
    )


def _flag(path: Path, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, f"upstream {name}.cache_salt", "must be true or false")
    return value


def _wrong(path: Path, key: str, what: str) -> GatewayConfigError:
    return GatewayConfigError(f"{path}: {key} {what}")
