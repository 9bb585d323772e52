//! What becomes of a validator that is shown to have said two things at once.

use alloc::vec::Vec;
use codec::{Decode, DecodeAll};
use core::marker::PhantomData;
use polkadot_sdk::{
	frame_support::{traits::KeyOwnerProofSystem, weights::Weight},
	frame_system::pallet_prelude::HeaderFor,
	pallet_session,
	sp_application_crypto::RuntimeAppPublic,
	sp_consensus_aura::{sr25519::AuthorityId, Slot, AURA_ENGINE_ID},
	sp_consensus_slots::EquivocationProof,
	sp_core::crypto::key_types::AURA,
	sp_runtime::{traits::Header as HeaderT, DigestItem, Perbill},
	sp_staking::{
		offence::{
			Kind as OffenceKind, Offence, OffenceDetails, OffenceError, OffenceSeverity, OnOffenceHandler,
			ReportOffence,
		},
		SessionIndex,
	},
};

use crate::{
	types::{Ownership, Standing},
	Config, Event, Members, Pallet,
};

/// Two blocks of one author in one slot.
pub type BlockEquivocation<T> = EquivocationProof<HeaderFor<T>, AuthorityId>;

/// The offence of making two blocks in one slot.
pub struct TwoBlocks<AccountId> {
	/// The slot.
	pub slot: Slot,
	/// The session that it belongs to.
	pub session: SessionIndex,
	/// How many validated in it.
	pub validators: u32,
	/// Whose turn the slot was.
	pub offender: AccountId,
}

impl<AccountId: Clone> Offence<AccountId> for TwoBlocks<AccountId> {
	const ID: OffenceKind = *b"aura:two-blocks_";
	type Slot = Slot;

	fn offenders(&self) -> Vec<AccountId> {
		[self.offender.clone()].into()
	}

	fn session_index(&self) -> SessionIndex {
		self.session
	}

	fn validator_set_count(&self) -> u32 {
		self.validators
	}

	fn slot(&self) -> Slot {
		self.slot
	}

	// Nothing is staked: what a member has to lose is its seat.
	fn slash_fraction(&self, _: u32) -> Perbill {
		Perbill::zero()
	}
}

/// The slot that a header names and its hash before it was sealed, if `author` sealed it.
fn sealed<H: HeaderT>(mut header: H, author: &AuthorityId) -> Option<(Slot, H::Hash)> {
	let slot = header.digest().logs().iter().find_map(|log| match log {
		DigestItem::PreRuntime(AURA_ENGINE_ID, encoded) => Slot::decode(&mut &encoded[..]).ok(),
		_ => None,
	})?;
	let DigestItem::Seal(AURA_ENGINE_ID, seal) = header.digest_mut().pop()? else { return None };
	let signature = DecodeAll::decode_all(&mut &seal[..]).ok()?;
	let hash = header.hash();
	author.verify(&hash.as_ref(), &signature).then_some((slot, hash))
}

/// Whether these are two different blocks that `offender` sealed for the slot. What was sealed must differ: a seal alone
/// could be another's to bend.
pub fn is_equivocation<H: HeaderT>(proof: &EquivocationProof<H, AuthorityId>) -> bool {
	let sealed = |header: &H| sealed(header.clone(), &proof.offender).filter(|(slot, _)| *slot == proof.slot);
	match (sealed(&proof.first_header), sealed(&proof.second_header)) {
		(Some((_, first)), Some((_, second))) => first != second,
		_ => false,
	}
}

impl<T: Config> Pallet<T> {
	/// Who made both blocks, if the proof and the ownership hold and that member has not been put out yet.
	pub(crate) fn equivocator(
		proof: &BlockEquivocation<T>,
		ownership: &Ownership,
	) -> Option<TwoBlocks<T::AccountId>> {
		if Self::session_of_slot(*proof.slot) != Some(ownership.session) || !is_equivocation(proof) {
			return None;
		}
		let offender = Self::check_proof((AURA, &proof.offender), ownership.clone())?;
		Some(TwoBlocks {
			slot: proof.slot,
			session: ownership.session,
			validators: ownership.validators,
			offender,
		})
	}

	/// For a node that saw two blocks: what shows whose they are. `None` when the chain does not know or the proof is
	/// none.
	pub fn ownership_of(proof: &BlockEquivocation<T>) -> Option<Ownership> {
		let session = Self::session_of_slot(*proof.slot)?;
		let ownership = Self::ownership(session, AURA, proof.offender.as_ref())?;
		Self::equivocator(proof, &ownership)?;
		Some(ownership)
	}

	/// A member takes part no more, from this block on, and validates no more from the next session on. The last
	/// validator stays: a chain without one is dead.
	fn put_out(member: T::AccountId) {
		if !Self::takes_part(&member) {
			return;
		}
		if Self::planned().iter().all(|(other, _)| *other == member) {
			return Self::deposit_event(Event::Kept { member });
		}
		let before = Self::taking_part();
		let session = pallet_session::Pallet::<T>::current_index();
		Members::<T>::mutate(&member, |entry| {
			if let Some(entry) = entry {
				entry.standing = Standing::Out { session };
			}
		});
		// Makes no block for the rest of this session either, as long as two thirds are left.
		pallet_session::Pallet::<T>::report_offence(member.clone(), OffenceSeverity(Perbill::one()));
		Self::deposit_event(Event::PutOut { member, session });
		Self::seats_changed(&before);
	}

	pub(crate) fn takes_part(member: &T::AccountId) -> bool {
		Members::<T>::get(member).is_some_and(|member| member.standing == Standing::Validating)
	}
}

impl<T: Config, Reporter> OnOffenceHandler<Reporter, T::AccountId, Weight> for Pallet<T> {
	fn on_offence(
		offenders: &[OffenceDetails<Reporter, T::AccountId>],
		_: &[Perbill],
		_: SessionIndex,
	) -> Weight {
		for details in offenders {
			Self::put_out(details.offender.clone());
		}
		Weight::zero()
	}
}

/// Takes an offence of a member that takes part, and no other: who is out already cannot fill the chain with reports.
pub struct FirstOffence<T, Inner>(PhantomData<(T, Inner)>);

impl<T, Inner, O> ReportOffence<T::AccountId, T::AccountId, O> for FirstOffence<T, Inner>
where
	T: Config,
	Inner: ReportOffence<T::AccountId, T::AccountId, O>,
	O: Offence<T::AccountId>,
{
	fn report_offence(reporters: Vec<T::AccountId>, offence: O) -> Result<(), OffenceError> {
		if !offence.offenders().iter().any(Pallet::<T>::takes_part) {
			return Err(OffenceError::DuplicateReport);
		}
		Inner::report_offence(reporters, offence)
	}

	fn is_known_offence(offenders: &[T::AccountId], slot: &O::Slot) -> bool {
		!offenders.iter().any(Pallet::<T>::takes_part) || Inner::is_known_offence(offenders, slot)
	}
}
