//! What a worker's own signatures can cost it.

use polkadot_sdk::{
	frame_support::{
		ensure,
		pallet_prelude::DispatchResult,
		traits::{
			fungible::MutateHold,
			tokens::{Fortitude, Precision, Restriction},
			Get,
		},
	},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::{messages::Receipt, Balance};

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
	punish::<T>(&who, &reporter, first.job).map(|_| ())
}

/// What two statements that cannot both be true cost their signer, once for whatever they are about.
pub(crate) fn punish<T: Config>(
	who: &T::AccountId,
	reporter: &T::AccountId,
	about: H256,
) -> Result<Balance, DispatchError> {
	ensure!(!Punished::<T>::contains_key(who, about), Error::<T>::AlreadyPunished);
	let mut worker = Workers::<T>::get(who).ok_or(Error::<T>::NoEvidence)?;
	let slashed = T::SlashShare::get() * T::Stake::get();
	// What stays on hold for the account's epoch is not there to be lost.
	let slashed = slashed.min(worker.stake.saturating_sub(T::EpochDeposit::get()));
	ensure!(slashed > 0, Error::<T>::AlreadyPunished);
	let reward = T::ReporterShare::get() * slashed;
	take::<T>(who, reporter, reward)?;
	take::<T>(who, &T::Pot::get(), slashed - reward)?;
	worker.stake -= slashed;
	worker.banned = true;
	Workers::<T>::insert(who, worker);
	Punished::<T>::insert(who, about, ());
	Pallet::<T>::deposit_event(Event::Equivocated { worker: who.clone(), job: about, slashed });
	Ok(slashed)
}

/// Moves part of a stake to another account's free balance. To oneself it is a release.
pub(crate) fn take<T: Config>(from: &T::AccountId, to: &T::AccountId, amount: Balance) -> DispatchResult {
	let reason = HoldReason::Stake.into();
	if from == to {
		return T::Currency::release(&reason, from, amount, Precision::Exact).map(|_| ());
	}
	T::Currency::transfer_on_hold(
		&reason,
		from,
		to,
		amount,
		Precision::Exact,
		Restriction::Free,
		Fortitude::Force,
	)
	.map(|_| ())
}
