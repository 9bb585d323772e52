//! Time, storage and proof of one call.

use std::time::Instant;

use polkadot_sdk::{
	frame_support::storage::{with_transaction, TransactionOutcome},
	sp_core::hexdisplay::HexDisplay,
	sp_io::{hashing::sha2_256, TestExternalities},
	sp_runtime::{DispatchError, DispatchResult},
};
use proofward_weights::{accesses, Accesses};

use crate::chain;

const RUNS: usize = 100;
/// Nodes of the state trie on the way to a value: a state of a million entries has some 20 bits, five levels of up to
/// sixteen hashes of 32 bytes.
const PROOF_PER_KEY: u64 = 2_560;

/// What a call cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
	/// Nanoseconds of native code, median.
	pub nanoseconds: u64,
	pub reads: u64,
	pub writes: u64,
	/// Bytes.
	pub proof: u64,
}

/// Measures `call` on the state that `prepare` leaves. The call must succeed.
pub fn cost(prepare: impl FnOnce(), call: impl Fn() -> DispatchResult) -> Cost {
	let mut chain = chain::fresh();
	chain.execute_with(prepare);
	chain.commit_all().expect("state commits");

	let nanoseconds = chain.execute_with(|| median((0..RUNS).map(|_| timed(&call)).collect()));
	let accesses = recorded(&mut chain, &call);
	let proof = accesses.read.values().map(|length| length + PROOF_PER_KEY).sum();
	Cost { nanoseconds, reads: accesses.read.len() as u64, writes: accesses.written.len() as u64, proof }
}

/// Nanoseconds of SHA-256 over so many bytes, median.
pub fn hashing(length: u32) -> u64 {
	let bytes = vec![0xa5; length as usize];
	let run = || {
		let start = Instant::now();
		std::hint::black_box(sha2_256(std::hint::black_box(&bytes)));
		start.elapsed().as_nanos() as u64
	};
	chain::fresh().execute_with(|| median((0..RUNS).map(|_| run()).collect()))
}

fn timed(call: &impl Fn() -> DispatchResult) -> u64 {
	with_transaction(|| {
		let start = Instant::now();
		let result = call();
		let elapsed = start.elapsed().as_nanos() as u64;
		result.expect("a measured call succeeds");
		TransactionOutcome::Rollback(Ok::<_, DispatchError>(elapsed))
	})
	.expect("one layer fits")
}

fn median(mut values: Vec<u64>) -> u64 {
	values.sort_unstable();
	values[values.len() / 2]
}

fn recorded(chain: &mut TestExternalities, call: &impl Fn() -> DispatchResult) -> Accesses {
	let mut accesses = chain.execute_with(|| accesses(|| call().expect("a measured call succeeds")));
	// What every block reads and writes anyway is not the call's to pay for.
	for key in chain::per_block_keys() {
		let key = format!("{}", HexDisplay::from(&key));
		accesses.read.remove(&key);
		accesses.written.remove(&key);
	}
	accesses
}
