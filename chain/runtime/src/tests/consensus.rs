//! Blocks of several validators, and what their pallets make of each other.

use codec::{Decode, Encode};
use frame_support::{
	assert_noop, assert_ok,
	traits::{Contains, OnFinalize},
};
use polkadot_sdk::*;
use sp_consensus_aura::AURA_ENGINE_ID;
use sp_consensus_grandpa::{localized_payload, EquivocationProof, KEY_TYPE};
use sp_core::{ed25519, Pair, H256};
use sp_io::TestExternalities;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::{traits::Header as _, Digest, DigestItem, DispatchError};

use super::genesis::{chain, of};
use crate::{
	consensus::voter, genesis::LOCAL, governance::KeysStay, AccountId, AllPalletsWithSystem, Aura,
	Authorship, BlockNumber, Consortium, Council, Executive, Grandpa, Header, Runtime, RuntimeCall,
	RuntimeEvent, RuntimeOrigin, Session, System, Timestamp,
};

fn local() -> TestExternalities {
	chain(of(LOCAL))
}

fn begin(number: BlockNumber, slot: u64) {
	let digest = Digest { logs: vec![DigestItem::PreRuntime(AURA_ENGINE_ID, slot.encode())] };
	let header = Header::new(number, H256::zero(), H256::zero(), System::parent_hash(), digest);
	Executive::initialize_block(&header);
}

/// Blocks up to a number, each a slot behind the last, but for the slots of whoever may make none.
fn run_to(number: BlockNumber) {
	while System::block_number() < number {
		let next = System::block_number() + 1;
		let last = u64::from(pallet_aura::CurrentSlot::<Runtime>::get());
		let disabled = Session::disabled_validators();
		let turn = |slot: u64| (slot % Session::validators().len() as u64) as u32;
		let slot = (last + 1..).find(|slot| !disabled.contains(&turn(*slot))).unwrap();
		begin(next, slot);
		assert_ok!(Timestamp::set(RuntimeOrigin::none(), slot * 2_000));
		AllPalletsWithSystem::on_finalize(next);
	}
}

/// Two votes of one validator in one round, for blocks that cannot both become final.
fn two_votes(key: Ed25519Keyring, set: u64, round: u64) -> EquivocationProof<H256, BlockNumber> {
	let pair: ed25519::Pair = key.pair();
	let vote = |target: u8| {
		let prevote = (H256::repeat_byte(target), 7u32);
		// Message::Prevote.
		let message = (0u8, prevote);
		(prevote, pair.sign(&localized_payload(round, set, &message)))
	};
	// Equivocation::Prevote of finality-grandpa's Equivocation.
	let encoded = (set, 0u8, (round, pair.public(), vote(1), vote(2))).encode();
	Decode::decode(&mut &encoded[..]).unwrap()
}

fn seats() -> Vec<AccountId> {
	pallet_collective::Members::<Runtime, crate::governance::CouncilCollective>::get()
}

#[test]
fn the_members_validate_and_have_the_councils_seats() {
	local().execute_with(|| {
		let mut validators = Session::validators();
		validators.sort();
		assert_eq!(validators.len(), 4);
		assert_eq!(validators, seats());
		assert_eq!(Grandpa::grandpa_authorities().len(), 4);
		assert_eq!(pallet_aura::Authorities::<Runtime>::get().len(), 4);
		let set = Council::set_members(RuntimeOrigin::root(), vec![], None, 4);
		assert_eq!(set.map_err(|failed| failed.error), Err(DispatchError::BadOrigin));
	});
}

#[test]
fn the_author_of_a_block_is_the_member_whose_turn_it_is() {
	local().execute_with(|| {
		for number in 1..=8 {
			run_to(number);
			begin(number + 1, u64::from(number) + 1);
			let turn = (number as usize + 1) % 4;
			assert_eq!(Authorship::author(), Some(Session::validators()[turn].clone()));
			System::set_block_number(number);
			pallet_aura::CurrentSlot::<Runtime>::put(sp_consensus_aura::Slot::from(u64::from(number)));
		}
	});
}

#[test]
fn no_author_stretches_time() {
	for milliseconds in [0, 13_999, 16_000, 1_000_000_000] {
		let set = std::panic::catch_unwind(|| {
			local().execute_with(|| {
				run_to(6);
				begin(7, 7);
				let _ = Timestamp::set(RuntimeOrigin::none(), milliseconds);
			})
		});
		assert!(set.is_err(), "slot 7 is from 14 to 16 seconds, not {milliseconds} ms");
	}
	local().execute_with(|| {
		run_to(6);
		begin(7, 7);
		assert_ok!(Timestamp::set(RuntimeOrigin::none(), 15_999));
	});
}

#[test]
fn a_slot_has_one_block_but_in_development() {
	use crate::genesis::DEVELOPMENT;
	let twice = |preset: &'static str| {
		std::panic::catch_unwind(|| {
			chain(of(preset)).execute_with(|| {
				begin(1, 5);
				begin(2, 5);
			})
		})
	};
	assert!(twice(LOCAL).is_err());
	assert!(twice(DEVELOPMENT).is_ok());
}

#[test]
fn two_votes_in_a_round_put_a_member_out_at_the_next_session() {
	local().execute_with(|| {
		run_to(5);
		let dave = Sr25519Keyring::Dave.to_account_id();
		let proof = two_votes(Ed25519Keyring::Dave, 0, 3);
		let ownership = voter(0, proof.offender()).unwrap();
		let report = |proof: &EquivocationProof<H256, BlockNumber>| {
			let ownership = ownership.clone().decode().unwrap();
			let proof = Box::new(proof.clone());
			Grandpa::report_equivocation_unsigned(RuntimeOrigin::none(), proof, ownership)
				.map(|_| ())
				.map_err(|failed| failed.error)
		};
		// Another's votes; votes of another set of voters.
		let refused = Err(pallet_grandpa::Error::<Runtime>::InvalidEquivocationProof.into());
		let mut forged = two_votes(Ed25519Keyring::Eve, 0, 3).encode();
		forged[17..49].copy_from_slice(&Ed25519Keyring::Dave.to_raw_public());
		assert_eq!(report(&Decode::decode(&mut &forged[..]).unwrap()), refused);
		assert_eq!(report(&two_votes(Ed25519Keyring::Dave, 1, 3)), refused);
		assert_ok!(report(&proof));
		assert_eq!(seats().len(), 3);
		assert!(!seats().contains(&dave));
		// A second report of a member that is out does not even enter the pool.
		let again = pallet_grandpa::Call::report_equivocation_unsigned {
			equivocation_proof: Box::new(two_votes(Ed25519Keyring::Dave, 0, 4)),
			key_owner_proof: ownership.clone().decode().unwrap(),
		};
		let refused = Grandpa::pre_dispatch(&again);
		assert!(refused.is_err());
		run_to(30);
		assert!(!Session::validators().contains(&dave));
		assert_eq!(Grandpa::grandpa_authorities().len(), 3);
		assert_eq!(pallet_grandpa::CurrentSetId::<Runtime>::get(), 1);
		let log = DigestItem::Consensus(sp_consensus_grandpa::GRANDPA_ENGINE_ID, vec![]);
		let changes = |item: &&DigestItem| core::mem::discriminant(*item) == core::mem::discriminant(&log);
		assert!(System::digest().logs().iter().filter(changes).count() >= 1, "voters learn of it");
		assert_eq!(voter(0, proof.offender()), Some(ownership), "evidence of the old set still counts");
		assert_eq!(voter(1, proof.offender()), None);
		assert_eq!(KEY_TYPE, sp_core::crypto::key_types::GRANDPA);
	});
}

#[test]
fn the_runtime_is_upgraded_by_the_members_with_notice() {
	local().execute_with(|| {
		run_to(1);
		let code = b"the next runtime".to_vec();
		let code_hash = H256(sp_io::hashing::blake2_256(&code));
		let call = RuntimeCall::System(frame_system::Call::authorize_upgrade { code_hash });
		let announce = |yes, of| {
			let origin =
				pallet_collective::RawOrigin::<AccountId, crate::governance::CouncilCollective>::Members(
					yes, of,
				);
			Consortium::announce_call(origin.into(), H256(sp_io::hashing::blake2_256(&call.encode())))
		};
		assert_noop!(announce(2, 3), DispatchError::BadOrigin);
		assert_ok!(announce(3, 4));
		run_to(11);
		let anyone = || RuntimeOrigin::signed(Sr25519Keyring::Ferdie.to_account_id());
		assert_ok!(Consortium::enact(anyone(), 0, Box::new(call)));
		let authorised = System::authorized_upgrade().map(|upgrade| *upgrade.code_hash());
		assert_eq!(authorised, Some(code_hash));
	});
}

#[test]
fn finality_is_restarted_by_the_members_with_the_next_session() {
	local().execute_with(|| {
		run_to(3);
		assert_ok!(Consortium::recover_finality(RuntimeOrigin::root(), 5, 2));
		run_to(30);
		let forced = pallet_grandpa::PendingChange::<Runtime>::get().unwrap();
		assert_eq!((forced.delay, forced.forced), (5, Some(2)));
		assert!(pallet_grandpa::Stalled::<Runtime>::get().is_none());
	});
}

#[test]
fn session_keys_are_never_taken_away() {
	let purge = RuntimeCall::Session(pallet_session::Call::purge_keys {});
	assert!(!KeysStay::contains(&purge));
	local().execute_with(|| {
		run_to(1);
		let alice = RuntimeOrigin::signed(Sr25519Keyring::Alice.to_account_id());
		let batch = RuntimeCall::Utility(pallet_utility::Call::batch { calls: vec![purge.clone()] });
		use sp_runtime::traits::Dispatchable;
		assert!(purge.dispatch(alice.clone()).is_err());
		assert_ok!(batch.dispatch(alice).map(|_| ()).map_err(|failed| failed.error));
		assert!(System::events().iter().any(|record| matches!(
			record.event,
			RuntimeEvent::Utility(pallet_utility::Event::BatchInterrupted { .. })
		)));
	});
}

#[test]
fn development_has_slots_of_a_second_and_sessions_without_end() {
	use crate::genesis::DEVELOPMENT;
	chain(of(DEVELOPMENT)).execute_with(|| {
		assert_eq!(Aura::slot_duration(), 1_000);
		assert_eq!(Session::validators(), [Sr25519Keyring::Alice.to_account_id()]);
		assert_eq!(seats().len(), 3);
		for number in 1..=700u32 {
			begin(number, number.into());
		}
		assert_eq!(Session::current_index(), 0);
	});
	local().execute_with(|| assert_eq!(Aura::slot_duration(), 2_000));
}
