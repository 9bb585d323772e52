"""A device without an enclave runs a model itself, commits to each window, and proves it: level `device`.

Read `source` (samples to windows), `device` (one window: answer, commitments, proof), `log` (what is
written), `run` (all of it, with the chain), `verify`.
"""

LEVEL = "device"
"""What such a proof is worth beside a worker's: the computation is proved and the data hidden; no machine is
attested, and nothing says that the samples are a patient's.
"""
