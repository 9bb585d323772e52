//! A contract that calls back while it is asked for a verdict gains nothing, whatever it answers.

use std::{cell::RefCell, rc::Rc};

use polkadot_sdk::{
	frame_support::{assert_ok, traits::fungible::Inspect},
	sp_runtime::DispatchResult,
};
use proofward_primitives::{Decision, RejectReason};

use super::{invariants, mock::*};
use crate::{Error, Event, Jobs as Records, Status};

/// Two jobs: worker 0 claimed the first, worker 1 the second, which is past its deadline's reach for nobody. While the
/// first is judged, the contract tries every call, on both jobs and for every account.
fn every_call_back(first: Order, second: Order) -> Rc<RefCell<Vec<DispatchResult>>> {
	let (results, one, two) = (Rc::new(RefCell::new(vec![])), first.id(), second.id());
	let seen = results.clone();
	let [own, other] = [Outcome::honest(&worker(0), one), Outcome::honest(&worker(1), two)];
	hostile(move || {
		let mut seen = seen.borrow_mut();
		seen.push(own.deliver());
		seen.push(other.deliver());
		seen.push(Order::numbered(9).submit());
		for who in [worker(0), worker(1), client(0)] {
			for job in [one, two] {
				seen.push(claim(&who, job));
				seen.push(release(&who, job));
				seen.push(lapse(&who, job));
				seen.push(expire(&who, job));
				seen.push(decline(&who, job));
				seen.push(cancel(&who, job));
				seen.push(forget(&who, job));
			}
		}
	});
	results
}

#[test]
fn every_call_back_is_refused_and_the_verdict_stands() {
	// Where no verdict can be had, the contract is asked once more, about the probe.
	for (decision, times) in [(Decision::Accepted, 1), (Decision::Rejected(RejectReason::Reverted), 2)] {
		new_test_ext().execute_with(|| {
			let (first, second) = (Order::numbered(1), Order::numbered(2));
			first.claimed_by(&worker(0));
			second.claimed_by(&worker(1));
			let results = every_call_back(first.clone(), second.clone());
			answer(decision);
			assert_ok!(Outcome::honest(&worker(0), first.id()).deliver());

			assert_eq!(asked(), times, "no verdict within a verdict");
			assert_eq!(results.borrow().len(), 45 * times as usize);
			assert!(results.borrow().iter().all(|result| *result == Err(Error::<Test>::Reentered.into())));
			let second = Records::<Test>::get(second.id()).expect("kept");
			assert!(matches!(second.status, Status::Claimed { .. }));
			assert!(!Records::<Test>::contains_key(Order::numbered(9).id()));
			invariants::hold();
		});
	}
}

#[test]
fn money_moved_and_events_sent_by_the_contract_are_undone() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		let (issuance, before) = (Balances::total_issuance(), Balances::balance(&client(1)));
		hostile(|| {
			let origin = polkadot_sdk::frame_system::RawOrigin::Signed(client(1)).into();
			assert_ok!(Balances::transfer_allow_death(origin, worker(0), 1_000));
			assert_ok!(Balances::burn(
				polkadot_sdk::frame_system::RawOrigin::Signed(client(2)).into(),
				500,
				false
			));
			System::deposit_event(Event::<Test>::Lapsed { job: MODEL, worker: worker(0), bond_cut: 1 });
			amend(&worker(0), |entry| entry.level = proofward_primitives::Level::Simulated);
		});
		System::reset_events();
		assert_ok!(Outcome::honest(&worker(0), job).deliver());

		assert_eq!((Balances::total_issuance(), Balances::balance(&client(1))), (issuance, before));
		let forged: RuntimeEvent =
			Event::<Test>::Lapsed { job: MODEL, worker: worker(0), bond_cut: 1 }.into();
		assert!(System::events().iter().all(|record| record.event != forged));
		invariants::hold();
	});
}
