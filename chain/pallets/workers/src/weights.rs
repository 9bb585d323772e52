//! What the workers pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	/// Without the verification of the quote, which the attestation pallet charges.
	/// Estimated from the keys that it touches; not measured yet.
	fn register() -> Weight;
	/// Without the verification of the quote, which the attestation pallet charges.
	/// Estimated from the keys that it touches; not measured yet.
	fn renew() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn retire() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn withdraw() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn serve() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn unserve() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn report_equivocation() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn ban() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn top_up() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn register() -> Weight {
		Weight::from_parts(600_000_000, 30_000).saturating_add(T::DbWeight::get().reads_writes(11, 9))
	}
	fn renew() -> Weight {
		Weight::from_parts(900_000_000, 30_000).saturating_add(T::DbWeight::get().reads_writes(11, 42))
	}
	fn retire() -> Weight {
		Weight::from_parts(1_500_000_000, 200_000).saturating_add(T::DbWeight::get().reads_writes(70, 70))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(600_000_000, 20_000).saturating_add(T::DbWeight::get().reads_writes(9, 42))
	}
	fn serve() -> Weight {
		Weight::from_parts(200_000_000, 20_000).saturating_add(T::DbWeight::get().reads_writes(5, 4))
	}
	fn unserve() -> Weight {
		Weight::from_parts(150_000_000, 12_000).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
	fn report_equivocation() -> Weight {
		Weight::from_parts(900_000_000, 25_000).saturating_add(T::DbWeight::get().reads_writes(8, 7))
	}
	fn ban() -> Weight {
		Weight::from_parts(60_000_000, 6_000).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn top_up() -> Weight {
		Weight::from_parts(150_000_000, 8_000).saturating_add(T::DbWeight::get().reads_writes(3, 3))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn register() -> Weight {
		Weight::from_parts(600_000_000, 30_000).saturating_add(RocksDbWeight::get().reads_writes(11, 9))
	}
	fn renew() -> Weight {
		Weight::from_parts(900_000_000, 30_000).saturating_add(RocksDbWeight::get().reads_writes(11, 42))
	}
	fn retire() -> Weight {
		Weight::from_parts(1_500_000_000, 200_000).saturating_add(RocksDbWeight::get().reads_writes(70, 70))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(600_000_000, 20_000).saturating_add(RocksDbWeight::get().reads_writes(9, 42))
	}
	fn serve() -> Weight {
		Weight::from_parts(200_000_000, 20_000).saturating_add(RocksDbWeight::get().reads_writes(5, 4))
	}
	fn unserve() -> Weight {
		Weight::from_parts(150_000_000, 12_000).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn report_equivocation() -> Weight {
		Weight::from_parts(900_000_000, 25_000).saturating_add(RocksDbWeight::get().reads_writes(8, 7))
	}
	fn ban() -> Weight {
		Weight::from_parts(60_000_000, 6_000).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn top_up() -> Weight {
		Weight::from_parts(150_000_000, 8_000).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
}
