"""Measures the groth16 lane against ezkl on real data: `python -m bench` (`make bench`)."""
