//! Who may decide, and when a decision holds.

use polkadot_sdk::{
	frame_support::{assert_err, assert_noop, assert_ok},
	frame_system,
	sp_core::H256,
	sp_io::hashing::blake2_256,
	sp_runtime::{traits::BlakeTwo256, DispatchError},
	*,
};

use super::mock::*;
use crate::{types::Change, Event, Notices};
use codec::Encode;

fn remark() -> RuntimeCall {
	RuntimeCall::System(frame_system::Call::set_heap_pages { pages: 7 })
}

fn announce(call: &RuntimeCall) -> u32 {
	let notice = crate::NextNotice::<Test>::get();
	assert_ok!(Consortium::announce_call(votes(3, 4), H256(blake2_256(&call.encode()))));
	notice
}

#[test]
fn more_than_two_thirds_decide_and_nobody_else() {
	let refused = [
		("a member alone", signed(Alice)),
		("an outsider", signed(Eve)),
		("nobody", RuntimeOrigin::none()),
		("half", votes(2, 4)),
		("two thirds exactly, of three", votes(2, 3)),
		("two thirds exactly, of six", votes(4, 6)),
	];
	four(|| {
		for (name, origin) in refused {
			let calls = [
				Consortium::admit(origin.clone(), account(Eve), H256::zero(), endpoint()),
				Consortium::replace(origin.clone(), account(Dave), account(Eve)),
				Consortium::remove(origin.clone(), account(Dave)),
				Consortium::reinstate(origin.clone(), account(Dave)),
				Consortium::announce_call(origin.clone(), H256::zero()),
				Consortium::recover_finality(origin, 10, 1),
			];
			for call in calls {
				assert_eq!(call, Err(DispatchError::BadOrigin), "{name}");
			}
		}
		assert_eq!(Notices::<Test>::count(), 0);
		for origin in [votes(3, 4), votes(3, 3), votes(5, 6), RuntimeOrigin::root()] {
			assert_ok!(Consortium::announce_call(origin, H256::zero()));
		}
	});
}

#[test]
fn a_vote_is_a_members_and_counts_once() {
	four(|| {
		let call = RuntimeCall::Consortium(crate::Call::admit {
			account: account(Eve),
			legal_name: H256::zero(),
			endpoint: endpoint(),
		});
		let length = call.encoded_size() as u32;
		let hash = <BlakeTwo256 as sp_runtime::traits::Hash>::hash_of(&call);
		let propose = |key| Council::propose(signed(key), 3, Box::new(call.clone()), length);
		type Refused = pallet_collective::Error<Test, pallet_collective::Instance1>;
		assert_err!(propose(Eve), Refused::NotMember);
		assert_ok!(propose(Alice));
		let vote = |key| Council::vote(signed(key), hash, 0, true).map_err(|failed| failed.error);
		assert_ok!(vote(Alice));
		assert_eq!(vote(Alice), Err(Refused::DuplicateVote.into()));
		assert_eq!(vote(Eve), Err(Refused::NotMember.into()));
		let weight = frame_support::weights::Weight::MAX;
		let close = || Council::close(signed(Eve), hash, 0, weight, length).map_err(|failed| failed.error);
		assert_ok!(vote(Bob));
		assert_eq!(close(), Err(Refused::TooEarly.into()));
		assert_ok!(vote(Charlie));
		assert_ok!(close());
		let due = System::block_number() + NOTICE;
		let change = Change::Admit { account: account(Eve), legal_name: H256::zero(), endpoint: endpoint() };
		assert!(told(Event::Noticed { notice: 0, change, due }));
	});
}

/// A proposal that a member may vote through with a low threshold has no more weight than its votes.
#[test]
fn a_low_threshold_gains_nothing() {
	four(|| {
		let call = RuntimeCall::Consortium(crate::Call::remove { member: account(Dave) });
		let length = call.encoded_size() as u32;
		assert_ok!(Council::propose(signed(Alice), 1, Box::new(call), length));
		assert_eq!(Notices::<Test>::count(), 0);
	});
}

#[test]
fn an_announced_call_is_made_after_the_notice_once_and_by_anybody() {
	four(|| {
		let notice = announce(&remark());
		let enact = |call: RuntimeCall| Consortium::enact(signed(Eve), notice, Box::new(call));
		assert_noop!(enact(remark()), Error::NotDue);
		run_to(1 + NOTICE - 1);
		assert_noop!(enact(remark()), Error::NotDue);
		run_to(1 + NOTICE);
		let other = RuntimeCall::System(frame_system::Call::set_heap_pages { pages: 8 });
		assert_noop!(enact(other), Error::AnotherCall);
		assert_ok!(enact(remark()));
		assert!(told(Event::Enacted { notice, result: Ok(()) }), "it was made with root's rights");
		assert_noop!(enact(remark()), Error::UnknownNotice);
	});
}

#[test]
fn an_announced_call_lapses() {
	four(|| {
		let notice = announce(&remark());
		run_to(1 + NOTICE + LAPSE);
		assert!(Notices::<Test>::contains_key(notice));
		run_to(1 + NOTICE + LAPSE + 1);
		assert!(told(Event::Lapsed { notice }));
		let enact = Consortium::enact(signed(Eve), notice, Box::new(remark()));
		assert_eq!(enact, Err(Error::UnknownNotice.into()));
	});
}

#[test]
fn a_third_of_the_members_withdraw_what_does_not_hold_yet() {
	four(|| {
		admit(Eve);
		set_keys(Eve);
		assert_noop!(Consortium::withdraw(signed(Alice), 0), DispatchError::BadOrigin);
		assert_noop!(Consortium::withdraw(votes(1, 4), 0), DispatchError::BadOrigin);
		assert_noop!(Consortium::withdraw(votes(2, 4), 1), Error::UnknownNotice);
		assert_ok!(Consortium::withdraw(votes(2, 4), 0));
		run_to(1 + NOTICE + SESSION);
		assert!(!crate::Members::<Test>::contains_key(account(Eve)));
		// And may be named again.
		admit(Eve);
	});
}

#[test]
fn notices_are_bounded() {
	four(|| {
		for number in 0..4 {
			announce(&RuntimeCall::System(frame_system::Call::set_heap_pages { pages: number }));
		}
		let more = Consortium::announce_call(votes(4, 4), H256::zero());
		assert_eq!(more, Err(Error::TooManyNotices.into()));
	});
}

#[test]
fn finality_is_restarted_without_a_notice() {
	four(|| {
		Restarted::set(None);
		assert_ok!(Consortium::recover_finality(votes(3, 4), 50, 17));
		assert_eq!(Restarted::get(), Some((50, 17)));
	});
}
