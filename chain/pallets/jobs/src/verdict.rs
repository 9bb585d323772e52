//! How a result is judged: checks, then the contract's verdict in a layer that leaves no trace, then effects.

use polkadot_sdk::{
	frame_support::{
		dispatch::{DispatchResultWithPostInfo, WithPostDispatchInfo},
		ensure,
		pallet_prelude::DispatchResult,
		storage::{with_transaction, TransactionOutcome},
		weights::Weight,
	},
	frame_system::{self, pallet_prelude::BlockNumberFor},
	sp_core::H256,
	sp_io::hashing::sha2_256,
	sp_runtime::{traits::Zero, DispatchError},
};
use proofward_primitives::{
	messages::Receipt, Decision, Ending, Level, ModelRegistry, ModelView, ProofVerifier, RejectReason, Setup,
	Verdict, WorkerRegistry, PROBED,
};

use crate::{
	claims, escrow, index,
	types::{Job, Proof, SealedBytes, Status},
	ClaimedSetups, Config, Error, Event, Jobs, Judging, Pallet, WeightInfo,
};

/// The arguments of `complete`.
pub struct Delivery {
	/// For the client's eyes.
	pub sealed_output: SealedBytes,
	/// What the proof says that the output is.
	pub output_commitment: H256,
	/// As the lane's contract takes it.
	pub proof: Proof,
	/// The receipt's own field: where the work began.
	pub receipt_block: u32,
	/// Ed25519.
	pub receipt_signature: [u8; 64],
}

/// A delivery that passed every check of the pallet's own; only the contract has not spoken.
struct Checked<AccountId> {
	job: Job<AccountId>,
	model: ModelView<AccountId>,
	level: Level,
	setup: Setup,
	claim: claims::Held,
	proof_hash: H256,
	sealed_output_hash: H256,
}

/// Judges a delivery, and moves the money as the verdict says.
pub fn complete<T: Config>(worker: T::AccountId, id: H256, delivery: Delivery) -> DispatchResultWithPostInfo {
	let own = T::WeightInfo::complete(delivery.sealed_output.len() as u32, delivery.proof.len() as u32);
	let checked = check::<T>(&worker, id, &delivery).map_err(|error| error.with_weight(own))?;
	let about = [&checked.job.input_commitment, &delivery.output_commitment];
	let verdict = judge::<T>(&checked, about, &delivery.proof)?;
	let mut used = own.saturating_add(verdict.weight);
	match verdict.decision {
		Decision::Accepted => accept::<T>(worker, id, delivery.output_commitment, checked)?,
		Decision::Rejected(RejectReason::ProofInvalid) => fail::<T>(worker, id, Failure::False, checked)?,
		Decision::Rejected(RejectReason::CodeChanged) => {
			fail::<T>(worker, id, Failure::Excused(RejectReason::CodeChanged), checked)?
		}
		Decision::Rejected(reason) => {
			let probe = T::Verifier::probe(checked.model.lane);
			let probed = judge::<T>(&checked, [&PROBED; 2], &probe)?;
			used = used.saturating_add(probed.weight);
			if probed.decision == Decision::Rejected(RejectReason::ProofInvalid) {
				fail::<T>(worker, id, Failure::Faulty(reason), checked)?
			} else {
				T::Models::faulted(&checked.job.model);
				fail::<T>(worker, id, Failure::Excused(reason), checked)?
			}
		}
	}
	Ok(Some(used).into())
}

/// What contract calls of a `complete` may use: the verdict, and a probe when none can be had.
pub fn weight_of<AccountId>(model: &ModelView<AccountId>) -> Weight {
	model.verdict_limit.saturating_mul(2)
}

/// The same for a job by its id. Only a claim ties a job to its model until the call is made: what is no claim yet may
/// be anything by then, in a batch, and is as dear as any.
pub fn most_weight<T: Config>(id: &H256) -> Weight {
	let claimed = Jobs::<T>::get(id).filter(|job| matches!(job.status, Status::Claimed { .. }));
	let model = claimed.and_then(|job| T::Models::model(&job.model));
	model.map_or(T::Verifier::max_weight().saturating_mul(2), |model| weight_of(&model))
}

fn check<T: Config>(
	worker: &T::AccountId,
	id: H256,
	delivery: &Delivery,
) -> Result<Checked<T::AccountId>, DispatchError> {
	let job = Pallet::<T>::job(id)?;
	let now = Pallet::<T>::now();
	let claim = claims::held::<T>(&job, worker)?;
	ensure!(now <= job.deadline, Error::<T>::DeadlinePassed);
	ensure!(now <= claim.lapses_at, Error::<T>::ClaimLapsed);
	ensure!((claim.claimed_at..=now).contains(&delivery.receipt_block), Error::<T>::ReceiptBlock);
	// A worker may have expired or been renewed at another level since it claimed.
	let view = T::Workers::active(worker).ok_or(Error::<T>::WorkerInactive)?;
	ensure!(view.level >= job.min_level, Error::<T>::LevelTooLow);
	let model = T::Models::model(&job.model).ok_or(Error::<T>::UnknownModel)?;

	let (proof_hash, sealed_output_hash) =
		(sha2_256(&delivery.proof).into(), sha2_256(&delivery.sealed_output).into());
	let receipt = |setup| Receipt {
		genesis: frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero()),
		job: id,
		model: job.model,
		worker: worker.clone(),
		weights_digest: model.weights_digest,
		input_commitment: job.input_commitment,
		output_commitment: delivery.output_commitment,
		sealed_output_hash,
		proof_hash,
		level: view.level,
		setup,
		block: delivery.receipt_block,
	};
	let signed = |setup: &Setup| {
		let receipt = receipt(*setup);
		view.receipt_keys().any(|key| receipt.verify(key, &delivery.receipt_signature))
	};
	// Whoever claimed before governance changed the setup states one or the other, and neither is a lie.
	let setup = [Some(model.setup), ClaimedSetups::<T>::get(id).filter(|setup| *setup != model.setup)];
	let setup = setup.into_iter().flatten().find(signed).ok_or(Error::<T>::BadReceipt)?;
	Ok(Checked { job, model, level: view.level, setup, claim, proof_hash, sealed_output_hash })
}

/// Asks the lane's contract about two commitments and a proof. Whatever runs inside is rolled back, the mark that
/// keeps it from calling this pallet as well.
fn judge<T: Config>(
	checked: &Checked<T::AccountId>,
	[input_commitment, output_commitment]: [&H256; 2],
	proof: &[u8],
) -> Result<Verdict, DispatchError> {
	let Some(contract) = checked.model.verifier else {
		let decision = Decision::Rejected(RejectReason::CodeChanged);
		return Ok(Verdict { decision, weight: Weight::zero() });
	};
	let key = T::Models::verifying_key(&checked.job.model);
	with_transaction(|| {
		Judging::<T>::put(());
		let verdict = T::Verifier::verify(
			&contract,
			&key,
			input_commitment,
			output_commitment,
			proof,
			checked.model.verdict_limit,
		);
		TransactionOutcome::Rollback(Ok(verdict))
	})
}

fn accept<T: Config>(
	worker: T::AccountId,
	id: H256,
	output_commitment: H256,
	checked: Checked<T::AccountId>,
) -> DispatchResult {
	let Checked { mut job, model, level, setup, claim, proof_hash, sealed_output_hash } = checked;
	escrow::return_bond::<T>(&worker, claim.bond)?;
	let royalty = escrow::pay::<T>(&job, &worker, &model)?;
	T::Workers::claim_closed(&worker, Ending::Accepted);
	index::close::<T>(id, &job);
	let paid = job.price.saturating_sub(royalty);
	job.status = Status::Accepted {
		worker: worker.clone(),
		level,
		setup,
		output_commitment,
		proof_hash,
		sealed_output_hash,
		block: Pallet::<T>::now(),
	};
	Jobs::<T>::insert(id, job);
	Pallet::<T>::deposit_event(Event::Accepted {
		job: id,
		worker,
		paid,
		royalty,
		output_commitment,
		proof_hash,
	});
	Ok(())
}

/// How a job that was not done well goes back into its queue.
enum Failure {
	/// The contract called the proof false: the worker's bond is the client's.
	False,
	/// No verdict could be had, by the proof's own fault: an honest one gives none. The worker pays as for handing the job
	/// back at this moment, so nobody holds a job up by faults for less.
	Faulty(RejectReason),
	/// No verdict could be had, and not by the worker's fault: its bond is its own.
	Excused(RejectReason),
}

/// Ends a claim without a result. Whatever the reason, the worker may not claim the job again, so that the same fault is
/// not met for ever.
fn fail<T: Config>(
	worker: T::AccountId,
	id: H256,
	failure: Failure,
	checked: Checked<T::AccountId>,
) -> DispatchResult {
	let Checked { mut job, claim, .. } = checked;
	let (bond_cut, ending) = match failure {
		Failure::False => (claim.bond, Ending::Rejected),
		Failure::Faulty(_) => {
			let first = !job.released_by.contains(&worker);
			(escrow::release_cost::<T>(&job, &claim, Pallet::<T>::now(), first), Ending::Rejected)
		}
		Failure::Excused(_) => (0, Ending::Released),
	};
	escrow::cut_bond::<T>(&worker, &job.client, claim.bond, bond_cut)?;
	T::Workers::claim_closed(&worker, ending);
	let done = if matches!(failure, Failure::False) { &mut job.rejected_by } else { &mut job.declined_by };
	// Recipients are the only claimants, each fails once, and the lists are as long as theirs: there is room.
	let _ = done.try_push(worker.clone());
	index::remove::<T>(&worker, id);
	claims::requeue::<T>(id, job)?;
	Pallet::<T>::deposit_event(match failure {
		Failure::False => Event::Rejected { job: id, worker, reason: RejectReason::ProofInvalid, bond_cut },
		Failure::Faulty(reason) => Event::FaultyProof { job: id, worker, reason, bond_cut },
		Failure::Excused(reason) => Event::NoVerdict { job: id, worker, reason },
	});
	Ok(())
}
