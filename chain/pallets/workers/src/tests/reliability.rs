//! Missed claims beyond a rate.

use polkadot_sdk::frame_support::{assert_noop, assert_ok};
use proofward_primitives::{Ending, WorkerRegistry};

use super::mock::*;
use crate::{
	reliability::{ALLOWED_LAPSES, ONE_IN},
	Error, Event, SuspendedUntil,
};

const POT: u128 = 1;

fn ends(times: u32, ending: Ending) {
	for _ in 0..times {
		assert_ok!(Workers::claim_opened(&ALICE));
		Workers::claim_closed(&ALICE, ending);
		assert_ok!(Workers::do_try_state());
	}
}

fn suspended() -> bool {
	Workers::active(&ALICE).is_some_and(|view| view.suspended)
}

fn stake() -> u128 {
	crate::Workers::<Test>::get(ALICE).unwrap().stake
}

#[test]
fn claims_missed_beyond_a_rate_cost_stake_and_a_pause() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		ends(ALLOWED_LAPSES, Ending::Lapsed);
		assert_eq!((suspended(), stake()), (false, USUAL_STAKE), "nobody's habit yet");
		ends(1, Ending::Lapsed);
		assert_eq!((suspended(), stake()), (true, USUAL_STAKE - 2));
		assert_eq!(Balances::free_balance(Pot::get()), POT + 2);
		let until = System::block_number() + 50;
		System::assert_last_event(Event::Suspended { worker: ALICE, until, slashed: 2 }.into());

		System::set_block_number(until - 1);
		assert!(suspended());
		System::set_block_number(until);
		assert!(!suspended());
		ends(ALLOWED_LAPSES, Ending::Lapsed);
		assert!(!suspended(), "it begins anew");
	});
}

/// A worker that does its work may miss a claim now and then, for as long as it likes.
#[test]
fn a_worker_that_misses_few_of_its_claims_loses_nothing() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		for _ in 0..20 {
			ends(ONE_IN - 1, Ending::Accepted);
			ends(1, Ending::Lapsed);
			System::set_block_number(System::block_number() + 7);
		}
		assert_eq!((suspended(), stake()), (false, USUAL_STAKE));
	});
}

/// Others can end a worker's claims in no way that counts as a miss.
#[test]
fn only_lapses_are_misses() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		for ending in [Ending::Accepted, Ending::Rejected, Ending::Released] {
			ends(20, ending);
		}
		(0..20).for_each(|_| Workers::declined(&ALICE));
		assert_eq!((suspended(), stake()), (false, USUAL_STAKE));
	});
}

/// Claiming and handing back one's own job costs little, as often as one likes: it excuses no lapse.
#[test]
fn handing_back_buys_no_misses() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		for _ in 0..ALLOWED_LAPSES {
			ends(3 * ONE_IN, Ending::Released);
			ends(1, Ending::Lapsed);
		}
		assert!(!suspended());
		ends(100, Ending::Released);
		ends(1, Ending::Lapsed);
		assert_eq!((suspended(), stake()), (true, USUAL_STAKE - 2));
	});
}

#[test]
fn a_worker_whose_call_ended_nothing_goes_last_for_a_while() {
	use crate::reliability::LAST_FOR;
	chain().execute_with(|| {
		Workers::put_last(&ALICE);
		assert!(!Workers::goes_last(&ALICE), "nobody's entry without a worker");
		assert_ok!(register(ALICE, Arguments::alice()));
		Workers::put_last(&ALICE);
		System::set_block_number(System::block_number() + LAST_FOR - 1);
		assert!(Workers::goes_last(&ALICE));
		System::set_block_number(System::block_number() + 1);
		assert!(!Workers::goes_last(&ALICE));
		leave(ALICE);
		assert_eq!(crate::LastUntil::<Test>::iter().count(), 0);
	});
}

#[test]
fn old_misses_fade() {
	chain().execute_with(|| {
		assert_ok!(register(ALICE, Arguments::alice()));
		ends(ALLOWED_LAPSES, Ending::Lapsed);
		System::set_block_number(System::block_number() + 100);
		ends(2, Ending::Lapsed);
		assert!(!suspended());
		ends(1, Ending::Lapsed);
		assert!(suspended());
	});
}

#[test]
fn less_than_half_a_stake_takes_no_jobs_until_it_is_topped_up() {
	chain().execute_with(|| {
		let top_up = || Workers::top_up(RuntimeOrigin::signed(ALICE));
		assert_noop!(top_up(), Error::<Test>::NotRegistered);
		assert_ok!(register(ALICE, Arguments::alice()));
		let before = Balances::free_balance(ALICE);
		while stake() >= USUAL_STAKE / 2 {
			assert!(Workers::active(&ALICE).is_some());
			ends(ALLOWED_LAPSES + 1, Ending::Lapsed);
		}
		assert_eq!(Workers::active(&ALICE), None);
		let missing = USUAL_STAKE - stake();
		assert_ok!(top_up());
		assert_eq!((stake(), Balances::free_balance(ALICE)), (USUAL_STAKE, before - missing));
		System::assert_last_event(Event::ToppedUp { worker: ALICE, stake: USUAL_STAKE }.into());
		assert!(Workers::active(&ALICE).is_some());
		assert_ok!(top_up());
		assert_eq!(Balances::free_balance(ALICE), before - missing, "a whole stake needs nothing");
		assert_ok!(Workers::do_try_state());
		leave(ALICE);
		assert_eq!(SuspendedUntil::<Test>::iter().count() + crate::Reliability::<Test>::iter().count(), 0);
		assert_noop!(top_up(), Error::<Test>::NotRegistered);
	});
}
