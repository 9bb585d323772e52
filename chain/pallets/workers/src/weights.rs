//! Weights of the workers pallet. The verification of the quote is added by the calls themselves.

use polkadot_sdk::frame_support::weights::Weight;

pub trait WeightInfo {
	fn register() -> Weight;
	fn renew() -> Weight;
	fn retire() -> Weight;
}

impl WeightInfo for () {
	fn register() -> Weight {
		Weight::from_parts(100_000_000, 0)
	}
	fn renew() -> Weight {
		Weight::from_parts(100_000_000, 0)
	}
	fn retire() -> Weight {
		Weight::from_parts(100_000_000, 0)
	}
}
