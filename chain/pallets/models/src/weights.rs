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

/// The weight of each call, under its name.
#[allow(missing_docs)]
pub trait WeightInfo {
	/// Without the verification of a quote, which the attestation pallet charges.
	/// `key`: length of the verifying key in bytes. `quote`: length of the setup's quote in bytes, 0 without one.
	/// Estimated from the keys that it touches; not measured yet.
	fn publish(key: u32, quote: u32) -> Weight;
	fn retire() -> Weight;
	fn certify_ceremony() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn set_price() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn remove() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn strike_off() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn withdraw_setup() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn set_verifier() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn measure() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn publish(key: u32, quote: u32) -> Weight {
		Weight::from_parts(250_000_000, 18_000)
			.saturating_add(Weight::from_parts(1_993, 0).saturating_mul(u64::from(quote)))
			.saturating_add(Weight::from_parts(1_993, 0).saturating_mul(u64::from(key)))
			.saturating_add(T::DbWeight::get().reads_writes(8, 7))
	}
	fn retire() -> Weight {
		Weight::from_parts(57_378_000, 5_452).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn certify_ceremony() -> Weight {
		Weight::from_parts(56_235_000, 5_452).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn set_price() -> Weight {
		Weight::from_parts(60_000_000, 5_500).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn remove() -> Weight {
		Weight::from_parts(120_000_000, 16_000).saturating_add(T::DbWeight::get().reads_writes(4, 5))
	}
	fn strike_off() -> Weight {
		Weight::from_parts(250_000_000, 18_000).saturating_add(T::DbWeight::get().reads_writes(8, 7))
	}
	fn withdraw_setup() -> Weight {
		Weight::from_parts(60_000_000, 5_500).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn set_verifier() -> Weight {
		Weight::from_parts(60_000_000, 8_000).saturating_add(T::DbWeight::get().reads_writes(3, 2))
	}
	fn measure() -> Weight {
		Weight::from_parts(150_000_000, 20_000).saturating_add(T::DbWeight::get().reads_writes(5, 5))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn publish(key: u32, quote: u32) -> Weight {
		Weight::from_parts(250_000_000, 18_000)
			.saturating_add(Weight::from_parts(1_993, 0).saturating_mul(u64::from(quote)))
			.saturating_add(Weight::from_parts(1_993, 0).saturating_mul(u64::from(key)))
			.saturating_add(RocksDbWeight::get().reads_writes(8, 7))
	}
	fn retire() -> Weight {
		Weight::from_parts(57_378_000, 5_452).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn certify_ceremony() -> Weight {
		Weight::from_parts(56_235_000, 5_452).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn set_price() -> Weight {
		Weight::from_parts(60_000_000, 5_500).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn remove() -> Weight {
		Weight::from_parts(120_000_000, 16_000).saturating_add(RocksDbWeight::get().reads_writes(4, 4))
	}
	fn strike_off() -> Weight {
		Weight::from_parts(250_000_000, 18_000).saturating_add(RocksDbWeight::get().reads_writes(8, 7))
	}
	fn withdraw_setup() -> Weight {
		Weight::from_parts(60_000_000, 5_500).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn set_verifier() -> Weight {
		Weight::from_parts(60_000_000, 8_000).saturating_add(RocksDbWeight::get().reads_writes(3, 2))
	}
	fn measure() -> Weight {
		Weight::from_parts(150_000_000, 20_000).saturating_add(RocksDbWeight::get().reads_writes(5, 5))
	}
}
