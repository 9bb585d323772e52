//! The table of faults that the library's tests read too: pallet and library refuse alike, for the same reason.

use polkadot_sdk::{frame_support::assert_ok, sp_runtime::DispatchError};
use proofward_fixtures as fixtures;

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
