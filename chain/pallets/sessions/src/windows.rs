//! Checkpoints, and which of their pages are to be proved.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, traits::Get},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::{
	sessions::{sample, sampled, signed, Checkpoint},
	Beacon, WorkerRegistry,
};

use crate::{
	escrow,
	types::{Asked, Drawn, Session, Window, MAX_BATCH, MAX_FORCED, MAX_PAGES, MAX_SAMPLED, MAX_WINDOWS},
	Config, Error, Event, HoldReason, Pallet, Sessions, Windows,
};

/// The arguments of `checkpoint`.
pub struct Posted {
	pub number: u32,
	pub root: H256,
	pub pages: u32,
	pub records: u64,
	pub signature: [u8; 64],
	pub voucher: [u8; 64],
}

/// Puts a window into state that both ends have signed for.
pub fn checkpoint<T: Config>(worker: T::AccountId, id: H256, posted: Posted) -> DispatchResult {
	let mut session = Pallet::<T>::session(id)?;
	let now = Pallet::<T>::now();
	ensure!(session.worker == worker, Error::<T>::NotWorker);
	ensure!(now <= session.end.saturating_add(T::Grace::get()), Error::<T>::EndPassed);
	ensure!(posted.number == session.next, Error::<T>::WrongNumber);
	ensure!(session.next - session.oldest < MAX_WINDOWS, Error::<T>::TooManyWindows);
	let pages = posted.pages.checked_sub(session.pages).ok_or(Error::<T>::BadCounts)?;
	let records = posted.records.checked_sub(session.records).ok_or(Error::<T>::BadCounts)?;
	ensure!((1..=MAX_PAGES).contains(&pages), Error::<T>::BadCounts);
	ensure!((1..=u64::from(pages) * MAX_BATCH).contains(&records), Error::<T>::BadCounts);
	let value = session.price.checked_mul(records.into()).ok_or(Error::<T>::EscrowExhausted)?;
	let left = session.escrow.saturating_sub(session.owed);
	ensure!(value <= left, Error::<T>::EscrowExhausted);
	// It may have expired since, or been renewed at another level, or twice.
	let view = T::Workers::active(&worker).ok_or(Error::<T>::WorkerInactive)?;
	ensure!(view.level >= session.min_level, Error::<T>::LevelTooLow);
	ensure!(view.receipt_keys().any(|key| *key == session.receipt_key), Error::<T>::OtherEpoch);
	let statement = Checkpoint {
		genesis: Pallet::<T>::genesis(),
		session: id,
		number: posted.number,
		root: posted.root,
		pages: posted.pages,
		records: posted.records,
	};
	let ours = signed(&session.receipt_key, &statement.enclave_message(), &posted.signature);
	ensure!(ours, Error::<T>::BadSignature);
	let agreed = signed(&session.voucher_key, &statement.voucher_message(), &posted.voucher);
	ensure!(agreed, Error::<T>::BadVoucher);

	let until = T::Beacon::known_at(now).saturating_add(session.window);
	let window = Window {
		root: posted.root,
		first: session.pages,
		pages,
		records,
		value,
		posted_at: now,
		until,
		due: until,
		drawn: None,
		asked: Default::default(),
		excused: false,
	};
	session.owed = session.owed.saturating_add(value);
	session.next += 1;
	session.pages = posted.pages;
	session.records = posted.records;
	Sessions::<T>::insert(id, session);
	Windows::<T>::insert(id, posted.number, window);
	Pallet::<T>::deposit_event(Event::Checkpointed { session: id, number: posted.number, pages, records });
	Ok(())
}

/// Asks the beacon which pages are to be proved, once it is known. True when they are known then.
pub fn draw<T: Config>(id: H256, number: u32, session: &Session<T::AccountId>, window: &mut Window) -> bool {
	if window.drawn.is_some() {
		return true;
	}
	let Some(drawn) = T::Beacon::draw(window.posted_at) else { return false };
	let count = sampled(window.pages, session.sample, MAX_SAMPLED);
	for place in sample(&drawn.value, &id, number, window.pages, count) {
		let page = window.first + place;
		if window.asked.iter().all(|asked| asked.page != page) {
			// There is room for all that are sampled and all that may be forced.
			let _ = window.asked.try_push(Asked { page, fee: 0, proved: false });
		}
	}
	window.drawn = Some(Drawn { value: drawn.value, choices: drawn.choices });
	Pallet::<T>::deposit_event(Event::Drawn {
		session: id,
		number,
		value: drawn.value,
		choices: drawn.choices,
		pages: count,
	});
	true
}

/// The same for anybody, before the beacon forgets.
pub fn draw_now<T: Config>(id: H256, number: u32) -> DispatchResult {
	let session = Pallet::<T>::session(id)?;
	let mut window = window::<T>(id, number)?;
	ensure!(window.drawn.is_none(), Error::<T>::AlreadyDrawn);
	ensure!(draw::<T>(id, number, &session, &mut window), Error::<T>::BeaconUnknown);
	Windows::<T>::insert(id, number, window);
	Ok(())
}

/// The client wants this page proved, whatever the beacon says.
pub fn force<T: Config>(client: T::AccountId, id: H256, number: u32, page: u32) -> DispatchResult {
	let session = Pallet::<T>::session(id)?;
	ensure!(session.client == client, Error::<T>::NotClient);
	let mut window = window::<T>(id, number)?;
	let now = Pallet::<T>::now();
	ensure!(now <= window.until, Error::<T>::TooLate);
	let place = page.checked_sub(window.first).ok_or(Error::<T>::UnknownPage)?;
	ensure!(place < window.pages, Error::<T>::UnknownPage);
	ensure!(window.asked.iter().all(|asked| asked.page != page), Error::<T>::AlreadyAsked);
	let forced = window.asked.iter().filter(|asked| asked.fee > 0).count() as u32;
	ensure!(forced < MAX_FORCED, Error::<T>::TooManyForced);
	let fee = T::ForceFee::get();
	escrow::hold::<T>(HoldReason::Escrow, &client, fee)?;
	window.asked.try_push(Asked { page, fee, proved: false }).map_err(|_| Error::<T>::TooManyForced)?;
	window.due = window.due.max(now.saturating_add(session.window));
	Windows::<T>::insert(id, number, window);
	Pallet::<T>::deposit_event(Event::Forced { session: id, number, page });
	Ok(())
}

pub fn window<T: Config>(id: H256, number: u32) -> Result<Window, DispatchError> {
	Windows::<T>::get(id, number).ok_or_else(|| Error::<T>::UnknownWindow.into())
}
