//! Who may refresh collateral, and with what.

use codec::{Decode, Encode};
use dcap_qvl::QuoteCollateralV3;
use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_fixtures as fixtures;
use proofward_primitives::TrustList;

use super::mock::*;
use crate::{types::PckAuthority, Collateral, Error, Event};

const DAY: u64 = 24 * 3_600 * 1_000;

#[test]
fn without_collateral_nothing_verifies() {
	chain().execute_with(|| {
		allow(measurement(0x11));
		assert_eq!(verify(&fixtures::quote("alice")), refused(Error::NoCollateral));
	});
}

#[test]
fn no_part_of_stored_collateral_becomes_older() {
	ready().execute_with(|| {
		for name in ["older_tcb_info", "older_qe_identity", "older_issue_date", "older_revocations"] {
			let attempt = refresh(fixtures::quote("alice"), fixtures::collateral(name));
			assert_noop!(attempt, Error::<Test>::CollateralOlder);
		}
		assert_ok!(refresh(fixtures::quote("bob"), fixtures::collateral("newer")));
		let back = refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date"));
		assert_noop!(back, Error::<Test>::CollateralOlder);
	});
}

#[test]
fn refreshing_is_open_to_anyone_and_shows() {
	ready().execute_with(|| {
		let stored = Collateral::<Test>::iter_values().next().unwrap();
		assert_eq!(stored.freshness.tcb_info, (17, *b"2026-10-31T00:00:00Z"));
		assert_eq!(stored.freshness.crl_numbers, (2, 2));
		assert_eq!(stored.expires_at, fixtures::now() + 29 * DAY);
		System::assert_last_event(
			Event::MeasurementAllowed {
				measurement: measurement(0x11),
				label: b"test".to_vec().try_into().unwrap(),
			}
			.into(),
		);
		System::assert_has_event(
			Event::CollateralRefreshed {
				root: dev_root(),
				fmspc: [0xde, 0x50, 0xc0, 0xff, 0xee, 0x00],
				authority: PckAuthority::Platform,
				expires_at: stored.expires_at,
			}
			.into(),
		);
		assert_ok!(refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date")));
		assert_eq!(Collateral::<Test>::iter().count(), 1);
	});
}

#[test]
fn bad_collateral_is_refused_by_name() {
	let mut flipped = fixtures::collateral("up_to_date");
	let at = flipped.windows(12).position(|window| window == b"\"TD_QE\",\"ver").unwrap();
	flipped[at + 2] ^= 1;
	let with_tail = [fixtures::collateral("up_to_date"), vec![0]].concat();
	let table = [
		("a document with a bit flipped", flipped, Error::<Test>::QuoteRejected),
		("another root's", fixtures::collateral("foreign_root"), Error::QuoteRejected),
		("the platform's certificate revoked", fixtures::collateral("revoked"), Error::QuoteRejected),
		("bytes after the end", with_tail, Error::MalformedCollateral),
		("nothing", vec![], Error::MalformedCollateral),
	];
	chain().execute_with(|| {
		for (fault, collateral, error) in table {
			let attempt = refresh(fixtures::quote("alice"), collateral);
			assert_eq!(attempt, Err(error.into()), "{fault}");
			assert_eq!(Collateral::<Test>::iter().count(), 0, "{fault}");
		}
		let unknown = refresh(fixtures::quote("foreign_root"), fixtures::collateral("foreign_root"));
		assert_noop!(unknown, Error::<Test>::UnknownRoot);
	});
}

#[test]
fn collateral_expires() {
	ready().execute_with(|| {
		at(fixtures::now() + 29 * DAY);
		assert_ok!(verify(&fixtures::quote("alice")));
		at(fixtures::now() + 29 * DAY + 1);
		assert_eq!(verify(&fixtures::quote("alice")), refused(Error::CollateralExpired));
		let again = refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date"));
		assert_ok!(again);
		at(fixtures::now() + 29 * DAY + 1_000);
		let stale = refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date"));
		assert_noop!(stale, Error::<Test>::QuoteRejected);
	});
}

/// What is stored after `spoil` changed the honest collateral, if it is taken.
fn stored_after(spoil: impl FnOnce(&mut QuoteCollateralV3)) -> Result<Vec<u8>, DispatchError> {
	let mut collateral = QuoteCollateralV3::decode(&mut &fixtures::collateral("up_to_date")[..]).unwrap();
	spoil(&mut collateral);
	refresh(fixtures::quote("alice"), collateral.encode())?;
	assert_ok!(Attestation::do_try_state());
	Ok(Collateral::<Test>::iter_values().next().unwrap().encoded.into_inner())
}

/// A change of otherwise good collateral.
type Spoil = fn(&mut QuoteCollateralV3);

/// `weights_poc.rs`: bytes in the collateral that nothing verifies, which the chain would keep.
#[test]
fn poc_collateral_stuffed_with_junk() {
	let honest = chain().execute_with(|| stored_after(|_| ()).unwrap());
	let dropped: [(&str, Spoil); 5] = [
		("a platform's own certificates", |c| c.pck_certificate_chain = Some("another platform's".into())),
		("issuers that nobody reads", |c| c.pck_crl_issuer_chain = "x".repeat(40_000)),
		("text before a chain", |c| c.tcb_info_issuer_chain.insert_str(0, &"x".repeat(10_000))),
		("text behind a chain", |c| c.qe_identity_issuer_chain.push_str("junk")),
		("lines of another length", |c| {
			let lines = c.tcb_info_issuer_chain.replace('\n', "\r\n\r\n");
			c.tcb_info_issuer_chain = lines;
		}),
	];
	for (junk, spoil) in dropped {
		chain().execute_with(|| assert_eq!(stored_after(spoil).as_ref(), Ok(&honest), "{junk}"));
	}
	let refused: [(&str, Spoil); 3] = [
		("bytes behind the root's revocation list", |c| c.root_ca_crl.push(0)),
		("bytes behind the platform's revocation list", |c| c.pck_crl.extend([0; 1_000])),
		("a third certificate", |c| {
			let again = c.tcb_info_issuer_chain.clone();
			c.tcb_info_issuer_chain.push_str(&again);
		}),
	];
	for (junk, spoil) in refused {
		chain().execute_with(|| {
			assert!(stored_after(spoil).is_err(), "{junk}");
			assert_eq!(Collateral::<Test>::iter().count(), 0, "{junk}");
		});
	}
}

/// The same: one extrinsic with numbers at the end of their range, to shut a root's registrations for ever.
#[test]
fn poc_collateral_poisoned_for_ever() {
	for name in ["leaping_evaluation", "leaping_revocations"] {
		chain().execute_with(|| {
			let attempt = || refresh(fixtures::quote("alice"), fixtures::collateral(name));
			assert_noop!(attempt(), Error::<Test>::CollateralJump);
			assert_ok!(refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date")));
			assert_noop!(attempt(), Error::<Test>::CollateralJump);
		});
	}
	// And whatever is stored, governance starts it afresh.
	chain().execute_with(|| {
		assert_ok!(refresh(fixtures::quote("alice"), fixtures::collateral("newer")));
		let (root, fmspc, authority) = Collateral::<Test>::iter_keys().next().unwrap();
		let reset = |origin| Attestation::reset_collateral(origin, root, fmspc, authority);
		assert_noop!(reset(anyone()), DispatchError::BadOrigin);
		assert_ok!(reset(RuntimeOrigin::root()));
		assert_eq!(Balances::free_balance(ANYONE), ENDOWMENT, "the deposit is back");
		assert_ok!(refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date")));
		assert_ok!(Attestation::do_try_state());
	});
}

/// The same: invented families under one root, to fill every slot of the chain.
#[test]
fn poc_platform_slots_exhausted() {
	chain().execute_with(|| {
		for name in ["family_1", "family_2"] {
			assert_ok!(refresh(fixtures::quote(name), fixtures::collateral(name)));
		}
		assert_eq!(Balances::free_balance(ANYONE), ENDOWMENT - 2 * DEPOSIT, "each is held for");
		let third = || refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date"));
		assert_noop!(third(), Error::<Test>::TooManyPlatforms);
		// Only its own root is full.
		let sample = fixtures::sample("tdx_quote", 1_750_500_000);
		at(sample.now);
		assert_ok!(refresh(sample.quote, sample.collateral));
		at(fixtures::now());

		let keys: Vec<_> = Collateral::<Test>::iter_keys().filter(|(root, ..)| *root == dev_root()).collect();
		let drop = |(root, fmspc, authority)| Attestation::drop_collateral(anyone(), root, fmspc, authority);
		assert_noop!(drop(keys[0]), Error::<Test>::CollateralInUse);
		at(fixtures::now() + 60 * DAY);
		assert_ok!(drop(keys[0]));
		at(fixtures::now());
		assert_ok!(third());
		assert_ok!(Attestation::remove_root(RuntimeOrigin::root(), dev_root()));
		assert_ok!(drop(keys[1]));
		assert_ok!(Attestation::do_try_state());
	});
}

#[test]
fn a_banned_machine_stops_counting_at_once() {
	chain().execute_with(|| {
		let platform = H256::repeat_byte(7);
		assert_noop!(Attestation::ban_platform(anyone(), platform, true), DispatchError::BadOrigin);
		assert_ok!(Attestation::ban_platform(RuntimeOrigin::root(), platform, true));
		assert!(Attestation::platform_banned(&platform));
		assert_ok!(Attestation::ban_platform(RuntimeOrigin::root(), platform, false));
		assert!(!Attestation::platform_banned(&platform));
	});
}
