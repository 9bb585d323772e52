//! The workers, as other pallets see them.

use polkadot_sdk::{
	frame_support::{
		pallet_prelude::DispatchResult,
		traits::{fungible::InspectHold, Get, Time},
	},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::{traits::TrustList, Balance, Ending, Equivocation, WorkerRegistry, WorkerView};

use crate::{
	evidence, reliability, types::Worker, Config, Error, Event, HoldReason, Pallet, ReceiptKeys, Served,
	SuspendedUntil, Workers,
};

impl<T: Config> WorkerRegistry<T::AccountId> for Pallet<T> {
	fn active(id: &T::AccountId) -> Option<WorkerView> {
		let worker = Workers::<T>::get(id)?;
		let stands = worker.expires_at > T::Time::now()
			&& worker.retired_at.is_none()
			&& !worker.banned
			&& worker.stake >= T::Stake::get() / 2
			&& T::Trust::trusted(&worker.root, &worker.measurement)
			&& !T::Trust::platform_banned(&worker.platform);
		stands.then_some(WorkerView {
			level: worker.level,
			epoch: worker.epoch,
			receipt_key: worker.receipt_key,
			previous_receipt_key: worker.previous.map(|previous| previous.receipt_key),
			expires_at: worker.expires_at,
			suspended: SuspendedUntil::<T>::get(id).is_some_and(|until| Pallet::<T>::now() < until),
		})
	}

	fn serves(worker: &T::AccountId, model: &H256) -> Option<Balance> {
		Served::<T>::get(model, worker)
	}

	fn claim_opened(worker: &T::AccountId) -> DispatchResult {
		Workers::<T>::try_mutate(worker, |worker| {
			let worker = worker.as_mut().ok_or(Error::<T>::NotRegistered)?;
			worker.open_claims = worker.open_claims.saturating_add(1);
			Ok(())
		})
	}

	fn claim_closed(id: &T::AccountId, ending: Ending) {
		note::<T>(id, |worker| {
			worker.open_claims = worker.open_claims.saturating_sub(1);
			let tally = &mut worker.tally;
			let count = match ending {
				Ending::Accepted => &mut tally.accepted,
				Ending::Rejected => &mut tally.rejected,
				Ending::Lapsed => &mut tally.lapsed,
				Ending::Released => &mut tally.released,
			};
			*count = count.saturating_add(1);
			reliability::note::<T>(id, worker, ending);
		});
	}

	fn declined(worker: &T::AccountId) {
		note::<T>(worker, |worker| worker.tally.declined = worker.tally.declined.saturating_add(1));
	}
}

impl<T: Config> Equivocation<T::AccountId> for Pallet<T> {
	fn holder(receipt_key: &[u8; 32]) -> Option<T::AccountId> {
		ReceiptKeys::<T>::get(receipt_key)
	}

	fn punish(worker: &T::AccountId, reporter: &T::AccountId, about: H256) -> Result<Balance, DispatchError> {
		let slashed = evidence::punish::<T>(worker, reporter, about, 0)?;
		Pallet::<T>::deposit_event(Event::Equivocated { worker: worker.clone(), job: about, slashed });
		Ok(slashed)
	}

	fn undelivered(
		worker: &T::AccountId,
		client: &T::AccountId,
		job: H256,
		owed: Balance,
	) -> Result<Balance, DispatchError> {
		let slashed = evidence::punish::<T>(worker, client, job, owed)?;
		Pallet::<T>::deposit_event(Event::Undelivered { worker: worker.clone(), job, slashed });
		Ok(slashed)
	}
}

fn note<T: Config>(worker: &T::AccountId, change: impl FnOnce(&mut Worker)) {
	Workers::<T>::mutate_extant(worker, change);
}

/// What is held from `who` as a stake, or for the memory of its epochs.
pub(crate) fn on_hold<T: Config>(who: &T::AccountId) -> Balance {
	T::Currency::balance_on_hold(&HoldReason::Stake.into(), who)
}
