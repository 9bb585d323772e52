//! What the consortium pallet's calls cost, estimated from the keys that they touch; not measured yet.

use core::marker::PhantomData;

use polkadot_sdk::{
	frame_support::{
		traits::Get,
		weights::{constants::RocksDbWeight, Weight},
	},
	frame_system,
};

/// What each call costs, at most: 32 members, 16 notices.
pub trait WeightInfo {
	/// Any of the calls that note a change: all members with their keys, and all notices, are read.
	/// Estimated from the keys that it touches; not measured yet.
	fn announce() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn set_endpoint() -> Weight;
	/// Without the call itself.
	/// Estimated from the keys that it touches; not measured yet.
	fn enact() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn withdraw() -> Weight;
	/// Estimated from the keys that it touches; not measured yet.
	fn recover_finality() -> Weight;
	/// Two signatures of sr25519, and what putting a member out takes.
	/// Estimated from the keys that it touches; not measured yet.
	fn report_two_blocks() -> Weight;
	/// All changes that can be due in a block.
	/// Estimated from the keys that it touches; not measured yet.
	fn make_due() -> Weight;
}

/// The estimates, with the chain's own database weights.
pub struct Estimated<T>(PhantomData<T>);

macro_rules! estimates {
	($database:expr) => {
		fn announce() -> Weight {
			Weight::from_parts(300_000_000, 220_000).saturating_add($database.reads_writes(86, 7))
		}
		fn set_endpoint() -> Weight {
			Weight::from_parts(60_000_000, 6_000).saturating_add($database.reads_writes(1, 1))
		}
		fn enact() -> Weight {
			Weight::from_parts(100_000_000, 60_000).saturating_add($database.reads_writes(20, 4))
		}
		fn withdraw() -> Weight {
			Weight::from_parts(100_000_000, 60_000).saturating_add($database.reads_writes(20, 4))
		}
		fn recover_finality() -> Weight {
			Weight::from_parts(60_000_000, 6_000).saturating_add($database.reads_writes(1, 2))
		}
		fn report_two_blocks() -> Weight {
			Weight::from_parts(900_000_000, 500_000).saturating_add($database.reads_writes(240, 50))
		}
		fn make_due() -> Weight {
			Weight::from_parts(5_000_000_000, 900_000).saturating_add($database.reads_writes(340, 320))
		}
	};
}

impl<T: frame_system::Config> WeightInfo for Estimated<T> {
	estimates!(T::DbWeight::get());
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	estimates!(RocksDbWeight::get());
}
