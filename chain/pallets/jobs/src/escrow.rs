//! Money: every amount that the pallet touches is a hold on its owner's own account, so nothing can be lost in a till.

use polkadot_sdk::{
	frame_support::{
		pallet_prelude::DispatchResult,
		traits::{
			fungible::{InspectHold, MutateHold},
			tokens::{Fortitude, Precision, Restriction},
			Get,
		},
	},
	sp_runtime::traits::AccountIdConversion,
};
use proofward_primitives::Balance;

use crate::{types::Job, Config, HoldReason};

/// Where cut bonds go.
pub fn pot<T: Config>() -> T::AccountId {
	T::PalletId::get().into_account_truncating()
}

/// What a client puts down for `sealed` bytes of state.
pub fn deposit<T: Config>(sealed: u32) -> Balance {
	T::DepositBase::get().saturating_add(T::DepositPerByte::get().saturating_mul(sealed.into()))
}

/// What a worker puts down for a claim on a job of this price.
pub fn bond<T: Config>(price: Balance) -> Balance {
	(T::BondShare::get() * price).max(T::MinBond::get())
}

/// Holds price and deposit from the client.
pub fn open<T: Config>(job: &Job<T::AccountId>) -> DispatchResult {
	T::Currency::hold(&HoldReason::Escrow.into(), &job.client, job.price)?;
	T::Currency::hold(&HoldReason::Deposit.into(), &job.client, job.deposit)
}

/// The price goes to the worker, the deposit back to the client.
pub fn pay<T: Config>(job: &Job<T::AccountId>, worker: &T::AccountId) -> DispatchResult {
	transfer::<T>(HoldReason::Escrow, &job.client, worker, job.price)?;
	release::<T>(HoldReason::Deposit, &job.client, job.deposit)
}

/// Price and deposit go back to the client.
pub fn refund<T: Config>(job: &Job<T::AccountId>) -> DispatchResult {
	release::<T>(HoldReason::Escrow, &job.client, job.price)?;
	release::<T>(HoldReason::Deposit, &job.client, job.deposit)
}

pub fn hold_bond<T: Config>(worker: &T::AccountId, bond: Balance) -> DispatchResult {
	T::Currency::hold(&HoldReason::Bond.into(), worker, bond)
}

pub fn return_bond<T: Config>(worker: &T::AccountId, bond: Balance) -> DispatchResult {
	release::<T>(HoldReason::Bond, worker, bond)
}

/// The bond goes to the pot.
pub fn cut_bond<T: Config>(worker: &T::AccountId, bond: Balance) -> DispatchResult {
	transfer::<T>(HoldReason::Bond, worker, &pot::<T>(), bond)
}

fn release<T: Config>(reason: HoldReason, who: &T::AccountId, amount: Balance) -> DispatchResult {
	T::Currency::release(&reason.into(), who, amount, Precision::Exact).map(|_| ())
}

/// Ends a hold in favour of another account's free balance. To oneself it is a release.
fn transfer<T: Config>(
	reason: HoldReason,
	from: &T::AccountId,
	to: &T::AccountId,
	amount: Balance,
) -> DispatchResult {
	if from == to {
		return release::<T>(reason, from, amount);
	}
	T::Currency::transfer_on_hold(
		&reason.into(),
		from,
		to,
		amount,
		Precision::Exact,
		Restriction::Free,
		Fortitude::Force,
	)
	.map(|_| ())
}

/// What `who` has on hold for `reason`.
pub fn on_hold<T: Config>(reason: HoldReason, who: &T::AccountId) -> Balance {
	T::Currency::balance_on_hold(&reason.into(), who)
}
