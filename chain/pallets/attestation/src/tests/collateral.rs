//! Who may refresh collateral, and with what.

use polkadot_sdk::frame_support::{assert_noop, assert_ok};
use proofward_fixtures as fixtures;

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
		assert_eq!(Collateral::<Test>::count(), 1);
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
			assert_eq!(Collateral::<Test>::count(), 0, "{fault}");
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

#[test]
fn a_platforms_own_certificates_in_collateral_are_dropped() {
	use codec::{Decode, Encode};
	chain().execute_with(|| {
		let bytes = fixtures::collateral("up_to_date");
		let mut collateral = dcap_qvl::QuoteCollateralV3::decode(&mut &bytes[..]).unwrap();
		collateral.pck_certificate_chain = Some("another platform's".into());
		assert_ok!(refresh(fixtures::quote("alice"), collateral.encode()));
		assert_eq!(Collateral::<Test>::iter_values().next().unwrap().encoded.into_inner(), bytes);
	});
}
