//! What the workers pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	/// Without the verification of the quote, which the attestation pallet charges.
	fn register() -> Weight;
	/// Without the verification of the quote, which the attestation pallet charges.
	fn renew() -> Weight;
	/// Of a worker that serves as many models as it may.
	fn retire() -> Weight;
	/// Of a worker with as many past keys as it may have.
	fn withdraw() -> Weight;
	fn serve() -> Weight;
	fn unserve() -> Weight;
	fn report_equivocation() -> Weight;
	fn ban() -> Weight;
	fn top_up() -> Weight;
	fn report_two_receipts() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn register() -> Weight {
		Weight::from_parts(2_243_907_000, 25_787).saturating_add(T::DbWeight::get().reads_writes(10, 7))
	}
	fn renew() -> Weight {
		Weight::from_parts(2_243_907_000, 19_546).saturating_add(T::DbWeight::get().reads_writes(7, 36))
	}
	fn retire() -> Weight {
		Weight::from_parts(478_548_000, 87_529).saturating_add(T::DbWeight::get().reads_writes(34, 66))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(222_330_000, 14_479).saturating_add(T::DbWeight::get().reads_writes(5, 41))
	}
	fn serve() -> Weight {
		Weight::from_parts(59_577_000, 16_198).saturating_add(T::DbWeight::get().reads_writes(6, 4))
	}
	fn unserve() -> Weight {
		Weight::from_parts(55_791_000, 8_092).saturating_add(T::DbWeight::get().reads_writes(3, 4))
	}
	fn report_equivocation() -> Weight {
		Weight::from_parts(751_083_000, 23_794).saturating_add(T::DbWeight::get().reads_writes(9, 7))
	}
	fn ban() -> Weight {
		Weight::from_parts(28_089_000, 5_513).saturating_add(T::DbWeight::get().reads_writes(2, 2))
	}
	fn top_up() -> Weight {
		Weight::from_parts(119_757_000, 10_756).saturating_add(T::DbWeight::get().reads_writes(4, 3))
	}
	fn report_two_receipts() -> Weight {
		Weight::from_parts(637_725_000, 21_199).saturating_add(T::DbWeight::get().reads_writes(8, 7))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn register() -> Weight {
		Weight::from_parts(2_243_907_000, 25_787).saturating_add(RocksDbWeight::get().reads_writes(10, 7))
	}
	fn renew() -> Weight {
		Weight::from_parts(2_243_907_000, 19_546).saturating_add(RocksDbWeight::get().reads_writes(7, 36))
	}
	fn retire() -> Weight {
		Weight::from_parts(478_548_000, 87_529).saturating_add(RocksDbWeight::get().reads_writes(34, 66))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(222_330_000, 14_479).saturating_add(RocksDbWeight::get().reads_writes(5, 41))
	}
	fn serve() -> Weight {
		Weight::from_parts(59_577_000, 16_198).saturating_add(RocksDbWeight::get().reads_writes(6, 4))
	}
	fn unserve() -> Weight {
		Weight::from_parts(55_791_000, 8_092).saturating_add(RocksDbWeight::get().reads_writes(3, 4))
	}
	fn report_equivocation() -> Weight {
		Weight::from_parts(751_083_000, 23_794).saturating_add(RocksDbWeight::get().reads_writes(9, 7))
	}
	fn ban() -> Weight {
		Weight::from_parts(28_089_000, 5_513).saturating_add(RocksDbWeight::get().reads_writes(2, 2))
	}
	fn top_up() -> Weight {
		Weight::from_parts(119_757_000, 10_756).saturating_add(RocksDbWeight::get().reads_writes(4, 3))
	}
	fn report_two_receipts() -> Weight {
		Weight::from_parts(637_725_000, 21_199).saturating_add(RocksDbWeight::get().reads_writes(8, 7))
	}
}
