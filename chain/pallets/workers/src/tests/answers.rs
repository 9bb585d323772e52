//! Two receipts of one id: what shows that a gateway lied, what does not, and what it costs.

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold},
	sp_core::Pair,
	sp_runtime::{AccountId32, DispatchResult},
};
use proofward_primitives::WorkerRegistry;
use proptest::prelude::*;

use super::mock::*;
use crate::{
	answers::receipt_id,
	types::{MAX_ANSWER_RECEIPT, MAX_RECEIPT_ID},
	Error, Event, HoldReason,
};

const KEY: u8 = 0x51;

/// Bytes, and the seed of the key that signs them.
type Signed<'a> = (&'a [u8], u8);

/// A receipt as a gateway writes it, canonical and unsigned; `model` is JSON already escaped.
fn answered(model: &str, id: &str, served_at: u64) -> Vec<u8> {
	let digest = "5b".repeat(32);
	format!(
		r#"{{"api_version":"aci/1","chat_id":null,"endpoint":"/v1/chat/completions","event_log":[{{"body_hash":"sha256:{digest}","type":"request.received"}},{{"body_hash":"sha256:{digest}","type":"response.returned"}}],"key_id":"receipt-1","method":"POST","model":"{model}","receipt_id":"{id}","served_at":{served_at},"workload_keyset_digest":"sha256:{digest}"}}"#
	)
	.into_bytes()
}

fn report_by(who: AccountId32, first: Signed, second: Signed, key: u8) -> DispatchResult {
	let sign = |(receipt, seed): Signed| receipt_pair(seed).sign(receipt).0;
	Workers::report_two_receipts(
		RuntimeOrigin::signed(who),
		receipt_pair(key).public().0,
		first.0.to_vec().try_into().unwrap(),
		sign(first),
		second.0.to_vec().try_into().unwrap(),
		sign(second),
	)
}

fn report(first: &[u8], second: &[u8]) -> DispatchResult {
	report_by(BOB, (first, KEY), (second, KEY), KEY)
}

fn held(who: &AccountId32) -> u128 {
	Balances::balance_on_hold(&HoldReason::Stake.into(), who)
}

#[test]
fn two_receipts_of_one_id_cost_half_the_stake_once() {
	chain().execute_with(|| {
		let (first, second) = (answered("m", "rcpt-1", 7), answered("m", "rcpt-1", 8));
		assert_eq!(
			report(&first, &second),
			Err(Error::<Test>::NoEvidence.into()),
			"nobody registered the key"
		);
		assert_ok!(register(ALICE, Arguments::alice()));
		// The key is of the epoch before; evidence may still name it, even after retirement.
		assert_ok!(renew(ALICE, Arguments::alice_epoch_2()));
		assert_ok!(retire(ALICE));
		assert_ok!(report(&first, &second));
		let slashed = USUAL_STAKE / 2;
		assert_eq!(held(&ALICE), USUAL_STAKE - slashed);
		assert_eq!((Balances::free_balance(BOB), Balances::free_balance(POT)), (1_005, 1 + 45));
		let (worker, receipt_key) = (ALICE, receipt_pair(KEY).public().0);
		let receipt = b"rcpt-1".to_vec().try_into().unwrap();
		System::assert_last_event(Event::Contradicted { worker, receipt_key, receipt, slashed }.into());
		assert_eq!(Workers::active(&ALICE), None, "it is trusted no more");
		assert_ok!(Workers::do_try_state());

		let third = answered("another", "rcpt-1", 9);
		for (again, other) in [(&first, &second), (&second, &first), (&first, &third), (&third, &second)] {
			assert_noop!(report(again, other), Error::<Test>::AlreadyPunished);
		}
		// Another answer is another lie. What stays for the epoch's memory is not there to be lost.
		assert_ok!(report(&answered("m", "rcpt-2", 7), &answered("m", "rcpt-2", 8)));
		assert_eq!(held(&ALICE), EPOCH_DEPOSIT);
		let spent = report(&answered("m", "rcpt-3", 7), &answered("m", "rcpt-3", 8));
		assert_eq!(spent, Err(Error::<Test>::AlreadyPunished.into()));
		assert_ok!(Workers::do_try_state());
	});
}

#[test]
fn who_reports_itself_keeps_less_than_it_loses() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		let (first, second) = (answered("m", "rcpt-1", 7), answered("m", "rcpt-1", 8));
		assert_ok!(report_by(ALICE, (&first, KEY), (&second, KEY), KEY));
		assert_eq!((held(&ALICE), Balances::free_balance(ALICE)), (USUAL_STAKE / 2, 900 + 5));
		assert_eq!(Balances::free_balance(POT), 1 + 45);
	});
}

#[test]
fn a_stake_that_was_taken_back_is_not_slashed() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		leave(ALICE);
		let (first, second) = (answered("m", "rcpt-1", 7), answered("m", "rcpt-1", 8));
		assert_noop!(report(&first, &second), Error::<Test>::NoEvidence);
	});
}

/// Whoever asks chooses a model's name, and with it a part of what an honest gateway signs.
const NAMED_LIKE_A_RECEIPT: &str = concat!(
	r#"\",\"receipt_id\":\"rcpt-1\",\"served_at\":7,\"workload_keyset_digest\":\"sha256:"#,
	"5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b",
	r#"\"}"#
);

#[test]
fn an_honest_gateway_is_not_slashed() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		assert_ok!(register(BOB, Arguments::bob()));
		let [one, other] = [7, 8].map(|served_at| answered("m", "rcpt-1", served_at));
		let next = answered("m", "rcpt-2", 7);
		let named = answered(NAMED_LIKE_A_RECEIPT, "rcpt-2", 7);
		let jobs = [1, 2].map(|output| receipt(output).message());
		let table: [(&str, Signed, Signed, u8); 9] = [
			("one receipt twice", (&one, KEY), (&one, KEY), KEY),
			("two answers", (&one, KEY), (&next, KEY), KEY),
			("another gateway's receipt", (&one, KEY), (&other, 0x53), KEY),
			("the same under that one's key", (&one, KEY), (&other, 0x53), 0x53),
			("two receipts of a key that is not registered", (&one, 0x52), (&other, 0x52), 0x52),
			("a reporter's own receipts under its name", (&one, 0x52), (&other, 0x52), KEY),
			("an id in a model's name", (&one, KEY), (&named, KEY), KEY),
			("what a worker signs", (&jobs[0], KEY), (&jobs[1], KEY), KEY),
			("what older clients ask for", (b"5b5b:5b5b", KEY), (b"5b5b:5b5c", KEY), KEY),
		];
		for (fault, first, second, key) in table {
			for (first, second) in [(first, second), (second, first)] {
				assert_eq!(
					report_by(BOB, first, second, key),
					Err(Error::<Test>::NoEvidence.into()),
					"{fault}"
				);
			}
		}
		let swapped = Workers::report_two_receipts(
			RuntimeOrigin::signed(BOB),
			receipt_pair(KEY).public().0,
			one.clone().try_into().unwrap(),
			receipt_pair(KEY).sign(&other).0,
			other.clone().try_into().unwrap(),
			receipt_pair(KEY).sign(&one).0,
		);
		assert_eq!(swapped, Err(Error::<Test>::NoEvidence.into()), "signatures of each other");
		assert_eq!((held(&ALICE), held(&BOB)), (USUAL_STAKE, USUAL_STAKE));
	});
}

#[test]
fn only_a_canonical_receipt_has_an_id() {
	let whole = String::from_utf8(answered("m", "rcpt-1", 7)).unwrap();
	assert_eq!(receipt_id(whole.as_bytes()), Some(&b"rcpt-1"[..]));
	let longest = "i".repeat(MAX_RECEIPT_ID as usize);
	assert_eq!(receipt_id(&answered("m", &longest, 7)), Some(longest.as_bytes()));
	let hash = "5b".repeat(32);
	for (fault, changed) in [
		("nothing", String::new()),
		("another version", whole.replacen("aci/1", "aci/2", 1)),
		("a member before the first", whole.replacen('{', r#"{"a":1,"#, 1)),
		("white space", whole.replacen(':', ": ", 1)),
		("a line's end", format!("{whole}\n")),
		("a member after the last", format!("{},\"z\":1}}", &whole[..whole.len() - 1])),
		("no id", whole.replacen(r#""receipt_id":"rcpt-1","#, "", 1)),
		("an empty id", whole.replacen("rcpt-1", "", 1)),
		("an id that is too long", whole.replacen("rcpt-1", &"i".repeat(129), 1)),
		("an id with a quote", whole.replacen("rcpt-1", r#"rcpt\"1"#, 1)),
		("an id with a letter beyond ASCII", whole.replacen("rcpt-1", "rcpté", 1)),
		("no time", whole.replacen(r#""served_at":7"#, r#""served_at":"#, 1)),
		("a time before 1970", whole.replacen(r#""served_at":7"#, r#""served_at":-7"#, 1)),
		(
			"a digest that is too short",
			whole.replacen(&format!("{hash}\"}}"), &format!("{}\"}}", &hash[1..]), 1),
		),
		("a digest that is too long", whole.replacen(&format!("{hash}\"}}"), &format!("5{hash}\"}}"), 1)),
		(
			"a digest in capitals",
			whole.replacen(&format!("{hash}\"}}"), &format!("{}\"}}", "5B".repeat(32)), 1),
		),
		("signed inside", whole.replacen(r#","workload"#, r#","signature":"00","workload"#, 1)),
	] {
		assert_eq!(receipt_id(changed.as_bytes()), None, "{fault}");
	}
	for cut in 0..whole.len() {
		assert_eq!(receipt_id(&whole.as_bytes()[..cut]), None, "cut at {cut}");
		assert_eq!(receipt_id(&whole.as_bytes()[cut + 1..]), None, "begun at {cut}");
	}
	assert!(answered(&"m".repeat(MAX_ANSWER_RECEIPT as usize), "i", 7).len() > MAX_ANSWER_RECEIPT as usize);
}

proptest! {
	/// Of JSON's text there is no more than this to a model's name, canonical or not: no bare quote, no lone backslash.
	#[test]
	fn no_name_of_a_model_changes_an_id(
		name in proptest::collection::vec(
			prop_oneof!["[ -!#-\\[\\]-~]", r#"\\["\\nu]"#, Just(NAMED_LIKE_A_RECEIPT.to_string())], 0..24
		),
		id in "[A-Za-z0-9_.:-]{1,128}",
	) {
		let receipt = answered(&name.concat(), &id, 1);
		prop_assert_eq!(receipt_id(&receipt), Some(id.as_bytes()));
	}

	#[test]
	fn no_bytes_are_beyond_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
		prop_assert_eq!(receipt_id(&bytes), None);
	}
}
