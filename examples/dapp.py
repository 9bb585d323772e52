"""A dApp: ask the lane's verifier contract through web3.py whether a proof holds for a model.

Usage: dapp.py http://127.0.0.1:8545 CONTRACT mlp.proofward/public/vk.bin proof.json

The proof is one that `proofward prove` wrote. `proofward devnet --eth-port 8545` serves the address; any
Ethereum endpoint of the chain will do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from web3 import HTTPProvider, Web3

from proofward.evidence.proof_file import load
from proofward.zkml.contracts import check_code, verifier_code


def main(url: str, contract: str, key: str, proof: str) -> int:
    """Compare the contract's code with the one that is known to verify, ask it, and end with 0 for a yes."""
    web3 = Web3(HTTPProvider(url))
    address = Web3.to_checksum_address(contract)
    found = check_code("groth16", bytes(web3.eth.get_code(address)))
    print(f"{found.name}: {found.detail}")
    if not found.ok:
        return 1
    verifier = web3.eth.contract(address=address, abi=verifier_code("groth16").abi)
    claim = load(Path(proof))
    holds = verifier.functions.verify(
        Path(key).read_bytes(), claim.input_commitment, claim.output_commitment, claim.proof
    ).call()
    print("the proof holds" if holds else "the proof does NOT hold")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
