//! The workers, as other pallets see them.

use polkadot_sdk::frame_support::{pallet_prelude::DispatchResult, traits::Time};
use proofward_primitives::{traits::TrustList, WorkerRegistry, WorkerView};

use crate::{Config, Error, Pallet, Workers};

impl<T: Config> WorkerRegistry<T::AccountId> for Pallet<T> {
	fn active(worker: &T::AccountId) -> Option<WorkerView> {
		let worker = Workers::<T>::get(worker)?;
		let stands =
			worker.expires_at > T::Time::now() && T::Trust::trusted(&worker.root, &worker.measurement);
		stands.then_some(WorkerView {
			level: worker.level,
			epoch: worker.epoch,
			receipt_key: worker.receipt_key,
			previous_receipt_key: worker.previous.map(|previous| previous.receipt_key),
			expires_at: worker.expires_at,
		})
	}

	fn claim_opened(worker: &T::AccountId) -> DispatchResult {
		Workers::<T>::try_mutate(worker, |worker| {
			let worker = worker.as_mut().ok_or(Error::<T>::NotRegistered)?;
			worker.open_claims = worker.open_claims.saturating_add(1);
			Ok(())
		})
	}

	fn claim_closed(worker: &T::AccountId) {
		Workers::<T>::mutate_extant(worker, |worker| {
			worker.open_claims = worker.open_claims.saturating_sub(1);
		});
	}
}
