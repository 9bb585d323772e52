//! Register, renew, retire; and what a quote must bind.

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold},
	frame_system,
	sp_core::{Pair, H256},
	sp_io::hashing::sha2_256,
	sp_runtime::{DispatchError, TokenError},
};
use proofward_fixtures as fixtures;
use proofward_primitives::{messages::Receipt, Ending, Level, WorkerRegistry};

use super::mock::*;
use crate::{types::PreviousEpoch, Error, Event, HoldReason, ReceiptKeys, Workers as Records};

fn held(who: &polkadot_sdk::sp_runtime::AccountId32) -> u128 {
	Balances::balance_on_hold(&HoldReason::Stake.into(), who)
}

#[test]
fn a_bound_quote_registers_and_its_root_decides_the_level() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		let worker = Records::<Test>::get(ALICE).unwrap();
		assert_eq!(worker.level, Level::Simulated);
		assert_eq!(worker.measurement, measurement(0x11));
		assert_eq!(worker.quote_hash, H256(sha2_256(&fixtures::quote("alice"))));
		assert_eq!((worker.registered_at, worker.epoch, worker.open_claims), (10, 1, 0));
		assert_eq!(worker.expires_at, fixtures::now() + LIFETIME);
		assert_eq!((held(&ALICE), Balances::free_balance(ALICE)), (USUAL_STAKE, 900));
		System::assert_last_event(
			Event::Registered {
				worker: ALICE,
				level: Level::Simulated,
				measurement: measurement(0x11),
				epoch: 1,
				expires_at: worker.expires_at,
			}
			.into(),
		);
	});
}

#[test]
fn a_quote_that_binds_anything_else_is_refused() {
	let alice = Arguments::alice;
	let table = [
		("another account's quote", BOB, alice()),
		(
			"another receipt key",
			ALICE,
			Arguments { receipt_key: receipt_pair(0x54).public().0, holder: receipt_pair(0x54), ..alice() },
		),
		("another HPKE key", ALICE, Arguments { hpke_key: vec![0x78; 32], ..alice() }),
		("another epoch", ALICE, Arguments { epoch: 2, ..alice() }),
		("another block", ALICE, Arguments { block: 6, ..alice() }),
	];
	chain().execute_with(|| {
		for (fault, who, arguments) in table {
			let attempt = register(who, arguments);
			assert_noop!(attempt, Error::<Test>::ReportDataMismatch);
			assert!(ReceiptKeys::<Test>::iter().next().is_none(), "{fault}");
		}
		frame_system::BlockHash::<Test>::insert(0, H256::repeat_byte(1));
		assert_noop!(register(ALICE, alice()), Error::<Test>::ReportDataMismatch);
	});
}

#[test]
fn the_named_block_is_one_of_the_last_256() {
	chain().execute_with(|| {
		let naming = |block| register(ALICE, Arguments { block, ..Arguments::alice() });
		assert_noop!(naming(10), Error::<Test>::UnknownBlock);
		assert_noop!(naming(11), Error::<Test>::UnknownBlock);
		assert_noop!(naming(u32::MAX), Error::<Test>::UnknownBlock);
		System::set_block_number(NAMED_BLOCK + 257);
		assert_noop!(naming(NAMED_BLOCK), Error::<Test>::BlockTooOld);
		System::set_block_number(NAMED_BLOCK + 256);
		assert_noop!(naming(NAMED_BLOCK + 100), Error::<Test>::UnknownBlock);
		assert_ok!(naming(NAMED_BLOCK));
	});
}

#[test]
fn a_bad_quote_is_refused_by_the_attestation_pallets_name() {
	chain().execute_with(|| {
		let with = |quote: Vec<u8>| register(ALICE, Arguments { quote, ..Arguments::alice() });
		let mut flipped = fixtures::quote("alice");
		flipped[48 + 520] ^= 1;
		let foreign = fixtures::quote("foreign_root");
		assert_noop!(with(flipped), pallet_attestation::Error::<Test>::QuoteRejected);
		assert_noop!(with(foreign), pallet_attestation::Error::<Test>::UnknownRoot);
		assert_noop!(with(fixtures::quote("debug")), pallet_attestation::Error::<Test>::DebugTd);
	});
}

#[test]
fn keys_have_one_of_two_lengths_and_one_owner() {
	chain().execute_with(|| {
		for length in [0, 31, 33, 1_215] {
			let attempt = register(ALICE, Arguments { hpke_key: vec![0x77; length], ..Arguments::alice() });
			assert_noop!(attempt, Error::<Test>::BadHpkeKey);
		}
		let hybrid = Arguments { hpke_key: vec![0x77; 1_216], ..Arguments::alice() };
		assert_noop!(register(ALICE, hybrid), Error::<Test>::ReportDataMismatch);

		assert_ok!(register(ALICE, Arguments::alice()));
		let stolen = Arguments::bob_with_alices_receipt_key;
		assert_noop!(register(BOB, stolen()), Error::<Test>::ReceiptKeyTaken);
		assert_ok!(retire(ALICE));
		assert_noop!(register(BOB, stolen()), Error::<Test>::ReceiptKeyTaken);
		assert_ok!(register(BOB, Arguments::bob()));
	});
}

/// `weights_poc.rs`: a key seen in the pool, taken for ever by anybody's simulated quote.
#[test]
fn poc_receipt_key_squatted() {
	chain().execute_with(|| {
		let squatted = Arguments { holder: receipt_pair(0x53), ..Arguments::bob_with_alices_receipt_key() };
		assert_noop!(register(BOB, squatted), Error::<Test>::NoPossession);
		assert_ok!(register(ALICE, Arguments::alice()));
	});
}

/// The same: leaving and coming back, to bring an old quote's epoch back.
#[test]
fn poc_old_epoch_comes_back() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_ok!(renew(ALICE, Arguments::alice_epoch_2()));
		leave(ALICE);
		for old in [Arguments::alice(), Arguments::alice_epoch_2()] {
			assert_noop!(register(ALICE, old), Error::<Test>::StaleEpoch);
		}
		assert_eq!(crate::Epochs::<Test>::get(ALICE), Some(2));
	});
}

/// The greatest epoch was taken, and its account could never renew again; a daily key was enough for it.
#[test]
fn the_greatest_epoch_shuts_nobody_out() {
	use crate::types::MAX_EPOCH_JUMP;
	chain().execute_with(|| {
		let first = Arguments { epoch: MAX_EPOCH_JUMP + 1, ..Arguments::alice() };
		assert_noop!(register(ALICE, first), Error::<Test>::EpochAhead);
		assert_ok!(register(ALICE, Arguments::alice()));
		for epoch in [u32::MAX, MAX_EPOCH_JUMP + 2] {
			let last = Arguments { epoch, ..Arguments::alice_epoch_2() };
			assert_noop!(renew(ALICE, last), Error::<Test>::EpochAhead);
		}
		// One that is near enough is judged by its quote.
		let near = Arguments { epoch: MAX_EPOCH_JUMP + 1, ..Arguments::alice_epoch_2() };
		assert_noop!(renew(ALICE, near), Error::<Test>::ReportDataMismatch);
	});
}

/// The same: any number of identities on one machine.
#[test]
fn poc_one_machine_many_identities() {
	chain().execute_with(|| {
		Room::set(1);
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_noop!(register(BOB, Arguments::bob()), Error::<Test>::PlatformFull);
		assert_ok!(renew(ALICE, Arguments::alice_epoch_2()));
		leave(ALICE);
		assert_ok!(register(BOB, Arguments::bob()));
	});
}

#[test]
fn a_banned_machine_or_worker_stops_at_once() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		let platform = Records::<Test>::get(ALICE).unwrap().platform;
		assert_ok!(Attestation::ban_platform(RuntimeOrigin::root(), platform, true));
		assert_eq!(Workers::active(&ALICE), None);
		assert_noop!(register(BOB, Arguments::bob()), Error::<Test>::PlatformBanned);
		assert_noop!(renew(ALICE, Arguments::alice_epoch_2()), Error::<Test>::PlatformBanned);
		assert_ok!(Attestation::ban_platform(RuntimeOrigin::root(), platform, false));
		assert!(Workers::active(&ALICE).is_some());

		let bob = RuntimeOrigin::signed(BOB);
		assert_noop!(Workers::ban(bob, ALICE, true), DispatchError::BadOrigin);
		assert_noop!(Workers::ban(RuntimeOrigin::root(), BOB, true), Error::<Test>::NotRegistered);
		assert_ok!(Workers::ban(RuntimeOrigin::root(), ALICE, true));
		assert_eq!(Workers::active(&ALICE), None);
		assert_ok!(renew(ALICE, Arguments::alice_epoch_2()));
		assert_eq!(Workers::active(&ALICE), None, "a renewal does not lift it");
		assert_ok!(retire(ALICE));
		System::set_block_number(10 + UNBONDING);
		let withdraw = Workers::withdraw(RuntimeOrigin::signed(ALICE));
		assert_noop!(withdraw, Error::<Test>::Banned);
	});
}

#[test]
fn declarations_name_live_models_and_stand_in_both_indices() {
	chain().execute_with(|| {
		let alice = || RuntimeOrigin::signed(ALICE);
		assert_noop!(Workers::serve(alice(), MODEL, 5), Error::<Test>::NotRegistered);
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_noop!(Workers::serve(alice(), H256::zero(), 5), Error::<Test>::UnknownModel);
		assert_noop!(Workers::serve(alice(), RETIRED_MODEL, 5), Error::<Test>::UnknownModel);
		assert_noop!(Workers::unserve(alice(), MODEL), Error::<Test>::NotServing);
		assert_ok!(Workers::serve(alice(), MODEL, 5));
		assert_ok!(Workers::serve(alice(), MODEL, 7));
		assert_eq!(Workers::serves(&ALICE, &MODEL), Some(7));
		assert_eq!(Records::<Test>::get(ALICE).unwrap().served, 1);
		assert_ok!(Workers::do_try_state());
		assert_ok!(Workers::unserve(alice(), MODEL));
		assert_eq!(Workers::serves(&ALICE, &MODEL), None);
		assert_ok!(Workers::serve(alice(), MODEL, 5));
		assert_ok!(retire(ALICE));
		assert_eq!(Workers::serves(&ALICE, &MODEL), None, "retirement takes declarations back");
		assert_noop!(Workers::serve(alice(), MODEL, 5), Error::<Test>::AlreadyRetired);
		assert_ok!(Workers::do_try_state());
	});
}

#[test]
fn a_worker_registers_once_and_only_with_the_stake() {
	chain().execute_with(|| {
		Stake::set(1_001);
		assert_noop!(register(ALICE, Arguments::alice()), TokenError::FundsUnavailable);
		Stake::set(USUAL_STAKE);
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_noop!(register(ALICE, Arguments::alice()), Error::<Test>::AlreadyRegistered);
		assert_noop!(crate::Pallet::<Test>::retire(RuntimeOrigin::root()), DispatchError::BadOrigin);
	});
}

#[test]
fn renewal_takes_a_greater_epoch_and_keeps_the_last_key() {
	chain().execute_with(|| {
		assert_noop!(renew(ALICE, Arguments::alice_epoch_2()), Error::<Test>::NotRegistered);
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_noop!(renew(ALICE, Arguments::alice()), Error::<Test>::StaleEpoch);
		let earlier = Arguments { epoch: 0, ..Arguments::alice_epoch_2() };
		assert_noop!(renew(ALICE, earlier), Error::<Test>::StaleEpoch);

		assert_ok!(Workers::claim_opened(&ALICE));
		// The quote is still of a recent block; what is new about it are its keys.
		at(fixtures::now() + LIFETIME);
		assert_ok!(renew(ALICE, Arguments::alice_epoch_2()));
		let worker = Records::<Test>::get(ALICE).unwrap();
		assert_eq!((worker.epoch, worker.receipt_key), (2, receipt_pair(0x52).public().0));
		assert_eq!(
			worker.previous,
			Some(PreviousEpoch { epoch: 1, receipt_key: receipt_pair(0x51).public().0 })
		);
		assert_eq!((worker.open_claims, worker.stake, held(&ALICE)), (1, USUAL_STAKE, USUAL_STAKE));
		assert_eq!(worker.expires_at, fixtures::now() + 2 * LIFETIME);
	});
}

#[test]
fn other_software_does_not_inherit_the_last_key() {
	chain().execute_with(|| {
		allow(0x22);
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_ok!(renew(ALICE, Arguments::alice_other_software()));
		let worker = Records::<Test>::get(ALICE).unwrap();
		assert_eq!((worker.measurement, worker.previous), (measurement(0x22), None));
	});
}

#[test]
fn the_stake_comes_back_when_the_unbonding_time_is_over() {
	chain().execute_with(|| {
		assert_noop!(retire(ALICE), Error::<Test>::NotRegistered);
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_ok!(Workers::claim_opened(&ALICE));
		assert_noop!(retire(ALICE), Error::<Test>::OpenClaims);
		Workers::claim_closed(&ALICE, Ending::Released);
		let withdraw = || Workers::withdraw(RuntimeOrigin::signed(ALICE));
		assert_noop!(withdraw(), Error::<Test>::StillBonded);
		assert_ok!(retire(ALICE));
		System::assert_last_event(Event::Retired { worker: ALICE, free_at: 10 + UNBONDING }.into());
		assert_eq!((held(&ALICE), Workers::active(&ALICE)), (USUAL_STAKE, None));
		assert_noop!(retire(ALICE), Error::<Test>::AlreadyRetired);
		assert_noop!(renew(ALICE, Arguments::alice_epoch_2()), Error::<Test>::AlreadyRetired);
		System::set_block_number(10 + UNBONDING - 1);
		assert_noop!(withdraw(), Error::<Test>::StillBonded);
		System::set_block_number(10 + UNBONDING);
		assert_ok!(withdraw());
		assert_eq!((held(&ALICE), Balances::free_balance(ALICE)), (EPOCH_DEPOSIT, 1_000 - EPOCH_DEPOSIT));
		assert!(Records::<Test>::get(ALICE).is_none());
		assert!(ReceiptKeys::<Test>::iter().next().is_none(), "its keys are forgotten");
		System::assert_last_event(Event::Withdrawn { worker: ALICE }.into());
		assert_ok!(Workers::do_try_state());

		assert_ok!(register(ALICE, Arguments::alice_epoch_2()));
		assert_eq!(held(&ALICE), USUAL_STAKE, "what stayed on hold is part of the new stake");
	});
}

#[test]
fn two_results_of_one_job_under_one_key_cost_half_the_stake() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		// The key is of the epoch before; evidence may still name it, even after retirement.
		assert_ok!(renew(ALICE, Arguments::alice_epoch_2()));
		assert_ok!(retire(ALICE));
		let (first, second) = (receipt(1), receipt(2));
		let report = |first: &Receipt<_>, second: &Receipt<_>, seed: u8| {
			Workers::report_equivocation(
				RuntimeOrigin::signed(BOB),
				receipt_pair(0x51).public().0,
				first.clone(),
				signed(seed, first),
				second.clone(),
				signed(seed, second),
			)
		};
		let elsewhere = Receipt { genesis: H256::zero(), ..second.clone() };
		let other_job = Receipt { job: H256::zero(), ..second.clone() };
		let later = Receipt { block: 11, ..first.clone() };
		let table: [(&str, &Receipt<_>, &Receipt<_>, u8); 5] = [
			("the same receipt twice", &first, &first, 0x51),
			("the same result at another block", &first, &later, 0x51),
			("another job's result", &first, &other_job, 0x51),
			("another chain's receipt", &first, &elsewhere, 0x51),
			("another key's signature", &first, &second, 0x52),
		];
		for (fault, first, second, seed) in table {
			assert_eq!(report(first, second, seed), Err(Error::<Test>::NoEvidence.into()), "{fault}");
		}
		assert_ok!(report(&first, &second, 0x51));
		assert_eq!(held(&ALICE), USUAL_STAKE / 2);
		assert_eq!((Balances::free_balance(BOB), Balances::free_balance(POT)), (1_005, 1 + 45));
		System::assert_last_event(
			Event::Equivocated { worker: ALICE, job: first.job, slashed: USUAL_STAKE / 2 }.into(),
		);
		assert_noop!(report(&first, &second, 0x51), Error::<Test>::AlreadyPunished);
		assert_eq!(Workers::active(&ALICE), None);
		assert_ok!(Workers::do_try_state());
	});
}

/// Rule 5: an output that does not open costs what two results cost, and its client has its price back, within bounds.
#[test]
fn what_goes_back_of_a_stake_is_less_than_half() {
	use proofward_primitives::Equivocation;
	let slashed = USUAL_STAKE / 2;
	// A tenth as for any evidence; of the price as much as a quarter.
	for (owed, back) in [(0, 5), (7, 12), (12, 17), (13, 17), (u128::MAX, 17)] {
		chain().execute_with(|| {
			assert_ok!(register(ALICE, Arguments::alice()));
			let job = H256::repeat_byte(7);
			assert_eq!(<Workers as Equivocation<_>>::undelivered(&ALICE, &BOB, job, owed), Ok(slashed));
			assert_eq!(held(&ALICE), USUAL_STAKE - slashed);
			assert_eq!(Balances::free_balance(BOB), 1_000 + back);
			assert_eq!(Balances::free_balance(POT), 1 + slashed - back);
			assert!(2 * back < slashed);
			System::assert_last_event(Event::Undelivered { worker: ALICE, job, slashed }.into());
			assert_eq!(Workers::active(&ALICE), None, "it works no more");
			assert_noop!(
				<Workers as Equivocation<_>>::undelivered(&ALICE, &BOB, job, owed),
				Error::<Test>::AlreadyPunished
			);
			assert_ok!(Workers::do_try_state());
		});
	}
}
