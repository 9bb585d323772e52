//! The jobs pallet's `contest`: the chain opens an output and commits to it anew.

use pallet_jobs::{
	contest::{Identity, Manifest, MAX_MANIFEST},
	types::{SealedBytes, Status, MAX_SEALED},
};
use polkadot_sdk::{sp_core::H256, sp_io::hashing::sha2_256};
use proofward_fixtures as fixtures;
use proofward_opening::{commitment, output::Output, reply, Context, ReplyKey, Shape};
use proofward_primitives::{ids, Lane, Level, Setup};

use crate::{
	calls::*,
	chain::*,
	measure::{cost, Cost},
};

const SECRET: [u8; 32] = [0x77; 32];
const BATCH: u32 = 32;
/// Bits of a value: four fill a field element, so that a byte of output makes most hashes.
const WIDEST: (i64, i64) = (0, (1 << 60) - 1);
/// Outputs of a record such that all records fill the longest sealed output.
const MOST: u32 = 254;

/// What a contest of an output of this shape costs that opens something else, which shows last.
fn contested(outputs: u32, padding: usize) -> (Cost, u32, u32) {
	let key = ReplyKey::new(&SECRET).expect("any 32 bytes are a key");
	let bounds = vec![format!("[{},{}]", WIDEST.0, WIDEST.1); outputs as usize].join(",");
	// What a manifest says besides is read past.
	let other = "x".repeat(padding);
	let manifest =
		format!(r#"{{"batch":{BATCH},"lane_params":{{"output_bounds":[{bounds}]}},"other":"{other}"}}"#);
	let shape = Shape::of_manifest(manifest.as_bytes()).expect("a manifest");
	let [weights_digest, vk_hash, key_hash] = [1, 2, 3].map(H256::repeat_byte);
	let identity = Identity { publisher: ALICE, weights_digest, lane: Lane::Groth16, vk_hash, key_hash };
	let manifest_hash = H256(sha2_256(manifest.as_bytes()));
	let model_id = ids::model_id(&ALICE, &weights_digest, &manifest_hash, Lane::Groth16, &vk_hash, &key_hash);
	let id = ids::job_id(&CLIENT, &H256(reply::nonce(&key.public())));

	let values = vec![WIDEST.1; shape.values()];
	let salt = [0x5a; 32];
	assert!(commitment::commit(&shape, &values, &salt).is_some(), "within bounds");
	let context = Context {
		genesis: fixtures::GENESIS,
		job: id.0,
		model: model_id.0,
		worker: ALICE.into(),
		input_commitment: INPUT.0,
		output_commitment: OUTPUT.0,
	};
	let output = codec::Encode::encode(&Output { records: BATCH, values, salt });
	let sealed = seal(&key.public(), &context.info(), &output);
	let (length, manifest_length) = (sealed.len() as u32, manifest.len() as u32);
	let sealed: SealedBytes = sealed.try_into().expect("within the bound");
	let manifest: Manifest = manifest.into_bytes().try_into().expect("within the bound");
	let accepted = || {
		claimed();
		let mut record = pallet_jobs::Jobs::<Chain>::get(job()).expect("claimed");
		record.model = model_id;
		record.status = Status::Accepted {
			worker: ALICE,
			level: Level::Simulated,
			setup: Setup::Dev,
			output_commitment: OUTPUT,
			proof_hash: H256::zero(),
			sealed_output_hash: sha2_256(&sealed).into(),
			block: 10,
		};
		pallet_jobs::Jobs::<Chain>::insert(id, record);
	};
	let cost = cost(accepted, || {
		Jobs::contest(client(), id, SECRET, sealed.clone(), manifest.clone(), identity.clone())
			.map(drop)
			.map_err(|error| error.error)
	});
	(cost, length, manifest_length)
}

fn seal(public: &[u8; 32], info: &[u8], plaintext: &[u8]) -> Vec<u8> {
	use hpke::{
		aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256, Deserializable, Kem, OpModeS,
		Serializable,
	};
	use rand_core::SeedableRng;
	let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public).expect("a key");
	let (encapsulated, ciphertext) =
		hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
			&OpModeS::Base,
			&public,
			info,
			plaintext,
			&[],
			&mut rand_chacha::ChaCha8Rng::seed_from_u64(7),
		)
		.expect("sealed");
	[encapsulated.to_bytes().to_vec(), ciphertext].concat()
}

pub fn contest() -> Call {
	// A record of one output, of 69 (whose elements need every kind of hash), and of the most.
	let (mut least, ..) = contested(1, 0);
	let (most, longest, _) = contested(MOST, 0);
	let (with_manifest, _, manifest) = contested(1, MAX_MANIFEST as usize - 200);
	assert!(longest <= MAX_SEALED && longest > MAX_SEALED - 512, "{longest} bytes");
	let (between, length, _) = contested(69, 0);
	// Hashes of a kind need constants, which are made once: no point between may cost more than the line says.
	let slope = most.nanoseconds.saturating_sub(least.nanoseconds) / u64::from(longest);
	let said = least.nanoseconds + slope * u64::from(length);
	least.nanoseconds += between.nanoseconds.saturating_sub(said);
	let most = Cost { nanoseconds: most.nanoseconds + between.nanoseconds.saturating_sub(said), ..most };
	let with_manifest =
		Cost { nanoseconds: with_manifest.nanoseconds.max(least.nanoseconds), ..with_manifest };
	arithmetic(linear(
		"contest",
		&["`sealed_output`, `manifest`: lengths in bytes."],
		least,
		vec![("sealed_output", longest, most), ("manifest", manifest, with_manifest)],
	))
}
