//! What holds between any two calls, over the whole state.

use alloc::collections::{BTreeMap, BTreeSet};

use polkadot_sdk::{frame_support::ensure, sp_core::H256, sp_runtime::TryRuntimeError};
use proofward_primitives::Balance;

use crate::{
	escrow::on_hold, ClaimedSetups, Config, Contested, HoldReason, Jobs, JobsOf, Judging, Links, OpenJobs,
	Pallet, Queues, Sealed, Status,
};

impl<T: Config> Pallet<T> {
	/// Holds are those of jobs, queues and indices are those of open jobs, so is ciphertext; no mark of a verdict is
	/// left.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		ensure!(!Judging::<T>::exists(), "the mark of a verdict outlived it");
		holds_are_those_of_jobs::<T>()?;
		queues_are_the_queued_jobs::<T>()?;
		contested_jobs_were_accepted::<T>()?;
		setups_are_those_of_claims::<T>()?;
		indices_are_the_open_jobs::<T>()
	}
}

fn holds_are_those_of_jobs<T: Config>() -> Result<(), TryRuntimeError> {
	let mut owed = BTreeMap::<T::AccountId, [Balance; 3]>::new();
	for job in Jobs::<T>::iter_values() {
		let [escrow, deposit, _] = owed.entry(job.client.clone()).or_default();
		*deposit += job.record_deposit;
		if job.is_open() {
			*escrow += job.price;
			*deposit += job.deposit;
		}
		if let Status::Claimed { worker, bond, .. } = job.status {
			owed.entry(worker).or_default()[2] += bond;
		}
	}
	for (who, amounts) in owed {
		let held = [HoldReason::Escrow, HoldReason::Deposit, HoldReason::Bond]
			.map(|reason| on_hold::<T>(reason, &who));
		ensure!(held == amounts, "what is held of somebody is not what its jobs say");
	}
	Ok(())
}

fn queues_are_the_queued_jobs<T: Config>() -> Result<(), TryRuntimeError> {
	let mut linked = BTreeSet::new();
	for (model, queue) in Queues::<T>::iter() {
		ensure!(queue.len > 0, "an empty queue is stored");
		let (mut previous, mut next, mut steps) = (None, queue.head, 0);
		while let Some(id) = next {
			let link = Links::<T>::get(id).ok_or("a link leads nowhere")?;
			let job = Jobs::<T>::get(id).ok_or("a link leads to no job")?;
			let queued = job.model == model && job.status == Status::Queued;
			ensure!(queued && link.prev == previous && linked.insert(id), "a queue is out of order");
			steps += 1;
			(previous, next) = (Some(id), link.next);
		}
		ensure!((queue.tail, queue.len) == (previous, steps), "a queue's ends are not its own");
	}
	let queued: BTreeSet<H256> =
		Jobs::<T>::iter().filter(|(_, job)| job.status == Status::Queued).map(|(id, _)| id).collect();
	ensure!(linked == queued, "queues do not hold the queued jobs");
	ensure!(Links::<T>::iter_keys().collect::<BTreeSet<_>>() == queued, "links are not those of queued jobs");
	Ok(())
}

fn contested_jobs_were_accepted<T: Config>() -> Result<(), TryRuntimeError> {
	let accepted =
		|id: H256| Jobs::<T>::get(id).is_some_and(|job| matches!(job.status, Status::Accepted { .. }));
	ensure!(Contested::<T>::iter_keys().all(accepted), "a result was contested that was not accepted");
	Ok(())
}

fn setups_are_those_of_claims<T: Config>() -> Result<(), TryRuntimeError> {
	let claimed =
		|id: H256| Jobs::<T>::get(id).is_some_and(|job| matches!(job.status, Status::Claimed { .. }));
	ensure!(ClaimedSetups::<T>::iter_keys().all(claimed), "a setup is kept of a job that nobody holds");
	Ok(())
}

fn indices_are_the_open_jobs<T: Config>() -> Result<(), TryRuntimeError> {
	let (mut open, mut found, mut counts) =
		(BTreeSet::new(), BTreeSet::new(), BTreeMap::<T::AccountId, u32>::new());
	for (id, job) in Jobs::<T>::iter().filter(|(_, job)| job.is_open()) {
		found.extend(job.recipients.iter().filter(|who| job.is_for(who)).map(|who| (who.clone(), id)));
		*counts.entry(job.client).or_default() += 1;
		open.insert(id);
	}
	ensure!(Sealed::<T>::iter_keys().collect::<BTreeSet<_>>() == open, "ciphertext is not that of open jobs");
	ensure!(JobsOf::<T>::iter_keys().collect::<BTreeSet<_>>() == found, "workers do not find their jobs");
	ensure!(OpenJobs::<T>::iter().collect::<BTreeMap<_, _>>() == counts, "open jobs are miscounted");
	Ok(())
}
