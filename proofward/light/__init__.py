"""A chain read by a light client: state by Merkle proofs under roots that GRANDPA proves final."""
