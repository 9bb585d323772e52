//! Money: every amount is a hold on its owner's own account.

use polkadot_sdk::frame_support::{
	pallet_prelude::DispatchResult,
	traits::fungible::{InspectHold, MutateHold},
};
use proofward_primitives::{holds, Balance};

use crate::{Config, HoldReason};

/// Holds an amount.
pub fn hold<T: Config>(reason: HoldReason, who: &T::AccountId, amount: Balance) -> DispatchResult {
	T::Currency::hold(&reason.into(), who, amount)
}

/// Gives a held amount back to its owner.
pub fn release<T: Config>(reason: HoldReason, who: &T::AccountId, amount: Balance) -> DispatchResult {
	holds::release::<T::Currency, _>(&reason.into(), who, amount)
}

/// Ends a hold in favour of another account's free balance. To oneself it is a release.
pub fn transfer<T: Config>(
	reason: HoldReason,
	from: &T::AccountId,
	to: &T::AccountId,
	amount: Balance,
) -> DispatchResult {
	holds::transfer::<T::Currency, _>(&reason.into(), from, to, amount)
}

/// What `who` has on hold for `reason`.
pub fn on_hold<T: Config>(reason: HoldReason, who: &T::AccountId) -> Balance {
	T::Currency::balance_on_hold(&reason.into(), who)
}
