//! Two signatures over one page that say different things.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult},
	sp_core::H256,
};
use proofward_primitives::{
	sessions::{page_message, signed},
	Equivocation,
};

use crate::{Config, Error, Event, Pallet};

/// An enclave makes one page of each number in a session's life, for its receipt key dies with it.
pub fn report<T: Config>(
	reporter: T::AccountId,
	receipt_key: [u8; 32],
	session: H256,
	page: u32,
	first: (H256, [u8; 64]),
	second: (H256, [u8; 64]),
) -> DispatchResult {
	let worker = T::Evidence::holder(&receipt_key).ok_or(Error::<T>::NoEvidence)?;
	ensure!(first.0 != second.0, Error::<T>::NoEvidence);
	let genesis = Pallet::<T>::genesis();
	for (leaf, signature) in [&first, &second] {
		let message = page_message(&genesis, &session, page, leaf);
		ensure!(signed(&receipt_key, &message, signature), Error::<T>::NoEvidence);
	}
	let slashed = T::Evidence::punish(&worker, &reporter, session)?;
	Pallet::<T>::deposit_event(Event::Equivocated { session, page, worker, slashed });
	Ok(())
}
