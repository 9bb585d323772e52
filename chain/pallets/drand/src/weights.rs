//! What the drand pallet's calls cost: a guess from above, twenty milliseconds for a pairing, that `make weights` has
//! not replaced yet.

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
	fn post() -> Weight;
	fn set_network() -> Weight;
}

/// These weights, with the chain's own database weights.
pub struct Measured<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Measured<T> {
	fn post() -> Weight {
		Weight::from_parts(20_000_000_000, 10_000).saturating_add(T::DbWeight::get().reads_writes(4, 1))
	}
	fn set_network() -> Weight {
		Weight::from_parts(2_000_000_000, 5_000).saturating_add(T::DbWeight::get().reads_writes(3, 2))
	}
}

impl WeightInfo for () {
	fn post() -> Weight {
		Weight::from_parts(20_000_000_000, 10_000).saturating_add(RocksDbWeight::get().reads_writes(4, 1))
	}
	fn set_network() -> Weight {
		Weight::from_parts(2_000_000_000, 5_000).saturating_add(RocksDbWeight::get().reads_writes(3, 2))
	}
}
