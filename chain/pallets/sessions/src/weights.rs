//! What the sessions pallet's calls cost.
//!
//! Estimated from the keys that they touch, at the rate of the measured calls of the jobs pallet; not measured yet.
//! Proof size: 2,560 bytes of trie for each read, and the values.

use core::marker::PhantomData;

use polkadot_sdk::{
	frame_support::{
		traits::Get,
		weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
	},
	frame_system,
};

use crate::types::MAX_WINDOWS;

/// The weight of each call, under its name.
#[allow(missing_docs)]
pub trait WeightInfo {
	fn allow() -> Weight;
	fn offer() -> Weight;
	fn withdraw() -> Weight;
	fn open() -> Weight;
	fn top_up() -> Weight;
	fn close() -> Weight;
	fn checkpoint() -> Weight;
	fn draw() -> Weight;
	fn force() -> Weight;
	/// Everything but the contract's verdict; a proof that is false ends the session.
	fn prove(pages: u32) -> Weight;
	/// The costlier kind: it ends the session.
	fn finish() -> Weight;
	fn waive() -> Weight;
	fn settle() -> Weight;
	fn report() -> Weight;
}

/// Estimated weights, with the chain's own database weights.
pub struct Estimated<T>(PhantomData<T>);

/// Reference time beside the database, in picoseconds.
const TIME: u64 = 500_000_000;
/// Of a signature's verification or of the drawing of a whole sample.
const SIGNATURE: u64 = 250_000_000;
const DRAW: u64 = 1_000_000_000;

fn of(db: RuntimeDbWeight, time: u64, reads: u64, writes: u64) -> Weight {
	Weight::from_parts(time, reads.saturating_mul(3_200)).saturating_add(db.reads_writes(reads, writes))
}

/// Of a session's end with as many windows as there may be.
fn ending(db: RuntimeDbWeight, time: u64) -> Weight {
	let windows = u64::from(MAX_WINDOWS);
	of(db, time.saturating_add(windows * 50_000_000), 24 + windows, 22 + windows)
		.saturating_add(Weight::from_parts(0, windows * 4_096))
}

macro_rules! weights {
	($db:expr) => {
		fn allow() -> Weight {
			of($db, TIME, 8, 4)
		}
		fn offer() -> Weight {
			of($db, TIME, 20, 5)
		}
		fn withdraw() -> Weight {
			of($db, TIME, 5, 4)
		}
		fn open() -> Weight {
			of($db, 2 * TIME, 30, 9)
		}
		fn top_up() -> Weight {
			of($db, TIME, 4, 3)
		}
		fn close() -> Weight {
			of($db, TIME, 3, 2)
		}
		fn checkpoint() -> Weight {
			of($db, TIME + 2 * SIGNATURE, 14, 3)
		}
		fn draw() -> Weight {
			of($db, TIME + DRAW, 36, 2)
		}
		fn force() -> Weight {
			of($db, TIME, 7, 4)
		}
		fn prove(pages: u32) -> Weight {
			let pages = u64::from(pages);
			ending($db, TIME + DRAW)
				.saturating_add(of($db, 200_000_000, 40, 4))
				.saturating_add(Weight::from_parts(100_000_000, 0).saturating_mul(pages))
		}
		fn finish() -> Weight {
			ending($db, TIME + DRAW).saturating_add(of($db, 0, 40, 4))
		}
		fn waive() -> Weight {
			ending($db, TIME)
		}
		fn settle() -> Weight {
			of($db, TIME, 14, 12)
		}
		fn report() -> Weight {
			of($db, TIME + 2 * SIGNATURE, 12, 10)
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
