//! How a job changes hands, and how it ends without a result.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, traits::Get},
	sp_core::H256,
};
use proofward_primitives::{Balance, Ending, ModelRegistry, WorkerRegistry};

use crate::{
	escrow, index, queue,
	types::{Job, Status},
	verdict, ClaimedSetups, Config, Contested, Error, Event, Jobs, Pallet,
};

pub fn claim<T: Config>(worker: T::AccountId, id: H256, max_bond: Balance) -> DispatchResult {
	let mut job = Pallet::<T>::job(id)?;
	let now = Pallet::<T>::now();
	ensure!(job.is_open(), Error::<T>::NotOpen);
	ensure!(now <= job.deadline, Error::<T>::DeadlinePassed);
	ensure!(job.recipients.contains(&worker), Error::<T>::NotRecipient);
	ensure!(!job.rejected_by.contains(&worker), Error::<T>::WasRejected);
	ensure!(!job.declined_by.contains(&worker), Error::<T>::HasDeclined);
	let view = T::Workers::active(&worker).ok_or(Error::<T>::WorkerInactive)?;
	ensure!(!view.suspended, Error::<T>::WorkerSuspended);
	ensure!(view.level >= job.min_level, Error::<T>::LevelTooLow);
	let model = T::Models::model(&job.model).ok_or(Error::<T>::UnknownModel)?;
	// Nobody takes work on bond that no contract would judge.
	ensure!(model.verifier.is_some(), Error::<T>::LaneClosed);
	ensure!(model.bond <= max_bond, Error::<T>::BondTooHigh);

	match &job.status {
		Status::Claimed { worker: holder, lapses_at, bond, .. } => {
			ensure!(now > *lapses_at, Error::<T>::AlreadyClaimed);
			ensure!(!others_come_first::<T>(&job, &worker), Error::<T>::OthersFirst);
			let (holder, bond) = (holder.clone(), *bond);
			forfeit::<T>(id, &mut job, &holder, bond)?;
		}
		_ => {
			ensure!(!others_come_first::<T>(&job, &worker), Error::<T>::OthersFirst);
			queue::remove::<T>(job.model, id)?
		}
	}
	escrow::hold_bond::<T>(&worker, model.bond)?;
	let most = verdict::weight_of(&model);
	ensure!(escrow::can_end::<T>(&worker, most), Error::<T>::CannotPayForEnding);
	T::Workers::claim_opened(&worker)?;
	// A result after the deadline counts for nothing, so no claim outlives it.
	let lapses_at = now.saturating_add(model.claim_blocks).min(job.deadline);
	job.status = Status::Claimed { worker: worker.clone(), claimed_at: now, lapses_at, bond: model.bond };
	job.attempts = job.attempts.saturating_add(1);
	Jobs::<T>::insert(id, job);
	ClaimedSetups::<T>::insert(id, model.setup);
	Pallet::<T>::deposit_event(Event::Claimed { job: id, worker, lapses_at });
	Ok(())
}

/// Whether `worker` let go of the job before, or does so now, and somebody who did not may take it: nobody holds a job
/// up twice while others would do it.
fn others_come_first<T: Config>(job: &Job<T::AccountId>, worker: &T::AccountId) -> bool {
	let able = |who: &T::AccountId| {
		let fresh = job.is_for(who) && !job.released_by.contains(who);
		fresh && T::Workers::active(who).is_some_and(|view| !view.suspended && view.level >= job.min_level)
	};
	let holds = matches!(&job.status, Status::Claimed { worker: holder, .. } if holder == worker);
	(holds || job.released_by.contains(worker)) && job.recipients.iter().any(|who| who != worker && able(who))
}

pub fn release<T: Config>(caller: T::AccountId, id: H256) -> DispatchResult {
	let mut job = Pallet::<T>::job(id)?;
	let claim = held::<T>(&job, &caller)?;
	let now = Pallet::<T>::now();
	ensure!(now <= claim.lapses_at, Error::<T>::ClaimLapsed);

	let first = !job.released_by.contains(&caller);
	let bond_cut = escrow::release_cost::<T>(&job, &claim, now, first);
	escrow::cut_bond::<T>(&caller, &job.client, claim.bond, bond_cut)?;
	if first {
		// Recipients are the only callers and the list is as long as theirs: there is room.
		let _ = job.released_by.try_push(caller.clone());
	}
	T::Workers::claim_closed(&caller, Ending::Released);
	requeue::<T>(id, job)?;
	Pallet::<T>::deposit_event(Event::Released { job: id, worker: caller, bond_cut });
	Ok(())
}

pub fn decline<T: Config>(caller: T::AccountId, id: H256) -> DispatchResult {
	let mut job = Pallet::<T>::job(id)?;
	ensure!(job.is_open(), Error::<T>::NotOpen);
	ensure!(job.recipients.contains(&caller), Error::<T>::NotRecipient);
	ensure!(!job.rejected_by.contains(&caller), Error::<T>::WasRejected);
	ensure!(!job.declined_by.contains(&caller), Error::<T>::HasDeclined);
	// Whoever holds the job hands it back first, at what that costs.
	let holds = matches!(&job.status, Status::Claimed { worker, .. } if *worker == caller);
	ensure!(!holds, Error::<T>::HoldsClaim);

	// Each recipient declines once at most, and the list is as long as theirs: there is room.
	let _ = job.declined_by.try_push(caller.clone());
	index::remove::<T>(&caller, id);
	T::Workers::declined(&caller);
	Pallet::<T>::deposit_event(Event::Declined { job: id, worker: caller });
	if job.is_exhausted() && job.status == Status::Queued {
		queue::remove::<T>(job.model, id)?;
		return refund::<T>(id, job);
	}
	Jobs::<T>::insert(id, job);
	Ok(())
}

pub fn cancel<T: Config>(caller: T::AccountId, id: H256) -> DispatchResult {
	let job = Pallet::<T>::job(id)?;
	ensure!(job.client == caller, Error::<T>::NotClient);
	match job.status {
		Status::Queued => {
			queue::remove::<T>(job.model, id)?;
			refund::<T>(id, job)
		}
		Status::Claimed { .. } => Err(Error::<T>::AlreadyClaimed.into()),
		_ => Err(Error::<T>::NotOpen.into()),
	}
}

pub fn lapse<T: Config>(id: H256) -> DispatchResult {
	let mut job = Pallet::<T>::job(id)?;
	ensure!(job.is_open(), Error::<T>::NotOpen);
	match &job.status {
		Status::Claimed { worker, lapses_at, bond, .. } if Pallet::<T>::now() > *lapses_at => {
			let (worker, bond) = (worker.clone(), *bond);
			forfeit::<T>(id, &mut job, &worker, bond)?;
			requeue::<T>(id, job)
		}
		_ => Err(Error::<T>::NotLapsed.into()),
	}
}

pub fn expire<T: Config>(id: H256) -> DispatchResult {
	let mut job = Pallet::<T>::job(id)?;
	ensure!(job.is_open(), Error::<T>::NotOpen);
	ensure!(Pallet::<T>::now() > job.deadline || job.is_exhausted(), Error::<T>::DeadlineNotPassed);
	match &job.status {
		Status::Claimed { worker, bond, .. } => {
			let (worker, bond) = (worker.clone(), *bond);
			forfeit::<T>(id, &mut job, &worker, bond)?
		}
		_ => queue::remove::<T>(job.model, id)?,
	}
	refund::<T>(id, job)
}

pub fn forget<T: Config>(id: H256) -> DispatchResult {
	let job = Pallet::<T>::job(id)?;
	let over = |ended: u32| Pallet::<T>::now() > ended.saturating_add(T::Retention::get());
	ensure!(job.ended_at().is_some_and(over), Error::<T>::Retained);
	escrow::close::<T>(&job)?;
	Jobs::<T>::remove(id);
	Contested::<T>::remove(id);
	Pallet::<T>::deposit_event(Event::Forgotten { job: id });
	Ok(())
}

/// A claim, seen by the worker that holds it.
pub struct Held {
	pub claimed_at: u32,
	pub lapses_at: u32,
	pub bond: Balance,
}

/// `caller`'s claim on the job: `NotOpen` when the job has ended, `NotClaimant` when it holds none.
pub fn held<T: Config>(job: &Job<T::AccountId>, caller: &T::AccountId) -> Result<Held, Error<T>> {
	match &job.status {
		Status::Claimed { worker, claimed_at, lapses_at, bond } if worker == caller => {
			Ok(Held { claimed_at: *claimed_at, lapses_at: *lapses_at, bond: *bond })
		}
		Status::Queued | Status::Claimed { .. } => Err(Error::<T>::NotClaimant),
		Status::Accepted { .. } | Status::Refunded { .. } => Err(Error::<T>::NotOpen),
	}
}

/// Puts a job that nobody holds any more at the back of its queue.
pub fn requeue<T: Config>(id: H256, mut job: Job<T::AccountId>) -> DispatchResult {
	queue::push::<T>(job.model, id)?;
	ClaimedSetups::<T>::remove(id);
	job.status = Status::Queued;
	Jobs::<T>::insert(id, job);
	Ok(())
}

/// Ends a job that is in no queue and in nobody's hands without a result.
fn refund<T: Config>(id: H256, mut job: Job<T::AccountId>) -> DispatchResult {
	escrow::refund::<T>(&job)?;
	index::close::<T>(id, &job);
	let (client, amount) = (job.client.clone(), job.price);
	job.status = Status::Refunded { block: Pallet::<T>::now() };
	Jobs::<T>::insert(id, job);
	Pallet::<T>::deposit_event(Event::Refunded { job: id, client, amount });
	Ok(())
}

/// Ends a claim that ran out, at its holder's cost. The caller gives the job its next status.
fn forfeit<T: Config>(
	id: H256,
	job: &mut Job<T::AccountId>,
	worker: &T::AccountId,
	bond: Balance,
) -> DispatchResult {
	escrow::cut_bond::<T>(worker, &job.client, bond, bond)?;
	if !job.released_by.contains(worker) {
		// Recipients are the only claimants and the list is as long as theirs: there is room.
		let _ = job.released_by.try_push(worker.clone());
	}
	T::Workers::claim_closed(worker, Ending::Lapsed);
	Pallet::<T>::deposit_event(Event::Lapsed { job: id, worker: worker.clone(), bond_cut: bond });
	Ok(())
}
