//! What the jobs pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.
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
	/// `sealed`: length of the sealed input in bytes. Recipients: the most there may be.
	/// Estimated from the keys that it touches; not measured yet.
	fn submit(sealed: u32) -> Weight;
	/// A claim over a lapsed one, the costlier kind.
	/// Estimated from the keys that it touches; not measured yet.
	fn claim() -> Weight;
	/// Raised by estimate for the record of missed claims.
	fn release() -> Weight;
	/// Raised by estimate for the record of missed claims.
	fn lapse() -> Weight;
	/// Everything but the contract's verdict. `sealed_output`, `proof`: lengths in bytes.
	/// Estimated from the keys that it touches; not measured yet.
	fn complete(sealed_output: u32, proof: u32) -> Weight;
	/// Of a claimed job, the costlier kind.
	/// Estimated from the keys that it touches; not measured yet.
	fn expire() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn decline() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn cancel() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn forget() -> Weight;
	/// `sealed_output`, `manifest`: lengths in bytes.
	/// Estimated from the keys that it touches; not measured yet.
	fn contest(sealed_output: u32, manifest: u32) -> Weight;
}

/// The measured weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn submit(sealed: u32) -> Weight {
		Weight::from_parts(2_500_000_000, 240_000)
			.saturating_add(Weight::from_parts(6_857, 0).saturating_mul(u64::from(sealed)))
			.saturating_add(T::DbWeight::get().reads_writes(63, 18))
	}
	fn claim() -> Weight {
		Weight::from_parts(900_000_000, 130_000).saturating_add(T::DbWeight::get().reads_writes(44, 14))
	}
	fn release() -> Weight {
		Weight::from_parts(315_894_000, 27_000).saturating_add(T::DbWeight::get().reads_writes(10, 9))
	}
	fn lapse() -> Weight {
		Weight::from_parts(391_272_000, 40_000).saturating_add(T::DbWeight::get().reads_writes(13, 13))
	}
	fn complete(sealed_output: u32, proof: u32) -> Weight {
		Weight::from_parts(1_500_000_000, 90_000)
			.saturating_add(Weight::from_parts(1_995, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(2_255, 0).saturating_mul(u64::from(proof)))
			.saturating_add(T::DbWeight::get().reads_writes(30, 30))
	}
	fn expire() -> Weight {
		Weight::from_parts(371_619_000, 40_000).saturating_add(T::DbWeight::get().reads_writes(14, 22))
	}
	fn decline() -> Weight {
		Weight::from_parts(500_000_000, 40_000).saturating_add(T::DbWeight::get().reads_writes(12, 12))
	}
	fn cancel() -> Weight {
		Weight::from_parts(450_000_000, 40_000).saturating_add(T::DbWeight::get().reads_writes(12, 12))
	}
	fn forget() -> Weight {
		Weight::from_parts(200_000_000, 12_000).saturating_add(T::DbWeight::get().reads_writes(4, 4))
	}
	fn contest(sealed_output: u32, manifest: u32) -> Weight {
		Weight::from_parts(100_000_000_000, 40_000)
			.saturating_add(Weight::from_parts(10_000_000, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(50_000, 0).saturating_mul(u64::from(manifest)))
			.saturating_add(T::DbWeight::get().reads_writes(12, 8))
	}
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	fn submit(sealed: u32) -> Weight {
		Weight::from_parts(2_500_000_000, 240_000)
			.saturating_add(Weight::from_parts(6_857, 0).saturating_mul(u64::from(sealed)))
			.saturating_add(RocksDbWeight::get().reads_writes(63, 18))
	}
	fn claim() -> Weight {
		Weight::from_parts(900_000_000, 130_000).saturating_add(RocksDbWeight::get().reads_writes(44, 14))
	}
	fn release() -> Weight {
		Weight::from_parts(315_894_000, 27_000).saturating_add(RocksDbWeight::get().reads_writes(10, 9))
	}
	fn lapse() -> Weight {
		Weight::from_parts(391_272_000, 40_000).saturating_add(RocksDbWeight::get().reads_writes(13, 13))
	}
	fn complete(sealed_output: u32, proof: u32) -> Weight {
		Weight::from_parts(1_500_000_000, 90_000)
			.saturating_add(Weight::from_parts(1_995, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(2_255, 0).saturating_mul(u64::from(proof)))
			.saturating_add(RocksDbWeight::get().reads_writes(30, 30))
	}
	fn expire() -> Weight {
		Weight::from_parts(371_619_000, 40_000).saturating_add(RocksDbWeight::get().reads_writes(14, 22))
	}
	fn decline() -> Weight {
		Weight::from_parts(500_000_000, 40_000).saturating_add(RocksDbWeight::get().reads_writes(12, 12))
	}
	fn cancel() -> Weight {
		Weight::from_parts(450_000_000, 40_000).saturating_add(RocksDbWeight::get().reads_writes(12, 12))
	}
	fn forget() -> Weight {
		Weight::from_parts(200_000_000, 12_000).saturating_add(RocksDbWeight::get().reads_writes(4, 4))
	}
	fn contest(sealed_output: u32, manifest: u32) -> Weight {
		Weight::from_parts(100_000_000_000, 40_000)
			.saturating_add(Weight::from_parts(10_000_000, 0).saturating_mul(u64::from(sealed_output)))
			.saturating_add(Weight::from_parts(50_000, 0).saturating_mul(u64::from(manifest)))
			.saturating_add(RocksDbWeight::get().reads_writes(12, 8))
	}
}
