"""The daemon on the untrusted host: watches the chain, claims jobs, hands ciphertext to the enclave and
posts its results.

It holds no enclave key and sees no plaintext. It imports neither `proofward_enclave` nor `proofward.zkml`.
"""
