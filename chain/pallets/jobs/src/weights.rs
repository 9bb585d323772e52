//! What the pallet's calls cost. The runtime brings measured numbers; `()` is for unit tests.

use polkadot_sdk::frame_support::weights::Weight;

pub trait WeightInfo {
	/// `sealed`: length of the sealed input in bytes. Recipients: the most there may be.
	fn submit(sealed: u32) -> Weight;
	/// A claim over a lapsed one, the costlier kind.
	fn claim() -> Weight;
	fn release() -> Weight;
	fn lapse() -> Weight;
	/// Everything but the contract's verdict. `sealed_output`, `proof`: lengths in bytes.
	fn complete(sealed_output: u32, proof: u32) -> Weight;
	/// Of a claimed job, the costlier kind.
	fn expire() -> Weight;
}

/// Distinct numbers, so that a test sees which one was charged.
impl WeightInfo for () {
	fn submit(sealed: u32) -> Weight {
		Weight::from_parts(1_000_000 + u64::from(sealed), 0)
	}
	fn claim() -> Weight {
		Weight::from_parts(2_000_000, 0)
	}
	fn release() -> Weight {
		Weight::from_parts(3_000_000, 0)
	}
	fn lapse() -> Weight {
		Weight::from_parts(4_000_000, 0)
	}
	fn complete(sealed_output: u32, proof: u32) -> Weight {
		Weight::from_parts(5_000_000 + u64::from(sealed_output) + u64::from(proof), 0)
	}
	fn expire() -> Weight {
		Weight::from_parts(6_000_000, 0)
	}
}
