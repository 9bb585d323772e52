"""The ezkl lane (Halo2 over BN254 with KZG)."""
