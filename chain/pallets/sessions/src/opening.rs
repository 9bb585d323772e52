//! How a session begins, and what a client may change while it runs.

use polkadot_sdk::{
	frame_support::{
		ensure,
		pallet_prelude::DispatchResult,
		traits::{Get, UnixTime},
	},
	sp_core::H256,
};
use proofward_primitives::{sessions::session_id, Balance, Level, ModelRegistry, WorkerRegistry};

use crate::{
	escrow,
	types::{Session, PARTS, WINDOW_BLOCKS},
	Config, Error, Event, Floors, HoldReason, Nonces, Offers, Pallet, Sessions,
};

/// Nanoseconds by which a nonce may be ahead of the chain's clock: a day, and so long a client can shut itself out.
pub const MOST_AHEAD: u128 = 24 * 60 * 60 * 1_000_000_000;

/// The arguments of `open`.
pub struct Order<AccountId> {
	pub worker: AccountId,
	pub model: H256,
	pub nonce: H256,
	pub voucher_key: [u8; 32],
	pub epoch: u32,
	pub max_price: Balance,
	pub escrow: Balance,
	pub sample: u32,
	pub window: u32,
	pub end: u32,
	pub min_level: Level,
	pub allow_dev_setup: bool,
}

pub fn open<T: Config>(client: T::AccountId, order: Order<T::AccountId>) -> DispatchResult {
	let now = Pallet::<T>::now();
	let id = session_id(&client, &order.nonce);
	ensure!(!Sessions::<T>::contains_key(id), Error::<T>::DuplicateSession);
	ensure!(client != order.worker, Error::<T>::OwnSession);
	ensure!(order.end > now, Error::<T>::EndPassed);
	ensure!(order.end - now <= T::MaxLength::get(), Error::<T>::EndTooFar);
	ensure!((1..=PARTS).contains(&order.sample), Error::<T>::BadTerms);
	ensure!(WINDOW_BLOCKS.contains(&order.window), Error::<T>::BadTerms);
	let model = T::Models::model(&order.model).ok_or(Error::<T>::UnknownModel)?;
	ensure!(!model.retired, Error::<T>::ModelRetired);
	ensure!(model.verifier.is_some(), Error::<T>::LaneClosed);
	let acceptable = model.setup.acceptable(order.min_level, order.allow_dev_setup);
	ensure!(acceptable, Error::<T>::DevSetupRefused);
	let floor = Floors::<T>::get(order.model).ok_or(Error::<T>::NotForSessions)?;
	let worker = T::Workers::active(&order.worker).ok_or(Error::<T>::WorkerInactive)?;
	ensure!(!worker.suspended, Error::<T>::WorkerSuspended);
	ensure!(worker.level >= order.min_level, Error::<T>::LevelTooLow);
	// The session's key is sealed to this epoch's: a renewal in between would leave a session that nobody can serve.
	ensure!(worker.epoch == order.epoch, Error::<T>::OtherEpoch);
	ensure!(T::Workers::serves(&order.worker, &order.model).is_some(), Error::<T>::DoesNotServe);
	let mut offer = Offers::<T>::get(order.model, &order.worker).ok_or(Error::<T>::NoOffer)?;
	ensure!(offer.free > 0, Error::<T>::NoCapacity);
	let terms = offer.terms;
	ensure!(terms.price <= order.max_price, Error::<T>::PriceTooHigh);
	ensure!(terms.price >= floor.price, Error::<T>::PriceTooLow);
	ensure!(order.sample <= terms.most_sampled, Error::<T>::BadTerms);
	ensure!(order.window >= terms.least_window, Error::<T>::BadTerms);
	ensure!(order.escrow >= T::MinEscrow::get(), Error::<T>::EscrowTooSmall);

	use_up::<T>(&client, order.nonce)?;
	let session = Session {
		client: client.clone(),
		worker: order.worker.clone(),
		model: order.model,
		voucher_key: order.voucher_key,
		receipt_key: worker.receipt_key,
		epoch: worker.epoch,
		level: worker.level,
		min_level: order.min_level,
		price: terms.price,
		sample: order.sample,
		window: order.window,
		opened_at: now,
		end: order.end,
		escrow: order.escrow,
		owed: 0,
		bond: terms.bond,
		deposit: T::SessionDeposit::get(),
		oldest: 0,
		next: 0,
		pages: 0,
		records: 0,
		paid: 0,
	};
	escrow::hold::<T>(HoldReason::Escrow, &client, session.escrow)?;
	escrow::hold::<T>(HoldReason::Deposit, &client, session.deposit)?;
	T::Workers::claim_opened(&order.worker)?;
	offer.free -= 1;
	Offers::<T>::insert(order.model, &order.worker, offer);
	Sessions::<T>::insert(id, session);
	crate::SessionsOf::<T>::insert(&order.worker, id, ());
	Pallet::<T>::deposit_event(Event::Opened {
		session: id,
		client,
		worker: order.worker,
		model: order.model,
	});
	Ok(())
}

/// The time that a nonce begins with, in nanoseconds of Unix time.
fn time_of(nonce: &H256) -> u128 {
	nonce.as_bytes().iter().take(8).fold(0, |time, byte| time << 8 | u128::from(*byte))
}

/// Takes note of a client's nonce, which must be greater than all before, and leave room for greater ones. The first
/// costs a deposit.
fn use_up<T: Config>(client: &T::AccountId, nonce: H256) -> DispatchResult {
	let latest = T::Time::now().as_nanos().saturating_add(MOST_AHEAD);
	ensure!(time_of(&nonce) <= latest, Error::<T>::NonceAhead);
	let deposit = match Nonces::<T>::get(client) {
		Some((latest, deposit)) => {
			ensure!(nonce > latest, Error::<T>::StaleNonce);
			deposit
		}
		None => {
			let deposit = T::EntryDeposit::get();
			escrow::hold::<T>(HoldReason::Deposit, client, deposit)?;
			deposit
		}
	};
	Nonces::<T>::insert(client, (nonce, deposit));
	Ok(())
}

/// More money for the same session.
pub fn top_up<T: Config>(client: T::AccountId, id: H256, amount: Balance) -> DispatchResult {
	let mut session = Pallet::<T>::session(id)?;
	ensure!(session.client == client, Error::<T>::NotClient);
	escrow::hold::<T>(HoldReason::Escrow, &client, amount)?;
	session.escrow = session.escrow.saturating_add(amount);
	Sessions::<T>::insert(id, session);
	Pallet::<T>::deposit_event(Event::ToppedUp { session: id, amount });
	Ok(())
}

/// Ends the serving now. What was served is still checkpointed, proved and paid.
pub fn close<T: Config>(who: T::AccountId, id: H256) -> DispatchResult {
	let mut session = Pallet::<T>::session(id)?;
	ensure!(who == session.client || who == session.worker, Error::<T>::NotParty);
	session.end = session.end.min(Pallet::<T>::now());
	let end = session.end;
	Sessions::<T>::insert(id, session);
	Pallet::<T>::deposit_event(Event::Closed { session: id, end });
	Ok(())
}
