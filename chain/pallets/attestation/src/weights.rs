//! What the attestation pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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

/// The weight of each call, under its name.
#[allow(missing_docs)]
pub trait WeightInfo {
	fn add_root() -> Weight;
	fn remove_root() -> Weight;
	fn allow_measurement() -> Weight;
	fn disallow_measurement() -> Weight;
	fn set_policy() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn refresh_collateral() -> Weight;
	/// What `QuoteVerifier::verify_quote` uses, for the calls of other pallets.
	fn verify_quote() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn drop_collateral() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn reset_collateral() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn ban_platform() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn add_root() -> Weight {
		Weight::from_parts(44_754_000, 7_691).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn remove_root() -> Weight {
		Weight::from_parts(30_297_000, 8_221).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn allow_measurement() -> Weight {
		Weight::from_parts(31_890_000, 7_686).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn disallow_measurement() -> Weight {
		Weight::from_parts(35_226_000, 7_693).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn set_policy() -> Weight {
		Weight::from_parts(19_116_000, 2_562).saturating_add(T::DbWeight::get().reads_writes(1, 2))
	}
	fn refresh_collateral() -> Weight {
		Weight::from_parts(11_500_000_000, 60_000).saturating_add(T::DbWeight::get().reads_writes(6, 5))
	}
	fn verify_quote() -> Weight {
		Weight::from_parts(10_479_549_000, 17_452).saturating_add(T::DbWeight::get().reads_writes(4, 0))
	}
	fn drop_collateral() -> Weight {
		Weight::from_parts(150_000_000, 30_000).saturating_add(T::DbWeight::get().reads_writes(5, 5))
	}
	fn reset_collateral() -> Weight {
		Weight::from_parts(150_000_000, 30_000).saturating_add(T::DbWeight::get().reads_writes(5, 5))
	}
	fn ban_platform() -> Weight {
		Weight::from_parts(40_000_000, 5_200).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn add_root() -> Weight {
		Weight::from_parts(44_754_000, 7_691).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn remove_root() -> Weight {
		Weight::from_parts(30_297_000, 8_221).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn allow_measurement() -> Weight {
		Weight::from_parts(31_890_000, 7_686).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn disallow_measurement() -> Weight {
		Weight::from_parts(35_226_000, 7_693).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn set_policy() -> Weight {
		Weight::from_parts(19_116_000, 2_562).saturating_add(RocksDbWeight::get().reads_writes(1, 2))
	}
	fn refresh_collateral() -> Weight {
		Weight::from_parts(11_500_000_000, 60_000).saturating_add(RocksDbWeight::get().reads_writes(6, 5))
	}
	fn verify_quote() -> Weight {
		Weight::from_parts(10_479_549_000, 17_452).saturating_add(RocksDbWeight::get().reads_writes(4, 0))
	}
	fn drop_collateral() -> Weight {
		Weight::from_parts(150_000_000, 30_000).saturating_add(RocksDbWeight::get().reads_writes(5, 5))
	}
	fn reset_collateral() -> Weight {
		Weight::from_parts(150_000_000, 30_000).saturating_add(RocksDbWeight::get().reads_writes(5, 5))
	}
	fn ban_platform() -> Weight {
		Weight::from_parts(40_000_000, 5_200).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
}
