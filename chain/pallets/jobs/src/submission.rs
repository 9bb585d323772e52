//! How a job comes in.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, traits::Get},
	sp_core::H256,
	sp_io::hashing::sha2_256,
};
use proofward_primitives::{ids, Balance, Level, ModelRegistry, WorkerRegistry};

use crate::{
	escrow, index, queue,
	types::{Accounts, Job, SealedBytes, Status},
	Config, Error, Event, Jobs, OpenJobs, Pallet, Sealed,
};

/// The arguments of `submit`.
pub struct Submission<AccountId> {
	pub model: H256,
	pub nonce: H256,
	pub sealed: SealedBytes,
	pub input_commitment: H256,
	pub recipients: Accounts<AccountId>,
	pub price: Balance,
	pub deadline: u32,
	pub min_level: Level,
	pub allow_dev_setup: bool,
}

pub fn submit<T: Config>(client: T::AccountId, wanted: Submission<T::AccountId>) -> DispatchResult {
	let now = Pallet::<T>::now();
	let id = ids::job_id(&client, &wanted.nonce);
	ensure!(!Jobs::<T>::contains_key(id), Error::<T>::DuplicateJob);
	ensure!(wanted.deadline > now, Error::<T>::DeadlinePassed);
	ensure!(wanted.deadline - now <= T::MaxDeadline::get(), Error::<T>::DeadlineTooFar);
	ensure!(!wanted.recipients.is_empty(), Error::<T>::NoRecipients);
	ensure!(all_different(&wanted.recipients), Error::<T>::DuplicateRecipient);

	let model = T::Models::model(&wanted.model).ok_or(Error::<T>::UnknownModel)?;
	ensure!(!model.retired, Error::<T>::ModelRetired);
	ensure!(wanted.price >= model.price.max(T::MinPrice::get()), Error::<T>::PriceTooLow);
	// Nobody's money waits for a verdict that no contract would give.
	ensure!(model.verifier.is_some(), Error::<T>::LaneClosed);
	let acceptable = model.setup.acceptable(wanted.min_level, wanted.allow_dev_setup);
	ensure!(acceptable, Error::<T>::DevSetupRefused);
	for recipient in &wanted.recipients {
		let worker = T::Workers::active(recipient).ok_or(Error::<T>::RecipientInactive)?;
		ensure!(!worker.suspended, Error::<T>::WorkerSuspended);
		let least = T::Workers::serves(recipient, &wanted.model).ok_or(Error::<T>::RecipientDoesNotServe)?;
		ensure!(wanted.price >= least, Error::<T>::BelowRecipientsPrice);
	}

	let job = Job {
		client: client.clone(),
		model: wanted.model,
		input_commitment: wanted.input_commitment,
		sealed_hash: sha2_256(&wanted.sealed).into(),
		recipients: wanted.recipients,
		price: wanted.price,
		deposit: escrow::deposit::<T>(wanted.sealed.len() as u32, OpenJobs::<T>::get(&client)),
		record_deposit: T::RecordDeposit::get(),
		deadline: wanted.deadline,
		min_level: wanted.min_level,
		allow_dev_setup: wanted.allow_dev_setup,
		submitted_at: now,
		attempts: 0,
		rejected_by: Default::default(),
		released_by: Default::default(),
		declined_by: Default::default(),
		status: Status::Queued,
	};
	escrow::open::<T>(&job)?;
	queue::push::<T>(job.model, id)?;
	index::open::<T>(id, &job);
	Jobs::<T>::insert(id, job);
	Sealed::<T>::insert(id, wanted.sealed);
	Pallet::<T>::deposit_event(Event::Submitted { job: id, model: wanted.model, client });
	Ok(())
}

/// At most eight accounts, so comparing each pair beats sorting.
fn all_different<AccountId: PartialEq>(accounts: &[AccountId]) -> bool {
	accounts.iter().enumerate().all(|(index, account)| !accounts[..index].contains(account))
}
