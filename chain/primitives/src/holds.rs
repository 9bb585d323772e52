//! Money: every amount that a pallet keeps is a hold on its owner's own account, so nothing can be lost in a till.

use polkadot_sdk::frame_support::{
	pallet_prelude::DispatchResult,
	traits::{
		fungible::MutateHold,
		tokens::{Fortitude, Precision, Restriction},
	},
};

use crate::Balance;

/// Gives a held amount back to its owner. Fails when less is held.
pub fn release<C, AccountId>(reason: &C::Reason, who: &AccountId, amount: Balance) -> DispatchResult
where
	C: MutateHold<AccountId, Balance = Balance>,
	AccountId: Eq,
{
	C::release(reason, who, amount, Precision::Exact).map(|_| ())
}

/// Ends a hold in favour of another account's free balance; to oneself it is a release. Fails when less is held.
pub fn transfer<C, AccountId>(
	reason: &C::Reason,
	from: &AccountId,
	to: &AccountId,
	amount: Balance,
) -> DispatchResult
where
	C: MutateHold<AccountId, Balance = Balance>,
	AccountId: Eq,
{
	if from == to {
		return release::<C, AccountId>(reason, from, amount);
	}
	C::transfer_on_hold(reason, from, to, amount, Precision::Exact, Restriction::Free, Fortitude::Force)
		.map(|_| ())
}
