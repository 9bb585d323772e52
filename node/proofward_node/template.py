"""A complete worker.toml to begin with: every key that an operator decides, with what it means."""

from __future__ import annotations

import json
import os
from pathlib import Path

from proofward.chain import accounts
from proofward.files import write_new
from proofward_node.config import ConfigError, load

_TEXT = """\
# The worker's configuration; docs/operators.md has every key. Relative paths are relative to this file.

[chain]
url = {url}
# Pin the chain: another one behind the same address is then refused.
# genesis = "0x..."
block_seconds = 1.0

[worker]
{account}
data_dir = "data"
# Whose models are served when their artefacts are loaded. A worker that names nobody serves nothing.
publishers = {publishers}
# Single models, whoever published them.
models = []
# Plancks: 10^-12 UNIT.
min_price = 0
max_bond = 1_000_000_000_000
# Where clients find the public halves of your artefacts, such as "https://worker.example.org".
endpoint = ""

[enclave]
# simulator (development chains), dstack, or tsm (a TDX guest).
provider = {provider}
models = {models}

[http]
# /metrics, /healthz, /livez and /artefacts.
host = "127.0.0.1"
port = 9615

[log]
level = "info"
"""


def write(
    path: Path,
    *,
    url: str,
    publishers: tuple[str, ...],
    key: Path | None,
    dev_account: str | None,
    provider: str,
    models: Path,
) -> bytes:
    """Write the file and, where `key` names none, a fresh key; gives the worker's account.

    Raises ConfigError: the file exists, cannot be written, or says what a configuration must not say.
    AccountError.
    """
    if path.exists():
        raise ConfigError(f"{path} exists already and is not replaced; give another name, or remove it first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    if dev_account is not None:
        account, line = (
            accounts.address(dev_account),
            f"dev_account = {_toml(dev_account)}",
        )
    else:
        assert key is not None
        account = accounts.named(str(key)) if os.path.lexists(key) else accounts.new_key_file(key)
        line = f"key_file = {_toml(str(key.absolute()))}"
    text = _TEXT.format(
        url=_toml(url),
        account=line,
        publishers=json.dumps(list(publishers)),
        provider=_toml(provider),
        models=_toml(str(models.absolute())),
    )
    try:
        write_new(path, text.encode(), mode=0o666)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    try:
        load(path)
    except ConfigError:
        path.unlink()
        raise
    return account


def _toml(value: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(value, ensure_ascii=False)
