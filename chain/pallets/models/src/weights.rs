//! What the models pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	/// Without the verification of a quote, which the attestation pallet charges.
	/// `key`: length of the verifying key in bytes. `quote`: length of the setup's quote, 0 without one.
	fn publish(key: u32, quote: u32) -> Weight;
	fn retire() -> Weight;
	fn set_price() -> Weight;
	fn remove() -> Weight;
	fn strike_off() -> Weight;
	fn withdraw_setup() -> Weight;
	fn set_verifier() -> Weight;
	fn certify_ceremony() -> Weight;
	/// Without the contract's verdict on the probe.
	fn measure() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn publish(key: u32, quote: u32) -> Weight {
		Weight::from_parts(153_708_000, 15_506)
			.saturating_add(Weight::from_parts(2_105, 0).saturating_mul(u64::from(key)))
			.saturating_add(Weight::from_parts(1_785, 0).saturating_mul(u64::from(quote)))
			.saturating_add(T::DbWeight::get().reads_writes(6, 7))
	}
	fn retire() -> Weight {
		Weight::from_parts(39_180_000, 5_469).saturating_add(T::DbWeight::get().reads_writes(2, 3))
	}
	fn set_price() -> Weight {
		Weight::from_parts(32_568_000, 5_469).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn remove() -> Weight {
		Weight::from_parts(109_272_000, 10_698).saturating_add(T::DbWeight::get().reads_writes(4, 6))
	}
	fn strike_off() -> Weight {
		Weight::from_parts(156_534_000, 13_337).saturating_add(T::DbWeight::get().reads_writes(5, 6))
	}
	fn withdraw_setup() -> Weight {
		Weight::from_parts(43_686_000, 5_469).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn set_verifier() -> Weight {
		Weight::from_parts(19_680_000, 2_562).saturating_add(T::DbWeight::get().reads_writes(1, 2))
	}
	fn certify_ceremony() -> Weight {
		Weight::from_parts(32_328_000, 5_469).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn measure() -> Weight {
		Weight::from_parts(43_326_000, 11_289).saturating_add(T::DbWeight::get().reads_writes(4, 2))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn publish(key: u32, quote: u32) -> Weight {
		Weight::from_parts(153_708_000, 15_506)
			.saturating_add(Weight::from_parts(2_105, 0).saturating_mul(u64::from(key)))
			.saturating_add(Weight::from_parts(1_785, 0).saturating_mul(u64::from(quote)))
			.saturating_add(RocksDbWeight::get().reads_writes(6, 7))
	}
	fn retire() -> Weight {
		Weight::from_parts(39_180_000, 5_469).saturating_add(RocksDbWeight::get().reads_writes(2, 3))
	}
	fn set_price() -> Weight {
		Weight::from_parts(32_568_000, 5_469).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn remove() -> Weight {
		Weight::from_parts(109_272_000, 10_698).saturating_add(RocksDbWeight::get().reads_writes(4, 6))
	}
	fn strike_off() -> Weight {
		Weight::from_parts(156_534_000, 13_337).saturating_add(RocksDbWeight::get().reads_writes(5, 6))
	}
	fn withdraw_setup() -> Weight {
		Weight::from_parts(43_686_000, 5_469).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn set_verifier() -> Weight {
		Weight::from_parts(19_680_000, 2_562).saturating_add(RocksDbWeight::get().reads_writes(1, 2))
	}
	fn certify_ceremony() -> Weight {
		Weight::from_parts(32_328_000, 5_469).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn measure() -> Weight {
		Weight::from_parts(43_326_000, 11_289).saturating_add(RocksDbWeight::get().reads_writes(4, 2))
	}
}
