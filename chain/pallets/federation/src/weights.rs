//! What the federation pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	fn register_site() -> Weight;
	fn leave() -> Weight;
	fn set_consents() -> Weight;
	fn create() -> Weight;
	fn invite() -> Weight;
	fn join() -> Weight;
	fn withdraw() -> Weight;
	fn open() -> Weight;
	fn commit() -> Weight;
	/// `values`: how many the chain opens.
	fn publish(values: u32) -> Weight;
	fn fail() -> Weight;
	fn close() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn register_site() -> Weight {
		Weight::from_parts(215_061_000, 10_329).saturating_add(T::DbWeight::get().reads_writes(4, 4))
	}
	fn leave() -> Weight {
		Weight::from_parts(160_590_000, 10_439).saturating_add(T::DbWeight::get().reads_writes(4, 4))
	}
	fn set_consents() -> Weight {
		Weight::from_parts(48_339_000, 5_254).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn create() -> Weight {
		Weight::from_parts(245_973_000, 23_564).saturating_add(T::DbWeight::get().reads_writes(9, 4))
	}
	fn invite() -> Weight {
		Weight::from_parts(51_195_000, 6_050).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn join() -> Weight {
		Weight::from_parts(66_879_000, 8_791).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(49_515_000, 6_099).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn open() -> Weight {
		Weight::from_parts(683_515_000, 24_524).saturating_add(T::DbWeight::get().reads_writes(9, 3))
	}
	fn commit() -> Weight {
		Weight::from_parts(497_685_000, 12_864).saturating_add(T::DbWeight::get().reads_writes(4, 4))
	}
	fn publish(values: u32) -> Weight {
		Weight::from_parts(3_796_180_000, 55_935)
			.saturating_add(Weight::from_parts(75_466_275, 0).saturating_mul(u64::from(values)))
			.saturating_add(T::DbWeight::get().reads_writes(20, 3))
	}
	fn fail() -> Weight {
		Weight::from_parts(51_318_000, 10_172).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn close() -> Weight {
		Weight::from_parts(1_660_623_000, 54_396).saturating_add(T::DbWeight::get().reads_writes(20, 276))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn register_site() -> Weight {
		Weight::from_parts(215_061_000, 10_329).saturating_add(RocksDbWeight::get().reads_writes(4, 4))
	}
	fn leave() -> Weight {
		Weight::from_parts(160_590_000, 10_439).saturating_add(RocksDbWeight::get().reads_writes(4, 4))
	}
	fn set_consents() -> Weight {
		Weight::from_parts(48_339_000, 5_254).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn create() -> Weight {
		Weight::from_parts(245_973_000, 23_564).saturating_add(RocksDbWeight::get().reads_writes(9, 4))
	}
	fn invite() -> Weight {
		Weight::from_parts(51_195_000, 6_050).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn join() -> Weight {
		Weight::from_parts(66_879_000, 8_791).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(49_515_000, 6_099).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn open() -> Weight {
		Weight::from_parts(683_515_000, 24_524).saturating_add(RocksDbWeight::get().reads_writes(9, 3))
	}
	fn commit() -> Weight {
		Weight::from_parts(497_685_000, 12_864).saturating_add(RocksDbWeight::get().reads_writes(4, 4))
	}
	fn publish(values: u32) -> Weight {
		Weight::from_parts(3_796_180_000, 55_935)
			.saturating_add(Weight::from_parts(75_466_275, 0).saturating_mul(u64::from(values)))
			.saturating_add(RocksDbWeight::get().reads_writes(20, 3))
	}
	fn fail() -> Weight {
		Weight::from_parts(51_318_000, 10_172).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn close() -> Weight {
		Weight::from_parts(1_660_623_000, 54_396).saturating_add(RocksDbWeight::get().reads_writes(20, 276))
	}
}
