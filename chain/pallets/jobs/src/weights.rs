//! What the jobs pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	/// `sealed`: length of the sealed input in bytes. Recipients: the most there may be.
	fn submit(sealed: u32) -> Weight;
	/// A claim over a lapsed one, the costlier kind.
	fn claim() -> Weight;
	fn release() -> Weight;
	fn lapse() -> Weight;
	/// Everything but the contract's verdict. `sealed_output`, `proof`: lengths in bytes.
	fn complete(sealed_output: u32, proof: u32) -> Weight;
	/// By the last recipient, which ends the job.
	fn decline() -> Weight;
	fn cancel() -> Weight;
	fn forget() -> Weight;
	/// Of a claimed job, the costlier kind.
	fn expire() -> Weight;
	/// `sealed_output`, `manifest`: lengths in bytes.
	fn contest(sealed_output: u32, manifest: u32) -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn submit(sealed: u32) -> Weight {
		Weight::from_parts(594_309_000, 157_923)
			.saturating_add(Weight::from_parts(1_678, 0).saturating_mul(u64::from(sealed)))
			.saturating_add(T::DbWeight::get().reads_writes(60, 17))
	}
	fn claim() -> Weight {
		Weight::from_parts(728_850_000, 140_629).saturating_add(T::DbWeight::get().reads_writes(53, 13))
	}
	fn release() -> Weight {
		Weight::from_parts(203_610_000, 26_895).saturating_add(T::DbWeight::get().reads_writes(10, 9))
	}
	fn lapse() -> Weight {
		Weight::from_parts(338_151_000, 32_113).saturating_add(T::DbWeight::get().reads_writes(12, 13))
	}
	fn complete(sealed_output: u32, proof: u32) -> Weight {
		Weight::from_parts(660_738_000, 56_192)
			.saturating_add(Weight::from_parts(1_782, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(1_774, 0).saturating_mul(u64::from(proof)))
			.saturating_add(T::DbWeight::get().reads_writes(21, 20))
	}
	fn decline() -> Weight {
		Weight::from_parts(262_920_000, 29_615).saturating_add(T::DbWeight::get().reads_writes(11, 20))
	}
	fn cancel() -> Weight {
		Weight::from_parts(274_878_000, 26_404).saturating_add(T::DbWeight::get().reads_writes(10, 19))
	}
	fn forget() -> Weight {
		Weight::from_parts(121_860_000, 13_385).saturating_add(T::DbWeight::get().reads_writes(5, 5))
	}
	fn expire() -> Weight {
		Weight::from_parts(460_011_000, 29_488).saturating_add(T::DbWeight::get().reads_writes(11, 21))
	}
	fn contest(sealed_output: u32, manifest: u32) -> Weight {
		Weight::from_parts(54_933_655_000, 29_543)
			.saturating_add(Weight::from_parts(6_770_378, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(31_090, 0).saturating_mul(u64::from(manifest)))
			.saturating_add(T::DbWeight::get().reads_writes(11, 8))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn submit(sealed: u32) -> Weight {
		Weight::from_parts(594_309_000, 157_923)
			.saturating_add(Weight::from_parts(1_678, 0).saturating_mul(u64::from(sealed)))
			.saturating_add(RocksDbWeight::get().reads_writes(60, 17))
	}
	fn claim() -> Weight {
		Weight::from_parts(728_850_000, 140_629).saturating_add(RocksDbWeight::get().reads_writes(53, 13))
	}
	fn release() -> Weight {
		Weight::from_parts(203_610_000, 26_895).saturating_add(RocksDbWeight::get().reads_writes(10, 9))
	}
	fn lapse() -> Weight {
		Weight::from_parts(338_151_000, 32_113).saturating_add(RocksDbWeight::get().reads_writes(12, 13))
	}
	fn complete(sealed_output: u32, proof: u32) -> Weight {
		Weight::from_parts(660_738_000, 56_192)
			.saturating_add(Weight::from_parts(1_782, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(1_774, 0).saturating_mul(u64::from(proof)))
			.saturating_add(RocksDbWeight::get().reads_writes(21, 20))
	}
	fn decline() -> Weight {
		Weight::from_parts(262_920_000, 29_615).saturating_add(RocksDbWeight::get().reads_writes(11, 20))
	}
	fn cancel() -> Weight {
		Weight::from_parts(274_878_000, 26_404).saturating_add(RocksDbWeight::get().reads_writes(10, 19))
	}
	fn forget() -> Weight {
		Weight::from_parts(121_860_000, 13_385).saturating_add(RocksDbWeight::get().reads_writes(5, 5))
	}
	fn expire() -> Weight {
		Weight::from_parts(460_011_000, 29_488).saturating_add(RocksDbWeight::get().reads_writes(11, 21))
	}
	fn contest(sealed_output: u32, manifest: u32) -> Weight {
		Weight::from_parts(54_933_655_000, 29_543)
			.saturating_add(Weight::from_parts(6_770_378, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(31_090, 0).saturating_mul(u64::from(manifest)))
			.saturating_add(RocksDbWeight::get().reads_writes(11, 8))
	}
}
