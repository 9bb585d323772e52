//! Pulses of the real network, and of the one whose secret key is one.

mod mock;

use ark_serialize::CanonicalSerialize;
use drand_verify::{derive_randomness, G2PubkeyRfc, Pubkey};
use hex_literal::hex;
use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::{Beacon, Draw};

use crate::{
	signature::{message, signed},
	types::*,
	Error,
};
use mock::*;

/// Round 123 of quicknet, as https://api3.drand.sh gives it.
const ROUND: u64 = 123;
const SIGNATURE: Signature = Signature(hex!(
	"b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92"
));

/// What the network whose secret is one signs: the message's own point.
fn local(round: u64) -> Signature {
	let mut bytes = [0; 48];
	message(round).unwrap().serialize_compressed(bytes.as_mut_slice()).unwrap();
	Signature(bytes)
}

fn posted_locally(round: u64) -> H256 {
	clock(LOCAL.time_of(round));
	assert_ok!(Drand::post(anyone(), round, local(round)));
	H256::from_slice(&derive_randomness(&local(round).0))
}

#[test]
fn a_pulse_of_quicknet_counts() {
	chain(false).execute_with(|| {
		clock(QUICKNET.time_of(ROUND));
		assert_ok!(Drand::post(anyone(), ROUND, SIGNATURE));
		assert_eq!(Drand::pulse(ROUND), Some(H256(derive_randomness(&SIGNATURE.0))));
		assert_eq!(Drand::pulse(ROUND + KEPT), None);
	});
}

#[test]
fn signatures_are_judged_as_by_drands_own_verifier() {
	for round in (0..12).map(|n| n * 0x1234_5678_9abc_def1_u64) {
		let theirs = G2PubkeyRfc::from_fixed(LOCAL.key.0).unwrap();
		let right = local(round);
		assert!(signed(&LOCAL.key, round, &right) && theirs.verify(round, b"", &right.0).unwrap());
		assert!(!signed(&LOCAL.key, round ^ 1, &right) && !theirs.verify(round ^ 1, b"", &right.0).unwrap());
		assert!(!signed(&QUICKNET.key, round, &right));
		let mut flipped = right;
		flipped.0[(round % 48) as usize] ^= 1 << (round % 8);
		assert!(!signed(&LOCAL.key, round, &flipped));
		assert!(!theirs.verify(round, b"", &flipped.0).unwrap_or(false));
	}
}

#[test]
fn what_is_no_pulse_is_refused() {
	let mut zero = Signature([0; 48]);
	zero.0[0] = 0xc0;
	chain(false).execute_with(|| {
		let at = QUICKNET.time_of(ROUND);
		for (clock_at, round, signature, error) in [
			(at - 1, ROUND, SIGNATURE, Error::<Test>::TooEarly),
			(at, 0, SIGNATURE, Error::TooEarly),
			(at, u64::MAX, SIGNATURE, Error::TooEarly),
			(at + KEPT * QUICKNET.period, ROUND, SIGNATURE, Error::TooLate),
			(at, ROUND - 1, SIGNATURE, Error::BadSignature),
			(at, ROUND, local(ROUND), Error::BadSignature),
			(at, ROUND, zero, Error::BadSignature),
			(at, ROUND, Signature([0xff; 48]), Error::BadSignature),
		] {
			clock(clock_at);
			assert_noop!(Drand::post(anyone(), round, signature), error);
		}
		clock(at);
		assert_ok!(Drand::post(anyone(), ROUND, SIGNATURE));
		assert_noop!(Drand::post(anyone(), ROUND, SIGNATURE), Error::<Test>::PostedAlready);
		assert_ok!(Drand::set_network(governance(), None));
		assert_noop!(Drand::post(anyone(), ROUND, SIGNATURE), Error::<Test>::NoNetwork);
	});
}

#[test]
fn only_governance_names_a_network_and_only_one_whose_key_is_a_key() {
	let mut zero = PublicKey([0; 96]);
	zero.0[0] = 0xc0;
	chain(false).execute_with(|| {
		assert_noop!(Drand::set_network(anyone(), Some(QUICKNET)), DispatchError::BadOrigin);
		for network in [
			Network { key: zero, ..QUICKNET },
			Network { key: PublicKey([7; 96]), ..QUICKNET },
			Network { period: 0, ..QUICKNET },
		] {
			assert_noop!(Drand::set_network(governance(), Some(network)), Error::<Test>::BadNetwork);
		}
		let elsewhen = Network { genesis: 1, period: 1, ..LOCAL };
		for network in [LOCAL, elsewhen] {
			forbid_local();
			assert_noop!(Drand::set_network(governance(), Some(network)), Error::<Test>::LocalNetwork);
		}
		assert_ok!(Drand::set_network(governance(), Some(QUICKNET)));
	});
}

#[test]
fn a_draw_is_of_a_round_that_nobody_knew_when_it_was_fixed() {
	chain(true).execute_with(|| {
		for after in [LOCAL.time_of(1_000), LOCAL.time_of(1_000) + 1, LOCAL.time_of(1_001) - 1] {
			let round = LOCAL.round_after(after);
			let made = LOCAL.time_of(round);
			assert!(made >= after + MARGIN && made < after + MARGIN + LOCAL.period);
			assert_eq!(<Drand as Beacon<u64>>::known_at(after), made);
		}
	});
	chain(true).execute_with(|| {
		let after = LOCAL.time_of(1_000);
		let round = LOCAL.round_after(after);
		posted_locally(round - 1);
		assert_eq!(Drand::draw(after), None);
		clock(LOCAL.time_of(round));
		assert_eq!(Drand::draw(after), None, "nobody has posted it");
		let value = posted_locally(round);
		clock(LOCAL.time_of(round) + 60_000);
		assert_eq!(Drand::draw(after), Some(Draw { value, choices: 1 }));
		clock(Drand::forgotten_at(after) - 1);
		assert_eq!(Drand::draw(after), Some(Draw { value, choices: 1 }));
		clock(Drand::forgotten_at(after));
		assert_eq!(Drand::draw(after), None);
		posted_locally(round + KEPT);
		assert_eq!(Drand::pulse(round), None, "another has its place");
	});
}

#[test]
fn pulses_of_a_network_before_count_no_more() {
	chain(true).execute_with(|| {
		let after = LOCAL.time_of(1_000);
		let round = LOCAL.round_after(after);
		posted_locally(round);
		assert!(Drand::draw(after).is_some());
		assert_ok!(Drand::set_network(governance(), Some(LOCAL)));
		assert_eq!(Drand::draw(after), None);
		assert_ok!(Drand::post(anyone(), round, local(round)));
		assert!(Drand::draw(after).is_some());
		assert_ok!(Drand::set_network(governance(), None));
		assert_eq!((Drand::draw(after), Drand::known_at(after)), (None, u64::MAX));
	});
}

#[test]
fn later_pulses_take_the_places_of_earlier_ones() {
	chain(true).execute_with(|| {
		for round in [7, 7 + KEPT, 7 + 2 * KEPT, 8 + 2 * KEPT] {
			posted_locally(round);
		}
		assert_eq!(crate::Pulses::<Test>::iter().count(), 2);
	});
}
