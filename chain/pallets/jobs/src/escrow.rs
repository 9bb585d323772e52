//! Money: every amount that the pallet touches is a hold on its owner's own account, so nothing can be lost in a till.

use polkadot_sdk::{
	frame_support::{
		pallet_prelude::DispatchResult,
		traits::{
			fungible::{Inspect, InspectHold, MutateHold},
			tokens::{Fortitude, Precision, Preservation, Restriction},
			Get,
		},
		weights::Weight,
	},
	sp_runtime::{traits::Convert, DispatchError, Permill},
};
use proofward_primitives::{Balance, ModelView};

use crate::{claims::Held, types::Job, Config, HoldReason};

/// What a client puts down for `sealed` bytes of state when so many of its jobs are open. Each open job makes the next
/// one dearer, so that a flood costs as the square of its size.
pub fn deposit<T: Config>(sealed: u32, open: u32) -> Balance {
	let base = T::DepositBase::get().saturating_mul(Balance::from(open).saturating_add(1));
	base.saturating_add(T::DepositPerByte::get().saturating_mul(sealed.into()))
}

/// What handing a job back costs. The first time it is free for a few blocks and then grows to the whole bond in
/// proportion to the time held, because holding a job up is what harms; afterwards it is the whole bond.
pub fn release_cost<T: Config>(claim: &Held, now: u32, first: bool) -> Balance {
	let held = now.saturating_sub(claim.claimed_at);
	if !first {
		return claim.bond;
	}
	if held <= T::FreeBlocks::get() {
		return 0;
	}
	let life = claim.lapses_at.saturating_sub(claim.claimed_at).max(1);
	Permill::from_rational(held.min(life), life).mul_ceil(claim.bond)
}

/// Holds price and deposits from the client.
pub fn open<T: Config>(job: &Job<T::AccountId>) -> DispatchResult {
	T::Currency::hold(&HoldReason::Escrow.into(), &job.client, job.price)?;
	let deposits = job.deposit.saturating_add(job.record_deposit);
	T::Currency::hold(&HoldReason::Deposit.into(), &job.client, deposits)
}

/// The price goes to worker and publisher, the input's deposit back to the client. Returns the publisher's part.
pub fn pay<T: Config>(
	job: &Job<T::AccountId>,
	worker: &T::AccountId,
	model: &ModelView<T::AccountId>,
) -> Result<Balance, DispatchError> {
	let share = model.share * job.price;
	// A publisher whose account is gone, and to whom the share would be dust, must not keep the worker from its pay.
	let royalty = match transfer::<T>(HoldReason::Escrow, &job.client, &model.publisher, share) {
		Ok(()) => share,
		Err(_) => 0,
	};
	transfer::<T>(HoldReason::Escrow, &job.client, worker, job.price.saturating_sub(royalty))?;
	release::<T>(HoldReason::Deposit, &job.client, job.deposit)?;
	Ok(royalty)
}

/// Price and the input's deposit go back to the client.
pub fn refund<T: Config>(job: &Job<T::AccountId>) -> DispatchResult {
	release::<T>(HoldReason::Escrow, &job.client, job.price)?;
	release::<T>(HoldReason::Deposit, &job.client, job.deposit)
}

/// The record's deposit goes back to the client.
pub fn close<T: Config>(job: &Job<T::AccountId>) -> DispatchResult {
	release::<T>(HoldReason::Deposit, &job.client, job.record_deposit)
}

/// Whether `worker` can pay the fees of ending a claim, whichever way, out of what it may spend.
/// `verdict`: the most weight that the contract may use.
pub fn can_end<T: Config>(worker: &T::AccountId, verdict: Weight) -> bool {
	let spendable = T::Currency::reducible_balance(worker, Preservation::Preserve, Fortitude::Polite);
	spendable >= T::EndingReserve::convert(verdict)
}

/// Puts a worker's bond on hold. Fails when the account cannot spend so much.
pub fn hold_bond<T: Config>(worker: &T::AccountId, bond: Balance) -> DispatchResult {
	T::Currency::hold(&HoldReason::Bond.into(), worker, bond)
}

/// Gives a worker its bond back.
pub fn return_bond<T: Config>(worker: &T::AccountId, bond: Balance) -> DispatchResult {
	release::<T>(HoldReason::Bond, worker, bond)
}

/// Part of the bond goes to the client that waited, the rest back to the worker.
pub fn cut_bond<T: Config>(
	worker: &T::AccountId,
	client: &T::AccountId,
	bond: Balance,
	cut: Balance,
) -> DispatchResult {
	transfer::<T>(HoldReason::Bond, worker, client, cut)?;
	release::<T>(HoldReason::Bond, worker, bond.saturating_sub(cut))
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
