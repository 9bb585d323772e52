//! Time, storage and proof of one call.

use std::time::{Duration, Instant};

use polkadot_sdk::{
	frame_support::storage::{with_transaction, TransactionOutcome},
	sp_core::hexdisplay::HexDisplay,
	sp_io::{hashing::sha2_256, TestExternalities},
	sp_runtime::{DispatchError, DispatchResult},
};
use proofward_weights::{accesses, Accesses};

use crate::chain;

const RUNS: usize = 100;
const LEAST_RUNS: usize = 11;
const PATIENCE: Duration = Duration::from_secs(10);
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

impl Cost {
	/// What covers both.
	pub fn or(self, other: Self) -> Self {
		Self {
			nanoseconds: self.nanoseconds.max(other.nanoseconds),
			reads: self.reads.max(other.reads),
			writes: self.writes.max(other.writes),
			proof: self.proof.max(other.proof),
		}
	}
}

/// Measures `call` on the state that `prepare` leaves. The call must succeed.
pub fn cost(prepare: impl FnOnce(), call: impl Fn() -> DispatchResult) -> Cost {
	cost_on(chain::fresh(), prepare, call)
}

/// The same on another chain.
pub fn cost_on(
	mut chain: TestExternalities,
	prepare: impl FnOnce(),
	call: impl Fn() -> DispatchResult,
) -> Cost {
	chain.execute_with(prepare);
	chain.commit_all().expect("state commits");

	let nanoseconds = chain.execute_with(|| median_of_runs(&call));
	let accesses = recorded(&mut chain, &call);
	let proof = accesses.read.values().map(|length| length + PROOF_PER_KEY).sum();
	Cost { nanoseconds, reads: accesses.read.len() as u64, writes: accesses.written.len() as u64, proof }
}

/// Nanoseconds of SHA-256 over so many bytes, median.
pub fn hashing(length: u32) -> u64 {
	let bytes = vec![0xa5; length as usize];
	let run = || {
		let start = processor_time();
		std::hint::black_box(sha2_256(std::hint::black_box(&bytes)));
		processor_time() - start
	};
	chain::fresh().execute_with(|| median((0..RUNS).map(|_| run()).collect()))
}

fn timed(call: &impl Fn() -> DispatchResult) -> u64 {
	with_transaction(|| {
		let start = processor_time();
		let result = call();
		let elapsed = processor_time() - start;
		result.expect("a measured call succeeds");
		TransactionOutcome::Rollback(Ok::<_, DispatchError>(elapsed))
	})
	.expect("one layer fits")
}

/// Nanoseconds that this thread has run: what others do meanwhile is not in it.
fn processor_time() -> u64 {
	let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
	// SAFETY: it writes to `time` and nowhere else.
	let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
	assert_eq!(failed, 0, "the thread's clock can be read");
	time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// As many runs as there is patience for: a call of a second is not measured a hundred times.
fn median_of_runs(call: &impl Fn() -> DispatchResult) -> u64 {
	let start = Instant::now();
	let mut runs = vec![];
	while runs.len() < RUNS && (runs.len() < LEAST_RUNS || start.elapsed() < PATIENCE) {
		runs.push(timed(call));
	}
	median(runs)
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
