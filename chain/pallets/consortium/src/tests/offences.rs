//! What becomes of who makes two blocks in one slot, and of who says so of another.
#![allow(deprecated)]

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	pallet_offences, pallet_session,
	sp_consensus_slots::EquivocationProof,
	sp_core::sr25519,
	sp_keyring::Sr25519Keyring,
	sp_runtime::{
		traits::ValidateUnsigned,
		transaction_validity::{InvalidTransaction, TransactionSource},
	},
	*,
};

use super::mock::*;
use crate::{
	offences::BlockEquivocation,
	types::{Kind, Ownership, Standing},
	Event, Members,
};

fn two_blocks(key: &sr25519::Pair, slot: u64) -> BlockEquivocation<Test> {
	EquivocationProof {
		offender: authority(key),
		slot: slot.into(),
		first_header: sealed(3, slot, 1, key),
		second_header: sealed(3, slot, 2, key),
	}
}

fn report(
	proof: BlockEquivocation<Test>,
	ownership: Ownership,
) -> Result<(), polkadot_sdk::sp_runtime::DispatchError> {
	Consortium::report_two_blocks(RuntimeOrigin::none(), Box::new(proof), ownership)
		.map(|_| ())
		.map_err(|failed| failed.error)
}

fn now() -> Ownership {
	Ownership { session: Session::current_index(), validators: Session::validators().len() as u32 }
}

fn standing(key: Sr25519Keyring) -> Standing {
	Members::<Test>::get(account(key)).unwrap().standing
}

fn validates(key: Sr25519Keyring) -> bool {
	Session::validators().contains(&account(key))
}

#[test]
fn two_blocks_in_a_slot_put_a_member_out_at_the_next_session() {
	four(|| {
		run_to(5);
		let proof = two_blocks(&Dave.pair(), slot());
		let ownership = Consortium::ownership_of(&proof).unwrap();
		assert_eq!(ownership, now());
		assert_ok!(report(proof, ownership));
		assert_eq!(standing(Dave), Standing::Out { session: 0 });
		assert!(told(Event::PutOut { member: account(Dave), session: 0 }));
		assert!(told(Event::Fragile { validators: 3 }));
		// It makes no block for the rest of the session, and has no vote.
		let index = Session::validators().iter().position(|member| *member == account(Dave)).unwrap();
		assert_eq!(Session::disabled_validators(), [index as u32]);
		assert!(validates(Dave));
		next_session();
		assert!(!validates(Dave));
		assert_eq!(pallet_aura::Authorities::<Test>::get().len(), 3);
		assert_eq!(Session::disabled_validators(), [0u32; 0]);
	});
}

#[test]
fn who_was_put_out_comes_back_by_a_vote_only() {
	four(|| {
		run_to(5);
		assert_ok!(report(two_blocks(&Dave.pair(), slot()), now()));
		set_keys(Dave);
		next_session();
		next_session();
		assert!(!validates(Dave), "new keys are not a pardon");
		assert_ok!(Consortium::reinstate(votes(3, 3), account(Dave)));
		run_to(System::block_number() + NOTICE);
		assert_eq!(standing(Dave), Standing::Validating);
		next_session();
		assert!(validates(Dave));
	});
}

#[test]
fn one_report_is_enough_and_more_are_refused() {
	four(|| {
		run_to(5);
		assert_ok!(report(two_blocks(&Dave.pair(), slot()), now()));
		let reports = || pallet_offences::Reports::<Test>::iter().count();
		assert_eq!(reports(), 1);
		for slot in [slot(), slot() - 1] {
			let again = two_blocks(&Dave.pair(), slot);
			assert_eq!(report(again.clone(), now()), Err(Error::KnownOffence.into()));
			let call = crate::Call::report_two_blocks { proof: again.into(), ownership: now() };
			assert_eq!(Consortium::pre_dispatch(&call), Err(InvalidTransaction::Stale.into()));
		}
		assert_eq!(reports(), 1);
	});
}

#[test]
fn what_shows_nothing_puts_nobody_out() {
	four(|| {
		run_to(5);
		let (slot, dave, eve) = (slot(), Dave.pair(), Eve.pair());
		let good = two_blocks(&dave, slot);
		let same = EquivocationProof { second_header: good.first_header.clone(), ..good.clone() };
		let other_slot = EquivocationProof { second_header: sealed(3, slot - 1, 2, &dave), ..good.clone() };
		let wrong_slot = EquivocationProof { slot: (slot - 1).into(), ..good.clone() };
		let framed = EquivocationProof { offender: authority(&Alice.pair()), ..good.clone() };
		let one_of_anothers = EquivocationProof { second_header: sealed(3, slot, 2, &eve), ..good.clone() };
		let mut unsealed = good.clone();
		unsealed.second_header.digest.logs.pop();
		let mut bare = good.clone();
		bare.second_header.digest.logs.clear();
		// The seal is not what is signed: two seals of one block are one block.
		let twice_sealed = EquivocationProof {
			first_header: sealed(3, slot, 1, &dave),
			second_header: sealed(3, slot, 1, &dave),
			..good.clone()
		};
		// Anybody can lengthen another's seal.
		let mut longer = same.clone();
		let seal = longer.second_header.digest.logs.pop().unwrap();
		let seal = [seal.as_seal().unwrap().1, &[0]].concat();
		longer.second_header.digest.push(sp_runtime::DigestItem::Seal(*b"aura", seal));
		let table = [
			("a block with another's seal on it", longer, now()),
			("the same block", same, now()),
			("one block, sealed twice", twice_sealed, now()),
			("blocks of two slots", other_slot, now()),
			("another slot than the blocks'", wrong_slot, now()),
			("another's key", framed, now()),
			("one block of another's", one_of_anothers, now()),
			("a block that nobody sealed", unsealed, now()),
			("a block without a slot", bare, now()),
			("an outsider's blocks", two_blocks(&eve, slot), now()),
			("a session to come", good.clone(), Ownership { session: 1, ..now() }),
			("another number of validators", good.clone(), Ownership { validators: 3, ..now() }),
			("a slot before the chain", two_blocks(&dave, 0), now()),
		];
		for (name, proof, ownership) in table {
			assert_eq!(report(proof, ownership), Err(Error::InvalidEvidence.into()), "{name}");
		}
		assert_ok!(report(good, now()));
	});
}

/// Evidence comes from this node or is in a block: nobody fills others' pools with it, and nobody signs it.
#[test]
fn evidence_is_not_taken_from_the_network() {
	four(|| {
		run_to(5);
		let proof = two_blocks(&Dave.pair(), slot());
		let call = crate::Call::report_two_blocks { proof: proof.clone().into(), ownership: now() };
		let from = |source| Consortium::validate_unsigned(source, &call);
		assert_eq!(from(TransactionSource::External), Err(InvalidTransaction::Call.into()));
		assert!(!from(TransactionSource::Local).unwrap().propagate);
		assert_ok!(from(TransactionSource::InBlock));
		let signed = Consortium::report_two_blocks(signed(Alice), Box::new(proof), now());
		assert!(signed.is_err());
		let other = crate::Call::leave {};
		let local = Consortium::validate_unsigned(TransactionSource::Local, &other);
		assert_eq!(local, Err(InvalidTransaction::Call.into()));
	});
}

/// The session pallet's own proofs go by a validator's newest keys: one could change them and be out of reach.
#[test]
fn new_keys_do_not_hide_what_was_done_with_the_old() {
	four(|| {
		run_to(5);
		let proof = two_blocks(&Dave.pair(), slot());
		set_keys(Dave);
		let ownership = Consortium::ownership_of(&proof).unwrap();
		assert_ok!(report(proof, ownership));
		assert_eq!(standing(Dave), Standing::Out { session: 0 });
	});
}

#[test]
fn an_old_session_is_remembered_for_as_long_as_evidence_counts() {
	four(|| {
		run_to(5);
		let proof = two_blocks(&Dave.pair(), slot());
		let ownership = Consortium::ownership_of(&proof).unwrap();
		run_to(u64::from(RETAINED) * SESSION);
		assert_eq!(Consortium::ownership_of(&proof), Some(ownership.clone()));
		run_to(u64::from(RETAINED + 1) * SESSION);
		assert_eq!(Consortium::ownership_of(&proof), None);
		assert_eq!(report(proof, ownership), Err(Error::InvalidEvidence.into()));
		assert_eq!(crate::Sessions::<Test>::iter().count() as u32, RETAINED + 1);
		assert_eq!(crate::Owners::<Test>::iter().count() as u32, 4 * (RETAINED + 1));
	});
}

/// A key that was a member's and was stolen after it was replaced.
#[test]
fn blocks_made_with_a_key_that_was_replaced_show_nothing() {
	four(|| {
		run_to(5);
		set_keys(Dave);
		next_session();
		next_session();
		run_to(System::block_number() + 2);
		let forged = two_blocks(&Dave.pair(), slot());
		assert_eq!(Consortium::ownership_of(&forged), None);
		for session in 0..=Session::current_index() {
			let claimed = Ownership { session, validators: 4 };
			assert_noop!(report(forged.clone(), claimed), Error::InvalidEvidence);
		}
	});
}

#[test]
fn the_last_validator_stays_and_the_chain_says_so() {
	chain_of(&[Alice, Bob], Kind::Local, 1).execute_with(|| {
		run_to(3);
		assert_ok!(report(two_blocks(&Bob.pair(), slot()), now()));
		next_session();
		run_to(System::block_number() + 1);
		assert!(!validates(Bob));
		assert_ok!(report(two_blocks(&Alice.pair(), slot()), now()));
		assert!(told(Event::Kept { member: account(Alice) }));
		next_session();
		assert!(validates(Alice));
		assert_eq!(pallet_session::QueuedKeys::<Test>::get().len(), 1);
	});
}

/// Votes that were cast for an open motion go with the member.
#[test]
fn a_member_that_is_put_out_has_no_vote_in_what_is_under_way() {
	use codec::Encode;
	use polkadot_sdk::sp_runtime::traits::{BlakeTwo256, Hash};
	four(|| {
		run_to(5);
		let call = RuntimeCall::Consortium(crate::Call::announce_call { call: Default::default() });
		let (length, hash) = (call.encoded_size() as u32, BlakeTwo256::hash_of(&call));
		assert_ok!(Council::propose(signed(Dave), 3, Box::new(call), length));
		for key in [Dave, Alice] {
			assert_ok!(Council::vote(signed(key), hash, 0, true));
		}
		assert_ok!(report(two_blocks(&Dave.pair(), slot()), now()));
		assert_ok!(Council::vote(signed(Bob), hash, 0, true));
		let weight = polkadot_sdk::frame_support::weights::Weight::MAX;
		assert!(Council::close(signed(Alice), hash, 0, weight, length).is_err(), "two of three");
	});
}
