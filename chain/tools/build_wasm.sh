#!/bin/bash
# Builds the runtime's wasm with Debian's Rust compiler and prints the path of the result and the hash of its metadata.
#
# The hash is compiled in, so that it must be known before: the one given as the argument is tried, and the runtime is
# built once more when its metadata has another.
#
# No crate registry carries a wasm standard library, so core and alloc are built from Debian's sources (which match
# Debian's compiler, not rustup's) into a sysroot of our own. Paths are remapped: panic messages hold them, and the
# hash must not depend on where the checkout or the registry lies.
set -euo pipefail

chain=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR="${PROOFWARD_WASM_TARGET_DIR:-$chain/target-wasm}"
export RUSTC=/usr/bin/rustc
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTUP_TOOLCHAIN CARGO_BUILD_TARGET
cargo=/usr/bin/cargo
hash=${1:-$(printf '0%.0s' {1..64})}
target=wasm32v1-none

if ! [ -x "$RUSTC" ] || ! [ -x "$cargo" ] || ! [ -d /usr/lib/rustlib/src/rust/library/core ]; then
	echo "build_wasm: Debian's rustc-web, cargo-web and rust-web-src are missing; install them with rust-web-llvm and lld-22" >&2
	exit 1
fi

# One sysroot per compiler version: Debian moves it, and old objects do not link with a new compiler.
compiler=$($RUSTC --version)
sysroot="$CARGO_TARGET_DIR/sysroot-$(printf '%s' "$compiler" | sha256sum | cut -c1-12)"
if ! [ -f "$sysroot/complete" ]; then
	echo "build_wasm: building core and alloc for $target with $compiler" >&2
	rm -rf "$sysroot"
	seed="$sysroot/seed"
	mkdir -p "$seed/src" "$sysroot/lib/rustlib/$target/lib"
	cp "$chain/tools/sysroot_seed.rs" "$seed/src/lib.rs"
	printf '%s\n' '[package]' 'name = "seed"' 'version = "0.0.0"' 'edition = "2021"' '[lib]' \
		'crate-type = ["cdylib"]' '[profile.release]' 'panic = "abort"' '[workspace]' > "$seed/Cargo.toml"
	# The embedded bitcode is what link-time optimisation of the runtime reads.
	(cd "$seed" && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$seed/target" \
		RUSTFLAGS="-C embed-bitcode=yes --remap-path-prefix=/usr/lib/rustlib/src=/rust --remap-path-prefix=$seed=/seed --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/registry" \
		$cargo build --quiet --release --target $target -Zbuild-std=core,alloc >&2)
	cp "$seed/target/$target/release/deps/"lib{core,alloc,compiler_builtins}-*.rlib "$sysroot/lib/rustlib/$target/lib/"
	# The linker is looked for in the sysroot's host folder.
	for entry in "$($RUSTC --print sysroot)/lib/rustlib/"*; do
		[ "$(basename "$entry")" = "$target" ] || ln -s "$entry" "$sysroot/lib/rustlib/"
	done
	rm -rf "$seed"
	touch "$sysroot/complete"
fi

flags=(
	--sysroot "$sysroot"
	-C link-arg=--export-table
	-C link-arg=--export=__heap_base
	-C link-arg=--import-memory
	# Host functions are undefined on purpose; check_wasm.mjs looks at every import afterwards.
	-C link-arg=--allow-undefined
	--cfg substrate_runtime
	"--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/registry"
	"--remap-path-prefix=$chain=/chain"
	"--remap-path-prefix=$CARGO_TARGET_DIR=/target"
)
printf -v encoded '%s\x1f' "${flags[@]}"
unset CARGO_ENCODED_RUSTFLAGS # a caller's are not the host programs'
cd "$chain"
wasm="$CARGO_TARGET_DIR/$target/release/proofward_runtime.wasm"

build() {
	CARGO_ENCODED_RUSTFLAGS="${encoded%$'\x1f'}" RUSTC_WRAPPER="$chain/tools/rlib_only.sh" SKIP_WASM_BUILD=1 \
		RUNTIME_METADATA_HASH="$hash" $cargo rustc --locked -p proofward-runtime --lib --release \
		--no-default-features --target $target --crate-type cdylib >&2
}

# Of what was built, which does not depend on the hash that was compiled in.
metadata_hash() {
	local metadata
	metadata=$(mktemp)
	node "$chain/tools/metadata.mjs" "$wasm" "$metadata"
	$cargo run --locked --quiet --release -p proofward-metadata-hash -- "$metadata" UNIT 12
	rm "$metadata"
}

build
made=$(metadata_hash)
if [ "$made" != "$hash" ]; then
	echo "build_wasm: the metadata's hash is new; building the runtime with it" >&2
	hash=$made
	build
fi
echo "$wasm $hash"
