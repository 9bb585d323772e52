//! How members come and go.

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	pallet_session,
	sp_core::{crypto::UncheckedFrom, sr25519, H256},
	sp_keyring::Sr25519Keyring,
	*,
};

use super::mock::*;
use crate::{
	types::{Change, Kind},
	Event, Members,
};

type Refused = pallet_session::Error<Test>;

fn validators() -> Vec<sp_runtime::AccountId32> {
	let mut validators = Session::validators();
	validators.sort();
	validators
}

#[test]
fn a_member_is_admitted_after_the_notice_and_validates_with_the_next_session() {
	four(|| {
		admit(Eve);
		set_keys(Eve);
		run_to(NOTICE);
		assert!(!Members::<Test>::contains_key(account(Eve)));
		run_to(1 + NOTICE);
		assert!(Members::<Test>::contains_key(account(Eve)));
		assert_eq!(validators(), accounts(&FOUR));
		next_session();
		assert_eq!(validators(), accounts(&[Alice, Bob, Charlie, Dave, Eve]));
		assert_eq!(pallet_aura::Authorities::<Test>::get().len(), 5);
	});
}

#[test]
fn who_has_no_session_keys_when_the_notice_is_over_is_not_admitted() {
	four(|| {
		admit(Eve);
		run_to(1 + NOTICE);
		assert!(told(Event::Dropped { notice: 0, error: Error::NoSessionKeys.into() }));
		assert!(!Members::<Test>::contains_key(account(Eve)));
	});
}

#[test]
fn session_keys_are_set_by_members_and_candidates_for_themselves() {
	four(|| {
		let (keys, proof) = new_keys(Eve, None);
		assert_noop!(
			Session::set_keys(signed(Eve), keys.clone(), proof.clone()),
			Refused::NoAssociatedValidatorId
		);
		admit(Eve);
		// Keys that another has shown to have; keys that nobody has shown to have.
		assert_noop!(Session::set_keys(signed(Dave), keys.clone(), proof), Refused::InvalidProof);
		assert_noop!(Session::set_keys(signed(Eve), keys, vec![]), Refused::InvalidProof);
		// A key that it has, and that is another's.
		let (keys, proof) = new_keys(Eve, Some("//Alice"));
		assert_eq!(keys.aura, sr25519::Public::unchecked_from(Alice.to_raw_public()).into());
		assert_noop!(Session::set_keys(signed(Eve), keys, proof), Refused::DuplicatedKey);
	});
}

#[test]
fn a_member_changes_its_keys_by_itself() {
	four(|| {
		let keys = set_keys(Bob);
		next_session();
		next_session();
		assert!(pallet_aura::Authorities::<Test>::get().contains(&keys.aura));
		let old = sr25519::Public::unchecked_from(Bob.to_raw_public()).into();
		assert!(!pallet_aura::Authorities::<Test>::get().contains(&old));
	});
}

#[test]
fn no_vote_leaves_fewer_validators_than_the_chain_needs() {
	four(|| {
		let remove = Consortium::remove(votes(4, 4), account(Dave));
		assert_eq!(remove, Err(Error::TooFewLeft.into()));
		assert_eq!(Consortium::leave(signed(Dave)), Err(Error::TooFewLeft.into()));
		admit(Eve);
		set_keys(Eve);
		run_to(1 + NOTICE);
		// Each of two would leave four; the second would leave three.
		assert_ok!(Consortium::remove(votes(4, 5), account(Dave)));
		assert_ok!(Consortium::leave(signed(Charlie)));
		run_to(1 + 2 * NOTICE);
		assert!(told(Event::Done { notice: 1, change: Change::Remove { member: account(Dave) } }));
		assert!(told(Event::Dropped { notice: 2, error: Error::TooFewLeft.into() }));
		next_session();
		assert_eq!(validators(), accounts(&[Alice, Bob, Charlie, Eve]));
	});
}

#[test]
fn a_removed_member_neither_votes_nor_validates_nor_sets_keys() {
	chain_of(&[Alice, Bob, Charlie, Dave, Eve], Kind::Consortium, 4).execute_with(|| {
		assert_ok!(Consortium::remove(votes(4, 5), account(Eve)));
		assert_noop!(Consortium::remove(votes(4, 5), account(Eve)), Error::Leaving);
		assert_noop!(Consortium::leave(signed(Eve)), Error::Leaving);
		run_to(1 + NOTICE);
		let call = RuntimeCall::System(frame_system::Call::remark { remark: vec![] });
		let propose = Council::propose(signed(Eve), 3, Box::new(call), 100);
		assert!(propose.is_err());
		let (keys, proof) = new_keys(Eve, None);
		assert_noop!(Session::set_keys(signed(Eve), keys, proof), Refused::NoAssociatedValidatorId);
		next_session();
		assert_eq!(validators(), accounts(&FOUR));
	});
}

#[test]
fn a_place_moves_to_another_account() {
	four(|| {
		assert_ok!(Consortium::replace(votes(3, 4), account(Dave), account(Eve)));
		set_keys(Eve);
		let before = Members::<Test>::get(account(Dave)).unwrap();
		run_to(1 + NOTICE);
		assert!(!Members::<Test>::contains_key(account(Dave)));
		assert_eq!(Members::<Test>::get(account(Eve)), Some(before));
		next_session();
		assert_eq!(validators(), accounts(&[Alice, Bob, Charlie, Eve]));
	});
}

#[test]
fn a_successor_without_keys_leaves_the_member_in_its_place() {
	four(|| {
		assert_ok!(Consortium::replace(votes(3, 4), account(Dave), account(Eve)));
		run_to(1 + NOTICE);
		assert!(told(Event::Dropped { notice: 0, error: Error::NoSessionKeys.into() }));
		assert!(Members::<Test>::contains_key(account(Dave)));
	});
}

#[test]
fn what_makes_no_sense_is_not_announced() {
	four(|| {
		let name = H256::zero();
		let long = vec![b'a'; 256].try_into().unwrap();
		let bad = b"a b".to_vec().try_into().unwrap();
		let origin = || votes(3, 4);
		let table = [
			(Consortium::admit(origin(), account(Alice), name, endpoint()), Error::AlreadyMember),
			(Consortium::admit(origin(), account(Eve), name, Default::default()), Error::BadEndpoint),
			(Consortium::admit(origin(), account(Eve), name, bad), Error::BadEndpoint),
			(Consortium::replace(origin(), account(Eve), account(Ferdie)), Error::NotMember),
			(Consortium::replace(origin(), account(Dave), account(Alice)), Error::AlreadyMember),
			(Consortium::remove(origin(), account(Eve)), Error::NotMember),
			(Consortium::leave(signed(Eve)), Error::NotMember),
			(Consortium::reinstate(origin(), account(Eve)), Error::NotMember),
			(Consortium::reinstate(origin(), account(Dave)), Error::NotOut),
			(Consortium::set_endpoint(signed(Eve), endpoint()), Error::NotMember),
			(Consortium::set_endpoint(signed(Dave), Default::default()), Error::BadEndpoint),
		];
		for (row, (result, expected)) in table.into_iter().enumerate() {
			assert_eq!(result, Err(expected.into()), "row {row}");
		}
		assert_ok!(Consortium::admit(origin(), account(Eve), name, long));
		// One candidate, one notice: the first to be over would take it.
		assert_noop!(Consortium::admit(origin(), account(Eve), name, endpoint()), Error::AlreadyMember);
		assert_noop!(Consortium::replace(origin(), account(Dave), account(Eve)), Error::AlreadyMember);
	});
}

#[test]
fn the_consortium_is_bounded() {
	let all: Vec<_> = Sr25519Keyring::iter().take(8).collect();
	chain_of(&all, Kind::Consortium, 4).execute_with(|| {
		let ninth = Consortium::admit(votes(8, 8), [9; 32].into(), H256::zero(), endpoint());
		assert_eq!(ninth, Err(Error::TooManyMembers.into()));
	});
}

#[test]
fn a_member_says_where_it_is_met() {
	four(|| {
		assert_ok!(Consortium::set_endpoint(signed(Dave), endpoint()));
		assert_eq!(Members::<Test>::get(account(Dave)).unwrap().endpoint, endpoint());
	});
}

#[test]
fn a_set_that_does_not_change_begins_no_new_set_of_voters() {
	four(|| {
		next_session();
		next_session();
		assert!(!pallet_session::QueuedChanged::<Test>::get());
		assert_eq!(Session::current_index(), 2);
	});
}
