//! What a client can do about a result that was paid for and does not open.
//!
//! The job's id commits to the key that its output is sealed to ([`reply::nonce`]), and no enclave works on a job whose
//! payload names another. The client reveals the key; what it hands in besides is checked against hashes that the chain
//! has held since before the work began. What is found then follows from bytes alone: an enclave that sealed what it
//! proved has nothing to fear from any client.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{
		ensure,
		pallet_prelude::{ConstU32, DispatchResult, Get},
		BoundedVec,
	},
	frame_system::{self, pallet_prelude::BlockNumberFor},
	sp_core::H256,
	sp_io::hashing::sha2_256,
	sp_runtime::traits::Zero,
};
use proofward_opening::{judge, reply, Context, Fault, ReplyKey, Shape};
use proofward_primitives::{ids, Balance, Equivocation, Lane};
use scale_info::TypeInfo;

use crate::{
	types::{Job, SealedBytes, Status},
	Config, Contested, Error, Event, Pallet,
};

/// Longest manifest that the chain reads, in bytes.
pub const MAX_MANIFEST: u32 = 65_536;

/// An artefact's `manifest.json`.
pub type Manifest = BoundedVec<u8, ConstU32<MAX_MANIFEST>>;

/// What makes a model's id, but for the manifest's hash. The model's own entry may have left the chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Identity<AccountId> {
	/// Who published it.
	pub publisher: AccountId,
	/// SHA-256 of the ONNX file.
	pub weights_digest: H256,
	/// How its proofs are made and judged.
	pub lane: Lane,
	/// SHA-256 of the verifying key's file.
	pub vk_hash: H256,
	/// SHA-256 of the verifying key as the lane's contract takes it.
	pub key_hash: H256,
}

/// A contest that was won.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Undelivered {
	/// What is wrong with the output.
	pub fault: Fault,
	/// Taken from the worker's stake, in the smallest unit.
	pub slashed: Balance,
	/// The block of the contest.
	pub block: u32,
}

/// The arguments of `contest`.
pub struct Evidence<AccountId> {
	/// The X25519 private key that the job's output was to be sealed to.
	pub reply_key: [u8; 32],
	/// As the worker handed it in.
	pub sealed_output: SealedBytes,
	/// Of the model's artefact.
	pub manifest: Manifest,
	/// What else makes the model's id.
	pub identity: Identity<AccountId>,
}

/// Judges a contest; only a result that does not open is `Ok`.
pub fn contest<T: Config>(
	caller: T::AccountId,
	id: H256,
	evidence: Evidence<T::AccountId>,
) -> DispatchResult {
	let job = Pallet::<T>::job(id)?;
	ensure!(job.client == caller, Error::<T>::NotClient);
	let Status::Accepted { worker, output_commitment, sealed_output_hash, block, .. } = &job.status else {
		return Err(Error::<T>::NotAccepted.into());
	};
	let now = Pallet::<T>::now();
	ensure!(now <= block.saturating_add(T::ContestWindow::get()), Error::<T>::ContestOver);
	ensure!(!Contested::<T>::contains_key(id), Error::<T>::AlreadyContested);
	ensure!(H256(sha2_256(&evidence.sealed_output)) == *sealed_output_hash, Error::<T>::NotTheSealedOutput);

	let key = ReplyKey::new(&evidence.reply_key).ok_or(Error::<T>::NotTheReplyKey)?;
	let committed = ids::job_id(&job.client, &H256(reply::nonce(&key.public())));
	ensure!(committed == id, Error::<T>::NotTheReplyKey);
	let shape = shape_of::<T>(&job, &evidence)?;

	let context = Context {
		genesis: frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero()).0,
		job: id.0,
		model: job.model.0,
		worker: bytes_of(worker).ok_or(Error::<T>::NotContestable)?,
		input_commitment: job.input_commitment.0,
		output_commitment: output_commitment.0,
	};
	let Err(fault) = judge(&key, &context, &evidence.sealed_output, &shape) else {
		return Err(Error::<T>::OutputOpens.into());
	};
	let slashed = T::Evidence::undelivered(worker, &job.client, id, job.price)?;
	Contested::<T>::insert(id, Undelivered { fault, slashed, block: now });
	Pallet::<T>::deposit_event(Event::Contested { job: id, worker: worker.clone(), fault, slashed });
	Ok(())
}

/// The shape of the model's outputs, from the manifest that the job's model id binds.
fn shape_of<T: Config>(
	job: &Job<T::AccountId>,
	evidence: &Evidence<T::AccountId>,
) -> Result<Shape, Error<T>> {
	let Identity { publisher, weights_digest, lane, vk_hash, key_hash } = &evidence.identity;
	let manifest_hash = H256(sha2_256(&evidence.manifest));
	let model = ids::model_id(publisher, weights_digest, &manifest_hash, *lane, vk_hash, key_hash);
	ensure!(model == job.model, Error::<T>::NotTheModel);
	ensure!(*lane == Lane::Groth16, Error::<T>::NotContestable);
	Shape::of_manifest(&evidence.manifest).ok_or(Error::<T>::NotContestable)
}

/// An account as envelopes name it.
fn bytes_of<AccountId: Encode>(account: &AccountId) -> Option<[u8; 32]> {
	account.encode().try_into().ok()
}
