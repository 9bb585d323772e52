//! The table of faults that the library's tests read too: pallet and library refuse alike, for the same reason.

use codec::{Decode, Encode};
use dcap_qvl::QuoteCollateralV3;
use polkadot_sdk::{frame_support::assert_ok, sp_runtime::DispatchError};
use proofward_fixtures as fixtures;
use serde_json::Value;

use super::mock::*;

/// A chain with the collateral of a quote's platform, and the quote; its measurement need not be listed.
fn base(name: &str) -> Vec<u8> {
	if name == "alice" {
		assert_ok!(refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date")));
		allow(measurement(0x11));
		return fixtures::quote("alice");
	}
	let sample = fixtures::sample(name, 1_750_500_000);
	at(sample.now);
	assert_ok!(refresh(sample.quote.clone(), sample.collateral));
	sample.quote
}

fn refusal(quote: &[u8]) -> &'static str {
	match verify(quote) {
		Err(DispatchError::Module(error)) => error.message.unwrap_or("nameless"),
		Err(_) => "no error of the pallet's",
		Ok(_) => "Accepted",
	}
}

#[test]
fn every_fault_of_the_table_is_refused_for_its_reason() {
	for fault in fixtures::faults()["quotes"].as_array().unwrap() {
		chain().execute_with(|| {
			let mut quote = base(fault["quote"].as_str().unwrap());
			quote[fault["at"].as_u64().unwrap() as usize] ^= 1;
			assert_eq!(refusal(&quote), fault["error"].as_str().unwrap(), "{}", fault["case"]);
		});
	}
}

/// The collateral with a fault of the table.
fn spoiled(fault: &Value) -> Vec<u8> {
	if let Some(name) = fault["collateral"].as_str() {
		return fixtures::collateral(name);
	}
	let mut collateral = QuoteCollateralV3::decode(&mut &fixtures::collateral("up_to_date")[..]).unwrap();
	let c = &mut collateral;
	let text = |c: &mut QuoteCollateralV3, name: &str, change: &dyn Fn(&str) -> String| {
		let field = match name {
			"tcb_info" => &mut c.tcb_info,
			"qe_identity" => &mut c.qe_identity,
			"tcb_info_issuer_chain" => &mut c.tcb_info_issuer_chain,
			"qe_identity_issuer_chain" => &mut c.qe_identity_issuer_chain,
			other => panic!("no text {other}"),
		};
		*field = change(field);
	};
	if let Some(name) = fault["empty"].as_str() {
		text(c, name, &|_| String::new());
	} else if let Some(name) = fault["space"].as_str() {
		text(c, name, &|was| was.replacen("\"version\":", "\"version\": ", 1));
	} else if let Some(place) = fault["flip"].as_array() {
		let field = match place[0].as_str().unwrap() {
			"tcb_info_signature" => &mut c.tcb_info_signature,
			"qe_identity_signature" => &mut c.qe_identity_signature,
			"root_ca_crl" => &mut c.root_ca_crl,
			"pck_crl" => &mut c.pck_crl,
			other => panic!("no bytes {other}"),
		};
		field[place[1].as_u64().unwrap() as usize] ^= 1;
	}
	collateral.encode()
}

#[test]
fn every_faulty_collateral_of_the_table_is_refused_for_its_reason() {
	let mut wrong = Vec::new();
	for fault in fixtures::faults()["collateral"].as_array().unwrap() {
		chain().execute_with(|| {
			let seconds = fault["seconds"].as_i64().unwrap_or_default();
			at((fixtures::now() as i64 + 1_000 * seconds) as u64);
			let found = match refresh(fixtures::quote("alice"), spoiled(fault)) {
				Err(DispatchError::Module(error)) => error.message.unwrap_or("nameless"),
				Err(_) => "no error of the pallet's",
				Ok(()) => "Accepted",
			};
			if found != fault["error"] {
				wrong.push(format!("{}: {found}, the table says {}", fault["case"], fault["error"]));
			}
			assert_eq!(crate::Collateral::<Test>::iter().count(), 0, "{}", fault["case"]);
		});
	}
	assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_flipped_certificate_is_refused_for_its_reason() {
	let mut wrong = Vec::new();
	for (name, errors) in fixtures::faults()["certificates"].as_object().unwrap() {
		chain().execute_with(|| {
			let quote = base(name);
			let begin = b"-----BEGIN CERTIFICATE-----";
			let start = quote.windows(begin.len()).position(|bytes| bytes == begin).unwrap();
			for (error, offsets) in errors.as_object().unwrap() {
				for offset in offsets.as_array().unwrap() {
					let at = start + offset.as_u64().unwrap() as usize;
					let mut flipped = quote.clone();
					flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
					let found = refusal(&flipped);
					if found != error {
						wrong.push(format!("{name} {offset}: {found}, the library says {error}"));
					}
				}
			}
		});
	}
	assert_eq!(wrong, Vec::<String>::new());
}
