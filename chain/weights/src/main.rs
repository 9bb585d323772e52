//! Measures what each call of our pallets costs, and writes `pallets/*/src/weights.rs`: of all pallets, or of those that
//! are named.
//!
//! Time: median processor time of many runs of native, optimised code over an in-memory state, times [`WASM_FACTOR`]
//! (for arithmetic of large fields [`FIELD_FACTOR`]). Storage: the keys that a call reads and writes, each once, priced
//! by the runtime's database weights. Proof size: what those reads put into a storage proof. Calls with an argument of
//! variable length are measured at both ends.

mod calls;
mod chain;
mod consortium;
mod contest;
mod drand;
mod federation;
mod measure;
mod render;
mod sessions;

use std::{fs, path::PathBuf};

/// How much slower the runtime's wasm is than native code, at most. Compiled wasm takes two to three times as long for
/// the arithmetic of quote verification, which is the dearest call.
pub const WASM_FACTOR: u64 = 3;
/// The same for arithmetic over fields of 255 bits.
pub const FIELD_FACTOR: u64 = 5;

fn main() {
	let pallets = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../pallets"));
	let named: Vec<String> = std::env::args().skip(1).collect();
	for (name, measured) in calls::ALL {
		if !named.is_empty() && !named.iter().any(|one| one == name) {
			continue;
		}
		let pallet = measured();
		let path = pallets.join(pallet.name).join("src/weights.rs");
		fs::write(&path, render::file(&pallet)).expect("the pallet's folder is writable");
		println!("{}", path.display());
	}
}
