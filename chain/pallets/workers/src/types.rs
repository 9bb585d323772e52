//! What the pallet stores about a worker.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{pallet_prelude::ConstU32, BoundedVec},
	sp_core::H256,
};
use proofward_primitives::{Level, Moment};
use scale_info::TypeInfo;

/// Longest quote, in bytes.
pub const MAX_QUOTE: u32 = 16 * 1024;
/// Longest HPKE public key, in bytes: X25519 has 32, ML-KEM-768 with X25519 has 1,216.
pub const MAX_HPKE_KEY: u32 = HYBRID_KEY as u32;
/// Longest endpoint, in bytes.
pub const MAX_ENDPOINT: u32 = 128;
/// The block that a quote names is one of this many before the present one, so that a quote cannot be kept for later.
pub const MAX_BLOCK_AGE: u32 = 256;
/// How far a worker's epoch may be ahead of the one before, so that none is an account's last.
pub const MAX_EPOCH_JUMP: u32 = 65_536;
/// Most models that one worker serves.
pub const MAX_SERVED: u32 = 32;
/// Longest receipt of an answer, in bytes. A gateway signs none that is longer.
pub const MAX_ANSWER_RECEIPT: u32 = 16 * 1024;
/// Longest id of one, in bytes.
pub const MAX_RECEIPT_ID: u32 = 128;
/// Most receipt keys of one worker that evidence may still name.
pub const MAX_KEYS: u32 = 32;

pub(crate) const X25519_KEY: usize = 32;
pub(crate) const HYBRID_KEY: usize = 1_216;

/// A TDX quote, version 4 or 5.
pub type Quote = BoundedVec<u8, ConstU32<MAX_QUOTE>>;
/// X25519, or the ML-KEM-768 hybrid: the length tells which.
pub type HpkeKey = BoundedVec<u8, ConstU32<MAX_HPKE_KEY>>;
/// A URL, or empty.
pub type Endpoint = BoundedVec<u8, ConstU32<MAX_ENDPOINT>>;

/// What a gateway signs about an answer: JSON in its canonical form.
pub type AnswerReceipt = BoundedVec<u8, ConstU32<MAX_ANSWER_RECEIPT>>;
/// The name of one.
pub type ReceiptId = BoundedVec<u8, ConstU32<MAX_RECEIPT_ID>>;

/// The keys of the epoch before: receipts made just before a renewal still count.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct PreviousEpoch {
	/// Counted up by each renewal, for good.
	pub epoch: u32,
	/// Ed25519.
	pub receipt_key: [u8; 32],
}

/// A key that signs no more, kept so that evidence against it can be brought.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct PastKey {
	/// Ed25519.
	pub receipt_key: [u8; 32],
	/// The block of the renewal that superseded it.
	pub superseded_at: u32,
}

/// How a worker's claims ended, since it registered.
#[derive(
	Clone, Copy, Default, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Tally {
	/// Results that were paid.
	pub accepted: u32,
	/// Proofs that the verifier called false.
	pub rejected: u32,
	/// Claims that ran out.
	pub lapsed: u32,
	/// Claims handed back.
	pub released: u32,
	/// Jobs declined without a claim.
	pub declined: u32,
}

/// How a worker's latest claims ended. Both counts are halved whenever the window is over, so that old ones fade.
#[derive(
	Clone, Copy, Default, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Reliability {
	/// The block in which the window began.
	pub since: u32,
	/// Claims that ended, whichever way.
	pub ended: u32,
	/// Those of them that ran out.
	pub lapsed: u32,
}

/// A registration. The quote itself stays in the extrinsic of block `registered_at`, where anyone can read it again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Worker {
	/// What the root of its quote is worth.
	pub level: Level,
	/// SHA-256 of the root's DER.
	pub root: H256,
	/// Of the enclave, as the quote states it.
	pub measurement: H256,
	/// SHA-256 of the machine's identifier.
	pub platform: H256,
	/// What clients seal to.
	pub hpke_key: HpkeKey,
	/// Ed25519.
	pub receipt_key: [u8; 32],
	/// Counted up by each renewal, for good.
	pub epoch: u32,
	/// The keys before these; receipts under them still count.
	pub previous: Option<PreviousEpoch>,
	/// Keys that signed before `receipt_key`, oldest first.
	pub past_keys: BoundedVec<PastKey, ConstU32<MAX_KEYS>>,
	/// Where the operator can be reached; informative.
	pub endpoint: Endpoint,
	/// SHA-256 of the quote.
	pub quote_hash: H256,
	/// The block of the last registration or renewal.
	pub registered_at: u32,
	/// Milliseconds since the Unix epoch.
	pub expires_at: Moment,
	/// Held, in the smallest unit.
	pub stake: u128,
	/// Claims that the worker holds now.
	pub open_claims: u32,
	/// Models that it serves now.
	pub served: u32,
	/// How its claims ended.
	pub tally: Tally,
	/// The block in which it retired; the stake stays until the unbonding time is over.
	pub retired_at: Option<u32>,
	/// Whether governance, or evidence of its own making, stopped it.
	pub banned: bool,
}
