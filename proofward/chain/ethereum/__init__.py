"""Ethereum's side of the chain: contracts of pallet-revive, and a web3 provider over the Substrate node."""
