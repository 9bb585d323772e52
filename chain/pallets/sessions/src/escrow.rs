//! Money: every amount is a hold on its owner's own account.

use polkadot_sdk::frame_support::{
	pallet_prelude::DispatchResult,
	traits::{
		fungible::{InspectHold, MutateHold},
		tokens::{Fortitude, Precision, Restriction},
	},
};
use proofward_primitives::Balance;

use crate::{Config, HoldReason};

/// Holds an amount.
pub fn hold<T: Config>(reason: HoldReason, who: &T::AccountId, amount: Balance) -> DispatchResult {
	T::Currency::hold(&reason.into(), who, amount)
}

/// Gives a held amount back to its owner.
pub fn release<T: Config>(reason: HoldReason, who: &T::AccountId, amount: Balance) -> DispatchResult {
	T::Currency::release(&reason.into(), who, amount, Precision::Exact).map(|_| ())
}

/// Ends a hold in favour of another account's free balance. To oneself it is a release.
pub fn transfer<T: Config>(
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
