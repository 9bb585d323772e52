"""Build the contracts into the package: the lanes' verifiers into proofward/zkml/contracts/NAME.json and the
runtime's genesis, chain/verifiers/LANE.hex; what pays on statements into proofward/statements/contracts/.
`--check` writes nothing and fails where a committed artefact is not what its sources give.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from proofward.zkml.errors import ContractError
from proofward.zkml.verifier_contract import SETTINGS, compile_solidity

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "proofward"
TARGETS = {
    "Groth16Verifier": PACKAGE / "zkml" / "contracts",
    "StatementInsurance": PACKAGE / "statements" / "contracts",
}
SOURCES = {
    "Groth16Verifier": ("ILaneVerifier.sol", "Groth16Verifier.sol"),
    "StatementInsurance": ("ILaneVerifier.sol", "StatementInsurance.sol"),
}
GENESIS = {"Groth16Verifier": HERE.parent / "chain" / "verifiers" / "groth16.hex"}


def artefact(name: str) -> str:
    """The artefact's text. Raises ContractError when Node, solc or the sources are not in order."""
    sources = {file: (HERE / "src" / file).read_text() for file in SOURCES[name]}
    built = compile_solidity(sources)[name]
    locked = json.loads((HERE / "package-lock.json").read_text())
    document = {
        "contract": name,
        "compiler": f"solc {locked['packages']['node_modules/solc']['version']}",
        "settings": SETTINGS,
        "sources_sha256": {file: hashlib.sha256(text.encode()).hexdigest() for file, text in sources.items()},
        "code_hash": built.code_hash.hex(),
        "runtime_code": built.runtime_code.hex(),
        "init_code": built.bytecode.hex(),
        "abi": built.abi,
    }
    return json.dumps(document, indent=1) + "\n"


def main() -> int:
    """Build, and compare or write; 1 when the committed artefacts differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed artefacts, write nothing"
    )
    check = parser.parse_args().check
    for name in SOURCES:
        try:
            text = artefact(name)
        except ContractError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        code = json.loads(text)["runtime_code"] + "\n"
        genesis = [(GENESIS[name], code)] if name in GENESIS else []
        for path, wanted in ((TARGETS[name] / f"{name}.json", text), *genesis):
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(wanted)
            elif not path.is_file() or path.read_text() != wanted:
                print(
                    f"error: {path.relative_to(HERE.parent)} is not what contracts/src gives; if the source "
                    "was meant to change, run python contracts/build.py and commit the artefact",
                    file=sys.stderr,
                )
                return 1
        print(f"{name}: code hash 0x{json.loads(text)['code_hash']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
