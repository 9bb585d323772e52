//! Weights of the attestation pallet.

use polkadot_sdk::frame_support::weights::Weight;

pub trait WeightInfo {
	fn add_root() -> Weight;
	fn remove_root() -> Weight;
	fn allow_measurement() -> Weight;
	fn disallow_measurement() -> Weight;
	fn set_policy() -> Weight;
	fn refresh_collateral() -> Weight;
	/// What `QuoteVerifier::verify_quote` uses, for the calls of other pallets.
	fn verify_quote() -> Weight;
}

impl WeightInfo for () {
	fn add_root() -> Weight {
		Weight::from_parts(20_000_000, 0)
	}
	fn remove_root() -> Weight {
		Weight::from_parts(20_000_000, 0)
	}
	fn allow_measurement() -> Weight {
		Weight::from_parts(20_000_000, 0)
	}
	fn disallow_measurement() -> Weight {
		Weight::from_parts(20_000_000, 0)
	}
	fn set_policy() -> Weight {
		Weight::from_parts(20_000_000, 0)
	}
	fn refresh_collateral() -> Weight {
		Weight::from_parts(30_000_000_000, 0)
	}
	fn verify_quote() -> Weight {
		Weight::from_parts(30_000_000_000, 0)
	}
}
