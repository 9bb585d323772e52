//! What the attestation pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	fn add_root() -> Weight;
	fn remove_root() -> Weight;
	fn allow_measurement() -> Weight;
	fn disallow_measurement() -> Weight;
	fn drop_collateral() -> Weight;
	fn reset_collateral() -> Weight;
	fn ban_platform() -> Weight;
	fn set_policy() -> Weight;
	fn refresh_collateral() -> Weight;
	/// What `QuoteVerifier::verify_quote` uses, for the calls of other pallets.
	fn verify_quote() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn add_root() -> Weight {
		Weight::from_parts(50_292_000, 7_691).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn remove_root() -> Weight {
		Weight::from_parts(40_710_000, 8_291).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn allow_measurement() -> Weight {
		Weight::from_parts(41_973_000, 7_686).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn disallow_measurement() -> Weight {
		Weight::from_parts(47_589_000, 7_693).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn drop_collateral() -> Weight {
		Weight::from_parts(109_965_000, 21_023).saturating_add(T::DbWeight::get().reads_writes(6, 5))
	}
	fn reset_collateral() -> Weight {
		Weight::from_parts(104_196_000, 18_461).saturating_add(T::DbWeight::get().reads_writes(5, 5))
	}
	fn ban_platform() -> Weight {
		Weight::from_parts(18_417_000, 2_562).saturating_add(T::DbWeight::get().reads_writes(1, 2))
	}
	fn set_policy() -> Weight {
		Weight::from_parts(17_757_000, 2_562).saturating_add(T::DbWeight::get().reads_writes(1, 2))
	}
	fn refresh_collateral() -> Weight {
		Weight::from_parts(9_609_171_000, 13_831).saturating_add(T::DbWeight::get().reads_writes(3, 2))
	}
	fn verify_quote() -> Weight {
		Weight::from_parts(10_592_376_000, 16_410).saturating_add(T::DbWeight::get().reads_writes(4, 0))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn add_root() -> Weight {
		Weight::from_parts(50_292_000, 7_691).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn remove_root() -> Weight {
		Weight::from_parts(40_710_000, 8_291).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn allow_measurement() -> Weight {
		Weight::from_parts(41_973_000, 7_686).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn disallow_measurement() -> Weight {
		Weight::from_parts(47_589_000, 7_693).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn drop_collateral() -> Weight {
		Weight::from_parts(109_965_000, 21_023).saturating_add(RocksDbWeight::get().reads_writes(6, 5))
	}
	fn reset_collateral() -> Weight {
		Weight::from_parts(104_196_000, 18_461).saturating_add(RocksDbWeight::get().reads_writes(5, 5))
	}
	fn ban_platform() -> Weight {
		Weight::from_parts(18_417_000, 2_562).saturating_add(RocksDbWeight::get().reads_writes(1, 2))
	}
	fn set_policy() -> Weight {
		Weight::from_parts(17_757_000, 2_562).saturating_add(RocksDbWeight::get().reads_writes(1, 2))
	}
	fn refresh_collateral() -> Weight {
		Weight::from_parts(9_609_171_000, 13_831).saturating_add(RocksDbWeight::get().reads_writes(3, 2))
	}
	fn verify_quote() -> Weight {
		Weight::from_parts(10_592_376_000, 16_410).saturating_add(RocksDbWeight::get().reads_writes(4, 0))
	}
}
