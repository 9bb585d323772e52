//! Whatever bytes come in, a decoder refuses or gives what encodes to the same bytes: no panic, no second form.

use proptest::prelude::*;
use prover::{
	encode, proof_from_bytes, proof_to_bytes, verifying_key_from_bytes, verifying_key_to_bytes, Bounds,
	Circuit, Node, Op, Program, Row, Transcript, PROOF_BYTES, VERIFYING_KEY_BYTES,
};

fn program() -> Vec<u8> {
	let node = |op| Node { label: "a".into(), op };
	encode(&[
		node(Op::Input(vec![Bounds { lo: -8, hi: 7 }, Bounds { lo: 0, hi: 3 }])),
		node(Op::Linear(vec![Row { bias: 3, terms: vec![(0, 5), (1, -2)] }])),
		node(Op::ReluShift { s: 2, wires: vec![2] }),
		node(Op::Thermometer { wire: 1, k: 3 }),
		node(Op::Mux(vec![(4, 3, 2)])),
		node(Op::Shift { s: 1, wires: vec![2] }),
		node(Op::Output(vec![3, 7, 8])),
	])
}

fn transcript() -> Vec<u8> {
	let mut bytes = b"PWCT\x01\0\0\0".to_vec();
	bytes.extend([7; 64]);
	bytes.extend(1u32.to_le_bytes());
	bytes.extend(b"\x03Ada\x01");
	// delta: the generator (1, 2), in Montgomery form; then a beacon.
	let limbs = [
		[0xd35d438dc58f0d9du64, 0x0a78eb28f5c70b3d, 0x666ea36f7879462c, 0x0e0a77c19a07df2f],
		[0xa6ba871b8b1e1b3a, 0x14f1d651eb8e167b, 0xccdd46def0f28c58, 0x1c14ef83340fbe5e],
	];
	limbs.concat().into_iter().for_each(|limb| bytes.extend(limb.to_le_bytes()));
	bytes.extend([9; 33]);
	bytes
}

/// A seed with a few bytes changed, cut or added.
fn mutated(seed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
	let size = seed.len();
	let changes = prop::collection::vec((0..size, any::<u8>()), 0..4);
	(changes, 0..=size, prop::collection::vec(any::<u8>(), 0..3), any::<bool>()).prop_map(
		move |(changes, cut, more, keep)| {
			let mut bytes = seed.clone();
			changes.into_iter().for_each(|(at, value)| bytes[at] = value);
			bytes.truncate(if keep { size } else { cut });
			bytes.extend(more);
			bytes
		},
	)
}

#[test]
fn the_seeds_are_valid() {
	assert!(Circuit::new(&program(), 2).is_ok());
	assert!(Transcript::decode(&transcript()).is_ok());
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(2000))]

	#[test]
	fn programs(bytes in mutated(program())) {
		if let Ok(program) = Program::decode(&bytes) {
			prop_assert_eq!(encode(&program.nodes), bytes);
		}
	}

	#[test]
	fn transcripts(bytes in mutated(transcript())) {
		if let Ok(transcript) = Transcript::decode(&bytes) {
			prop_assert_eq!(transcript.encode(), bytes);
		}
	}

	#[test]
	fn points(bytes in prop_oneof![mutated(vec![0; PROOF_BYTES]), mutated(vec![1; VERIFYING_KEY_BYTES])]) {
		if let Ok(proof) = proof_from_bytes(&bytes) {
			prop_assert_eq!(proof_to_bytes(&proof), bytes.clone());
		}
		if let Ok(key) = verifying_key_from_bytes(&bytes) {
			prop_assert_eq!(verifying_key_to_bytes(&key), bytes);
		}
	}
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(100))]

	#[test]
	fn circuits(bytes in mutated(program()), batch in 0usize..4) {
		if let Ok(circuit) = Circuit::new(&bytes, batch) {
			prop_assert!(circuit.constraints < 1 << 18);
		}
	}
}
