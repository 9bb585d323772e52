//! The workers, as other pallets see them.

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	sp_core::Pair,
};
use proofward_fixtures as fixtures;
use proofward_primitives::{Ending, Level, WorkerRegistry, WorkerView};

use super::mock::*;
use crate::Error;

#[test]
fn a_registration_stands_until_it_expires() {
	chain().execute_with(|| {
		assert_eq!(Workers::active(&ALICE), None);
		assert_ok!(register(ALICE, Arguments::alice()));
		let expected = WorkerView {
			level: Level::Simulated,
			epoch: 1,
			receipt_key: receipt_pair(0x51).public().0,
			previous_receipt_key: None,
			expires_at: fixtures::now() + LIFETIME,
			suspended: false,
		};
		assert_eq!(Workers::active(&ALICE), Some(expected));
		at(fixtures::now() + LIFETIME - 1);
		assert!(Workers::active(&ALICE).is_some());
		at(fixtures::now() + LIFETIME);
		assert_eq!(Workers::active(&ALICE), None);
		assert_ok!(renew(ALICE, Arguments::alice_epoch_2()));
		let view = Workers::active(&ALICE).unwrap();
		assert_eq!(
			view.receipt_keys().collect::<Vec<_>>(),
			[&receipt_pair(0x52).public().0, &receipt_pair(0x51).public().0]
		);
	});
}

#[test]
fn a_registration_does_not_outlive_its_collateral() {
	chain().execute_with(|| {
		let end = fixtures::now() + 29 * 24 * 3_600 * 1_000;
		at(end - 1_000);
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_eq!(Workers::active(&ALICE).unwrap().expires_at, end);
	});
}

#[test]
fn a_worker_falls_with_its_measurement_or_root_and_keeps_its_stake() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_ok!(Attestation::disallow_measurement(RuntimeOrigin::root(), measurement(0x11)));
		assert_eq!(Workers::active(&ALICE), None);
		allow(0x11);
		let root = crate::Workers::<Test>::get(ALICE).unwrap().root;
		assert_ok!(Attestation::remove_root(RuntimeOrigin::root(), root));
		assert_eq!(Workers::active(&ALICE), None);
		leave(ALICE);
		assert_eq!(Balances::free_balance(ALICE), 1_000 - EPOCH_DEPOSIT);
	});
}

#[test]
fn claims_are_counted_and_never_below_zero() {
	chain().execute_with(|| {
		assert_noop!(Workers::claim_opened(&BOB), Error::<Test>::NotRegistered);
		Workers::claim_closed(&BOB, Ending::Lapsed);
		assert_ok!(register(ALICE, Arguments::alice()));
		let open = || crate::Workers::<Test>::get(ALICE).unwrap().open_claims;
		Workers::claim_closed(&ALICE, Ending::Released);
		assert_eq!(open(), 0);
		assert_ok!(Workers::claim_opened(&ALICE));
		assert_ok!(Workers::claim_opened(&ALICE));
		assert_eq!(open(), 2);
		Workers::claim_closed(&ALICE, Ending::Accepted);
		assert_eq!(open(), 1);
		Workers::declined(&ALICE);
		let tally = crate::Workers::<Test>::get(ALICE).unwrap().tally;
		assert_eq!((tally.accepted, tally.rejected, tally.lapsed, tally.released), (1, 0, 0, 1));
		assert_eq!(tally.declined, 1);
	});
}
