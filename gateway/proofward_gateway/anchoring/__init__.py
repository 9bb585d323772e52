"""Receipts on the chain: outside the enclave, with the operator's key."""
