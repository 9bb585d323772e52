"""Every mistake in a configuration file is named, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofward_node.config import ConfigError, load

GOOD = """
[worker]
dev_account = "//Alice"
data_dir = "data"
[enclave]
provider = "simulator"
models = "models"
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "worker.toml"
    path.write_text(text)
    return path


def test_relative_paths_belong_to_the_file(tmp_path: Path) -> None:
    config = load(_write(tmp_path, GOOD))
    assert config.journal == tmp_path / "data" / "journal.sqlite"
    assert config.enclave.models == tmp_path / "models"
    assert config.signer == "//Alice"
    elsewhere = load(_write(tmp_path, GOOD.replace('dev_account = "//Alice"', 'signer_socket = "run/s"')))
    assert elsewhere.signer == f"unix:{tmp_path / 'run' / 's'}"


@pytest.mark.parametrize(
    ("fault", "text", "says"),
    [
        ("not-toml", "worker = [", "not TOML"),
        ("misspelt-key", GOOD.replace("dev_account", "dev_acount"), "worker.dev_acount: unknown key"),
        ("two-accounts", GOOD.replace("data_dir", 'key_file = "k"\ndata_dir'), "exactly one"),
        ("a-key-and-a-signer", GOOD.replace("data_dir", 'signer_socket = "s"\ndata_dir'), "exactly one"),
        ("no-account", GOOD.replace('dev_account = "//Alice"', ""), "exactly one"),
        ("unknown-provider", GOOD.replace("simulator", "sgx"), "enclave.provider"),
        ("an-address-that-is-none", GOOD + '[chain]\nurl = "ws://[::1"\n', "chain.url"),
        ("nested-without-end", f"a = {'[' * 100_000}", "not TOML"),
        ("without-end", "#" * (1 << 20) + "\n", "more than 1048576 bytes"),
        ("a-user-whom-nobody-knows", GOOD.replace('"data"', '"~nobody-of-this-name/x"'), "Write it out"),
        ("http-url", GOOD + '[chain]\nurl = "http://x"\n', "ws://"),
        ("socket-too-long", GOOD + f'socket = "/{"x" * 120}"\n', "107 bytes"),
        ("no-account", GOOD.replace("data_dir", 'publishers = ["5x"]\ndata_dir'), "worker.publishers"),
        ("no-model", GOOD.replace("data_dir", 'models = ["0x12"]\ndata_dir'), "no model's id"),
        (
            "a-voucher-due-before-it-is-asked-for",
            GOOD + "[http]\nport = 1\n[sessions]\nprice = 1\ncheckpoint_blocks = 8\nvoucher_blocks = 21\n",
            "only every 21 blocks",
        ),
        ("a-door-that-nobody-finds", GOOD + "[sessions]\nprice = 1\n", "connect to worker.endpoint"),
        ("negative-price", GOOD.replace("data_dir", "min_price = -1\ndata_dir"), "worker.min_price"),
        ("a-truth-for-a-price", GOOD.replace("data_dir", "min_price = true\ndata_dir"), "worker.min_price"),
        ("a-truth-for-seconds", GOOD + "[chain]\nblock_seconds = true\n", "chain.block_seconds"),
        ("a-text-for-a-port", GOOD + '[http]\nport = "9615"\n', "http.port"),
        ("a-number-for-a-truth", GOOD + "spawn = 1\n", "enclave.spawn"),
        ("a-number-for-an-account", GOOD.replace("data_dir", "publishers = [5]\ndata_dir"), "no account"),
        ("a-number-for-a-model", GOOD.replace("data_dir", "models = [5]\ndata_dir"), "no model's id"),
        ("a-number-for-a-text", GOOD + "pccs_url = 8081\n", "enclave.pccs_url"),
    ],
)
def test_mistakes(tmp_path: Path, fault: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"worker\.toml") as caught:
        load(_write(tmp_path, text))
    assert says in str(caught.value), fault
