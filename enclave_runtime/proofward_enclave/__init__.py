"""The process inside the TEE: it alone holds keys and plaintext. Trusted computing base: keep it small."""

from importlib.metadata import version

VERSION = version("proofward-enclave")
