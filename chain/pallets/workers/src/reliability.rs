//! What missing claims costs beyond their bonds: a worker that lets too many of them run out pays from its stake and
//! takes no new work for a while.

use polkadot_sdk::frame_support::traits::Get;
use proofward_primitives::Ending;

use crate::{evidence, types::Worker, Config, Event, Pallet, Reliability, SuspendedUntil};

/// So many lapses are nobody's habit yet.
pub const ALLOWED_LAPSES: u32 = 4;
/// Beyond them, at most one claim in so many may run out.
pub const ONE_IN: u32 = 4;

/// Counts the end of a claim. Never fails: what cannot be taken is not taken.
pub fn note<T: Config>(who: &T::AccountId, worker: &mut Worker, ending: Ending) {
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

fn suspend<T: Config>(who: &T::AccountId, worker: &mut Worker, now: u32) {
	let wanted = T::MissShare::get() * T::Stake::get();
	let wanted = wanted.min(worker.stake.saturating_sub(T::EpochDeposit::get()));
	let slashed = evidence::take::<T>(who, &T::Pot::get(), wanted).map_or(0, |()| wanted);
	worker.stake = worker.stake.saturating_sub(slashed);
	let until = now.saturating_add(T::Suspension::get());
	SuspendedUntil::<T>::insert(who, until);
	Pallet::<T>::deposit_event(Event::Suspended { worker: who.clone(), until, slashed });
}
