#!/usr/bin/env bash
# run.sh SECONDS [TARGET...]: fuzz each of the prover's decoders (or those named) for so long, from the corpus beside this file.
# A stable compiler is enough. What a fuzzer finds on the way it keeps in build/fuzz, what breaks a decoder in build/fuzz/found.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=${1:?usage: run.sh SECONDS [TARGET...]}; shift
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cd "$here/fuzz_targets" && basename -s .rs -- *.rs)
work=$here/../../build/fuzz; mkdir -p "$work/found"
cd "$here"
RUSTC_WORKSPACE_WRAPPER=$here/instrument cargo build --quiet --release --bins
for target in "${targets[@]}"; do
	mkdir -p "$work/$target"
	log=$work/$target.log
	if ! "${CARGO_TARGET_DIR:-$here/../target}/release/$target" -max_total_time="$seconds" -timeout=120 -rss_limit_mb=2048 \
		-max_len=65536 -print_final_stats=1 -artifact_prefix="$work/found/$target-" "$work/$target" "corpus/$target" > "$log" 2>&1
	then
		tail -n 40 "$log" >&2
		echo "fuzz: $target breaks; $work/found holds the bytes, run the target on them again" >&2
		exit 1
	fi
	awk -v target="$target" '/^stat::number_of_executed_units/ { runs = $2 } /cov: / { cov = $4 }
		END { print "fuzz " target ": " runs " inputs, " cov " edges" }' "$log"
done
