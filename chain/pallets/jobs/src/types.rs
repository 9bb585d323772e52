//! What the chain keeps of a job and of a queue.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{pallet_prelude::ConstU32, BoundedVec},
	sp_core::H256,
};
use proofward_primitives::{Balance, Level, Setup};
use scale_info::TypeInfo;

/// Longest sealed input and longest sealed output, in bytes.
pub const MAX_SEALED: u32 = 65_536;
/// Longest proof, in bytes.
pub const MAX_PROOF: u32 = 16_384;
/// Most workers that one envelope is wrapped for.
pub const MAX_RECIPIENTS: u32 = 8;

/// A sealed input or output; the chain cannot read it.
pub type SealedBytes = BoundedVec<u8, ConstU32<MAX_SEALED>>;
/// A proof, as the lane's contract takes it.
pub type Proof = BoundedVec<u8, ConstU32<MAX_PROOF>>;
/// Some of a job's recipients.
pub type Accounts<AccountId> = BoundedVec<AccountId, ConstU32<MAX_RECIPIENTS>>;

/// Where a job stands. `Accepted` and `Refunded` are final.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Status<AccountId> {
	/// In its model's queue.
	#[codec(index = 0)]
	Queued,
	/// Out of the queue, in the hands of one worker.
	#[codec(index = 1)]
	Claimed {
		/// Who holds it, or did it.
		worker: AccountId,
		/// The block of the claim.
		claimed_at: u32,
		/// Last block in which the worker's result counts; never after the job's deadline.
		lapses_at: u32,
		/// Held from the worker, in the smallest unit.
		bond: Balance,
	},
	/// Done and paid for.
	#[codec(index = 2)]
	Accepted {
		/// Who holds it, or did it.
		worker: AccountId,
		/// The worker's, as its receipt states it.
		level: Level,
		/// The model's at the time, as the receipt states it.
		setup: Setup,
		/// What the proof says that the output is.
		output_commitment: H256,
		/// SHA-256 of the proof, which stays in the extrinsic at `block`.
		proof_hash: H256,
		/// SHA-256 of the sealed output, which stays in the extrinsic at `block`.
		sealed_output_hash: H256,
		/// The block of the verdict.
		block: u32,
	},
	/// Not done in time; the client has everything back.
	#[codec(index = 3)]
	Refunded {
		/// The block of the refund.
		block: u32,
	},
}

/// A job. The sealed input is kept apart and leaves state at the end; this record stays for the retention time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Job<AccountId> {
	/// Who ordered and pays.
	pub client: AccountId,
	/// The model's id.
	pub model: H256,
	/// What the proof must be about.
	pub input_commitment: H256,
	/// SHA-256 of the sealed input, which stays in the extrinsic at `submitted_at`.
	pub sealed_hash: H256,
	/// The workers that can open the envelope, and so the only ones that may claim.
	pub recipients: Accounts<AccountId>,
	/// Held from the client until the end, then the worker's or the client's again; in the smallest unit.
	pub price: Balance,
	/// Held from the client while the sealed input is in state, in the smallest unit.
	pub deposit: Balance,
	/// Held from the client while this record is in state, in the smallest unit.
	pub record_deposit: Balance,
	/// Last block in which a result counts.
	pub deadline: u32,
	/// The least level of a worker.
	pub min_level: Level,
	/// Whether the client accepts a proving key that one party made.
	pub allow_dev_setup: bool,
	/// The block of `submit`.
	pub submitted_at: u32,
	/// Claims so far.
	pub attempts: u32,
	/// Workers whose proof was rejected; they may not claim again.
	pub rejected_by: Accounts<AccountId>,
	/// Workers that handed the job back or let a claim on it run out: others come first, and the next time a release
	/// costs their bond.
	pub released_by: Accounts<AccountId>,
	/// Workers that declined the job, or on whose result no verdict could be had; they may not claim it.
	pub declined_by: Accounts<AccountId>,
	/// Where it stands.
	pub status: Status<AccountId>,
}

impl<AccountId: PartialEq> Job<AccountId> {
	/// Whether this account may still claim it.
	pub fn is_for(&self, account: &AccountId) -> bool {
		self.recipients.contains(account)
			&& !self.rejected_by.contains(account)
			&& !self.declined_by.contains(account)
	}
}

impl<AccountId> Job<AccountId> {
	/// Whether money is still held for it.
	pub fn is_open(&self) -> bool {
		matches!(self.status, Status::Queued | Status::Claimed { .. })
	}

	/// Whether nobody is left who may do it.
	pub fn is_exhausted(&self) -> bool {
		self.rejected_by.len() + self.declined_by.len() >= self.recipients.len()
	}

	/// The block in which it ended.
	pub fn ended_at(&self) -> Option<u32> {
		match self.status {
			Status::Queued | Status::Claimed { .. } => None,
			Status::Accepted { block, .. } | Status::Refunded { block } => Some(block),
		}
	}
}

/// The ends of a model's queue.
#[derive(Clone, Default, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Queue {
	/// The job that has waited longest.
	pub head: Option<H256>,
	/// The job that came last.
	pub tail: Option<H256>,
	/// How many wait.
	pub len: u32,
}

/// A queued job's neighbours.
#[derive(Clone, Default, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Link {
	/// The one before; `None` at the head.
	pub prev: Option<H256>,
	/// The one behind; `None` at the tail.
	pub next: Option<H256>,
}
