//! How windows and sessions end, and who has the money then.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, traits::Get},
	sp_core::H256,
};
use proofward_primitives::{Ending, ModelRegistry, WorkerRegistry};

use crate::{
	escrow, offers,
	types::{Session, Window},
	windows, Config, Error, Event, HoldReason, Pallet, Sessions, SessionsOf, Windows,
};

/// Ends the oldest window of a session whose time is over: it is paid, or not, or the session fails.
pub fn finish<T: Config>(id: H256) -> DispatchResult {
	let mut session = Pallet::<T>::session(id)?;
	let number = session.oldest;
	ensure!(number < session.next, Error::<T>::UnknownWindow);
	let mut window = windows::window::<T>(id, number)?;
	ensure!(Pallet::<T>::now() > window.due, Error::<T>::TooEarly);
	let drawn = windows::draw::<T>(id, number, &session, &mut window);
	let proved = drawn && window.asked.iter().all(|asked| asked.proved);
	let model = T::Models::model(&session.model);
	// Nobody judges proofs of a lane that governance closed, or of a model that is gone.
	let judged = !window.excused && model.as_ref().is_some_and(|model| model.verifier.is_some());
	if !proved && judged {
		return fail::<T>(id, session, number, Ending::Lapsed);
	}
	let mut paid = 0;
	let mut royalty = 0;
	if proved {
		let share = model.as_ref().map_or(0, |model| model.share * window.value);
		// A publisher whose account is gone must not keep the worker from its pay.
		if let Some(model) = &model {
			let to = &model.publisher;
			if escrow::transfer::<T>(HoldReason::Escrow, &session.client, to, share).is_ok() {
				royalty = share;
			}
		}
		paid = window.value.saturating_sub(royalty);
		escrow::transfer::<T>(HoldReason::Escrow, &session.client, &session.worker, paid)?;
		session.escrow = session.escrow.saturating_sub(window.value);
		session.paid = session.paid.saturating_add(window.records);
	}
	return_fees::<T>(&session, &window)?;
	session.owed = session.owed.saturating_sub(window.value);
	session.oldest += 1;
	let records = if proved { window.records } else { 0 };
	Windows::<T>::remove(id, number);
	Sessions::<T>::insert(id, session);
	Pallet::<T>::deposit_event(Event::Finished { session: id, number, records, paid, royalty });
	Ok(())
}

/// The worker owes a proof and did not bring it, or brought a false one: its bond is the client's, and nothing that
/// waits is paid.
pub fn fail<T: Config>(
	id: H256,
	session: Session<T::AccountId>,
	number: u32,
	ending: Ending,
) -> DispatchResult {
	let bond = session.bond;
	escrow::transfer::<T>(HoldReason::Bond, &session.worker, &session.client, bond)?;
	let refunded = end::<T>(id, &session, ending)?;
	Pallet::<T>::deposit_event(Event::Failed { session: id, number, bond, refunded });
	Ok(())
}

/// The worker has lost what it would prove with: nothing that waits is paid, and it counts like a missed claim.
pub fn waive<T: Config>(worker: T::AccountId, id: H256) -> DispatchResult {
	let session = Pallet::<T>::session(id)?;
	ensure!(session.worker == worker, Error::<T>::NotWorker);
	// What is due was owed while there was time to say so.
	let late = Windows::<T>::get(id, session.oldest).is_some_and(|window| Pallet::<T>::now() > window.due);
	ensure!(!late, Error::<T>::TooLate);
	escrow::release::<T>(HoldReason::Bond, &worker, session.bond)?;
	let refunded = end::<T>(id, &session, Ending::Lapsed)?;
	Pallet::<T>::deposit_event(Event::Waived { session: id, refunded });
	Ok(())
}

/// Ends a session whose time is over and that has no open windows: everybody has back what is left.
pub fn settle<T: Config>(who: T::AccountId, id: H256) -> DispatchResult {
	let session = Pallet::<T>::session(id)?;
	let now = Pallet::<T>::now();
	ensure!(session.oldest == session.next, Error::<T>::OpenWindows);
	// The worker may have a last checkpoint to post, unless it says itself that it has none.
	let grace = if who == session.worker { 0 } else { T::Grace::get() };
	ensure!(now > session.end.saturating_add(grace), Error::<T>::TooEarly);
	offers::give_back::<T>(&session.worker, &session.model, session.bond)?;
	let paid = session.paid;
	let refunded = end::<T>(id, &session, Ending::Accepted)?;
	Pallet::<T>::deposit_event(Event::Settled { session: id, paid, refunded });
	Ok(())
}

/// Takes a session out of state with its windows, of which there are few, and gives the client what is left of its
/// money. Returns what was left of the escrow.
fn end<T: Config>(
	id: H256,
	session: &Session<T::AccountId>,
	ending: Ending,
) -> Result<proofward_primitives::Balance, polkadot_sdk::sp_runtime::DispatchError> {
	for number in session.oldest..session.next {
		if let Some(window) = Windows::<T>::take(id, number) {
			return_fees::<T>(session, &window)?;
		}
	}
	escrow::release::<T>(HoldReason::Escrow, &session.client, session.escrow)?;
	escrow::release::<T>(HoldReason::Deposit, &session.client, session.deposit)?;
	T::Workers::claim_closed(&session.worker, ending);
	Sessions::<T>::remove(id);
	SessionsOf::<T>::remove(&session.worker, id);
	Ok(session.escrow)
}

/// What the client put down for proofs that did not come.
fn return_fees<T: Config>(session: &Session<T::AccountId>, window: &Window) -> DispatchResult {
	let fees = window.asked.iter().filter(|asked| !asked.proved).map(|asked| asked.fee).sum();
	escrow::release::<T>(HoldReason::Escrow, &session.client, fees)
}
