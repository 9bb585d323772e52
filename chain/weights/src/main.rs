//! Measures what each call of our pallets costs, and writes `pallets/*/src/weights.rs`.
//!
//! Time: median of many runs of native, optimised code over an in-memory state, times [`WASM_FACTOR`]. Storage: the
//! keys that a call reads and writes, each once, priced by the runtime's database weights. Proof size: what those
//! reads put into a storage proof. Calls with an argument of variable length are measured at both ends.

mod calls;
mod chain;
mod measure;
mod render;

use std::{fs, path::PathBuf};

/// How much slower the runtime's wasm is than native code, at most. Compiled wasm takes two to three times as long for
/// the arithmetic of quote verification, which is the dearest call.
pub const WASM_FACTOR: u64 = 3;

fn main() {
	let pallets = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../pallets"));
	for pallet in calls::all() {
		let path = pallets.join(pallet.name).join("src/weights.rs");
		fs::write(&path, render::file(&pallet)).expect("the pallet's folder is writable");
		println!("{}", path.display());
	}
}
