"""Between machines: the aggregator's host, a hospital's process, a study on the chain, a model's card.

Beside the enclave and not in it: what is here sees ciphertexts, commitments, proofs and published sums.
"""
