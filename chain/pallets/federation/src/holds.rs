//! Deposits are holds on their owner's account.

use polkadot_sdk::frame_support::{
	pallet_prelude::DispatchResult,
	traits::{
		fungible::{InspectHold, MutateHold},
		tokens::Precision,
	},
};
use proofward_primitives::Balance;

use crate::{Config, HoldReason};

/// Holds a deposit.
pub fn hold<T: Config>(who: &T::AccountId, amount: Balance) -> DispatchResult {
	T::Currency::hold(&HoldReason::Deposit.into(), who, amount)
}

/// Gives a deposit back.
pub fn release<T: Config>(who: &T::AccountId, amount: Balance) -> DispatchResult {
	T::Currency::release(&HoldReason::Deposit.into(), who, amount, Precision::Exact).map(|_| ())
}

/// All deposits of `who`.
pub fn on_hold<T: Config>(who: &T::AccountId) -> Balance {
	T::Currency::balance_on_hold(&HoldReason::Deposit.into(), who)
}
