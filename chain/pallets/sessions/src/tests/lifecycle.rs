//! Sessions from open to settle, with every balance to the unit.

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok, traits::fungible::Inspect},
	sp_core::H256,
};
use proofward_primitives::{sessions, Balance, Decision, Ending, RejectReason};

use super::mock::*;
use crate::{types::*, Call, Error};

fn owned(who: &AccountId) -> Balance {
	Balances::total_balance(who)
}

#[test]
fn a_session_is_paid_window_by_window_and_settled() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 20).post());
		at(3);
		assert_ok!(Posting::honest(id, 5).post());
		at(1 + KNOWN);
		prove_all(id, 0);
		assert_eq!(window(id, 0).asked.len(), 2, "a tenth of twenty pages");
		at(3 + KNOWN);
		prove_all(id, 1);
		assert_eq!(window(id, 1).asked.len(), 1, "a tenth of five pages, rounded up");
		invariants_hold();
		assert_noop!(finish(id), Error::<Test>::TooEarly);
		at(1 + KNOWN + WINDOW + 1);
		assert_ok!(finish(id));
		let paid = 20 * 16 * PRICE;
		assert_eq!(owned(&worker(0)), ENDOWMENT + paid * 9 / 10);
		assert_eq!(owned(&PUBLISHER), ENDOWMENT + paid / 10);
		assert_noop!(finish(id), Error::<Test>::TooEarly);
		at(3 + KNOWN + WINDOW + 1);
		assert_ok!(finish(id));
		assert_noop!(settle(&client(1), id), Error::<Test>::TooEarly);
		at(101 + Grace::get() + 1);
		assert_ok!(settle(&client(1), id));
		let all = 25 * 16 * PRICE;
		assert_eq!(owned(&client(0)), ENDOWMENT - all);
		assert_eq!(owned(&worker(0)), ENDOWMENT + all * 9 / 10);
		assert_eq!(crate::Sessions::<Test>::iter().count() + crate::Windows::<Test>::iter().count(), 0);
		assert_eq!(entry(&worker(0)).endings[Ending::Accepted as usize], 1);
		invariants_hold();
		assert_ok!(dispatch(&worker(0), Call::withdraw { model: MODEL }));
		assert_ok!(dispatch(&PUBLISHER, Call::allow { model: MODEL, floor: None }));
		for (who, kept) in [(client(0), EntryDeposit::get()), (worker(0), 0), (PUBLISHER, 0)] {
			assert_eq!(Balances::balance(&who), owned(&who) - kept, "held of {who}");
		}
	});
}

#[test]
fn an_unproved_page_costs_the_bond_and_all_that_waits() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 20).post());
		assert_ok!(Posting::honest(id, 20).post());
		at(1 + KNOWN);
		prove_all(id, 1);
		assert_ok!(dispatch(&client(1), Call::draw { session: id, number: 0 }));
		let owed = window(id, 0).asked[0].page;
		assert_ok!(prove(&worker(0), id, 0, proofs(id, 0, &[owed])));
		at(1 + KNOWN + WINDOW + 1);
		assert_ok!(finish(id));
		assert_eq!(owned(&worker(0)), ENDOWMENT - BOND);
		assert_eq!(owned(&client(0)), ENDOWMENT + BOND);
		let nonce = EntryDeposit::get();
		assert_eq!(Balances::balance(&client(0)), ENDOWMENT + BOND - nonce, "nothing else is held");
		assert_eq!(entry(&worker(0)).endings[Ending::Lapsed as usize], 1);
		invariants_hold();
	});
}

#[test]
fn a_false_proof_costs_the_bond_at_once() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 20).post());
		at(1 + KNOWN);
		assert_ok!(dispatch(&client(1), Call::draw { session: id, number: 0 }));
		let mut pages = proofs(id, 0, &window(id, 0).asked.iter().map(|one| one.page).collect::<Vec<_>>());
		pages[1].proof[1] ^= 1;
		assert_ok!(prove(&worker(0), id, 0, pages));
		assert_eq!(owned(&worker(0)), ENDOWMENT - BOND);
		assert_eq!(owned(&client(0)), ENDOWMENT + BOND);
		assert_eq!(entry(&worker(0)).endings[Ending::Rejected as usize], 1);
		invariants_hold();
	});
}

#[test]
fn a_forced_page_pays_the_worker_when_proved() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 4).post());
		at(1 + KNOWN + WINDOW);
		prove_all(id, 0);
		let free = (0..4).find(|page| window(id, 0).asked.iter().all(|one| one.page != *page)).expect("some");
		assert_ok!(dispatch(&client(0), Call::force { session: id, number: 0, page: free }));
		at(1 + KNOWN + WINDOW + 1);
		assert_noop!(finish(id), Error::<Test>::TooEarly);
		assert_ok!(prove(&worker(0), id, 0, proofs(id, 0, &[free])));
		assert_eq!(owned(&worker(0)), ENDOWMENT + ForceFee::get());
		at(1 + KNOWN + 2 * WINDOW + 1);
		assert_ok!(finish(id));
		assert_eq!(owned(&client(0)), ENDOWMENT - 4 * 16 * PRICE - ForceFee::get());
		invariants_hold();
	});
}

#[test]
fn a_forced_page_that_is_not_proved_costs_the_bond_and_no_fee() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 4).post());
		assert_ok!(dispatch(&client(0), Call::force { session: id, number: 0, page: 2 }));
		invariants_hold();
		at(1 + KNOWN);
		assert_ok!(dispatch(&client(1), Call::draw { session: id, number: 0 }));
		let sampled = window(id, 0).asked.iter().map(|one| one.page).find(|page| *page != 2);
		if let Some(page) = sampled {
			assert_ok!(prove(&worker(0), id, 0, proofs(id, 0, &[page])));
		}
		at(1 + KNOWN + WINDOW + 1);
		assert_ok!(finish(id));
		assert_eq!(owned(&client(0)), ENDOWMENT + BOND);
		invariants_hold();
	});
}

#[test]
fn a_worker_that_lost_its_pages_is_not_paid_and_keeps_its_bond() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 4).post());
		assert_ok!(dispatch(&worker(0), Call::waive { session: id }));
		assert_eq!(owned(&worker(0)), ENDOWMENT);
		assert_eq!(owned(&client(0)), ENDOWMENT);
		assert_eq!(entry(&worker(0)).endings[Ending::Lapsed as usize], 1);
		invariants_hold();
		let late = Order { nonce: H256::repeat_byte(2), ..Order::default() }.opened();
		assert_ok!(Posting::honest(late, 4).post());
		at(1 + KNOWN + WINDOW + 1);
		assert_noop!(dispatch(&worker(0), Call::waive { session: late }), Error::<Test>::TooLate);
	});
}

#[test]
fn a_dead_worker_costs_the_client_nothing_but_time_and_a_dead_client_the_worker_one_window() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		at(101 + Grace::get());
		assert_noop!(settle(&client(0), id), Error::<Test>::TooEarly);
		at(101 + Grace::get() + 1);
		assert_noop!(Posting::honest(id, 1).post(), Error::<Test>::EndPassed);
		assert_ok!(settle(&client(0), id));
		assert_eq!(owned(&client(0)), ENDOWMENT);

		let id = Order { nonce: H256::repeat_byte(2), end: 200, ..Order::default() }.opened();
		assert_ok!(dispatch(&client(0), Call::close { session: id }));
		at(101 + Grace::get() + 2);
		assert_ok!(Posting::honest(id, 4).post());
		at(101 + Grace::get() + 2 + KNOWN);
		prove_all(id, 0);
		at(101 + Grace::get() + 3 + KNOWN + WINDOW);
		assert_ok!(finish(id));
		assert_ok!(settle(&worker(0), id));
		assert_eq!(owned(&client(0)), ENDOWMENT - 4 * 16 * PRICE);
	});
}

#[test]
fn a_contract_that_gives_no_verdict_costs_nobody() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 4).post());
		at(1 + KNOWN);
		assert_ok!(dispatch(&client(1), Call::draw { session: id, number: 0 }));
		let page = window(id, 0).asked[0].page;
		let mut faulty = proofs(id, 0, &[page]);
		faulty[0].proof[0] = FAULTY;
		assert_noop!(prove(&worker(0), id, 0, faulty), Error::<Test>::FaultyProof);
		answer(Some(Decision::Rejected(RejectReason::Reverted)));
		assert_ok!(prove(&worker(0), id, 0, proofs(id, 0, &[page])));
		assert!(window(id, 0).excused);
		at(1 + KNOWN + WINDOW + 1);
		assert_ok!(finish(id));
		assert_eq!(owned(&worker(0)), ENDOWMENT);
		assert_eq!(owned(&client(0)), ENDOWMENT);
		at(101 + Grace::get() + 1);
		assert_ok!(settle(&client(0), id));
		invariants_hold();
	});
}

#[test]
fn a_model_that_retires_or_goes_does_not_harm_a_session() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		amend_model(|model| model.retired = true);
		assert_noop!(
			Order { nonce: H256::repeat_byte(2), ..Order::default() }.open(),
			Error::<Test>::ModelRetired
		);
		assert_ok!(Posting::honest(id, 4).post());
		at(1 + KNOWN);
		prove_all(id, 0);
		forget_model();
		at(1 + KNOWN + WINDOW + 1);
		assert_ok!(finish(id));
		assert_eq!(owned(&worker(0)), ENDOWMENT + 4 * 16 * PRICE, "it was proved, and nobody has a share");
		assert_ok!(dispatch(&PUBLISHER, Call::allow { model: MODEL, floor: None }));
		invariants_hold();
	});
}

#[test]
fn a_beacon_that_nobody_asked_in_time_counts_against_the_worker() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 4).post());
		at(201);
		assert_noop!(
			dispatch(&client(0), Call::draw { session: id, number: 0 }),
			Error::<Test>::BeaconUnknown
		);
		assert_ok!(finish(id));
		assert_eq!(owned(&client(0)), ENDOWMENT + BOND);
	});
}

#[test]
fn two_pages_of_one_number_cost_the_stake_and_one_does_not() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		let key = receipt_pair(&worker(0), 1);
		let sign = |leaf: H256| {
			use polkadot_sdk::sp_core::Pair;
			(leaf, key.sign(&sessions::page_message(&GENESIS, &id, 3, &leaf)).0)
		};
		let report = |page: u32, first: (H256, [u8; 64]), second: (H256, [u8; 64])| {
			use polkadot_sdk::sp_core::Pair;
			let call = Call::report {
				receipt_key: key.public().0,
				session: id,
				page,
				first: first.0,
				first_signature: first.1,
				second: second.0,
				second_signature: second.1,
			};
			dispatch(&client(0), call)
		};
		let (one, other) = (sign(H256::repeat_byte(1)), sign(H256::repeat_byte(2)));
		assert_noop!(report(3, one, one), Error::<Test>::NoEvidence);
		assert_noop!(report(4, one, other), Error::<Test>::NoEvidence);
		assert_noop!(report(3, one, (other.0, one.1)), Error::<Test>::NoEvidence);
		assert_ok!(report(3, one, other));
		assert_eq!(entry(&worker(0)).punished, vec![id]);
		assert!(report(3, one, other).is_err(), "once for a session");
		assert_noop!(Posting::honest(id, 1).post(), Error::<Test>::WorkerInactive);
	});
}

#[test]
fn samples_are_without_repetition_within_the_window_and_fair() {
	let mut hits = [0u32; 20];
	for number in 0..2_000u32 {
		let chosen = sessions::sample(&H256::repeat_byte(7), &H256::repeat_byte(8), number, 20, 5);
		assert_eq!(chosen.len(), 5);
		for (index, one) in chosen.iter().enumerate() {
			assert!(*one < 20 && !chosen[..index].contains(one));
			hits[*one as usize] += 1;
		}
	}
	// 2,000 draws of 5 in 20: 500 each, standard deviation below 20.
	assert!(hits.iter().all(|count| (400..600).contains(count)), "{hits:?}");
	assert_eq!(sessions::sample(&H256::zero(), &H256::zero(), 0, 3, 9).len(), 3);
	assert_eq!(sessions::sampled(1_000, 10_000, MAX_SAMPLED), 10);
	assert_eq!(sessions::sampled(1_001, 10_000, MAX_SAMPLED), 11);
	assert_eq!(sessions::sampled(3, 1, MAX_SAMPLED), 1);
	assert_eq!(sessions::sampled(MAX_PAGES, PARTS, MAX_SAMPLED), MAX_SAMPLED);
}
