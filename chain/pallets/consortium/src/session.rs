//! Who validates from one session to the next, and whose key was whose.

use alloc::vec::Vec;
use codec::Encode;
use core::marker::PhantomData;
use polkadot_sdk::{
	frame_support::traits::{Get, KeyOwnerProofSystem},
	frame_system::pallet_prelude::BlockNumberFor,
	pallet_aura, pallet_session,
	sp_core::H256,
	sp_io::hashing::blake2_256,
	sp_runtime::{
		traits::{Convert, OpaqueKeys, SaturatedConversion},
		KeyTypeId,
	},
	sp_session::{GetSessionNumber, GetValidatorCount},
	sp_staking::SessionIndex,
};

use crate::{
	types::{Ownership, Past, Standing},
	Candidates, Config, Event, Members, Owners, Pallet, Sessions, SettingsOf,
};

type Session<T> = pallet_session::Pallet<T>;
type Keys<T> =
	Vec<(<T as polkadot_sdk::frame_system::Config>::AccountId, <T as pallet_session::Config>::Keys)>;

impl GetSessionNumber for Ownership {
	fn session(&self) -> SessionIndex {
		self.session
	}
}

impl GetValidatorCount for Ownership {
	fn validator_count(&self) -> u32 {
		self.validators
	}
}

impl<T: Config> Pallet<T> {
	/// Members that take part, sorted.
	pub fn taking_part() -> Vec<T::AccountId> {
		let mut members: Vec<_> = Members::<T>::iter()
			.filter(|(_, member)| member.standing == Standing::Validating)
			.map(|(account, _)| account)
			.collect();
		members.sort();
		members
	}

	/// Those of them that have session keys, with these.
	pub(crate) fn planned() -> Keys<T> {
		let keys = |member: T::AccountId| Session::<T>::load_keys(&member).map(|keys| (member, keys));
		Self::taking_part().into_iter().filter_map(keys).collect()
	}

	/// Plan the next session anew: what was planned at this one's beginning does not hold any more.
	pub(crate) fn plan_anew() {
		let planned = Self::planned();
		if planned.is_empty() || planned == pallet_session::QueuedKeys::<T>::get() {
			return;
		}
		let count = planned.len() as u32;
		pallet_session::QueuedKeys::<T>::put(planned);
		pallet_session::QueuedChanged::<T>::put(true);
		if count < SettingsOf::<T>::get().least_validators {
			Self::deposit_event(Event::Fragile { validators: count });
		}
	}

	/// Session keys are hashed with their type.
	fn key_hash(id: KeyTypeId, key: &[u8]) -> H256 {
		H256(blake2_256(&(id.0, key).encode()))
	}

	/// The session that a slot belongs to, if it is remembered.
	pub fn session_of_slot(slot: u64) -> Option<SessionIndex> {
		let current = Session::<T>::current_index();
		(current.saturating_sub(T::Retained::get())..=current)
			.rev()
			.find(|session| Sessions::<T>::get(session).is_some_and(|past| past.begins < slot))
	}

	/// What shows that a key was a validator's in a session.
	pub fn ownership(session: SessionIndex, id: KeyTypeId, key: &[u8]) -> Option<Ownership> {
		Owners::<T>::get(session, Self::key_hash(id, key))?;
		Some(Ownership { session, validators: Sessions::<T>::get(session)?.validators })
	}
}

impl<T: Config> pallet_session::SessionManager<T::AccountId> for Pallet<T> {
	/// The members that take part; nothing when neither they nor their keys differ from those that validate now, or when
	/// none has keys: then those go on.
	fn new_session(_: SessionIndex) -> Option<Vec<T::AccountId>> {
		let planned = Self::planned();
		let same = planned == pallet_session::QueuedKeys::<T>::get();
		(!planned.is_empty() && !same).then(|| planned.into_iter().map(|(member, _)| member).collect())
	}

	fn end_session(_: SessionIndex) {}

	/// Keep whose keys the session's are, for evidence, and forget those of long ago.
	fn start_session(session: SessionIndex) {
		let active = pallet_session::QueuedKeys::<T>::get();
		let begins = u64::from(pallet_aura::CurrentSlot::<T>::get());
		Sessions::<T>::insert(session, Past { begins, validators: active.len() as u32 });
		for (member, keys) in active {
			for id in T::Keys::key_ids() {
				Owners::<T>::insert(session, Self::key_hash(*id, keys.get_raw(*id)), &member);
			}
		}
		if let Some(old) = session.checked_sub(T::Retained::get() + 1) {
			Sessions::<T>::remove(old);
			// Two keys each of 32 members at most.
			let _ = Owners::<T>::clear_prefix(old, 2 * T::MaxMembers::get(), None);
		}
	}
}

/// Checks who had a key in a session that the chain remembers. Not the session pallet's own trie of keys: that has each
/// validator's newest keys, so that one could change its keys and be out of reach.
impl<T: Config, D: AsRef<[u8]>> KeyOwnerProofSystem<(KeyTypeId, D)> for Pallet<T> {
	type Proof = Ownership;
	type IdentificationTuple = T::AccountId;

	fn prove((id, key): (KeyTypeId, D)) -> Option<Ownership> {
		Self::ownership(Session::<T>::current_index(), id, key.as_ref())
	}

	fn check_proof((id, key): (KeyTypeId, D), proof: Ownership) -> Option<T::AccountId> {
		let past = Sessions::<T>::get(proof.session)?;
		(past.validators == proof.validators)
			.then(|| Owners::<T>::get(proof.session, Self::key_hash(id, key.as_ref())))
			.flatten()
	}
}

/// Members and candidates may set session keys, and nobody else: every account is its own validator.
pub struct MayValidate<T>(PhantomData<T>);

impl<T: Config> Convert<T::AccountId, Option<T::AccountId>> for MayValidate<T> {
	fn convert(account: T::AccountId) -> Option<T::AccountId> {
		(Members::<T>::contains_key(&account) || Candidates::<T>::contains_key(&account)).then_some(account)
	}
}

/// Blocks of a session, for `pallet_session::PeriodicSessions`.
pub struct SessionBlocks<T>(PhantomData<T>);

impl<T: Config> Get<BlockNumberFor<T>> for SessionBlocks<T> {
	fn get() -> BlockNumberFor<T> {
		match SettingsOf::<T>::get().session_blocks {
			0 => u32::MAX.saturated_into(),
			blocks => blocks.saturated_into(),
		}
	}
}

/// Milliseconds of a slot, for Aura.
pub struct SlotMilliseconds<T>(PhantomData<T>);

impl<T: Config> Get<u64> for SlotMilliseconds<T> {
	fn get() -> u64 {
		SettingsOf::<T>::get().slot_milliseconds.max(1)
	}
}

/// Whether a slot may have several blocks, for Aura.
pub struct SeveralBlocks<T>(PhantomData<T>);

impl<T: Config> Get<bool> for SeveralBlocks<T> {
	fn get() -> bool {
		SettingsOf::<T>::get().several_blocks_per_slot
	}
}
