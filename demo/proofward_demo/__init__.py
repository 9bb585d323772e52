"""The main job as a program: `proofward demo`."""
