//! A session's words, as Python has them.

use polkadot_sdk::{sp_core::H256, sp_runtime::AccountId32};
use proofward_primitives::sessions::*;
use serde_json::Value;

fn hash(value: &Value) -> H256 {
	H256::from_slice(&hex::decode(value.as_str().unwrap()).unwrap())
}

fn hashes(value: &Value) -> Vec<H256> {
	value.as_array().unwrap().iter().map(hash).collect()
}

#[test]
fn session_words_match_the_vectors() {
	let all: Value = serde_json::from_str(include_str!("../../../tests/vectors/sessions.json")).unwrap();
	let client = AccountId32::new(hash(&all["client"]).0);
	let session = session_id(&client, &hash(&all["nonce"]));
	assert_eq!(session, hash(&all["session"]));
	let (inputs, outputs, leaves) = (hashes(&all["inputs"]), hashes(&all["outputs"]), hashes(&all["leaves"]));
	for (page, expected) in leaves.iter().enumerate() {
		let mark = leaf(&session, page as u32, &inputs[page], &outputs[page]);
		assert_eq!(mark, *expected);
		let path = hashes(&all["paths"][page]);
		assert_eq!(path.len() as u32, depth(leaves.len() as u32));
		assert_eq!(root(mark, page as u32, &path), hash(&all["root"]));
	}
	let genesis = hash(&all["genesis"]);
	let message = |name: &str| hex::decode(all[name].as_str().unwrap()).unwrap();
	assert_eq!(page_message(&genesis, &session, 4, &leaves[4]), message("page_message"));
	let count = |name: &str| all["checkpoint"][name].as_u64().unwrap();
	let said = Checkpoint {
		genesis,
		session,
		number: count("number") as u32,
		root: hash(&all["root"]),
		pages: count("pages") as u32,
		records: count("records"),
	};
	assert_eq!(said.enclave_message(), message("enclave_message"));
	assert_eq!(said.voucher_message(), message("voucher_message"));
	for case in all["samples"].as_array().unwrap() {
		let of = |name: &str| case[name].as_u64().unwrap() as u32;
		let chosen: Vec<u32> =
			case["chosen"].as_array().unwrap().iter().map(|one| one.as_u64().unwrap() as u32).collect();
		let wanted = sampled(of("pages"), of("rate"), 128);
		assert_eq!(sample(&hash(&all["beacon"]), &session, of("number"), of("pages"), wanted), chosen);
	}
}
