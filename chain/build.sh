#!/bin/bash
# Rebuilds the runtime's wasm and the raw chain spec from source.
#
#   chain/build.sh            writes chain/spec/proofward-dev.json and its hashes
#   chain/build.sh --check    writes nothing; fails if the committed spec is not what the source gives
#
# Needs Debian 12's rustc-web, cargo-web, rust-web-src, rust-web-llvm, lld-22 and zstd (installed here when apt-get is at hand and
# this is root) and Node 20. Rust by rustup is not used: it has no sources that match Debian's compiler.
set -euo pipefail
chain=$(cd "$(dirname "$0")" && pwd)

# rust-lld, which links the wasm, comes with rust-web-llvm, a mere recommendation of rustc-web.
packages=(rustc-web cargo-web rust-web-src rust-web-llvm lld-22 zstd)
missing=()
for package in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "build: these Debian packages are missing: ${missing[*]}; install them and run this again" >&2
		exit 1
	fi
	echo "build: installing ${missing[*]}" >&2
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
fi
if ! [ -d "$chain/../devnet/node_modules/zstddec" ]; then
	(cd "$chain/../devnet" && npm ci --silent --ignore-scripts >&2)
fi

before=$(sed -n 's/  metadata_hash$//p' "$chain/spec/proofward-dev.sha256" 2>/dev/null || true)
built=$("$chain/tools/build_wasm.sh" ${before:+"$before"})
read -r wasm metadata_hash <<< "$built"
exec python3 "$chain/tools/make_spec.py" "$wasm" "$metadata_hash" "$@"
