#!/bin/bash
# RUSTC_WRAPPER: dcap-qvl also declares cdylib and staticlib, which cannot link for wasm32v1-none; build its rlib only.
set -euo pipefail
rustc="$1"
shift
[[ " $* " == *" --crate-name dcap_qvl "* ]] || exec "$rustc" "$@"
arguments=()
while [ $# -gt 0 ]; do
	if [ "$1" = --crate-type ]; then
		if [ "$2" = rlib ]; then arguments+=("$1" "$2"); fi
		shift 2
	else
		arguments+=("$1")
		shift
	fi
done
exec "$rustc" "${arguments[@]}"
