//! Identifiers: a domain prefix (raw ASCII, no length) before the SCALE encoding, hashed.

use alloc::vec::Vec;
use codec::Encode;
use polkadot_sdk::{
	sp_core::H256,
	sp_io::hashing::{blake2_256, sha2_256},
};

use crate::Lane;

const JOB: &[u8] = b"proofward/job/v1";
const MODEL: &[u8] = b"proofward/model/v2";
const MEASUREMENT: &[u8] = b"proofward/measurement/v1";

/// blake2-256 of the client's account and the nonce that the client drew at random: known before submission.
pub fn job_id<AccountId: Encode>(client: &AccountId, nonce: &H256) -> H256 {
	blake2_256(&[JOB, &(client, nonce).encode()].concat()).into()
}

/// blake2-256 over everything that makes a model what it is. Price and name may differ without a new identity.
pub fn model_id<AccountId: Encode>(
	publisher: &AccountId,
	weights_digest: &H256,
	manifest_hash: &H256,
	lane: Lane,
	vk_hash: &H256,
	key_hash: &H256,
) -> H256 {
	let fields = (publisher, weights_digest, manifest_hash, lane, vk_hash, key_hash).encode();
	blake2_256(&[MODEL, &fields].concat()).into()
}

/// The registers of a TDX report that say which software runs (Intel TDX module 1.5 ABI, TDREPORT, TDINFO).
pub struct TdRegisters<'a> {
	/// The domain as it was built.
	pub mrtd: &'a [u8; 48],
	/// What was measured while it started.
	pub rtmr: [&'a [u8; 48]; 4],
	/// The host's configuration of it.
	pub mr_config_id: &'a [u8; 48],
	/// Its owner.
	pub mr_owner: &'a [u8; 48],
	/// Its owner's configuration of it.
	pub mr_owner_config: &'a [u8; 48],
}

/// SHA-256 over every register that says which software runs: one allow-list entry pins them all.
pub fn measurement(registers: &TdRegisters) -> H256 {
	let mut message: Vec<u8> = Vec::with_capacity(MEASUREMENT.len() + 8 * 48);
	message.extend_from_slice(MEASUREMENT);
	message.extend_from_slice(registers.mrtd);
	registers.rtmr.iter().for_each(|rtmr| message.extend_from_slice(*rtmr));
	message.extend_from_slice(registers.mr_config_id);
	message.extend_from_slice(registers.mr_owner);
	message.extend_from_slice(registers.mr_owner_config);
	sha2_256(&message).into()
}
