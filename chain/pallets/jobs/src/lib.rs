//! Sealed jobs: queues, escrow, claims, and the verdict of a model's contract.
//!
//! ```text
//! submit -> Queued --claim--> Claimed --complete, proof accepted--> Accepted
//!             ^  |              |
//!             |  |              +--release, lapse, or complete without an acceptance--> Queued
//!             |  +--expire, cancel, or the last recipient declines--> Refunded <--expire--+ (from Claimed as well)
//! ```
//!
//! - A job has at most one accepted result: `Accepted` and `Refunded` are final, and both are reached once.
//! - Every amount is a hold on its owner's account (see [`escrow`]); a closed job holds nothing.
//! - The sealed input is in state exactly while the job is open. Afterwards block history keeps it; the record follows
//!   after the retention time.
//! - A worker's bond is what the model's terms say, never more than the worker declared, and goes to the client when the
//!   worker lets it wait or hands in a proof that the verifier calls false. A verdict that cannot be had costs nobody,
//!   unless the contract judges another proof under the same key: then this one holds the job up, and pays for it.
//! - Work is for active workers that serve the model at the price, each of which finds it under its own account.
//! - A result that was paid for and does not open costs the worker a part of its stake (see [`contest`]).
//! - `complete` has its checks before the contract's verdict and its effects after. The contract runs in a storage
//!   layer that is always rolled back, with every call of this pallet refused inside (see [`verdict`]).
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod claims;
pub mod contest;
pub mod escrow;
mod index;
mod queue;
mod state;
mod submission;
pub mod types;
pub mod verdict;
pub mod weights;

#[cfg(test)]
mod tests;

use polkadot_sdk::{frame_support, sp_core};
use sp_core::H256;

pub use pallet::*;
pub use types::{Job, Link, Queue, Status};
pub use weights::WeightInfo;

// A call's arguments are its wire format: bundling them would only hide them.
#[allow(clippy::too_many_arguments)]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::{
		contest::{Evidence, Identity, Manifest, Undelivered},
		submission::Submission,
		types::*,
		verdict::Delivery,
	};
	use frame_support::{pallet_prelude::*, traits::fungible};
	use polkadot_sdk::frame_system::pallet_prelude::*;
	use polkadot_sdk::sp_runtime::traits::{BlockNumberProvider, Convert};
	use proofward_opening::Fault;
	use proofward_primitives::{
		Balance, Equivocation, Level, ModelRegistry, ProofVerifier, RejectReason, Setup, WorkerRegistry,
	};

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	/// Of this pallet's storage; a migration raises it.
	pub const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	#[pallet::config]
	pub trait Config:
		polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>, Hash = H256>
	{
		/// The runtime's reasons to hold money, this pallet's among them.
		type RuntimeHoldReason: From<HoldReason>;
		/// What is held, and paid.
		type Currency: fungible::MutateHold<
			Self::AccountId,
			Balance = Balance,
			Reason = Self::RuntimeHoldReason,
		>;
		/// Counts the blocks of deadlines and waiting times.
		type BlockNumberProvider: BlockNumberProvider<BlockNumber = u32>;
		/// The models that are published.
		type Models: ModelRegistry<Self::AccountId>;
		/// The workers that are registered.
		type Workers: WorkerRegistry<Self::AccountId>;
		/// Takes a worker's stake for an output that does not open.
		type Evidence: Equivocation<Self::AccountId>;
		/// Asks a lane's contract about a proof.
		type Verifier: ProofVerifier;
		/// How far ahead a deadline may be, in blocks.
		#[pallet::constant]
		type MaxDeadline: Get<u32>;
		/// Held from the client for a sealed input in state, however short, once more for each job that it has open.
		#[pallet::constant]
		type DepositBase: Get<Balance>;
		/// Held from the client for each byte of it.
		#[pallet::constant]
		type DepositPerByte: Get<Balance>;
		/// Held from the client for the job's record, until that leaves state.
		#[pallet::constant]
		type RecordDeposit: Get<Balance>;
		/// Blocks for which the record of an ended job stays.
		#[pallet::constant]
		type Retention: Get<u32>;
		/// The least price of a job, whatever the model's: what a worker pays in fees.
		#[pallet::constant]
		type MinPrice: Get<Balance>;
		/// Blocks after a verdict in which its result can be contested. No longer than a stake stays after its worker
		/// retired, and than a record stays in state.
		#[pallet::constant]
		type ContestWindow: Get<u32>;
		/// Blocks in which a first hand-back costs what the waiting is worth and no more.
		#[pallet::constant]
		type FreeBlocks: Get<u32>;
		/// What a worker must be able to spend after its bond is held: an upper bound of the fees of `complete`, with
		/// so much weight for the verdict, and of `release`, now.
		type EndingReserve: Convert<Weight, Balance>;
		/// What each call weighs.
		type WeightInfo: WeightInfo;
	}

	/// Why this pallet holds money.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// The price of a client's open jobs.
		Escrow,
		/// A client's deposits for the sealed inputs of its open jobs and for its records.
		Deposit,
		/// A worker's bonds for the jobs that it holds.
		Bond,
	}

	/// Jobs that are open or ended within the retention time, by their id (`proofward_primitives::ids::job_id`).
	#[pallet::storage]
	pub type Jobs<T: Config> = StorageMap<_, Blake2_128Concat, H256, Job<T::AccountId>, OptionQuery>;

	/// The sealed inputs of open jobs.
	#[pallet::storage]
	pub type Sealed<T: Config> = StorageMap<_, Blake2_128Concat, H256, SealedBytes, OptionQuery>;

	/// Accepted results that do not open, as their clients have shown, for as long as the job's record stays.
	#[pallet::storage]
	pub type Contested<T: Config> = StorageMap<_, Blake2_128Concat, H256, Undelivered, OptionQuery>;

	/// The open jobs that each worker may still do.
	#[pallet::storage]
	pub type JobsOf<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, H256, (), OptionQuery>;

	/// The setups that claimed jobs' models had when they were claimed. Governance may change a model's meanwhile.
	#[pallet::storage]
	pub type ClaimedSetups<T: Config> = StorageMap<_, Blake2_128Concat, H256, Setup, OptionQuery>;

	/// How many jobs of each client are open.
	#[pallet::storage]
	pub type OpenJobs<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32, ValueQuery>;

	/// The ends of each model's queue; absent when nothing waits.
	#[pallet::storage]
	pub type Queues<T: Config> = StorageMap<_, Blake2_128Concat, H256, Queue, ValueQuery>;

	/// The neighbours of each queued job.
	#[pallet::storage]
	pub type Links<T: Config> = StorageMap<_, Blake2_128Concat, H256, Link, OptionQuery>;

	/// Present only while a contract is asked for a verdict, in a layer that is rolled back: never in a block's state.
	#[pallet::storage]
	pub type Judging<T: Config> = StorageValue<_, (), OptionQuery>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	// A variant's sentence says what its fields are.
	#[allow(missing_docs)]
	pub enum Event<T: Config> {
		/// A job entered its model's queue; price and deposit are held from the client.
		Submitted { job: H256, model: H256, client: T::AccountId },
		/// A worker took a job on bond and has until `lapses_at`.
		Claimed { job: H256, worker: T::AccountId, lapses_at: u32 },
		/// A worker handed a job back; `bond_cut` went to the client.
		Released { job: H256, worker: T::AccountId, bond_cut: Balance },
		/// A worker let its claim run out and lost its bond to the client.
		Lapsed { job: H256, worker: T::AccountId, bond_cut: Balance },
		/// The contract accepted the proof; the worker was paid `paid`, the publisher `royalty`.
		Accepted {
			job: H256,
			worker: T::AccountId,
			paid: Balance,
			royalty: Balance,
			output_commitment: H256,
			proof_hash: H256,
		},
		/// The contract called the proof false; the worker lost its bond to the client, the job is in the queue again.
		Rejected { job: H256, worker: T::AccountId, reason: RejectReason, bond_cut: Balance },
		/// No verdict could be had, for a reason that is not the worker's. It has its bond back and may not claim the
		/// job again.
		NoVerdict { job: H256, worker: T::AccountId, reason: RejectReason },
		/// A recipient will not do the job.
		Declined { job: H256, worker: T::AccountId },
		/// A job ended without a result; the client has price and deposit back.
		Refunded { job: H256, client: T::AccountId, amount: Balance },
		/// The record of a job left state; the client has its deposit back.
		Forgotten { job: H256 },
		/// No verdict could be had, and the contract judges another proof under the same key: the fault is this proof's.
		/// It cost the worker what handing the job back would have; the worker may not claim it again.
		FaultyProof { job: H256, worker: T::AccountId, reason: RejectReason, bond_cut: Balance },
		/// The client showed that the accepted result does not open; the worker lost `slashed` of its stake.
		Contested { job: H256, worker: T::AccountId, fault: Fault, slashed: Balance },
	}

	#[pallet::error]
	pub enum Error<T> {
		/// No job has this id.
		UnknownJob,
		/// No model has this id.
		UnknownModel,
		/// The client used this nonce before: draw another.
		DuplicateJob,
		/// The model takes no new jobs.
		ModelRetired,
		/// The price is below the model's, or below the chain's least.
		PriceTooLow,
		/// The job's deadline has passed.
		DeadlinePassed,
		/// The deadline is further ahead than `MaxDeadline`.
		DeadlineTooFar,
		/// The job can still be done: it expires after its deadline, or when every recipient's proof was rejected.
		DeadlineNotPassed,
		/// A job needs at least one recipient.
		NoRecipients,
		/// A recipient is named twice.
		DuplicateRecipient,
		/// The job is not sealed for this account.
		NotRecipient,
		/// The account is not registered as a worker, retired, or its registration expired: register or renew.
		WorkerInactive,
		/// The worker's level is below the least that the job demands.
		LevelTooLow,
		/// The model's proving key was made by one party, or attested below the job's least level, and the client
		/// does not accept that.
		DevSetupRefused,
		/// Another claim stands.
		AlreadyClaimed,
		/// The account does not hold the claim.
		NotClaimant,
		/// The claim has run out.
		ClaimLapsed,
		/// There is no claim that has run out.
		NotLapsed,
		/// The receipt is not signed by the worker's registered key over this very result.
		BadReceipt,
		/// The receipt's block is before the claim or in the future.
		ReceiptBlock,
		/// The job has ended.
		NotOpen,
		/// This worker's proof for the job was rejected before.
		WasRejected,
		/// A recipient is not registered as a worker, retired, expired or banned.
		RecipientInactive,
		/// A recipient does not serve the model.
		RecipientDoesNotServe,
		/// A recipient does not work for so little.
		BelowRecipientsPrice,
		/// The worker declined the job, or no verdict could be had on its result.
		HasDeclined,
		/// The worker holds the job: release it.
		HoldsClaim,
		/// The model's bond is above what the worker declared.
		BondTooHigh,
		/// After the bond the worker could not pay the fees of a result and a release: fund the account.
		CannotPayForEnding,
		/// The lane has no verifier contract on this chain.
		LaneClosed,
		/// Only the job's client may do this.
		NotClient,
		/// The job is open, or ended within the retention time.
		Retained,
		/// A contract that is asked for a verdict tried to call back.
		Reentered,
		/// The worker missed too many claims and takes no new work for a while.
		WorkerSuspended,
		/// The worker let go of the job before, and others who have not may still do it.
		OthersFirst,
		/// No result of this job was accepted.
		NotAccepted,
		/// The time in which the result could be contested is over.
		ContestOver,
		/// The result was contested before.
		AlreadyContested,
		/// These bytes are not the sealed output that was accepted.
		NotTheSealedOutput,
		/// The job's id does not commit to this reply key.
		NotTheReplyKey,
		/// The job's model has not this manifest and these hashes.
		NotTheModel,
		/// The chain cannot open outputs of this lane, or the manifest says nothing about them.
		NotContestable,
		/// The output opens what was proven: nothing is wrong with it.
		OutputOpens,
	}

	#[pallet::extra_constants]
	impl<T: Config> Pallet<T> {
		/// Longest sealed input and longest sealed output, in bytes.
		fn max_sealed() -> u32 {
			MAX_SEALED
		}
		/// Longest proof, in bytes.
		fn max_proof() -> u32 {
			MAX_PROOF
		}
		/// Most recipients of a job.
		fn max_recipients() -> u32 {
			MAX_RECIPIENTS
		}
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(T::MaxDeadline::get() > 0, "a job needs time");
			assert!(T::ContestWindow::get() <= T::Retention::get(), "a contest needs the record");
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Puts a sealed job into its model's queue and holds price and deposit from the caller.
		///
		/// - `nonce`: with the caller's account it makes the job's id. It commits to the key that the output is to be
		///   sealed to (`proofward_opening::reply::nonce`), or no enclave does the job; that key is drawn at random.
		/// - `sealed`: the envelope, at most 65,536 bytes; the chain cannot read it.
		/// - `input_commitment`: what the proof must be about.
		/// - `recipients`: the workers that the envelope is wrapped for, 1 to 8, each once; all active, all serving the
		///   model.
		/// - `price`: in the smallest unit, at least the model's and every recipient's.
		/// - `deadline`: last block in which a result counts.
		/// - `min_level`: the least level of a worker.
		/// - `allow_dev_setup`: whether a proving key made by one party will do.
		#[pallet::call_index(0)]
		#[pallet::weight(
			T::WeightInfo::submit(sealed.len() as u32)
				.saturating_add(T::WeightInfo::decline().saturating_mul(recipients.len() as u64))
		)]
		pub fn submit(
			origin: OriginFor<T>,
			model: H256,
			nonce: H256,
			sealed: SealedBytes,
			input_commitment: H256,
			recipients: Accounts<T::AccountId>,
			price: Balance,
			deadline: u32,
			min_level: Level,
			allow_dev_setup: bool,
		) -> DispatchResult {
			let client = Self::caller(origin)?;
			submission::submit::<T>(
				client,
				Submission {
					model,
					nonce,
					sealed,
					input_commitment,
					recipients,
					price,
					deadline,
					min_level,
					allow_dev_setup,
				},
			)
		}

		/// Takes a job out of the queue, or over from a worker whose claim lapsed, and holds the caller's bond, which is
		/// the model's. Who let go of the job before comes after everybody who did not. `max_bond`: the most that the caller will put down, whatever the model says.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::claim())]
		pub fn claim(origin: OriginFor<T>, job: H256, max_bond: Balance) -> DispatchResult {
			claims::claim::<T>(Self::caller(origin)?, job, max_bond)
		}

		/// Hands a claimed job back. The first time it costs what the client's waiting is worth, and after a few blocks no
		/// less than the caller's bond in proportion to the time held; from the second time on it costs all of it.
		#[pallet::call_index(2)]
		#[pallet::weight((T::WeightInfo::release(), DispatchClass::Operational))]
		pub fn release(origin: OriginFor<T>, job: H256) -> DispatchResult {
			claims::release::<T>(Self::caller(origin)?, job)
		}

		/// Puts a job whose claim has run out back into the queue and cuts the worker's bond. For anyone to call.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::lapse())]
		pub fn lapse(origin: OriginFor<T>, job: H256) -> DispatchResult {
			Self::caller(origin)?;
			claims::lapse::<T>(job)
		}

		/// Hands in a result. The lane's contract decides: the worker is paid, or loses its bond and the job goes back
		/// into the queue; or no verdict can be had, and only the job goes back. All are `Ok`; the event says which.
		///
		/// - `sealed_output`: for the client's eyes, at most 65,536 bytes; the chain keeps its hash.
		/// - `output_commitment`: with the job's input commitment, what the proof is about.
		/// - `proof`: at most 16,384 bytes; the chain keeps its hash.
		/// - `receipt_block`, `receipt_signature`: the receipt's own; the chain knows all its other fields.
		#[pallet::call_index(4)]
		#[pallet::weight((
			T::WeightInfo::complete(sealed_output.len() as u32, proof.len() as u32)
				.saturating_add(verdict::most_weight::<T>(job)),
			DispatchClass::Operational,
		))]
		pub fn complete(
			origin: OriginFor<T>,
			job: H256,
			sealed_output: SealedBytes,
			output_commitment: H256,
			proof: Proof,
			receipt_block: u32,
			receipt_signature: [u8; 64],
		) -> DispatchResultWithPostInfo {
			let worker = Self::caller(origin)?;
			verdict::complete::<T>(
				worker,
				job,
				Delivery { sealed_output, output_commitment, proof, receipt_block, receipt_signature },
			)
		}

		/// Ends a job that was not done by its deadline, or that no recipient may do any more, and gives the client
		/// its money back. A worker that still holds it loses its bond. For anyone to call.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::expire())]
		pub fn expire(origin: OriginFor<T>, job: H256) -> DispatchResult {
			Self::caller(origin)?;
			claims::expire::<T>(job)
		}

		/// Says that the caller, a recipient that does not hold the job, will not do it: its enclave was restarted and
		/// cannot open the envelope. When nobody is left, the client has its money back at once. Free: the client paid for
		/// it when it named the caller.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::decline())]
		pub fn decline(origin: OriginFor<T>, job: H256) -> DispatchResultWithPostInfo {
			claims::decline::<T>(Self::caller(origin)?, job)?;
			Ok(Pays::No.into())
		}

		/// Ends a job of the caller's that nobody has claimed, and gives the caller its money back.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::cancel())]
		pub fn cancel(origin: OriginFor<T>, job: H256) -> DispatchResult {
			claims::cancel::<T>(Self::caller(origin)?, job)
		}

		/// Takes the record of a job out of state that ended longer than the retention time ago, and gives the client
		/// its deposit back. For anyone to call. Block history still proves what it said.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::forget())]
		pub fn forget(origin: OriginFor<T>, job: H256) -> DispatchResult {
			Self::caller(origin)?;
			claims::forget::<T>(job)
		}

		/// Shows that an accepted result of the caller's job does not open what was proven: the worker loses a part of its
		/// stake, of which the caller has a part, and works no more until governance lets it. Costs no fee then; a contest
		/// of a result that opens costs its own. Whoever reads the chain can open the output afterwards.
		///
		/// - `reply_key`: the X25519 private key that the job's output was to be sealed to.
		/// - `sealed_output`: as the worker handed it in.
		/// - `manifest`: of the model's artefact, at most 65,536 bytes.
		/// - `identity`: what else makes the model's id.
		#[pallet::call_index(9)]
		#[pallet::weight(T::WeightInfo::contest(sealed_output.len() as u32, manifest.len() as u32))]
		pub fn contest(
			origin: OriginFor<T>,
			job: H256,
			reply_key: [u8; 32],
			sealed_output: SealedBytes,
			manifest: Manifest,
			identity: Identity<T::AccountId>,
		) -> DispatchResultWithPostInfo {
			let evidence = Evidence { reply_key, sealed_output, manifest, identity };
			contest::contest::<T>(Self::caller(origin)?, job, evidence)?;
			Ok(Pays::No.into())
		}
	}

	impl<T: Config> Pallet<T> {
		/// Who signed, unless a contract on trial is calling back.
		fn caller(origin: OriginFor<T>) -> Result<T::AccountId, DispatchError> {
			ensure!(!Judging::<T>::exists(), Error::<T>::Reentered);
			Ok(ensure_signed(origin)?)
		}

		pub(crate) fn now() -> u32 {
			T::BlockNumberProvider::current_block_number()
		}

		/// Whether `worker` holds the job and can still hand in a result, or hand it back.
		pub fn awaits(worker: &T::AccountId, job: H256) -> bool {
			let claim = Self::job(job).ok().and_then(|job| claims::held::<T>(&job, worker).ok());
			claim.is_some_and(|claim| Self::now() <= claim.lapses_at)
		}

		pub(crate) fn job(id: H256) -> Result<Job<T::AccountId>, DispatchError> {
			Jobs::<T>::get(id).ok_or_else(|| Error::<T>::UnknownJob.into())
		}
	}
}
