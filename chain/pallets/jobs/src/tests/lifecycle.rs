//! What the honest calls do, to the last unit.

use polkadot_sdk::{
	frame_support::{
		assert_ok,
		dispatch::{GetDispatchInfo, PostDispatchInfo},
		traits::fungible::{Inspect, InspectHold},
		weights::Weight,
	},
	frame_system::RawOrigin,
	sp_core::H256,
	sp_io::hashing::sha2_256,
	sp_runtime::traits::Dispatchable,
};
use proofward_primitives::{Balance, Decision, Level, RejectReason, Setup};

use super::{invariants, mock::*};
use crate::{
	escrow::{self, pot},
	Event, HoldReason, Jobs as Records, Queues, Sealed, Status, WeightInfo,
};

const DEPOSIT: Balance = 100 + 10;
/// A tenth of the price.
const BOND: Balance = 100;

fn status(job: H256) -> Status<AccountId> {
	Records::<Test>::get(job).expect("submitted").status
}

/// Free balance, which is what an account can spend, before and after its holds.
fn free(who: &AccountId) -> Balance {
	Balances::balance(who)
}

fn queue(model: H256) -> Vec<H256> {
	let mut ids = vec![];
	let mut next = Queues::<Test>::get(model).head;
	while let Some(id) = next {
		ids.push(id);
		next = crate::Links::<Test>::get(id).expect("linked").next;
	}
	ids
}

#[test]
fn an_accepted_result_pays_the_worker_once_and_frees_the_state() {
	new_test_ext().execute_with(|| {
		let job = Order::default().placed();
		assert_eq!(free(&client(0)), ENDOWMENT - PRICE - DEPOSIT);
		assert_eq!(Sealed::<Test>::get(job).expect("open").into_inner(), b"ciphertext");

		at(5);
		assert_ok!(claim(&worker(0), job));
		let claimed =
			Status::Claimed { worker: worker(0), claimed_at: 5, lapses_at: 5 + CLAIM_BLOCKS, bond: BOND };
		assert_eq!(status(job), claimed);
		assert_eq!(free(&worker(0)), ENDOWMENT - BOND);
		assert!(queue(MODEL).is_empty());
		invariants::hold();

		at(9);
		let outcome = Outcome::honest(&worker(0), job);
		assert_ok!(outcome.deliver());
		let proof_hash = H256(sha2_256(&outcome.proof));
		assert_eq!(
			status(job),
			Status::Accepted {
				worker: worker(0),
				level: Level::Hardware,
				setup: Setup::Dev,
				output_commitment: OUTPUT,
				proof_hash,
				sealed_output_hash: H256(sha2_256(b"sealed output")),
				block: 9,
			}
		);
		assert_eq!((free(&client(0)), free(&worker(0))), (ENDOWMENT - PRICE, ENDOWMENT + PRICE));
		assert_eq!(Sealed::<Test>::get(job), None);
		System::assert_last_event(
			Event::Accepted { job, worker: worker(0), paid: PRICE, output_commitment: OUTPUT, proof_hash }
				.into(),
		);
		invariants::hold();
	});
}

#[test]
fn a_rejected_proof_costs_the_bond_and_another_recipient_finishes_the_job() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		assert_ok!(Outcome::with_bad_proof(&worker(0), job).deliver());
		System::assert_last_event(
			Event::Rejected { job, worker: worker(0), reason: RejectReason::ProofInvalid, bond_cut: BOND }
				.into(),
		);
		assert_eq!((free(&worker(0)), free(&pot::<Test>())), (ENDOWMENT - BOND, BOND));
		assert_eq!(queue(MODEL), [job]);
		invariants::hold();

		assert_ok!(claim(&worker(1), job));
		assert_ok!(Outcome::honest(&worker(1), job).deliver());
		assert_eq!(free(&worker(1)), ENDOWMENT + PRICE);
		assert_eq!(Records::<Test>::get(job).expect("kept").attempts, 2);
		invariants::hold();
	});
}

#[test]
fn every_reason_of_a_rejection_is_told_and_none_pays() {
	for reason in [
		RejectReason::ProofInvalid,
		RejectReason::Reverted,
		RejectReason::CallFailed,
		RejectReason::MalformedAnswer,
		RejectReason::CodeChanged,
	] {
		new_test_ext().execute_with(|| {
			let job = Order::default().claimed_by(&worker(0));
			answer(Decision::Rejected(reason));
			assert_ok!(Outcome::honest(&worker(0), job).deliver());
			System::assert_last_event(
				Event::Rejected { job, worker: worker(0), reason, bond_cut: BOND }.into(),
			);
			assert_eq!(status(job), Status::Queued);
			invariants::hold();
		});
	}
}

#[test]
fn the_first_hand_back_is_free_and_the_second_costs_the_bond() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		assert_ok!(release(&worker(0), job));
		System::assert_last_event(Event::Released { job, worker: worker(0), bond_cut: 0 }.into());
		assert_eq!((free(&worker(0)), queue(MODEL)), (ENDOWMENT, vec![job]));

		assert_ok!(claim(&worker(0), job));
		assert_ok!(release(&worker(0), job));
		System::assert_last_event(Event::Released { job, worker: worker(0), bond_cut: BOND }.into());
		assert_eq!((free(&worker(0)), free(&pot::<Test>())), (ENDOWMENT - BOND, BOND));
		invariants::hold();
	});
}

#[test]
fn a_dead_workers_claim_lapses_by_anyones_hand() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		at(1 + CLAIM_BLOCKS + 1);
		assert_ok!(lapse(&client(2), job));
		System::assert_last_event(Event::Lapsed { job, worker: worker(0), bond_cut: BOND }.into());
		assert_eq!((queue(MODEL), free(&pot::<Test>())), (vec![job], BOND));
		invariants::hold();
	});
}

#[test]
fn a_lapsed_claim_is_claimed_over_and_the_job_finished() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		at(1 + CLAIM_BLOCKS + 1);
		assert_ok!(claim(&worker(1), job));
		System::assert_has_event(Event::Lapsed { job, worker: worker(0), bond_cut: BOND }.into());
		assert_eq!(free(&worker(0)), ENDOWMENT - BOND);
		invariants::hold();
		assert_ok!(Outcome::honest(&worker(1), job).deliver());
		assert_eq!(free(&worker(1)), ENDOWMENT + PRICE);
		invariants::hold();
	});
}

#[test]
fn a_job_that_nobody_does_is_refunded_whole() {
	new_test_ext().execute_with(|| {
		let job = Order::default().placed();
		at(102);
		assert_ok!(expire(&worker(3), job));
		System::assert_last_event(Event::Refunded { job, client: client(0), amount: PRICE }.into());
		assert_eq!((status(job), free(&client(0))), (Status::Refunded { block: 102 }, ENDOWMENT));
		assert_eq!((Sealed::<Test>::get(job), queue(MODEL)), (None, vec![]));
		invariants::hold();
	});
}

#[test]
fn expiry_cuts_the_bond_of_the_worker_that_still_holds_the_job() {
	new_test_ext().execute_with(|| {
		let job = Order { deadline: 10, ..Order::default() }.claimed_by(&worker(0));
		assert!(matches!(status(job), Status::Claimed { lapses_at: 10, .. }), "a claim ends with its job");
		at(11);
		assert_ok!(expire(&client(0), job));
		assert_eq!((free(&client(0)), free(&worker(0))), (ENDOWMENT, ENDOWMENT - BOND));
		invariants::hold();
	});
}

#[test]
fn a_job_that_every_recipient_failed_is_refunded_before_its_deadline() {
	new_test_ext().execute_with(|| {
		let job = Order { recipients: vec![worker(0)], ..Order::default() }.claimed_by(&worker(0));
		assert_ok!(Outcome::with_bad_proof(&worker(0), job).deliver());
		assert_ok!(expire(&client(0), job));
		assert_eq!(free(&client(0)), ENDOWMENT);
		invariants::hold();
	});
}

#[test]
fn a_result_counts_in_the_last_block_of_claim_and_deadline() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		at(1 + CLAIM_BLOCKS);
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		let job = Order { deadline: 30, ..Order::numbered(2) }.claimed_by(&worker(0));
		at(30);
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		invariants::hold();
	});
}

#[test]
fn jobs_leave_their_queue_from_the_head_the_middle_and_the_tail() {
	new_test_ext().execute_with(|| {
		let jobs: Vec<H256> = (1..=5).map(|n| Order::numbered(n).placed()).collect();
		let elsewhere = Order { model: OTHER_MODEL, ..Order::numbered(9) }.placed();
		assert_eq!(queue(MODEL), jobs);
		for (taken, left) in
			[(2, vec![0, 1, 3, 4]), (0, vec![1, 3, 4]), (4, vec![1, 3]), (3, vec![1]), (1, vec![])]
		{
			assert_ok!(claim(&worker(0), jobs[taken]));
			assert_eq!(queue(MODEL), left.into_iter().map(|n| jobs[n]).collect::<Vec<_>>());
			invariants::hold();
		}
		assert_eq!(queue(OTHER_MODEL), [elsewhere]);
		assert_ok!(release(&worker(0), jobs[3]));
		assert_ok!(release(&worker(0), jobs[0]));
		assert_eq!(queue(MODEL), [jobs[3], jobs[0]], "a job handed back waits behind the others");
	});
}

#[test]
fn a_client_may_be_its_own_worker() {
	new_test_ext().execute_with(|| {
		let job = Order { client: worker(0), ..Order::default() }.claimed_by(&worker(0));
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		assert_eq!(free(&worker(0)), ENDOWMENT);
		invariants::hold();
	});
}

#[test]
fn a_free_model_needs_a_bond_all_the_same() {
	new_test_ext().execute_with(|| {
		amend_model(|model| model.price = 0);
		let job = Order { price: 0, ..Order::default() }.claimed_by(&worker(0));
		assert_eq!(Balances::balance_on_hold(&HoldReason::Bond.into(), &worker(0)), MinBond::get());
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		invariants::hold();
		let job = Order { price: 0, ..Order::numbered(2) }.placed();
		at(102);
		assert_ok!(expire(&client(0), job));
		assert_eq!(free(&client(0)), ENDOWMENT);
	});
}

#[test]
fn bonds_grow_with_the_price() {
	new_test_ext().execute_with(|| {
		assert_eq!(escrow::bond::<Test>(100), MinBond::get());
		assert_eq!(escrow::bond::<Test>(7_000), 700);
		assert_eq!(escrow::bond::<Test>(Balance::MAX), Balance::MAX / 10);
	});
}

#[test]
fn a_verdicts_weight_is_declared_at_its_most_and_charged_as_used() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		let outcome = Outcome::honest(&worker(0), job);
		let own =
			<() as WeightInfo>::complete(outcome.sealed_output.len() as u32, outcome.proof.len() as u32);
		assert_eq!(outcome.call().get_dispatch_info().call_weight, own.saturating_add(MAX_VERDICT_WEIGHT));

		let actual = |outcome: &Outcome| -> Option<Weight> {
			let origin = RawOrigin::Signed(outcome.worker.clone()).into();
			let post: PostDispatchInfo = match RuntimeCall::Jobs(outcome.call()).dispatch(origin) {
				Ok(info) => info,
				Err(error) => error.post_info,
			};
			post.actual_weight
		};
		let mut refused = outcome.clone();
		refused.receipt.block = 0;
		assert_eq!(actual(&refused), Some(own), "a refusal before the verdict does not pay for one");
		assert_eq!(actual(&outcome), Some(own.saturating_add(VERDICT_WEIGHT)));
	});
}
