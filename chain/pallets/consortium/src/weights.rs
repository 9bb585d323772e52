//! What the consortium pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	/// Any of the calls that note a change: all members with their keys, and all notices, are read.
	fn announce() -> Weight;
	fn set_endpoint() -> Weight;
	/// Without the call itself.
	fn enact() -> Weight;
	fn withdraw() -> Weight;
	fn recover_finality() -> Weight;
	/// Two signatures of sr25519, and what putting a member out takes.
	fn report_two_blocks() -> Weight;
	/// All changes that can be due in a block.
	fn make_due() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn announce() -> Weight {
		Weight::from_parts(1_308_771_000, 227_423).saturating_add(T::DbWeight::get().reads_writes(84, 6))
	}
	fn set_endpoint() -> Weight {
		Weight::from_parts(110_715_000, 5_416).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn enact() -> Weight {
		Weight::from_parts(159_207_000, 10_296).saturating_add(T::DbWeight::get().reads_writes(4, 3))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(60_780_000, 7_691).saturating_add(T::DbWeight::get().reads_writes(3, 4))
	}
	fn recover_finality() -> Weight {
		Weight::from_parts(32_148_000, 2_562).saturating_add(T::DbWeight::get().reads_writes(1, 2))
	}
	fn report_two_blocks() -> Weight {
		Weight::from_parts(4_089_300_000, 395_710).saturating_add(T::DbWeight::get().reads_writes(148, 11))
	}
	fn make_due() -> Weight {
		Weight::from_parts(28_142_016_000, 316_093).saturating_add(T::DbWeight::get().reads_writes(117, 71))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn announce() -> Weight {
		Weight::from_parts(1_308_771_000, 227_423).saturating_add(RocksDbWeight::get().reads_writes(84, 6))
	}
	fn set_endpoint() -> Weight {
		Weight::from_parts(110_715_000, 5_416).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn enact() -> Weight {
		Weight::from_parts(159_207_000, 10_296).saturating_add(RocksDbWeight::get().reads_writes(4, 3))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(60_780_000, 7_691).saturating_add(RocksDbWeight::get().reads_writes(3, 4))
	}
	fn recover_finality() -> Weight {
		Weight::from_parts(32_148_000, 2_562).saturating_add(RocksDbWeight::get().reads_writes(1, 2))
	}
	fn report_two_blocks() -> Weight {
		Weight::from_parts(4_089_300_000, 395_710).saturating_add(RocksDbWeight::get().reads_writes(148, 11))
	}
	fn make_due() -> Weight {
		Weight::from_parts(28_142_016_000, 316_093).saturating_add(RocksDbWeight::get().reads_writes(117, 71))
	}
}
