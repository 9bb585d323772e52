//! The seams between the pallets. The runtime plugs the pallets into each other; unit tests plug in tables.

use alloc::vec::Vec;

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{pallet_prelude::DispatchResult, weights::Weight},
	sp_core::{H160, H256},
	sp_runtime::{DispatchError, Permill},
};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{Balance, Lane, Level, Moment, Setup};

/// What a quote says after it was verified against a root, its collateral, the TCB policy and the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
	/// What the root is worth.
	pub level: Level,
	/// SHA-256 of the DER of the root that verified it.
	pub root: H256,
	/// See [`crate::ids::measurement`]; on the allow-list.
	pub measurement: H256,
	/// SHA-256 of the platform's own identifier (PPID): the machine, whichever software runs on it.
	pub platform: H256,
	/// The caller compares it with what the quote must bind.
	pub report_data: [u8; 64],
	/// When the collateral behind the verdict runs out, in milliseconds.
	pub collateral_expires_at: Moment,
}

/// The attestation pallet, as workers and models see it.
pub trait QuoteVerifier {
	/// Verifies a TDX quote at the chain's present time. Errors name the reason and come from the attestation pallet.
	fn verify_quote(quote: &[u8]) -> Result<Verified, DispatchError>;
	/// An upper bound of the weight of [`Self::verify_quote`].
	fn verify_quote_weight() -> Weight;
}

/// The attestation pallet's present trust, for what was verified earlier.
pub trait TrustList {
	/// Whether a quote under this root and with this measurement would still be taken. When a root or a measurement
	/// is struck off, everything that rested on it falls at once.
	fn trusted(root: &H256, measurement: &H256) -> bool;
	/// Whether governance has banned this machine.
	fn platform_banned(platform: &H256) -> bool;
}

/// A worker whose registration stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerView {
	/// What the root is worth.
	pub level: Level,
	/// Of its present keys.
	pub epoch: u32,
	/// Ed25519.
	pub receipt_key: [u8; 32],
	/// The epoch before, whose receipts still count: a renewal must not void the work in progress. `None` when that
	/// epoch was attested at another level or by a measurement that is no longer allowed: `level` speaks for both.
	pub previous_receipt_key: Option<[u8; 32]>,
	/// End of the registration, in milliseconds.
	pub expires_at: Moment,
	/// Whether it may take no new work for a while, because it missed too many claims. It may end what it holds.
	pub suspended: bool,
}

impl WorkerView {
	/// The keys under which a receipt may be signed, newest first.
	pub fn receipt_keys(&self) -> impl Iterator<Item = &[u8; 32]> {
		core::iter::once(&self.receipt_key).chain(self.previous_receipt_key.as_ref())
	}
}

/// The workers pallet, as jobs see it.
pub trait WorkerRegistry<AccountId> {
	/// The worker, unless it never registered, retired or expired.
	fn active(worker: &AccountId) -> Option<WorkerView>;
	/// The least price at which the worker does jobs of this model; `None` when it does not serve it.
	fn serves(worker: &AccountId, model: &H256) -> Option<Balance>;
	/// Notes a claim; the worker cannot retire (and take its stake) while it holds one.
	/// Fails for a worker that is not registered.
	fn claim_opened(worker: &AccountId) -> DispatchResult;
	/// Notes the end of a claim on the worker's record. Never fails: an ending must not be blocked.
	fn claim_closed(worker: &AccountId, ending: Ending);
	/// Notes that the worker declined a job that it did not hold. Never fails.
	fn declined(worker: &AccountId);
}

/// The workers pallet, as whoever shows by a worker's own signature what it did sees it.
pub trait Equivocation<AccountId> {
	/// Whose receipt key this is, or was within the time for evidence.
	fn holder(receipt_key: &[u8; 32]) -> Option<AccountId>;
	/// Takes a part of the worker's stake, once for whatever `about` names, and bans it; `reporter` has its part of it.
	/// Gives what was taken.
	fn punish(worker: &AccountId, reporter: &AccountId, about: H256) -> Result<Balance, DispatchError>;
	/// The same for an output that was paid for and does not open: the client has besides what it is `owed`, within
	/// bounds.
	fn undelivered(
		worker: &AccountId,
		client: &AccountId,
		job: H256,
		owed: Balance,
	) -> Result<Balance, DispatchError>;
}

/// How a claim ended. The worker's record counts each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
	/// The proof was accepted.
	Accepted,
	/// The verifier answered that the proof is false.
	Rejected,
	/// Nothing came in time.
	Lapsed,
	/// The worker handed the job back, or no verdict could be had.
	Released,
}

/// A published model, as jobs see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelView<AccountId> {
	/// Who has a share of each price.
	pub publisher: AccountId,
	/// SHA-256 of the ONNX file.
	pub weights_digest: H256,
	/// How its proofs are made and judged.
	pub lane: Lane,
	/// Whose word its proving key rests on, as of now.
	pub setup: Setup,
	/// The lane's contract; `None` when governance has struck it off, and then nothing is judged.
	pub verifier: Option<VerifierContract>,
	/// The most that a verdict on one of its proofs may use: measured at publishing, with room to spare.
	pub verdict_limit: Weight,
	/// The least price of a job, in the chain's smallest unit.
	pub price: Balance,
	/// The publisher's part of each price.
	pub share: Permill,
	/// What a worker puts down for a claim, in the smallest unit.
	pub bond: Balance,
	/// Blocks after which a claim lapses.
	pub claim_blocks: u32,
	/// Whether it takes no new jobs.
	pub retired: bool,
}

/// The models pallet, as jobs see it.
pub trait ModelRegistry<AccountId> {
	/// The model, published and not removed.
	fn model(id: &H256) -> Option<ModelView<AccountId>>;
	/// The verifying key, as the lane's contract takes it. Empty when there is no such model.
	fn verifying_key(id: &H256) -> Vec<u8>;
	/// The contract cannot judge proofs of this model, whoever made them: it takes no new jobs. Never fails.
	fn faulted(id: &H256);
}

/// A lane's verifier contract, pinned by the hash of its runtime code.
#[derive(
	Clone,
	Copy,
	Debug,
	PartialEq,
	Eq,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
pub struct VerifierContract {
	/// Where it is.
	pub address: H160,
	/// keccak-256 of the runtime code.
	pub code_hash: H256,
}

/// The contracts on the chain, as models see them.
pub trait ContractCode {
	/// keccak-256 of the code at `address`; `None` when there is none.
	fn code_hash(address: &H160) -> Option<H256>;
}

/// Why a proof was not accepted. Only [`RejectReason::ProofInvalid`] is the worker's fault.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum RejectReason {
	/// The contract answered `false`.
	ProofInvalid,
	/// The contract reverted.
	Reverted,
	/// The contract trapped or used more weight or deposit than a verdict may.
	CallFailed,
	/// The contract answered with something other than an ABI boolean of exactly 32 bytes.
	MalformedAnswer,
	/// The lane has no contract, or its code is not the code on the allow-list.
	CodeChanged,
}

/// What a contract says about a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
	/// The proof is good.
	Accepted,
	/// It is not, or nothing could be said.
	Rejected(RejectReason),
}

/// A decision and what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
	/// What was said.
	pub decision: Decision,
	/// What saying it used.
	pub weight: Weight,
}

/// What a probe is about: a number of every lane's field.
pub const PROBED: H256 = {
	let mut one = [0; 32];
	one[31] = 1;
	H256(one)
};

/// A proof and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
	/// Of what went in.
	pub input_commitment: H256,
	/// Of what came out.
	pub output_commitment: H256,
	/// As the lane makes it.
	pub proof: Vec<u8>,
}

/// Asks a lane's contract about keys and proofs. Whatever the contract does leaves no trace in state.
pub trait ProofVerifier {
	/// Calls `wellFormed(bytes key) returns (bool)`: [`Decision::Accepted`] when the bytes are a verifying key of the
	/// lane.
	fn well_formed(contract: &VerifierContract, key: &[u8]) -> Verdict;
	/// Calls `verify(bytes key, bytes32 inputCommitment, bytes32 outputCommitment, bytes proof) returns (bool)` with at
	/// most `limit`; only an exact `true` is [`Decision::Accepted`].
	fn verify(
		contract: &VerifierContract,
		key: &[u8],
		input_commitment: &H256,
		output_commitment: &H256,
		proof: &[u8],
		limit: Weight,
	) -> Verdict;
	/// Calls `verifyMany(bytes key, bytes32[] inputCommitments, bytes32[] outputCommitments, bytes[] proofs) returns
	/// (bool)`: [`Decision::Accepted`] when each of the proofs holds.
	fn verify_many(
		contract: &VerifierContract,
		key: &[u8],
		statements: &[Statement],
		limit: Weight,
	) -> Verdict;
	/// A false proof of the lane's form. A contract that works answers `false` to it, after as much work as a true one
	/// takes: so it tells what a verdict costs, and whether a fault is the proof's or the contract's.
	fn probe(lane: Lane) -> Vec<u8>;
	/// The most weight that any verdict can use.
	fn max_weight() -> Weight;
}
