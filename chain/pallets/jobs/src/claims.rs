//! How a job changes hands, and how it ends without a result.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult},
	sp_core::H256,
};
use proofward_primitives::{Balance, ModelRegistry, WorkerRegistry};

use crate::{
	escrow, queue,
	types::{Job, Status},
	Config, Error, Event, Jobs, Pallet, Sealed,
};

pub fn claim<T: Config>(worker: T::AccountId, id: H256) -> DispatchResult {
	let mut job = Pallet::<T>::job(id)?;
	let now = Pallet::<T>::now();
	ensure!(job.is_open(), Error::<T>::NotOpen);
	ensure!(now <= job.deadline, Error::<T>::DeadlinePassed);
	ensure!(job.recipients.contains(&worker), Error::<T>::NotRecipient);
	ensure!(!job.rejected_by.contains(&worker), Error::<T>::WasRejected);
	let view = T::Workers::active(&worker).ok_or(Error::<T>::WorkerInactive)?;
	ensure!(view.level >= job.min_level, Error::<T>::LevelTooLow);
	let model = T::Models::model(&job.model).ok_or(Error::<T>::UnknownModel)?;

	match &job.status {
		Status::Claimed { worker: holder, lapses_at, bond, .. } => {
			ensure!(now > *lapses_at, Error::<T>::AlreadyClaimed);
			forfeit::<T>(id, holder, *bond)?;
		}
		_ => queue::remove::<T>(job.model, id)?,
	}
	let bond = escrow::bond::<T>(job.price);
	escrow::hold_bond::<T>(&worker, bond)?;
	T::Workers::claim_opened(&worker)?;
	// A result after the deadline counts for nothing, so no claim outlives it.
	let lapses_at = now.saturating_add(model.claim_blocks).min(job.deadline);
	job.status = Status::Claimed { worker: worker.clone(), claimed_at: now, lapses_at, bond };
	job.attempts = job.attempts.saturating_add(1);
	Jobs::<T>::insert(id, job);
	Pallet::<T>::deposit_event(Event::Claimed { job: id, worker, lapses_at });
	Ok(())
}

pub fn release<T: Config>(caller: T::AccountId, id: H256) -> DispatchResult {
	let mut job = Pallet::<T>::job(id)?;
	let claim = held::<T>(&job, &caller)?;
	ensure!(Pallet::<T>::now() <= claim.lapses_at, Error::<T>::ClaimLapsed);

	let first = !job.released_by.contains(&caller);
	let bond_cut = if first {
		escrow::return_bond::<T>(&caller, claim.bond)?;
		// Recipients are the only callers and the list is as long as theirs: there is room.
		let _ = job.released_by.try_push(caller.clone());
		0
	} else {
		escrow::cut_bond::<T>(&caller, claim.bond)?;
		claim.bond
	};
	T::Workers::claim_closed(&caller);
	requeue::<T>(id, job)?;
	Pallet::<T>::deposit_event(Event::Released { job: id, worker: caller, bond_cut });
	Ok(())
}

pub fn lapse<T: Config>(id: H256) -> DispatchResult {
	let job = Pallet::<T>::job(id)?;
	ensure!(job.is_open(), Error::<T>::NotOpen);
	match &job.status {
		Status::Claimed { worker, lapses_at, bond, .. } if Pallet::<T>::now() > *lapses_at => {
			forfeit::<T>(id, worker, *bond)?;
			requeue::<T>(id, job)
		}
		_ => Err(Error::<T>::NotLapsed.into()),
	}
}

pub fn expire<T: Config>(id: H256) -> DispatchResult {
	let mut job = Pallet::<T>::job(id)?;
	let now = Pallet::<T>::now();
	ensure!(job.is_open(), Error::<T>::NotOpen);
	ensure!(now > job.deadline || job.is_exhausted(), Error::<T>::DeadlineNotPassed);

	match &job.status {
		Status::Claimed { worker, bond, .. } => forfeit::<T>(id, worker, *bond)?,
		_ => queue::remove::<T>(job.model, id)?,
	}
	escrow::refund::<T>(&job)?;
	Sealed::<T>::remove(id);
	let (client, amount) = (job.client.clone(), job.price);
	job.status = Status::Refunded { block: now };
	Jobs::<T>::insert(id, job);
	Pallet::<T>::deposit_event(Event::Refunded { job: id, client, amount });
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
	job.status = Status::Queued;
	Jobs::<T>::insert(id, job);
	Ok(())
}

/// Ends a claim that ran out, at its holder's cost. The caller gives the job its next status.
fn forfeit<T: Config>(id: H256, worker: &T::AccountId, bond: Balance) -> DispatchResult {
	escrow::cut_bond::<T>(worker, bond)?;
	T::Workers::claim_closed(worker);
	Pallet::<T>::deposit_event(Event::Lapsed { job: id, worker: worker.clone(), bond_cut: bond });
	Ok(())
}
