//! What the jobs pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
//!
//! Time: median processor time of 100 runs of native, optimised code over an in-memory state, times
//! 3 for wasm (5 for arithmetic of large fields). Reads and writes: distinct keys, at the runtime's database weights.
//! Proof size: the values read and 2,560 bytes of trie each. Of the setup that a claim keeps, one write each to `claim`,
//! `release`, `lapse`, `expire` and `complete`, and a read to the last, are added and not measured.

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
		Weight::from_parts(1_253_832_000, 157_923)
			.saturating_add(Weight::from_parts(1_947, 0).saturating_mul(u64::from(sealed)))
			.saturating_add(T::DbWeight::get().reads_writes(60, 17))
	}
	fn claim() -> Weight {
		Weight::from_parts(932_529_000, 140_629).saturating_add(T::DbWeight::get().reads_writes(53, 13))
	}
	fn release() -> Weight {
		Weight::from_parts(271_020_000, 29_457).saturating_add(T::DbWeight::get().reads_writes(11, 10))
	}
	fn lapse() -> Weight {
		Weight::from_parts(421_149_000, 32_113).saturating_add(T::DbWeight::get().reads_writes(12, 13))
	}
	fn complete(sealed_output: u32, proof: u32) -> Weight {
		Weight::from_parts(882_906_000, 56_196)
			.saturating_add(Weight::from_parts(2_354, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(2_035, 0).saturating_mul(u64::from(proof)))
			.saturating_add(T::DbWeight::get().reads_writes(21, 20))
	}
	fn decline() -> Weight {
		Weight::from_parts(331_038_000, 29_615).saturating_add(T::DbWeight::get().reads_writes(11, 19))
	}
	fn cancel() -> Weight {
		Weight::from_parts(299_334_000, 26_404).saturating_add(T::DbWeight::get().reads_writes(10, 18))
	}
	fn forget() -> Weight {
		Weight::from_parts(241_200_000, 13_385).saturating_add(T::DbWeight::get().reads_writes(5, 5))
	}
	fn expire() -> Weight {
		Weight::from_parts(934_695_000, 29_488).saturating_add(T::DbWeight::get().reads_writes(11, 21))
	}
	fn contest(sealed_output: u32, manifest: u32) -> Weight {
		Weight::from_parts(64_251_975_000, 29_543)
			.saturating_add(Weight::from_parts(7_695_806, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(456_292, 0).saturating_mul(u64::from(manifest)))
			.saturating_add(T::DbWeight::get().reads_writes(11, 8))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn submit(sealed: u32) -> Weight {
		Weight::from_parts(1_253_832_000, 157_923)
			.saturating_add(Weight::from_parts(1_947, 0).saturating_mul(u64::from(sealed)))
			.saturating_add(RocksDbWeight::get().reads_writes(60, 17))
	}
	fn claim() -> Weight {
		Weight::from_parts(932_529_000, 140_629).saturating_add(RocksDbWeight::get().reads_writes(53, 13))
	}
	fn release() -> Weight {
		Weight::from_parts(271_020_000, 29_457).saturating_add(RocksDbWeight::get().reads_writes(11, 10))
	}
	fn lapse() -> Weight {
		Weight::from_parts(421_149_000, 32_113).saturating_add(RocksDbWeight::get().reads_writes(12, 13))
	}
	fn complete(sealed_output: u32, proof: u32) -> Weight {
		Weight::from_parts(882_906_000, 56_196)
			.saturating_add(Weight::from_parts(2_354, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(2_035, 0).saturating_mul(u64::from(proof)))
			.saturating_add(RocksDbWeight::get().reads_writes(21, 20))
	}
	fn decline() -> Weight {
		Weight::from_parts(331_038_000, 29_615).saturating_add(RocksDbWeight::get().reads_writes(11, 19))
	}
	fn cancel() -> Weight {
		Weight::from_parts(299_334_000, 26_404).saturating_add(RocksDbWeight::get().reads_writes(10, 18))
	}
	fn forget() -> Weight {
		Weight::from_parts(241_200_000, 13_385).saturating_add(RocksDbWeight::get().reads_writes(5, 5))
	}
	fn expire() -> Weight {
		Weight::from_parts(934_695_000, 29_488).saturating_add(RocksDbWeight::get().reads_writes(11, 21))
	}
	fn contest(sealed_output: u32, manifest: u32) -> Weight {
		Weight::from_parts(64_251_975_000, 29_543)
			.saturating_add(Weight::from_parts(7_695_806, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(456_292, 0).saturating_mul(u64::from(manifest)))
			.saturating_add(RocksDbWeight::get().reads_writes(11, 8))
	}
}
