//! What the drand pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
//!
//! Time: median processor time of 100 runs of native, optimised code over an in-memory state, times
//! 3 for wasm (5 for arithmetic of large fields). Reads and writes: distinct keys, at the runtime's database weights.
//! Proof size: the values read and 2,560 bytes of trie each.

use core::marker::PhantomData;

use polkadot_sdk::{
	frame_support::{
		traits::Get,
		weights::{constants::RocksDbWeight, Weight},
	},
	frame_system,
};

/// The weight of each call, under its name.
#[allow(missing_docs)]
pub trait WeightInfo {
	fn post() -> Weight;
	fn set_network() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn post() -> Weight {
		Weight::from_parts(18_575_775_000, 10_406).saturating_add(T::DbWeight::get().reads_writes(4, 2))
	}
	fn set_network() -> Weight {
		Weight::from_parts(1_311_845_000, 5_124).saturating_add(T::DbWeight::get().reads_writes(2, 3))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn post() -> Weight {
		Weight::from_parts(18_575_775_000, 10_406).saturating_add(RocksDbWeight::get().reads_writes(4, 2))
	}
	fn set_network() -> Weight {
		Weight::from_parts(1_311_845_000, 5_124).saturating_add(RocksDbWeight::get().reads_writes(2, 3))
	}
}
