//! What the pallet's calls cost. The runtime brings measured numbers; `()` is for unit tests.

use polkadot_sdk::frame_support::weights::Weight;

pub trait WeightInfo {
	/// Without the verification of a quote, which the attestation pallet charges.
	/// `quote`: length of the setup's quote in bytes, 0 without one.
	fn publish(quote: u32) -> Weight;
	fn retire() -> Weight;
	fn certify_ceremony() -> Weight;
}

impl WeightInfo for () {
	fn publish(_quote: u32) -> Weight {
		Weight::from_parts(1, 0)
	}
	fn retire() -> Weight {
		Weight::from_parts(1, 0)
	}
	fn certify_ceremony() -> Weight {
		Weight::from_parts(1, 0)
	}
}
