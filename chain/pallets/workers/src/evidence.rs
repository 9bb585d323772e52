//! What a worker's own signatures can cost it.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, traits::Get},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::{holds, messages::Receipt, Balance};

use crate::{Config, Error, Event, HoldReason, Pallet, Punished, ReceiptKeys, Workers};

type Signed<T> = (Receipt<<T as polkadot_sdk::frame_system::Config>::AccountId>, [u8; 64]);

/// An enclave makes one result of a job in its life, for its receipt key is made with it and dies with it. Two outputs
/// under one key mean that the key left the enclave, or that the enclave is not what it is measured to be.
pub fn equivocation<T: Config>(
	reporter: T::AccountId,
	receipt_key: [u8; 32],
	first: Signed<T>,
	second: Signed<T>,
) -> DispatchResult {
	let who = ReceiptKeys::<T>::get(receipt_key).ok_or(Error::<T>::NoEvidence)?;
	let genesis = Pallet::<T>::genesis();
	for (receipt, signature) in [&first, &second] {
		let ours = receipt.genesis == genesis && receipt.worker == who;
		ensure!(ours && receipt.verify(&receipt_key, signature), Error::<T>::NoEvidence);
	}
	let ((first, _), (second, _)) = (first, second);
	let differ = first.job == second.job && first.output_commitment != second.output_commitment;
	ensure!(differ, Error::<T>::NoEvidence);
	let slashed = punish::<T>(&who, &reporter, first.job, 0)?;
	Pallet::<T>::deposit_event(Event::Equivocated { worker: who, job: first.job, slashed });
	Ok(())
}

/// What a worker's own signature shows against it costs a part of its stake, once for whatever it is `about`, and the
/// worker is banned. The reporter has its part, and of what the worker owes it, `owed`, as much as the restitution's
/// share allows: the two together are less than half, so that nobody takes a stake out of reach by reporting itself.
/// Gives what was taken.
pub(crate) fn punish<T: Config>(
	who: &T::AccountId,
	reporter: &T::AccountId,
	about: H256,
	owed: Balance,
) -> Result<Balance, DispatchError> {
	ensure!(!Punished::<T>::contains_key(who, about), Error::<T>::AlreadyPunished);
	let mut worker = Workers::<T>::get(who).ok_or(Error::<T>::NoEvidence)?;
	let slashed = T::SlashShare::get() * T::Stake::get();
	// What stays on hold for the account's epoch is not there to be lost.
	let slashed = slashed.min(worker.stake.saturating_sub(T::EpochDeposit::get()));
	ensure!(slashed > 0, Error::<T>::AlreadyPunished);
	let restitution = owed.min(T::RestitutionShare::get() * slashed);
	let reward = (T::ReporterShare::get() * slashed).saturating_add(restitution).min(slashed);
	take::<T>(who, reporter, reward)?;
	take::<T>(who, &T::Pot::get(), slashed - reward)?;
	worker.stake -= slashed;
	worker.banned = true;
	Workers::<T>::insert(who, worker);
	Punished::<T>::insert(who, about, ());
	Ok(slashed)
}

/// Moves part of a stake to another account's free balance. To oneself it is a release.
pub(crate) fn take<T: Config>(from: &T::AccountId, to: &T::AccountId, amount: Balance) -> DispatchResult {
	holds::transfer::<T::Currency, _>(&HoldReason::Stake.into(), from, to, amount)
}
