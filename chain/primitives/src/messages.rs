//! What enclaves bind by a quote and sign by a receipt key.

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode};
use polkadot_sdk::{
	sp_core::{ed25519, H256},
	sp_io,
};
use scale_info::TypeInfo;
use sha2::{Digest, Sha512};

use crate::{Level, Setup};

const WORKER: &[u8] = b"proofward/worker/v1";
const SETUP: &[u8] = b"proofward/setup/v2";
const POSSESSION: &[u8] = b"proofward/possession/v1";
const RECEIPT: &[u8] = b"proofward/receipt/v1";

/// SHA-512 of the prefix and of every field behind its own length (u32, little endian), so no two lists collide.
fn bind(prefix: &[u8], fields: &[&[u8]]) -> [u8; 64] {
	let mut hasher = Sha512::new();
	hasher.update(prefix);
	for field in fields {
		hasher.update((field.len() as u32).to_le_bytes());
		hasher.update(field);
	}
	hasher.finalize().into()
}

/// `report_data` of a worker's quote: this enclave's keys, for this account, on this chain, not before this block.
pub fn worker_report_data<AccountId: Encode>(
	genesis: &H256,
	account: &AccountId,
	hpke_key: &[u8],
	receipt_key: &[u8; 32],
	epoch: u32,
	block_hash: &H256,
) -> [u8; 64] {
	let (account, epoch) = (account.encode(), epoch.to_le_bytes());
	bind(WORKER, &[genesis.as_bytes(), &account, hpke_key, receipt_key, &epoch, block_hash.as_bytes()])
}

/// Whether `signature` (Ed25519) is the receipt key's own over the report data that names it: whoever registers a key
/// holds it, so nobody can register another's.
pub fn possesses(receipt_key: &[u8; 32], report_data: &[u8; 64], signature: &[u8; 64]) -> bool {
	sp_io::crypto::ed25519_verify(
		&ed25519::Signature::from_raw(*signature),
		&possession(report_data),
		&ed25519::Public::from_raw(*receipt_key),
	)
}

/// What a receipt key signs to show that it is held: the domain prefix, then the report data.
pub fn possession(report_data: &[u8; 64]) -> Vec<u8> {
	[POSSESSION, report_data].concat()
}

/// `report_data` of the quote of an enclave that ran a trusted setup: this circuit and its keys were made in there, for
/// one publisher's one manifest (which names the proving key too), on this chain, not before this block.
pub fn setup_report_data<AccountId: Encode>(
	genesis: &H256,
	publisher: &AccountId,
	manifest_hash: &H256,
	circuit_digest: &H256,
	vk_hash: &H256,
	block_hash: &H256,
) -> [u8; 64] {
	let publisher = publisher.encode();
	let [genesis, manifest, circuit, vk, block] =
		[genesis, manifest_hash, circuit_digest, vk_hash, block_hash].map(H256::as_bytes);
	bind(SETUP, &[genesis, &publisher, manifest, circuit, vk, block])
}

/// What an enclave states when it hands over a result.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Receipt<AccountId> {
	/// Hash of block 0.
	pub genesis: H256,
	/// The job's id.
	pub job: H256,
	/// The model's id.
	pub model: H256,
	/// Who did it.
	pub worker: AccountId,
	/// SHA-256 of the ONNX file.
	pub weights_digest: H256,
	/// To the input.
	pub input_commitment: H256,
	/// To the output.
	pub output_commitment: H256,
	/// SHA-256 of the sealed output's bytes.
	pub sealed_output_hash: H256,
	/// SHA-256 of the proof's bytes.
	pub proof_hash: H256,
	/// The worker's.
	pub level: Level,
	/// The model's.
	pub setup: Setup,
	/// A block that the enclave was told of when it made the receipt.
	pub block: u32,
}

impl<AccountId: Encode> Receipt<AccountId> {
	/// The bytes that are signed: the domain prefix, then the SCALE encoding.
	pub fn message(&self) -> Vec<u8> {
		[RECEIPT, &self.encode()].concat()
	}

	/// Whether `signature` (Ed25519, RFC 8032) is `receipt_key`'s over this receipt.
	pub fn verify(&self, receipt_key: &[u8; 32], signature: &[u8; 64]) -> bool {
		sp_io::crypto::ed25519_verify(
			&ed25519::Signature::from_raw(*signature),
			&self.message(),
			&ed25519::Public::from_raw(*receipt_key),
		)
	}
}
