//! Work by whom it is for: a worker finds its open jobs by reading what is under its own account, whatever others put on
//! the chain. And how many jobs of each client are open.

use polkadot_sdk::sp_core::H256;

use crate::{types::Job, ClaimedSetups, Config, JobsOf, OpenJobs, Sealed};

/// Enters a new job.
pub fn open<T: Config>(id: H256, job: &Job<T::AccountId>) {
	for recipient in &job.recipients {
		JobsOf::<T>::insert(recipient, id, ());
	}
	OpenJobs::<T>::mutate(&job.client, |open| *open = open.saturating_add(1));
}

/// Takes out one recipient, who may not do the job any more.
pub fn remove<T: Config>(recipient: &T::AccountId, id: H256) {
	JobsOf::<T>::remove(recipient, id);
}

/// Takes out a job that ends, its ciphertext and the setup of its claim too.
pub fn close<T: Config>(id: H256, job: &Job<T::AccountId>) {
	for recipient in &job.recipients {
		JobsOf::<T>::remove(recipient, id);
	}
	OpenJobs::<T>::mutate_exists(&job.client, |open| {
		*open = open.and_then(|open| open.checked_sub(1)).filter(|left| *left > 0);
	});
	Sealed::<T>::remove(id);
	ClaimedSetups::<T>::remove(id);
}
