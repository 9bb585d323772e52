//! What the sessions pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	fn allow() -> Weight;
	fn offer() -> Weight;
	fn withdraw() -> Weight;
	fn open() -> Weight;
	fn top_up() -> Weight;
	fn close() -> Weight;
	fn checkpoint() -> Weight;
	fn draw() -> Weight;
	fn force() -> Weight;
	/// Everything but the contract's verdict; a proof that is false ends the session.
	fn prove(pages: u32) -> Weight;
	/// The costlier kind: it ends the session.
	fn finish() -> Weight;
	fn waive() -> Weight;
	fn settle() -> Weight;
	fn report() -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn allow() -> Weight {
		Weight::from_parts(167_526_000, 13_030).saturating_add(T::DbWeight::get().reads_writes(5, 4))
	}
	fn offer() -> Weight {
		Weight::from_parts(204_813_000, 31_453).saturating_add(T::DbWeight::get().reads_writes(12, 4))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(157_044_000, 13_048).saturating_add(T::DbWeight::get().reads_writes(5, 4))
	}
	fn open() -> Weight {
		Weight::from_parts(383_880_000, 44_608).saturating_add(T::DbWeight::get().reads_writes(17, 8))
	}
	fn top_up() -> Weight {
		Weight::from_parts(143_793_000, 13_220).saturating_add(T::DbWeight::get().reads_writes(5, 4))
	}
	fn close() -> Weight {
		Weight::from_parts(34_461_000, 7_977).saturating_add(T::DbWeight::get().reads_writes(3, 2))
	}
	fn checkpoint() -> Weight {
		Weight::from_parts(291_342_000, 23_771).saturating_add(T::DbWeight::get().reads_writes(9, 3))
	}
	fn draw() -> Weight {
		Weight::from_parts(272_595_000, 92_771).saturating_add(T::DbWeight::get().reads_writes(36, 2))
	}
	fn force() -> Weight {
		Weight::from_parts(169_722_000, 18_734).saturating_add(T::DbWeight::get().reads_writes(6, 4))
	}
	fn prove(pages: u32) -> Weight {
		Weight::from_parts(3_945_657_000, 291_737)
			.saturating_add(Weight::from_parts(0, 0).saturating_mul(u64::from(pages)))
			.saturating_add(T::DbWeight::get().reads_writes(77, 42))
	}
	fn finish() -> Weight {
		Weight::from_parts(4_036_662_000, 288_532).saturating_add(T::DbWeight::get().reads_writes(76, 41))
	}
	fn waive() -> Weight {
		Weight::from_parts(4_046_244_000, 198_425).saturating_add(T::DbWeight::get().reads_writes(41, 41))
	}
	fn settle() -> Weight {
		Weight::from_parts(258_471_000, 21_360).saturating_add(T::DbWeight::get().reads_writes(8, 8))
	}
	fn report() -> Weight {
		Weight::from_parts(1_185_798_000, 26_410).saturating_add(T::DbWeight::get().reads_writes(10, 7))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn allow() -> Weight {
		Weight::from_parts(167_526_000, 13_030).saturating_add(RocksDbWeight::get().reads_writes(5, 4))
	}
	fn offer() -> Weight {
		Weight::from_parts(204_813_000, 31_453).saturating_add(RocksDbWeight::get().reads_writes(12, 4))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(157_044_000, 13_048).saturating_add(RocksDbWeight::get().reads_writes(5, 4))
	}
	fn open() -> Weight {
		Weight::from_parts(383_880_000, 44_608).saturating_add(RocksDbWeight::get().reads_writes(17, 8))
	}
	fn top_up() -> Weight {
		Weight::from_parts(143_793_000, 13_220).saturating_add(RocksDbWeight::get().reads_writes(5, 4))
	}
	fn close() -> Weight {
		Weight::from_parts(34_461_000, 7_977).saturating_add(RocksDbWeight::get().reads_writes(3, 2))
	}
	fn checkpoint() -> Weight {
		Weight::from_parts(291_342_000, 23_771).saturating_add(RocksDbWeight::get().reads_writes(9, 3))
	}
	fn draw() -> Weight {
		Weight::from_parts(272_595_000, 92_771).saturating_add(RocksDbWeight::get().reads_writes(36, 2))
	}
	fn force() -> Weight {
		Weight::from_parts(169_722_000, 18_734).saturating_add(RocksDbWeight::get().reads_writes(6, 4))
	}
	fn prove(pages: u32) -> Weight {
		Weight::from_parts(3_945_657_000, 291_737)
			.saturating_add(Weight::from_parts(0, 0).saturating_mul(u64::from(pages)))
			.saturating_add(RocksDbWeight::get().reads_writes(77, 42))
	}
	fn finish() -> Weight {
		Weight::from_parts(4_036_662_000, 288_532).saturating_add(RocksDbWeight::get().reads_writes(76, 41))
	}
	fn waive() -> Weight {
		Weight::from_parts(4_046_244_000, 198_425).saturating_add(RocksDbWeight::get().reads_writes(41, 41))
	}
	fn settle() -> Weight {
		Weight::from_parts(258_471_000, 21_360).saturating_add(RocksDbWeight::get().reads_writes(8, 8))
	}
	fn report() -> Weight {
		Weight::from_parts(1_185_798_000, 26_410).saturating_add(RocksDbWeight::get().reads_writes(10, 7))
	}
}
