//! What is refused, by the fault's name; the state is as before.

use crate::commitments::Opening;
use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	sp_core::H256,
	sp_runtime::{DispatchResult, StateVersion},
};

use super::mock::*;
use crate::{types::*, Call, Error};

fn refused(fault: &str, act: impl FnOnce() -> DispatchResult, error: Error<Test>) {
	let before = polkadot_sdk::sp_io::storage::root(StateVersion::V1);
	assert_eq!(act(), Err(error.into()), "{fault}");
	assert_eq!(polkadot_sdk::sp_io::storage::root(StateVersion::V1), before, "{fault}: left a trace");
	invariants_hold();
}

type Spoil<T> = (&'static str, fn(&mut T), fn() -> Error<Test>);

#[test]
fn faults_of_a_plan() {
	let table: &[Spoil<Plan>] = &[
		("no parameters", |plan| plan.dimension = 0, || Error::BadPlan),
		("too many parameters", |plan| plan.dimension = MAX_DIMENSION + 1, || Error::BadPlan),
		("no clip", |plan| plan.clip = 0, || Error::BadPlan),
		("no noise", |plan| plan.variance = 0, || Error::BadPlan),
		("a clip that overflows", |plan| plan.clip = u64::MAX, || Error::BadPlan),
		("a variance that overflows", |plan| plan.variance = u128::MAX, || Error::BadPlan),
		("hardly any noise", |plan| plan.variance = 1, || Error::StudyOverspends),
		("nobody", |plan| plan.cohort = 0, || Error::BadPlan),
		("no rounds", |plan| plan.rounds = 0, || Error::BadPlan),
		("endless rounds", |plan| plan.rounds = MAX_ROUNDS + 1, || Error::BadPlan),
		("two purposes", |plan| plan.purpose = 0b11, || Error::BadPlan),
		("no purpose", |plan| plan.purpose = 0, || Error::BadPlan),
		("no time", |plan| plan.window = 1, || Error::BadPlan),
		("an end in the past", |plan| plan.end = 3, || Error::BadEnd),
		("an end beyond the longest", |plan| plan.end = 1_004, || Error::BadEnd),
		("less than one round's budget", |plan| plan.budget = RHO - 1, || Error::StudyOverspends),
	];
	for (fault, spoil, error) in table {
		new_test_ext().execute_with(|| {
			let mut bad = plan();
			spoil(&mut bad);
			refused(fault, || create(bad), error());
		});
	}
	new_test_ext().execute_with(|| {
		Registered::insert(&AGGREGATOR, Entry { active: false, epoch: 1 });
		refused("an aggregator that is not attested", || create(plan()), Error::AggregatorInactive);
	});
	with_study().execute_with(|| refused("the same nonce", || create(plan()), Error::DuplicateStudy));
}

/// What a study asks for beyond a site's rules, the site cannot even agree to.
#[test]
fn a_site_cannot_agree_to_more_than_its_rules() {
	let table: &[Spoil<Rules>] = &[
		("a purpose that it forbids", |rules| rules.purposes = 0b101, || Error::PurposeForbidden),
		("fewer sites than it wants", |rules| rules.cohort = 3, || Error::CohortTooSmall),
		("less noise than its floor", |rules| rules.round = RHO - 1, || Error::TooLittleNoise),
		("more than its year", |rules| rules.yearly = BUDGET - 1, || Error::SiteOverspends),
	];
	for (fault, spoil, error) in table {
		new_test_ext().execute_with(|| {
			let mut strict = rules();
			spoil(&mut strict);
			assert_ok!(dispatch(&site(0), Call::register_site { rules: strict }));
			create_inviting(plan());
			refused(fault, || join(0), error());
		});
	}
	with_study().execute_with(|| {
		let join = |study, budget| dispatch(&site(0), Call::join { study, budget });
		refused("less than one round", || join(study(), RHO - 1), Error::SiteOverspends);
		refused("no such study", || join(H256::zero(), RHO), Error::UnknownStudy);
		let stranger = Call::join { study: study(), budget: RHO };
		refused("no site", || dispatch(&STRANGER, stranger), Error::UnknownSite);
		refused("to leave in the middle", || dispatch(&site(0), Call::leave {}), Error::StillMember);
	});
	new_test_ext().execute_with(|| {
		let table: &[Spoil<Rules>] = &[
			("no year", |rules| rules.yearly = 0, || Error::BadRules),
			("no round", |rules| rules.round = 0, || Error::BadRules),
			("a round above the year", |rules| rules.round = rules.yearly + 1, || Error::BadRules),
			("no cohort", |rules| rules.cohort = 0, || Error::BadRules),
			("no purposes", |rules| rules.purposes = 0, || Error::BadRules),
		];
		for (fault, spoil, error) in table {
			let mut bad = rules();
			spoil(&mut bad);
			refused(fault, || dispatch(&site(0), Call::register_site { rules: bad }), error());
		}
	});
}

/// Sixteen strangers would fill any study, and some of them poison its sums, if a site's word alone were enough.
#[test]
fn strangers_fill_no_study() {
	new_test_ext().execute_with(|| {
		create_inviting(plan());
		assert_ok!(dispatch(&STRANGER, Call::register_site { rules: rules() }));
		refused(
			"nobody invited it",
			|| dispatch(&STRANGER, Call::join { study: study(), budget: RHO }),
			Error::NotInvited,
		);
		let itself = Call::invite { study: study(), site: STRANGER };
		refused("it invites itself", || dispatch(&STRANGER, itself), Error::NotResearcher);
		refused("twice", || invite(&site(0)), Error::InvitedAlready);
		refused("invited, and it has not joined", || open(0), Error::CohortTooSmall);
		refused(
			"to leave what it is not in",
			|| dispatch(&site(0), Call::withdraw { study: study() }),
			Error::NotMember,
		);
		assert_ok!(dispatch(&site(2), Call::leave {}));
		for n in 3..MAX_MEMBERS as u8 {
			assert_ok!(invite(&site(n)));
		}
		refused("one too many", || invite(&STRANGER), Error::StudyFull);
		(0..2).for_each(|n| {
			assert_ok!(join(n));
		});
		assert_ok!(open(0));
		at(401);
		refused("after the end", || invite(&STRANGER), Error::EndPassed);
		assert_ok!(dispatch(&STRANGER, Call::close { study: study() }));
		invariants_hold();
		assert_ok!(dispatch(&site(0), Call::leave {}));
	});
}

#[test]
fn faults_of_an_opening() {
	let table: &[Spoil<Opening>] = &[
		("signed for another study", |said| said.study = H256::zero(), || Error::BadSignature),
		("signed for another rule", |said| said.rule = H256::zero(), || Error::BadSignature),
		("signed for another round", |said| said.number = 1, || Error::BadSignature),
		("signed for another chain", |said| said.genesis = H256::zero(), || Error::BadSignature),
		("signed over another block", |said| said.block = H256::zero(), || Error::BadSignature),
		("signed for other noise", |said| said.noise = noise(9).commitment(), || Error::BadSignature),
	];
	for (fault, spoil, error) in table {
		with_study().execute_with(|| {
			let mut signed = opening(0);
			spoil(&mut signed);
			refused(fault, || open_as(&AGGREGATOR, opening(0), signed), error());
		});
	}
	with_study().execute_with(|| {
		let said = opening(0);
		refused("by another", || open_as(&STRANGER, said, said), Error::NotAggregator);
		let old = Opening { at: 300, ..said };
		refused("a block to come", || open_as(&AGGREGATOR, old, old), Error::BadBlock);
		for noise in [[0; 32], [0xff; 32]] {
			let bad = Opening { noise, ..said };
			refused("noise that is none", || open_as(&AGGREGATOR, bad, bad), Error::BadCommitment);
		}
		(0..2).for_each(|n| {
			assert_ok!(dispatch(&site(n), Call::withdraw { study: study() }));
		});
		refused("too few sites are left", || open(0), Error::CohortTooSmall);
		assert_ok!(join(0));
		assert_ok!(open(0));
		refused("two at once", || open(1), Error::RoundOpen);
	});
	with_study().execute_with(|| {
		Registered::insert(&AGGREGATOR, Entry { active: false, epoch: 1 });
		refused("an aggregator that expired", || open(0), Error::AggregatorInactive);
		at(401);
		refused("after the end", || open(0), Error::EndPassed);
	});
}

#[test]
fn faults_of_a_commitment() {
	with_study().execute_with(|| {
		let commit_of =
			|commitment, consents| Call::commit { study: study(), number: 0, commitment, consents };
		let good = update(0).commitment();
		refused("before the round", || commit(0, 0), Error::UnknownRound);
		assert_ok!(open(0));
		refused("another round", || commit(0, 1), Error::UnknownRound);
		let zero = commit_of([0; 32], ROOT);
		refused("to nothing", || dispatch(&site(0), zero), Error::BadCommitment);
		let noise_again = commit_of([0xff; 32], ROOT);
		refused("no point", || dispatch(&site(0), noise_again), Error::BadCommitment);
		let other = commit_of(good, H256::zero());
		refused("consents that never were", || dispatch(&site(0), other), Error::StaleConsents);
		let stranger = commit_of(good, ROOT);
		refused("a stranger", || dispatch(&STRANGER, stranger), Error::UnknownSite);
		assert_ok!(commit(0, 0));
		refused("twice", || commit(0, 0), Error::CommittedAlready);
		let copied = commit_of(good, ROOT);
		refused("a copy of another's", || dispatch(&site(1), copied), Error::BadCommitment);
		assert_ok!(dispatch(&site(2), Call::withdraw { study: study() }));
		refused("a site that left", || commit(2, 0), Error::NotMember);
		assert_ok!(join(2));
		// A patient revokes: the tree before counts no more, and the new one from the next block on.
		let fresh = H256::repeat_byte(0xc1);
		assert_ok!(dispatch(&site(1), Call::set_consents { root: fresh, live: 4 }));
		refused("a consent revoked", || commit(1, 0), Error::StaleConsents);
		let early = commit_of(update(1).commitment(), fresh);
		refused("in the same block", || dispatch(&site(1), early), Error::StaleConsents);
		at(4);
		let now = commit_of(update(1).commitment(), fresh);
		assert_ok!(dispatch(&site(1), now));
		assert_ok!(dispatch(&site(2), Call::set_consents { root: fresh, live: 0 }));
		at(5);
		let nobody = commit_of(update(2).commitment(), fresh);
		refused("nobody agrees", || dispatch(&site(2), nobody), Error::StaleConsents);
		invariants_hold();
	});
	with_study().execute_with(|| {
		assert_ok!(open(0));
		let strict = Rules { round: RHO - 1, ..rules() };
		assert_ok!(dispatch(&site(0), Call::register_site { rules: strict }));
		refused("rules made stricter since", || commit(0, 0), Error::TooLittleNoise);
	});
}

#[test]
fn a_sum_is_of_exactly_what_it_names() {
	fn ready() {
		assert_ok!(open(0));
		(0..3).for_each(|n| {
			assert_ok!(commit(n, 0));
		});
	}
	let table: &[Spoil<Sum>] = &[
		("one unit too many in one parameter", |sum| sum.values[2] += 1, || Error::WrongSum),
		("one unit too few", |sum| sum.values[0] -= 1, || Error::WrongSum),
		("another blinding", |sum| sum.blinding += 1, || Error::WrongSum),
		(
			"a site counted twice",
			|sum| {
				let twice = update(1);
				sum.values.iter_mut().zip(&twice.values).for_each(|(a, b)| *a += b);
				sum.blinding += twice.blinding;
			},
			|| Error::WrongSum,
		),
		("a site left out, unnamed", |sum| *sum = Sum::of(0, &[0, 2], &[]), || Error::WrongSum),
		("a site named as absent, and in it", |sum| sum.absent = vec![1], || Error::WrongSum),
		(
			"without the noise",
			|sum| {
				sum.values.iter_mut().zip(&noise(0).values).for_each(|(a, b)| *a -= b);
				sum.blinding -= noise(0).blinding;
			},
			|| Error::WrongSum,
		),
		("with noise drawn anew", |sum| sum.values[3] += noise(1).values[3], || Error::WrongSum),
		("a parameter missing", |sum| sum.values.truncate(3), || Error::BadDimension),
		("absent twice", |sum| sum.absent = vec![1, 1], || Error::BadAbsent),
		("absent without a place", |sum| sum.absent = vec![3], || Error::BadAbsent),
		("fewer than the cohort", |sum| *sum = Sum::of(0, &[0, 1, 2], &[0, 2]), || Error::CohortTooSmall),
		("by another", |sum| sum.who = STRANGER, || Error::NotAggregator),
		("signed by another key", |sum| sum.epoch = 2, || Error::BadSignature),
		("of another round", |sum| sum.number = 1, || Error::UnknownRound),
	];
	for (fault, spoil, error) in table {
		with_study().execute_with(|| {
			ready();
			let mut sum = Sum::of(0, &[0, 1, 2], &[]);
			let honest = sum.clone();
			// Signed by whoever holds the key: what it signs does not matter, the opening does.
			sum.signed = Some(sum.said());
			spoil(&mut sum);
			refused(fault, || sum.publish(), error());
			assert_ok!(honest.publish());
		});
	}
	with_study().execute_with(|| {
		ready();
		let mut sum = Sum::of(0, &[0, 1, 2], &[]);
		let mut said = sum.said();
		said.values = H256::zero();
		sum.signed = Some(said);
		refused("a signature over another sum", || sum.publish(), Error::BadSignature);
		let hashed = Call::publish {
			study: study(),
			number: 0,
			absent: Default::default(),
			values: Values::Hash(H256::zero()),
			blinding: scalar(1),
			signature: [0; 64],
		};
		refused("a hash where the chain can look", || dispatch(&AGGREGATOR, hashed), Error::BadDimension);
		assert_ok!(Sum::of(0, &[0, 1, 2], &[]).publish());
		assert_noop!(Sum::of(0, &[0, 1, 2], &[]).publish(), Error::<Test>::UnknownRound);
	});
}

#[test]
fn a_closed_studys_id_is_nobodys_again() {
	with_study().execute_with(|| {
		assert_ok!(dispatch(&RESEARCHER, Call::close { study: study() }));
		refused("the same nonce", || create(plan()), Error::StudyClosed);
		let nonce = H256::repeat_byte(2);
		assert_ok!(dispatch(&RESEARCHER, Call::create { nonce, aggregator: AGGREGATOR, plan: plan() }));
		invariants_hold();
	});
}

#[test]
fn a_cohort_that_is_raised_after_the_commitments_takes_the_sum_from_nobody() {
	with_study().execute_with(|| {
		let raise = || {
			let rules = Rules { cohort: 3, ..rules() };
			dispatch(&site(0), Call::register_site { rules })
		};
		assert_ok!(open(0));
		(0..2).for_each(|n| {
			assert_ok!(commit(n, 0));
		});
		assert_ok!(raise());
		at(14);
		assert_ok!(Sum::of(0, &[0, 1], &[]).publish());
		// From the next round on it is held to its own word, and nobody else is.
		assert_ok!(open(1));
		refused("more sites than the study promises", || commit(0, 1), Error::CohortTooSmall);
		(1..3).for_each(|n| {
			assert_ok!(commit(n, 1));
		});
		at(25);
		assert_ok!(Sum::of(1, &[1, 2], &[]).publish());
		invariants_hold();
	});
}

/// Behind a study's end anybody may close it: between the last commitments and their sum, all of them were lost.
#[test]
fn nobody_closes_a_study_between_a_rounds_commitments_and_its_sum() {
	with_study().execute_with(|| {
		at(plan().end);
		assert_ok!(open(0));
		(0..2).for_each(|n| {
			assert_ok!(commit(n, 0));
		});
		let close = |who| dispatch(who, Call::close { study: study() });
		at(plan().end + plan().window + 1);
		refused("a stranger", || close(&STRANGER), Error::RoundOpen);
		refused("its researcher", || close(&RESEARCHER), Error::RoundOpen);
		assert_ok!(Sum::of(0, &[0, 1], &[]).publish());
		assert_ok!(close(&STRANGER));
		invariants_hold();
	});
	with_study().execute_with(|| {
		assert_ok!(open(0));
		at(3 + 2 * plan().window + 1);
		assert_ok!(dispatch(&RESEARCHER, Call::close { study: study() }));
		invariants_hold();
	});
}

#[test]
fn a_site_that_leaves_after_it_committed_takes_no_time_from_the_others() {
	with_study().execute_with(|| {
		assert_ok!(open(0));
		(0..2).for_each(|n| {
			assert_ok!(commit(n, 0));
		});
		assert_ok!(dispatch(&site(0), Call::withdraw { study: study() }));
		refused("one has not committed", || Sum::of(0, &[0, 1], &[]).publish(), Error::TooEarly);
		assert_ok!(commit(2, 0));
		assert_ok!(Sum::of(0, &[0, 1, 2], &[]).publish());
		invariants_hold();
	});
}

#[test]
fn an_opening_names_one_of_the_last_256_blocks() {
	with_study().execute_with(|| {
		let over = |at| {
			let said = Opening { at, block: System::block_hash(at), ..opening(0) };
			open_as(&AGGREGATOR, said, said)
		};
		at(44);
		at(45);
		at(300);
		for (fault, number) in [("the first of all", 0), ("too old", 43), ("this one", 300)] {
			refused(fault, || over(number), Error::BadBlock);
		}
		assert_ok!(over(44));
	});
}
