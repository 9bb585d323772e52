//! What each fuzzer runs: whatever the bytes, a decoder refuses, or gives what encodes to the same bytes; it
//! neither panics nor takes long. `./run.sh` builds and starts them.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use prover::{
	decode_key, encode, proof_from_bytes, proof_to_bytes, read_phase1, setup, vector_commitment, verify_norm,
	verifying_key_from_bytes, verifying_key_to_bytes, well_formed, Bounds, Circuit, Node, Op, Program, State,
	Transcript,
};

/// Bytes of a program, at most: larger ones show nothing new, slowly.
const MAX_PROGRAM: usize = 1 << 12;
/// Powers of the circuit that phase 1 is read for.
const DOMAIN: usize = 1;

/// `Program::decode`, and the circuit of what it takes.
pub fn program(bytes: &[u8]) {
	let Ok(program) = Program::decode(bytes) else { return };
	assert_eq!(encode(&program.nodes), bytes, "a second form");
	if bytes.len() > MAX_PROGRAM || program.bounds.len() > MAX_PROGRAM {
		return;
	}
	if let Ok(circuit) = Circuit::new(bytes, 1) {
		let values: Vec<i64> = program.inputs().iter().map(|b| b.hi).collect();
		let (_, outputs) = circuit.witness(&values, &[1; 32], &[2; 32]).expect("the values are in range");
		assert_eq!(outputs, circuit.evaluate(&values).expect("the values are in range"));
		assert!(outputs.iter().zip(program.output_bounds()).all(|(x, b)| b.contains(*x)));
	}
}

/// `Transcript::decode`, and the check of what it takes.
pub fn transcript(bytes: &[u8]) {
	if let Ok(transcript) = Transcript::decode(bytes) {
		assert_eq!(transcript.encode(), bytes, "a second form");
		let _ = transcript.check();
	}
}

/// `proof_from_bytes`.
pub fn proof(bytes: &[u8]) {
	if let Ok(proof) = proof_from_bytes(bytes) {
		assert_eq!(proof_to_bytes(&proof), bytes, "a second form");
	}
}

/// `vector_commitment`, and `verify_norm` of what may be a proof: nobody finds one by trying.
pub fn norm(bytes: &[u8]) {
	if bytes.len() < 32 {
		return;
	}
	let (point, proof) = bytes.split_at(32);
	let Ok(commitment) = vector_commitment(point) else { return };
	assert_eq!(commitment.compress().as_bytes(), point, "a second form");
	for bound in [0, 1, u128::MAX >> 48] {
		assert!(!verify_norm(&commitment, 1, bound, b"fuzz", proof).unwrap_or(false), "a proof of nothing");
	}
}

/// `verifying_key_from_bytes`.
pub fn verifying_key(bytes: &[u8]) {
	if let Ok(key) = verifying_key_from_bytes(bytes) {
		assert_eq!(verifying_key_to_bytes(&key), bytes, "a second form");
	}
}

/// `read_phase1`, which reads a file.
pub fn phase1(bytes: &[u8]) {
	let path = scratch("phase1");
	fs::write(&path, bytes).expect("the temporary folder takes files");
	if let Ok(phase1) = read_phase1(&path, DOMAIN) {
		assert_eq!((phase1.tau_g1.len(), phase1.tau_g2.len()), (2 * DOMAIN, DOMAIN + 1));
	}
}

/// `State::decode`, and the check of the contributions of what it takes.
pub fn ceremony(bytes: &[u8]) {
	if let Ok(state) = State::decode(bytes) {
		let _ = state.transcript.check();
	}
}

/// `decode_key` and `well_formed`. The bytes are changes of a sound key, as a sound key has too many for a
/// fuzzer to find: seven each, of which the first says what, and three each where.
///
/// None but the sound key itself is well formed.
pub fn key(bytes: &[u8]) {
	static SOUND: OnceLock<(Circuit, Vec<u8>)> = OnceLock::new();
	let (circuit, sound) = SOUND.get_or_init(sound_key);
	let mut changed = sound.clone();
	let length = changed.len();
	for change in bytes.chunks_exact(7) {
		let place = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], 0]) as usize;
		let (from, to) = (place(&change[1..4]), place(&change[4..7]));
		match change[0] % 4 {
			// A byte.
			0 => changed[to % length] ^= from as u8,
			// A point in place of another.
			1 => {
				let [from, to] = [from, to].map(|n| 8 + n % ((length - 8) / 32 - 4) * 32);
				let point: Vec<u8> = changed[from..from + 64].to_vec();
				changed[to..to + 64].copy_from_slice(&point);
			}
			// The end cut off.
			2 => changed.truncate(8 + to % length),
			_ => changed.extend(vec![change[1]; to % 256]),
		}
		if changed.len() < length {
			break;
		}
	}
	let Ok(points) = decode_key(&changed, circuit) else { return };
	assert!(
		changed[8..] == sound[8..] || well_formed(circuit, &points).is_err(),
		"a changed key is taken for a sound one"
	);
}

fn sound_key() -> (Circuit, Vec<u8>) {
	let node = |op| Node { label: String::new(), op };
	let program = [node(Op::Input(vec![Bounds { lo: 0, hi: 1 }])), node(Op::Output(vec![0]))];
	let circuit = Circuit::new(&encode(&program), 1).expect("a small circuit");
	let path = scratch("key");
	setup(&circuit, &path).expect("the temporary folder takes files");
	let bytes = fs::read(&path).expect("it was just written");
	(circuit, bytes)
}

/// A file of this process, in memory where there is such a folder.
fn scratch(name: &str) -> PathBuf {
	let shared = PathBuf::from("/dev/shm");
	let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
	folder.join(format!("proofward-fuzz-{name}-{}", std::process::id()))
}
