//! The known answers of the prover and of the protocol, and what may not happen whatever the bytes.

use proofward_opening::{
	commitment::commit, judge, output::Output, reply, shape::Bounds, shape::Form, Context, Fault, ReplyKey,
	Shape,
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
	name: String,
	batch: u32,
	#[serde(default)]
	form: Form,
	input_bounds: Vec<(String, String)>,
	output_bounds: Vec<(String, String)>,
	input_salt: String,
	output_salt: String,
	values: Vec<String>,
	outputs: Vec<String>,
	input_commitment: String,
	output_commitment: String,
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
	hex::decode(text).expect("hex").try_into().expect("the length")
}

fn number(text: &str) -> i64 {
	text.parse().expect("a number")
}

fn shape(batch: u32, bounds: &[(String, String)]) -> Shape {
	let bounds = bounds.iter().map(|(lo, hi)| Bounds { lo: number(lo), hi: number(hi) });
	Shape::new(batch, bounds.collect()).expect("a shape")
}

/// `tests/vectors/prover.json`, made by the prover: packing, parts of long records, trees, salts.
#[test]
fn commitments_are_the_provers() {
	let cases: Vec<Case> =
		serde_json::from_str(include_str!("../../../tests/vectors/prover.json")).expect("cases");
	assert!(cases.len() >= 4);
	for case in cases {
		let ends = [
			(&case.input_bounds, &case.values, &case.input_salt, &case.input_commitment),
			(&case.output_bounds, &case.outputs, &case.output_salt, &case.output_commitment),
		];
		for (bounds, values, salt, expected) in ends {
			let values: Vec<i64> = values.iter().map(|text| number(text)).collect();
			let found = commit(&shape(case.batch, bounds).with(case.form), &values, &bytes(salt));
			assert_eq!(found, Some(bytes(expected)), "{}", case.name);
		}
	}
}

/// A batch's commitment in one form is none in the other, and one shape's is no other shape's of the same values.
#[test]
fn forms_and_shapes_never_meet() {
	let byte = Bounds { lo: 0, hi: 255 };
	let (values, salt) = ([1i64; 12], [7; 32]);
	let mut seen = std::collections::BTreeSet::new();
	for form in [Form::Tree, Form::Flat] {
		for batch in [1, 2, 3, 4, 6, 12] {
			let shape = Shape::new(batch, vec![byte; 12 / batch as usize]).expect("a shape").with(form);
			assert!(seen.insert(commit(&shape, &values, &salt).expect("within bounds")));
			assert_eq!(commit(&shape, &[256; 12], &salt), None);
			assert_eq!(commit(&shape, &values[1..], &salt), None);
		}
	}
}

/// circomlibjs 0.1.7's hashes of 1, of 1 2, .. and of 1 2 .. 16, which the prover holds too: each width's constants.
#[test]
fn every_width_is_circomlibs() {
	use ark_bn254::Fr;
	use proofward_opening::poseidon::Poseidon;
	let source = include_str!("../../../prover/src/poseidon.rs");
	let expected: Vec<&str> =
		source.split('"').filter(|text| text.len() > 70 && text.parse::<Fr>().is_ok()).collect();
	assert_eq!(expected.len(), 16);
	let mut poseidon = Poseidon::default();
	for (n, expected) in (1u64..).zip(expected) {
		let elements: Vec<Fr> = (1..=n).map(Fr::from).collect();
		assert_eq!(poseidon.hash(&[], &elements).to_string(), expected, "{n} elements");
	}
}

/// `tests/vectors/protocol.json`: an output that Python's `cryptography` sealed, and its context.
fn sealed() -> (ReplyKey, Context, Vec<u8>, Shape, Output) {
	let vectors: serde_json::Value =
		serde_json::from_str(include_str!("../../../tests/vectors/protocol.json"))
			.expect("the protocol's vectors");
	let case = vectors["sealing"].as_array().expect("cases").iter().find(|case| case["suite"] == "x25519");
	let case = case.expect("a case of the suite");
	let field = |name: &str| bytes::<32>(case[name].as_str().unwrap_or_else(|| panic!("{name}")));
	let context = Context {
		genesis: field("genesis"),
		job: field("job"),
		model: field("model"),
		worker: field("account"),
		input_commitment: field("input_commitment"),
		output_commitment: field("output_commitment"),
	};
	let key = ReplyKey::new(&field("reply_private_key")).expect("a key");
	assert_eq!(key.public(), field("reply_key"));
	let sealed = hex::decode(case["sealed_output"].as_str().expect("hex")).expect("hex");
	let values: Vec<i64> = case["output_values"]
		.as_array()
		.expect("values")
		.iter()
		.map(|value| number(value.as_str().expect("text")))
		.collect();
	let shape = Shape::new(1, values.iter().map(|value| Bounds { lo: value - 5, hi: value + 9 }).collect());
	let output = Output { records: 1, values, salt: field("output_salt") };
	(key, context, sealed, shape.expect("a shape"), output)
}

#[test]
fn what_python_sealed_opens_here() {
	let (key, context, sealed, shape, output) = sealed();
	let plaintext = key.open(&context.info(), &sealed).expect("it opens");
	assert_eq!(Output::decode(&plaintext, &shape), Some(output));
	// The vector's commitment is any 32 bytes: it opens, and is another's.
	assert_eq!(judge(&key, &context, &sealed, &shape), Err(Fault::OtherCommitment));
}

/// Seals as an enclave does.
fn seal(key: &ReplyKey, context: &Context, plaintext: &[u8]) -> Vec<u8> {
	use hpke::{
		aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256, Deserializable, Kem, OpModeS,
		Serializable,
	};
	use rand_core::SeedableRng;
	let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&key.public()).expect("a key");
	let (encapsulated, ciphertext) =
		hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
			&OpModeS::Base,
			&public,
			&context.info(),
			plaintext,
			&[],
			&mut rand_chacha::ChaCha8Rng::seed_from_u64(7),
		)
		.expect("sealed");
	[encapsulated.to_bytes().to_vec(), ciphertext].concat()
}

fn delivery(shape: &Shape, values: &[i64]) -> (ReplyKey, Context, Output) {
	let salt = [0xfe; 32];
	let output = Output { records: 1, values: values.to_vec(), salt };
	let context = Context {
		genesis: [1; 32],
		job: [2; 32],
		model: [3; 32],
		worker: [4; 32],
		input_commitment: [5; 32],
		output_commitment: commit(shape, values, &salt).expect("within bounds"),
	};
	(ReplyKey::new(&[9; 32]).expect("a key"), context, output)
}

#[test]
fn faults_of_a_delivery() {
	use codec::Encode;
	let shape = Shape::new(2, vec![Bounds { lo: -8, hi: 7 }, Bounds { lo: 0, hi: 1 }]).expect("a shape");
	let values = [-8, 1, 7, 0];
	let (key, context, honest) = delivery(&shape, &values);
	let judged = |output: &Output| judge(&key, &context, &seal(&key, &context, &output.encode()), &shape);
	assert_eq!(judged(&honest), Ok(()));
	assert_eq!(judged(&Output { records: 2, ..honest.clone() }), Ok(()));

	let with = |values: &[i64]| Output { values: values.to_vec(), ..honest.clone() };
	let plaintext = honest.encode();
	let raw = |plaintext: &[u8]| judge(&key, &context, &seal(&key, &context, plaintext), &shape);
	let other = ReplyKey::new(&[8; 32]).expect("a key");
	let elsewhere = Context { job: [0xee; 32], ..context.clone() };
	let sealed = seal(&key, &context, &plaintext);
	let mut flipped = sealed.clone();
	*flipped.last_mut().expect("bytes") ^= 1;
	let mut zero_point = sealed.clone();
	zero_point[..32].fill(0);
	let table = [
		("another value", judged(&with(&[-8, 1, 7, 1])), Fault::OtherCommitment),
		("another salt", judged(&Output { salt: [0xfd; 32], ..honest.clone() }), Fault::OtherCommitment),
		(
			"a bit of the salt's last byte",
			judged(&Output {
				salt: {
					let mut salt = honest.salt;
					salt[31] ^= 1;
					salt
				},
				..honest.clone()
			}),
			Fault::OtherCommitment,
		),
		("records in another order", judged(&with(&[7, 0, -8, 1])), Fault::OtherCommitment),
		("a value below its bounds", judged(&with(&[-9, 1, 7, 0])), Fault::OutOfRange),
		("a value above its bounds", judged(&with(&[-8, 2, 7, 0])), Fault::OutOfRange),
		("the least integer", judged(&with(&[i64::MIN, 1, 7, 0])), Fault::OutOfRange),
		("a value too few", judged(&with(&[-8, 1, 7])), Fault::Malformed),
		("a value too many", judged(&with(&[-8, 1, 7, 0, 0])), Fault::Malformed),
		("no values", judged(&with(&[])), Fault::Malformed),
		("no record", judged(&Output { records: 0, ..honest.clone() }), Fault::Malformed),
		("more records than the batch", judged(&Output { records: 3, ..honest.clone() }), Fault::Malformed),
		("a byte behind it", raw(&[&plaintext[..], &[0]].concat()), Fault::Malformed),
		("a byte missing", raw(&plaintext[..plaintext.len() - 1]), Fault::Malformed),
		(
			"a length that is not in its shortest form",
			raw(&[&plaintext[..4], &[0x11, 0], &plaintext[5..]].concat()),
			Fault::Malformed,
		),
		(
			"a length of 2^30 - 1",
			raw(&[&plaintext[..4], &[0xfe, 0xff, 0xff, 0xff], &plaintext[5..]].concat()),
			Fault::Malformed,
		),
		("nothing inside", raw(&[]), Fault::Malformed),
		("sealed to another key", judge(&other, &context, &sealed, &shape), Fault::Sealed),
		("sealed for another job", judge(&key, &elsewhere, &sealed, &shape), Fault::Sealed),
		("a flipped bit", judge(&key, &context, &flipped, &shape), Fault::Sealed),
		("a point of small order", judge(&key, &context, &zero_point, &shape), Fault::Sealed),
		("no whole key", judge(&key, &context, &sealed[..31], &shape), Fault::Sealed),
		("no tag", judge(&key, &context, &sealed[..40], &shape), Fault::Sealed),
		("nothing", judge(&key, &context, &[], &shape), Fault::Sealed),
	];
	for (fault, found, expected) in table {
		assert_eq!(found, Err(expected), "{fault}");
	}
}

#[test]
fn faults_of_a_manifest() {
	let good = br#"{"accuracy":{"float":0.97},"batch":2,"lane_params":{"output_bounds":[[-8,7],[0,1]],"rounding":0.5},"name":"x"}"#;
	let expected = Shape::new(2, vec![Bounds { lo: -8, hi: 7 }, Bounds { lo: 0, hi: 1 }]);
	assert!(expected.is_some());
	assert_eq!(Shape::of_manifest(good), expected);
	let flat = br#"{"batch":2,"lane_params":{"commitment":"flat","output_bounds":[[-8,7],[0,1]]}}"#;
	assert_eq!(Shape::of_manifest(flat), expected.map(|shape| shape.with(Form::Flat)));
	// What is skipped may be as deep as it likes: skipping does not recurse.
	let deep = format!(
		r#"{{"batch":1,"lane_params":{{"output_bounds":[[0,1]]}},"x":{}{}}}"#,
		"[".repeat(30_000),
		"]".repeat(30_000)
	);
	assert!(Shape::of_manifest(deep.as_bytes()).is_some());
	let table: [(&str, &[u8]); 13] = [
		("another commitment", br#"{"batch":1,"lane_params":{"commitment":"wide","output_bounds":[[0,1]]}}"#),
		("no commitment's name", br#"{"batch":1,"lane_params":{"commitment":null,"output_bounds":[[0,1]]}}"#),
		("no JSON", b"{"),
		("no batch", br#"{"lane_params":{"output_bounds":[[0,1]]}}"#),
		("two batches", br#"{"batch":1,"batch":2,"lane_params":{"output_bounds":[[0,1]]}}"#),
		("no record", br#"{"batch":0,"lane_params":{"output_bounds":[[0,1]]}}"#),
		("too many records", br#"{"batch":33,"lane_params":{"output_bounds":[[0,1]]}}"#),
		("another lane's", br#"{"batch":1,"lane_params":{"salt_factor":3}}"#),
		("no outputs", br#"{"batch":1,"lane_params":{"output_bounds":[]}}"#),
		("bounds the wrong way round", br#"{"batch":1,"lane_params":{"output_bounds":[[1,0]]}}"#),
		("bounds that are no integers", br#"{"batch":1,"lane_params":{"output_bounds":[[0,1.5]]}}"#),
		("61 bits", br#"{"batch":1,"lane_params":{"output_bounds":[[0,2305843009213693951]]}}"#),
		("65 bits", br#"{"batch":1,"lane_params":{"output_bounds":[[0,18446744073709551616]]}}"#),
	];
	for (fault, json) in table {
		assert_eq!(Shape::of_manifest(json), None, "{fault}");
	}
}

#[test]
fn a_nonce_commits_to_the_key() {
	let vectors: serde_json::Value =
		serde_json::from_str(include_str!("../../../tests/vectors/protocol.json"))
			.expect("the protocol's vectors");
	let cases = vectors["reply_nonce"].as_array().expect("cases");
	assert_eq!(cases.len(), 2);
	for case in cases {
		let field = |name: &str| case[name].as_str().expect("hex");
		assert_eq!(reply::nonce(&hex::decode(field("reply_key")).expect("hex")), bytes(field("output")));
	}
	let (first, second) = (ReplyKey::new(&[9; 32]).expect("a key"), ReplyKey::new(&[8; 32]).expect("a key"));
	assert_ne!(reply::nonce(&first.public()), reply::nonce(&second.public()));
	// The bits that X25519 ignores make the same key, not another one with the same output.
	let mut clamped = [9; 32];
	clamped[0] &= 0xf8;
	clamped[31] = clamped[31] & 0x7f | 0x40;
	assert_eq!(first.public(), ReplyKey::new(&clamped).expect("a key").public());
}

fn bounds() -> impl Strategy<Value = Bounds> {
	(any::<i64>(), 0u32..=60, any::<u64>()).prop_map(|(lo, bits, more)| {
		let width = if bits == 0 { 0 } else { (1u64 << (bits - 1)) | (more & ((1 << (bits - 1)) - 1)) };
		let lo = lo.min(i64::MAX - width as i64);
		Bounds { lo, hi: lo + width as i64 }
	})
}

proptest! {
	#![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

	/// Whatever the shape, an enclave that seals what it proved is believed, and one changed value is found.
	#[test]
	fn an_honest_delivery_always_opens(
		batch in 1u32..=4,
		bounds in prop::collection::vec(bounds(), 1..80),
		flat in any::<bool>(),
		seed in any::<[u64; 8]>(),
		at in any::<prop::sample::Index>(),
	) {
		use codec::Encode;
		let form = if flat { Form::Flat } else { Form::Tree };
		let shape = Shape::new(batch, bounds.clone()).expect("a shape").with(form);
		let draw = |n: usize, one: &Bounds| {
			let width = one.hi.abs_diff(one.lo);
			let drawn = seed[n % 8].wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ n as u64);
			one.lo.wrapping_add((if width == u64::MAX { drawn } else { drawn % (width + 1) }) as i64)
		};
		let mut values: Vec<i64> =
			bounds.iter().cycle().take(shape.values()).enumerate().map(|(n, one)| draw(n, one)).collect();
		let (key, context, output) = delivery(&shape, &values);
		prop_assert_eq!(judge(&key, &context, &seal(&key, &context, &output.encode()), &shape), Ok(()));
		let at = at.index(values.len());
		let one = bounds[at % bounds.len()];
		values[at] = if values[at] == one.lo { one.hi } else { one.lo };
		if values != output.values {
			let other = Output { values, ..output };
			let judged = judge(&key, &context, &seal(&key, &context, &other.encode()), &shape);
			prop_assert_eq!(judged, Err(Fault::OtherCommitment));
		}
	}

	/// Nothing that a client can hand in stops the chain.
	#[test]
	fn no_bytes_panic(
		secret in any::<[u8; 32]>(),
		sealed in prop::collection::vec(any::<u8>(), 0..200),
		plaintext in prop::collection::vec(any::<u8>(), 0..200),
		manifest in prop::collection::vec(any::<u8>(), 0..200),
	) {
		let shape = Shape::new(1, vec![Bounds { lo: 0, hi: 1 }]).expect("a shape");
		let (_, context, _) = delivery(&shape, &[1]);
		let key = ReplyKey::new(&secret).expect("any 32 bytes are a key");
		prop_assert_eq!(judge(&key, &context, &sealed, &shape), Err(Fault::Sealed));
		prop_assert!(judge(&key, &context, &seal(&key, &context, &plaintext), &shape).is_err());
		let _ = Shape::of_manifest(&manifest);
	}
}
