//! What the pallet stores.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{pallet_prelude::ConstU32, BoundedVec},
	sp_core::H256,
};
use proofward_primitives::{Balance, Level};
use scale_info::TypeInfo;

/// Most sessions that one offer takes at once.
pub const MAX_CAPACITY: u32 = 64;
/// Most windows of a session that wait for their end.
pub const MAX_WINDOWS: u32 = 32;
/// Most pages of a window; a page's path to the root has 16 hashes then.
pub const MAX_PAGES: u32 = 1 << MAX_PATH;
/// Longest path.
pub const MAX_PATH: u32 = 16;
/// Most records of a page.
pub const MAX_BATCH: u64 = 32;
/// Most pages of a window that the beacon picks.
pub const MAX_SAMPLED: u32 = 128;
/// Most pages of a window that the client may ask for besides.
pub const MAX_FORCED: u32 = 8;
/// Most pages that a window can owe proofs of.
pub const MAX_ASKED: u32 = MAX_SAMPLED + MAX_FORCED;
/// Most pages that one call proves.
pub const MAX_PROVED: u32 = 8;
/// Longest proof, in bytes.
pub const MAX_PROOF: u32 = 16 * 1024;
/// Blocks that a worker has for a proof, at least and at most.
pub const WINDOW_BLOCKS: core::ops::RangeInclusive<u32> = 5..=600;
/// The rate of sampling is in so many parts.
pub const PARTS: u32 = 1_000_000;

/// A Groth16 proof, or another lane's.
pub type Proof = BoundedVec<u8, ConstU32<MAX_PROOF>>;
/// Siblings of a page on its way to the root, lowest first.
pub type Path = BoundedVec<H256, ConstU32<MAX_PATH>>;
/// The pages that one call proves.
pub type Pages = BoundedVec<Proved, ConstU32<MAX_PROVED>>;

/// On what terms a worker takes sessions of a model.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Terms {
	/// For one inference, in the smallest unit.
	pub price: Balance,
	/// What the worker puts down for each session, in the smallest unit.
	pub bond: Balance,
	/// Sessions at once.
	pub capacity: u32,
	/// The most pages that a client may have sampled, in millionths.
	pub most_sampled: u32,
	/// The fewest blocks that it takes for a proof.
	pub least_window: u32,
}

/// A publisher's word for a model.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Floor<AccountId> {
	/// The least that an inference costs, in the smallest unit.
	pub price: Balance,
	/// Whose word it is.
	pub publisher: AccountId,
	/// Held from the publisher for this entry.
	pub deposit: Balance,
}

/// An offer, and how much of it is free.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Offer {
	/// As the worker set them last.
	pub terms: Terms,
	/// Sessions that it can still take; the bond of each is held.
	pub free: u32,
	/// Held from the worker for this entry.
	pub deposit: Balance,
}

/// A session that runs. It leaves state with its end.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Session<AccountId> {
	/// Who pays.
	pub client: AccountId,
	/// Who works.
	pub worker: AccountId,
	/// What is run.
	pub model: H256,
	/// Ed25519, the client's: signs vouchers.
	pub voucher_key: [u8; 32],
	/// Ed25519, of the enclave that the session's key is sealed to: signs checkpoints and pages.
	pub receipt_key: [u8; 32],
	/// The epoch of that key.
	pub epoch: u32,
	/// The worker's when the session was opened.
	pub level: Level,
	/// The least that the client takes.
	pub min_level: Level,
	/// For one inference, in the smallest unit.
	pub price: Balance,
	/// Pages that the beacon picks, in millionths, one at least.
	pub sample: u32,
	/// Blocks for a proof, from the moment that the beacon is known.
	pub window: u32,
	/// The block in which it was opened.
	pub opened_at: u32,
	/// The last block in which the worker may serve.
	pub end: u32,
	/// Held from the client for inferences.
	pub escrow: Balance,
	/// The part of it that open windows claim.
	pub owed: Balance,
	/// Held from the worker.
	pub bond: Balance,
	/// Held from the client for the records in state.
	pub deposit: Balance,
	/// The number of the oldest open window.
	pub oldest: u32,
	/// The number of the next checkpoint.
	pub next: u32,
	/// Pages of all checkpoints.
	pub pages: u32,
	/// Inferences of all checkpoints.
	pub records: u64,
	/// Inferences that were paid.
	pub paid: u64,
}

/// A page that a proof is owed of, or was.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Asked {
	/// Its number in the session.
	pub page: u32,
	/// What the client put down to have it proved; nothing for a sampled one.
	pub fee: Balance,
	/// Whether the proof came.
	pub proved: bool,
}

/// What the beacon gave for a window.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Drawn {
	/// The beacon's value.
	pub value: H256,
	/// Values among which one block author could have chosen.
	pub choices: u32,
}

/// The inferences between two checkpoints, until they are paid or not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Window {
	/// Of the tree of its pages.
	pub root: H256,
	/// The number of its first page.
	pub first: u32,
	/// How many pages it has.
	pub pages: u32,
	/// How many inferences.
	pub records: u64,
	/// What they cost.
	pub value: Balance,
	/// The block of the checkpoint.
	pub posted_at: u32,
	/// The last block in which the client may ask for a page.
	pub until: u32,
	/// The last block in which proofs count.
	pub due: u32,
	/// Once somebody has asked for it.
	pub drawn: Option<Drawn>,
	/// Pages that proofs are owed of.
	pub asked: BoundedVec<Asked, ConstU32<MAX_ASKED>>,
	/// No verdict could be had, and that is not the worker's fault.
	pub excused: bool,
}

/// A page with what it takes to judge it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Proved {
	/// Its number in the session.
	pub page: u32,
	/// What the proof is about.
	pub input_commitment: H256,
	/// Likewise.
	pub output_commitment: H256,
	/// To the window's root.
	pub path: Path,
	/// For the model's circuit.
	pub proof: Proof,
}
