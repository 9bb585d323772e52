//! Studies from announcement to end, with every nano-rho and deposit.

use polkadot_sdk::frame_support::{assert_noop, assert_ok, traits::fungible::Inspect};

use super::mock::*;
use crate::{types::*, Call, Error, Rounds, Sites, Studies};

#[test]
fn rounds_are_paid_for_until_the_budget_is_spent_and_all_is_given_back() {
	with_study().execute_with(|| {
		for number in 0..3 {
			at(10 + 20 * number);
			assert_ok!(open(number));
			(0..3).for_each(|n| {
				assert_ok!(commit(n, number));
			});
			invariants_hold();
			assert_ok!(Sum::of(number, &[0, 1, 2], &[]).publish());
			invariants_hold();
			let Some(Ending::Published { opened, .. }) = Rounds::<Test>::get(study(), number).unwrap().ending
			else {
				panic!("published")
			};
			assert!(opened);
		}
		assert_eq!(Studies::<Test>::get(study()).unwrap().spent, BUDGET);
		assert_eq!(Sites::<Test>::get(site(0)).unwrap().spent, BUDGET);
		at(100);
		assert_noop!(open(3), Error::<Test>::StudyOverspends);
		assert_noop!(dispatch(&STRANGER, Call::close { study: study() }), Error::<Test>::NotResearcher);
		assert_ok!(dispatch(&RESEARCHER, Call::close { study: study() }));
		invariants_hold();
		assert_eq!(Rounds::<Test>::iter().count() + Studies::<Test>::iter().count(), 0);
		assert_eq!(Balances::balance(&RESEARCHER), ENDOWMENT - IdDeposit::get(), "but for the id's entry");
		assert_noop!(dispatch(&site(0), Call::leave {}), Error::<Test>::SpentThisYear);
		at(Year::get());
		assert_ok!(dispatch(&site(0), Call::leave {}));
		assert_eq!(Balances::balance(&site(0)), ENDOWMENT);
		invariants_hold();
	});
}

#[test]
fn a_site_that_dies_is_waited_for_and_one_whose_update_never_came_is_named() {
	with_study().execute_with(|| {
		assert_ok!(open(0));
		(0..2).for_each(|n| {
			assert_ok!(commit(n, 0));
		});
		assert_noop!(Sum::of(0, &[0, 1], &[]).publish(), Error::<Test>::TooEarly);
		at(14);
		assert_noop!(commit(2, 0), Error::<Test>::TooLate);
		assert_ok!(Sum::of(0, &[0, 1], &[]).publish());
		assert_eq!(
			Studies::<Test>::get(study()).unwrap().members[2].spent,
			0,
			"who gave nothing spent nothing"
		);
		assert_ok!(open(1));
		(0..3).for_each(|n| {
			assert_ok!(commit(n, 1));
		});
		assert_ok!(Sum::of(1, &[0, 1, 2], &[1]).publish());
		assert_eq!(Studies::<Test>::get(study()).unwrap().members[1].spent, 2 * RHO, "but who committed did");
		invariants_hold();
	});
}

#[test]
fn a_round_without_a_sum_costs_what_it_costs() {
	with_study().execute_with(|| {
		assert_ok!(open(0));
		assert_ok!(commit(0, 0));
		assert_noop!(
			dispatch(&STRANGER, Call::fail { study: study(), number: 0 }),
			Error::<Test>::NotAggregator
		);
		at(24);
		assert_ok!(dispatch(&STRANGER, Call::fail { study: study(), number: 0 }));
		assert_eq!(Studies::<Test>::get(study()).unwrap().spent, RHO);
		assert_eq!(Studies::<Test>::get(study()).unwrap().members[0].spent, RHO);
		assert_noop!(Sum::of(0, &[0], &[]).publish(), Error::<Test>::UnknownRound);
		assert_ok!(open(1));
		invariants_hold();
	});
}

#[test]
fn a_year_ends_for_all_studies_of_a_site_together() {
	new_test_ext().execute_with(|| {
		let tight = Rules { yearly: RHO, ..rules() };
		(0..3).for_each(|n| {
			assert_ok!(dispatch(&site(n), Call::register_site { rules: tight }));
		});
		create_inviting(Plan { end: 900, ..plan() });
		let join = |n: u8| dispatch(&site(n), Call::join { study: study(), budget: RHO });
		(0..3).for_each(|n| {
			assert_ok!(join(n));
		});
		assert_ok!(open(0));
		(0..3).for_each(|n| {
			assert_ok!(commit(n, 0));
		});
		assert_ok!(Sum::of(0, &[0, 1, 2], &[]).publish());
		assert_ok!(open(1));
		assert_noop!(commit(0, 1), Error::<Test>::SiteOverspends);
		assert_ok!(dispatch(&AGGREGATOR, Call::fail { study: study(), number: 1 }));
		let wide = Rules { yearly: 2 * RHO, ..rules() };
		assert_ok!(dispatch(&site(0), Call::register_site { rules: wide }));
		assert_ok!(dispatch(&site(0), Call::join { study: study(), budget: 2 * RHO }));
		at(Year::get() + 1);
		assert_ok!(open(2));
		assert_ok!(commit(0, 2));
		assert_noop!(commit(1, 2), Error::<Test>::SiteOverspends);
		assert_eq!(Sites::<Test>::get(site(0)).unwrap().spent, RHO, "of the new year");
		invariants_hold();
	});
}
