//! Both implementations of the protocol, this one and Python's, must give the committed vectors.

use polkadot_sdk::{sp_core::H256, sp_runtime::AccountId32};
use proofward_primitives::{
	ids::{job_id, measurement, model_id, TdRegisters},
	messages::{possesses, setup_report_data, worker_report_data, Receipt},
	Lane, Level, Setup,
};
use serde_json::Value;

fn cases(name: &str) -> Vec<Value> {
	let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/protocol.json")).unwrap();
	let cases = vectors[name].as_array().unwrap().clone();
	assert!(!cases.is_empty());
	cases
}

fn bytes(value: &Value) -> Vec<u8> {
	hex::decode(value.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
	bytes(value).try_into().unwrap()
}

fn hash(value: &Value) -> H256 {
	H256(array(value))
}

fn account(value: &Value) -> AccountId32 {
	AccountId32::new(array(value))
}

fn named<T: serde::de::DeserializeOwned>(value: &Value) -> T {
	serde_json::from_value(value.clone()).unwrap()
}

fn setup(value: &Value) -> Setup {
	use codec::Decode;
	Setup::decode(&mut &bytes(value)[..]).unwrap()
}

#[test]
fn job_ids() {
	for case in cases("job_id") {
		assert_eq!(job_id(&account(&case["client"]), &hash(&case["nonce"])), hash(&case["output"]));
	}
}

#[test]
fn model_ids() {
	for case in cases("model_id") {
		let id = model_id(
			&account(&case["publisher"]),
			&hash(&case["weights_digest"]),
			&hash(&case["manifest_hash"]),
			named::<Lane>(&case["lane"]),
			&hash(&case["vk_hash"]),
			&hash(&case["key_hash"]),
		);
		assert_eq!(id, hash(&case["output"]));
	}
}

#[test]
fn possession_of_a_receipt_key() {
	for case in cases("possession") {
		let (key, data) = (array(&case["receipt_key"]), array(&case["report_data"]));
		assert!(possesses(&key, &data, &array(&case["output"])));
		assert!(!possesses(&key, &[0; 64], &array(&case["output"])));
	}
}

#[test]
fn report_data() {
	for case in cases("worker_report_data") {
		let data = worker_report_data(
			&hash(&case["genesis"]),
			&account(&case["account"]),
			&bytes(&case["hpke_key"]),
			&array(&case["receipt_key"]),
			case["epoch"].as_u64().unwrap() as u32,
			&hash(&case["block_hash"]),
		);
		assert_eq!(data.to_vec(), bytes(&case["output"]));
	}
	for case in cases("setup_report_data") {
		let data = setup_report_data(
			&hash(&case["genesis"]),
			&account(&case["publisher"]),
			&hash(&case["manifest_hash"]),
			&hash(&case["circuit_digest"]),
			&hash(&case["vk_hash"]),
			&hash(&case["block_hash"]),
		);
		assert_eq!(data.to_vec(), bytes(&case["output"]));
	}
}

#[test]
fn measurements() {
	for case in cases("measurement") {
		let registers = TdRegisters {
			mrtd: &array(&case["mrtd"]),
			rtmr: [
				&array(&case["rtmr0"]),
				&array(&case["rtmr1"]),
				&array(&case["rtmr2"]),
				&array(&case["rtmr3"]),
			],
			mr_config_id: &array(&case["mr_config_id"]),
			mr_owner: &array(&case["mr_owner"]),
			mr_owner_config: &array(&case["mr_owner_config"]),
		};
		assert_eq!(measurement(&registers), hash(&case["output"]));
	}
}

#[test]
fn receipts() {
	for case in cases("receipt") {
		let level: Level = named(&case["level"]);
		let receipt = Receipt {
			genesis: hash(&case["genesis"]),
			job: hash(&case["job"]),
			model: hash(&case["model"]),
			worker: account(&case["worker"]),
			weights_digest: hash(&case["weights_digest"]),
			input_commitment: hash(&case["input_commitment"]),
			output_commitment: hash(&case["output_commitment"]),
			sealed_output_hash: hash(&case["sealed_output_hash"]),
			proof_hash: hash(&case["proof_hash"]),
			level,
			setup: setup(&case["setup"]),
			block: case["block"].as_u64().unwrap() as u32,
		};
		assert_eq!(receipt.message(), bytes(&case["message"]));
		let (key, signature) = (array(&case["receipt_key"]), array(&case["signature"]));
		assert!(receipt.verify(&key, &signature));
		assert!(!receipt.verify(&[7; 32], &signature));
		assert!(!Receipt { block: receipt.block + 1, ..receipt }.verify(&key, &signature));
	}
}
