//! What missing claims costs beyond their bonds: a worker that lets too many of them run out pays from its stake and
//! takes no new work for a while. And what calls cost that end nothing: their place before others'.

use polkadot_sdk::frame_support::traits::Get;
use proofward_primitives::Ending;

use crate::{
	evidence, types::Worker, Config, Event, LastUntil, Pallet, Reliability, SuspendedUntil, Workers,
};

/// So many lapses are nobody's habit yet.
pub const ALLOWED_LAPSES: u32 = 4;
/// Beyond them, at most one claim in so many may run out.
pub const ONE_IN: u32 = 4;

/// Counts the end of a claim. Never fails: what cannot be taken is not taken.
pub fn note<T: Config>(who: &T::AccountId, worker: &mut Worker, ending: Ending) {
	// What was handed back shows neither that the worker can do its jobs nor that it cannot, and costs little on one's
	// own job: counted, it would buy lapses.
	if ending == Ending::Released {
		return;
	}
	let now = Pallet::<T>::now();
	let mut record = Reliability::<T>::get(who);
	if now.saturating_sub(record.since) >= T::ReliabilityWindow::get() {
		record.since = now;
		record.ended /= 2;
		record.lapsed /= 2;
	}
	record.ended = record.ended.saturating_add(1);
	if ending == Ending::Lapsed {
		record.lapsed = record.lapsed.saturating_add(1);
		if record.lapsed > ALLOWED_LAPSES && record.lapsed.saturating_mul(ONE_IN) > record.ended {
			suspend::<T>(who, worker, now);
			record.ended = 0;
			record.lapsed = 0;
		}
	}
	Reliability::<T>::insert(who, record);
}

/// Blocks for which a worker's calls go with the others' after one that ended nothing.
pub const LAST_FOR: u32 = 60;

impl<T: Config> Pallet<T> {
	/// Whether a renewal to this epoch can be the account's next one.
	pub fn awaits(who: &T::AccountId, epoch: u32) -> bool {
		let stands = |worker: Worker| worker.retired_at.is_none() && !worker.banned && worker.epoch < epoch;
		Workers::<T>::get(who).is_some_and(stands)
	}

	/// Whether the worker's calls have no place before others'.
	pub fn goes_last(who: &T::AccountId) -> bool {
		LastUntil::<T>::get(who).is_some_and(|until| Self::now() < until)
	}

	/// Takes that place from a worker for `LAST_FOR` blocks. The entry goes when the worker does.
	pub fn put_last(who: &T::AccountId) {
		if Workers::<T>::contains_key(who) {
			LastUntil::<T>::insert(who, Self::now().saturating_add(LAST_FOR));
		}
	}
}

fn suspend<T: Config>(who: &T::AccountId, worker: &mut Worker, now: u32) {
	let wanted = T::MissShare::get() * T::Stake::get();
	let wanted = wanted.min(worker.stake.saturating_sub(T::EpochDeposit::get()));
	let slashed = evidence::take::<T>(who, &T::Pot::get(), wanted).map_or(0, |()| wanted);
	worker.stake = worker.stake.saturating_sub(slashed);
	let until = now.saturating_add(T::Suspension::get());
	SuspendedUntil::<T>::insert(who, until);
	Pallet::<T>::deposit_event(Event::Suspended { worker: who.clone(), until, slashed });
}
