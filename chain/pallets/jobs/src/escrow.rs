//! Money: every amount that the pallet touches is a hold on its owner's own account, so nothing can be lost in a till.

use polkadot_sdk::{
	frame_support::{
		pallet_prelude::DispatchResult,
		traits::{
			fungible::{Inspect, InspectHold, MutateHold},
			tokens::{Fortitude, Preservation},
			Get,
		},
		weights::Weight,
	},
	sp_runtime::{
		helpers_128bit::multiply_by_rational_with_rounding, traits::Convert, DispatchError, Rounding,
	},
};
use proofward_primitives::{holds, Balance, ModelView};

use crate::{claims::Held, types::Job, Config, HoldReason};

/// What a client puts down for `sealed` bytes of state when so many of its jobs are open. Each open job makes the next
/// one dearer, so that a flood costs as the square of its size.
pub fn deposit<T: Config>(sealed: u32, open: u32) -> Balance {
	let base = T::DepositBase::get().saturating_mul(Balance::from(open).saturating_add(1));
	base.saturating_add(T::DepositPerByte::get().saturating_mul(sealed.into()))
}

/// What handing a job back costs, because holding it up is what harms. The first time it is at least what the waiting is
/// worth: the price, spread over the time that the client was ready to wait. After a few blocks it is besides no less
/// than the bond in proportion to the time held. From the second time on it is the whole bond; never is it more.
pub fn release_cost<T: Config>(job: &Job<T::AccountId>, claim: &Held, now: u32, first: bool) -> Balance {
	if !first {
		return claim.bond;
	}
	let held = now.saturating_sub(claim.claimed_at);
	let waiting = part(job.price, held, job.deadline.saturating_sub(job.submitted_at));
	let holding = if held <= T::FreeBlocks::get() {
		0
	} else {
		part(claim.bond, held, claim.lapses_at.saturating_sub(claim.claimed_at))
	};
	waiting.max(holding).min(claim.bond)
}

/// So many blocks' part of an amount that is for `whole` blocks, rounded up; at most all of it.
fn part(amount: Balance, blocks: u32, whole: u32) -> Balance {
	let whole = whole.max(1);
	let blocks = blocks.min(whole);
	multiply_by_rational_with_rounding(amount, blocks.into(), whole.into(), Rounding::Up).unwrap_or(amount)
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
	holds::release::<T::Currency, _>(&reason.into(), who, amount)
}

fn transfer<T: Config>(
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
