//! What the federation pallet's calls cost.
//!
//! Estimated from the keys that they touch, at the rate of the measured calls of the jobs pallet; not measured yet. A
//! parameter of an opened sum costs a hash to the group and nine additions in interpreted or compiled wasm.
//! Proof size: 2,560 bytes of trie for each read, and the values.

use core::marker::PhantomData;

use polkadot_sdk::{
	frame_support::{
		traits::Get,
		weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
	},
	frame_system,
};

use crate::types::{MAX_MEMBERS, MAX_ROUNDS};

/// The weight of each call, under its name.
#[allow(missing_docs)]
pub trait WeightInfo {
	fn register_site() -> Weight;
	fn leave() -> Weight;
	fn set_consents() -> Weight;
	fn create() -> Weight;
	fn invite() -> Weight;
	fn join() -> Weight;
	fn withdraw() -> Weight;
	fn open() -> Weight;
	fn commit() -> Weight;
	/// By the number of values that the chain opens.
	fn publish(values: u32) -> Weight;
	fn fail() -> Weight;
	fn close() -> Weight;
}

/// Estimated weights, with the chain's own database weights.
pub struct Estimated<T>(PhantomData<T>);

/// Reference time beside the database, in picoseconds.
const TIME: u64 = 500_000_000;
/// Of a signature's verification, or of reading a commitment.
const SIGNATURE: u64 = 250_000_000;
/// Of one value of an opened sum.
const VALUE: u64 = 500_000_000;

fn of(db: RuntimeDbWeight, time: u64, reads: u64, writes: u64) -> Weight {
	Weight::from_parts(time, reads.saturating_mul(4_096)).saturating_add(db.reads_writes(reads, writes))
}

macro_rules! weights {
	($db:expr) => {
		fn register_site() -> Weight {
			of($db, TIME, 4, 3)
		}
		fn leave() -> Weight {
			of($db, TIME, 4, 3)
		}
		fn set_consents() -> Weight {
			of($db, TIME, 2, 1)
		}
		fn create() -> Weight {
			of($db, TIME, 8, 3)
		}
		fn invite() -> Weight {
			of($db, TIME, 2, 1)
		}
		fn join() -> Weight {
			of($db, TIME, 3, 2)
		}
		fn withdraw() -> Weight {
			of($db, TIME, 2, 1)
		}
		fn open() -> Weight {
			of($db, TIME + 3 * SIGNATURE, 12, 2)
		}
		fn commit() -> Weight {
			of($db, TIME + SIGNATURE, 5, 3)
		}
		fn publish(values: u32) -> Weight {
			let members = u64::from(MAX_MEMBERS);
			let time = TIME + (members + 3) * SIGNATURE + u64::from(values) * VALUE;
			of($db, time, 4 + members, 2)
		}
		fn fail() -> Weight {
			of($db, TIME, 3, 2)
		}
		fn close() -> Weight {
			let (members, rounds) = (u64::from(MAX_MEMBERS), u64::from(MAX_ROUNDS));
			of($db, TIME, 4 + members + rounds, 3 + members + rounds)
		}
	};
}

impl<T: frame_system::Config> WeightInfo for Estimated<T> {
	weights!(T::DbWeight::get());
}

/// The same with RocksDB's, for tests.
impl WeightInfo for () {
	weights!(RocksDbWeight::get());
}
