//! What the models pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
//!
//! Time: median of 100 runs of native, optimised code over an in-memory state, times 3 for wasm. Reads and
//! writes: distinct keys, at the runtime's database weights. Proof size: the values read and 2,560 bytes of trie each.

use core::marker::PhantomData;

use polkadot_sdk::{
	frame_support::{
		traits::Get,
		weights::{constants::RocksDbWeight, Weight},
	},
	frame_system,
};

pub trait WeightInfo {
	/// Without the verification of a quote, which the attestation pallet charges.
	/// `quote`: length of the setup's quote in bytes, 0 without one.
	fn publish(quote: u32) -> Weight;
	fn retire() -> Weight;
	fn certify_ceremony() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn publish(quote: u32) -> Weight {
		Weight::from_parts(54_162_000, 5_124)
			.saturating_add(Weight::from_parts(1_993, 0).saturating_mul(u64::from(quote)))
			.saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn retire() -> Weight {
		Weight::from_parts(57_378_000, 5_452).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn certify_ceremony() -> Weight {
		Weight::from_parts(56_235_000, 5_452).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn publish(quote: u32) -> Weight {
		Weight::from_parts(54_162_000, 5_124)
			.saturating_add(Weight::from_parts(1_993, 0).saturating_mul(u64::from(quote)))
			.saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn retire() -> Weight {
		Weight::from_parts(57_378_000, 5_452).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn certify_ceremony() -> Weight {
		Weight::from_parts(56_235_000, 5_452).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
}
