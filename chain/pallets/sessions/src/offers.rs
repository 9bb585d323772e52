//! Who may be asked for sessions, and at what price.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, traits::Get},
	sp_core::H256,
};
use proofward_primitives::{Balance, ModelRegistry, WorkerRegistry};

use crate::{
	escrow,
	types::{Floor, Offer, Terms, MAX_CAPACITY, PARTS, WINDOW_BLOCKS},
	Config, Error, Event, Floors, HoldReason, Offers, Pallet,
};

/// The publisher's word: sessions of its model cost so much an inference at least, or there are none.
pub fn allow<T: Config>(who: T::AccountId, model: H256, floor: Option<Balance>) -> DispatchResult {
	let before = Floors::<T>::get(model);
	// An entry outlives its model: it is its maker's to take back.
	let publisher = match &before {
		Some(entry) => Some(entry.publisher.clone()),
		None => T::Models::model(&model).map(|view| view.publisher),
	};
	ensure!(publisher.ok_or(Error::<T>::UnknownModel)? == who, Error::<T>::NotPublisher);
	if let Some(entry) = before {
		escrow::release::<T>(HoldReason::Deposit, &who, entry.deposit)?;
		Floors::<T>::remove(model);
	}
	if let Some(price) = floor {
		let deposit = T::EntryDeposit::get();
		escrow::hold::<T>(HoldReason::Deposit, &who, deposit)?;
		Floors::<T>::insert(model, Floor { price, publisher: who, deposit });
	}
	Pallet::<T>::deposit_event(Event::Allowed { model, floor });
	Ok(())
}

/// Sets a worker's terms. The bonds of sessions that it can take from now on are held at once.
pub fn offer<T: Config>(who: T::AccountId, model: H256, terms: Terms) -> DispatchResult {
	ensure!((1..=MAX_CAPACITY).contains(&terms.capacity), Error::<T>::BadTerms);
	ensure!((1..=PARTS).contains(&terms.most_sampled), Error::<T>::BadTerms);
	ensure!(WINDOW_BLOCKS.contains(&terms.least_window), Error::<T>::BadTerms);
	ensure!(terms.bond >= T::MinBond::get() && terms.price > 0, Error::<T>::BadTerms);
	ensure!(T::Workers::active(&who).is_some(), Error::<T>::WorkerInactive);
	ensure!(T::Workers::serves(&who, &model).is_some(), Error::<T>::DoesNotServe);
	let floor = Floors::<T>::get(model).ok_or(Error::<T>::NotForSessions)?;
	ensure!(terms.price >= floor.price, Error::<T>::PriceTooLow);
	let before = Offers::<T>::get(model, &who);
	if let Some(offer) = &before {
		escrow::release::<T>(HoldReason::Bond, &who, free_bonds(offer))?;
	}
	let deposit = match before {
		Some(offer) => offer.deposit,
		None => {
			let deposit = T::EntryDeposit::get();
			escrow::hold::<T>(HoldReason::Deposit, &who, deposit)?;
			deposit
		}
	};
	let offer = Offer { terms, free: terms.capacity, deposit };
	escrow::hold::<T>(HoldReason::Bond, &who, free_bonds(&offer))?;
	Offers::<T>::insert(model, &who, offer);
	Pallet::<T>::deposit_event(Event::Offered { worker: who, model, terms });
	Ok(())
}

/// Takes an offer back. Sessions that run go on.
pub fn withdraw<T: Config>(who: T::AccountId, model: H256) -> DispatchResult {
	let offer = Offers::<T>::take(model, &who).ok_or(Error::<T>::NoOffer)?;
	escrow::release::<T>(HoldReason::Bond, &who, free_bonds(&offer))?;
	escrow::release::<T>(HoldReason::Deposit, &who, offer.deposit)?;
	Pallet::<T>::deposit_event(Event::Withdrawn { worker: who, model });
	Ok(())
}

/// A session of these ended well: its bond stands behind the next one, or goes back.
pub fn give_back<T: Config>(worker: &T::AccountId, model: &H256, bond: Balance) -> DispatchResult {
	let kept = Offers::<T>::mutate(model, worker, |offer| match offer {
		Some(offer) if offer.terms.bond == bond && offer.free < offer.terms.capacity => {
			offer.free += 1;
			true
		}
		_ => false,
	});
	if kept {
		return Ok(());
	}
	escrow::release::<T>(HoldReason::Bond, worker, bond)
}

/// What is held for the sessions that an offer can still take.
pub fn free_bonds(offer: &Offer) -> Balance {
	offer.terms.bond.saturating_mul(offer.free.into())
}
