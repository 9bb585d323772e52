//! Time, storage and proof of one call.

use std::{
	collections::{BTreeMap, BTreeSet},
	fmt::Debug,
	sync::{Arc, Mutex},
	time::Instant,
};

use polkadot_sdk::{
	frame_support::storage::{with_transaction, TransactionOutcome},
	sp_core::hexdisplay::HexDisplay,
	sp_io::{hashing::sha2_256, TestExternalities},
	sp_runtime::{DispatchError, DispatchResult},
};
use tracing::{
	field::{Field, Visit},
	span, Event, Metadata, Subscriber,
};

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

/// Distinct keys that a call touched, with the lengths of what it read.
#[derive(Default)]
struct Accesses {
	read: BTreeMap<String, u64>,
	written: BTreeSet<String>,
}

fn recorded(chain: &mut TestExternalities, call: &impl Fn() -> DispatchResult) -> Accesses {
	let recorder = Recorder::default();
	let accesses = recorder.0.clone();
	chain.execute_with(|| {
		tracing::subscriber::with_default(recorder, || call().expect("a measured call succeeds"))
	});
	let mut accesses = accesses.lock().expect("nobody panicked").split();
	// What every block reads and writes anyway is not the call's to pay for.
	for key in chain::per_block_keys() {
		let key = format!("{}", HexDisplay::from(&key));
		accesses.read.remove(&key);
		accesses.written.remove(&key);
	}
	accesses
}

impl Accesses {
	fn split(&mut self) -> Self {
		std::mem::take(self)
	}
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Accesses>>);

/// The fields of one report of sp-state-machine.
#[derive(Default)]
struct Report(BTreeMap<&'static str, String>);

impl Visit for Report {
	fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
		self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
	}
}

impl Subscriber for Recorder {
	fn enabled(&self, metadata: &Metadata<'_>) -> bool {
		metadata.target() == "state"
	}

	fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
		span::Id::from_u64(1)
	}

	fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

	fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

	fn enter(&self, _: &span::Id) {}

	fn exit(&self, _: &span::Id) {}

	fn event(&self, event: &Event<'_>) {
		let mut report = Report::default();
		event.record(&mut report);
		let (Some(method), Some(key)) = (report.0.get("method"), report.0.get("key").cloned()) else {
			return;
		};
		let mut accesses = self.0.lock().expect("nobody panicked");
		match method.as_str() {
			"Get" | "Exists" | "Hash" => {
				let value = report.0.get("result").map_or(0, |text| text.len() as u64 / 2);
				let written = accesses.written.contains(&key);
				if !written {
					accesses.read.entry(key).or_insert(value);
				}
			}
			"Put" | "Append" => {
				accesses.written.insert(key);
			}
			other => panic!("an access to storage of an unknown kind: {other}"),
		}
	}
}
