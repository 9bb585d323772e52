"""The process inside the TEE: it alone holds keys and plaintext. Trusted computing base: keep it small."""

VERSION = "0.1.0"
