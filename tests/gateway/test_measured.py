"""What the gateway's process loads, its simulated measurement covers."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from proofward_gateway import measure

LIST = """
import json, sys
import proofward_gateway.__main__, proofward_enclave.providers.simulator
import proofward_gateway.measure as measure
from proofward_gateway.keys import make_keys
make_keys("localhost", not_after=2_000_000_000)
files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
print(json.dumps(files))
"""


def loaded() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", LIST], capture_output=True, text=True, check=True, timeout=60
    )
    return {name: path for name, path in json.loads(done.stdout).items() if path}


def test_the_process_loads_nothing_that_is_not_measured() -> None:
    found = loaded()
    owners = packages_distributions()
    tops = {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names)
    third = {one.lower().replace("_", "-") for top in tops for one in owners.get(top, ())}
    # a hook of virtual environments loads setuptools before any program begins
    third = {one for one in third if not one.startswith("proofward") and one != "setuptools"}
    assert third <= set(measure.CLOSURE), third - set(measure.CLOSURE)
    measured = {name for name, _ in measure.ours()}
    for name, path in found.items():
        if name.partition(".")[0] in ("proofward", "proofward_enclave", "proofward_gateway"):
            parts = Path(path).parts
            inner = "/".join(parts[len(parts) - 1 - parts[::-1].index(name.partition(".")[0]) :])
            assert inner in measured, name


def test_the_user_s_side_is_not_part_of_the_trusted_base() -> None:
    assert not [name for name in loaded() if name.startswith(("proofward_gateway.proxy", "proofward.cli"))]
    assert not [name for name, _ in measure.ours() if "proxy" in name or "verbs" in name]
