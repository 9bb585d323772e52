#!/bin/bash
# Measures what the pallets' calls cost and writes pallets/*/src/weights.rs, of all or of those that are named. Leave the
# machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")"
cargo run --locked --quiet --profile weights -p proofward-weights -- "$@"
cargo fmt -p pallet-attestation -p pallet-workers -p pallet-models -p pallet-jobs -p pallet-sessions -p pallet-federation -p pallet-consortium -p pallet-drand
