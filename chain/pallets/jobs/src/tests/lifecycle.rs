//! What the honest calls do, to the last unit.

use polkadot_sdk::{
	frame_support::{
		assert_ok,
		dispatch::{GetDispatchInfo, PostDispatchInfo},
		storage::with_storage_layer,
		traits::fungible::Inspect,
		weights::Weight,
	},
	frame_system::RawOrigin,
	sp_core::H256,
	sp_io::hashing::sha2_256,
	sp_runtime::{
		traits::{Convert, Dispatchable},
		DispatchError,
	},
};
use proofward_primitives::{Balance, Decision, Level, ModelRegistry, RejectReason, Setup};

use super::{invariants, mock::*};
use crate::{Error, Event, Jobs as Records, Queues, Sealed, Status, WeightInfo};

const DEPOSIT: Balance = 100 + 10;
/// What a client has left while its first job is open, and after it ended and before it is forgotten.
const WAITING: Balance = ENDOWMENT - PRICE - DEPOSIT - RecordDeposit::get();
const ENDED: Balance = ENDOWMENT - RecordDeposit::get();

fn status(job: H256) -> Status<AccountId> {
	Records::<Test>::get(job).expect("submitted").status
}

/// Free balance, which is what an account can spend, before and after its holds.
fn free(who: &AccountId) -> Balance {
	Balances::balance(who)
}

fn pay(from: &AccountId, to: &AccountId, amount: Balance) {
	assert_ok!(Balances::transfer_allow_death(RawOrigin::Signed(from.clone()).into(), to.clone(), amount));
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
		assert_eq!(free(&client(0)), WAITING);
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
		assert_eq!((free(&client(0)), free(&worker(0))), (ENDED - PRICE, ENDOWMENT + PAY));
		assert_eq!(free(&PUBLISHER), ENDOWMENT + ROYALTY);
		assert_eq!(Sealed::<Test>::get(job), None);
		System::assert_last_event(
			Event::Accepted {
				job,
				worker: worker(0),
				paid: PAY,
				royalty: ROYALTY,
				output_commitment: OUTPUT,
				proof_hash,
			}
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
		assert_eq!((free(&worker(0)), free(&client(0))), (ENDOWMENT - BOND, WAITING + BOND));
		assert_eq!(queue(MODEL), [job]);
		invariants::hold();

		assert_ok!(claim(&worker(1), job));
		assert_ok!(Outcome::honest(&worker(1), job).deliver());
		assert_eq!(free(&worker(1)), ENDOWMENT + PAY);
		assert_eq!(Records::<Test>::get(job).expect("kept").attempts, 2);
		invariants::hold();
	});
}

/// `jobs_poc.rs`, `poc_copycat.py`: a contract at fault, to cost the worker its bond.
#[test]
fn poc_the_contracts_fault_is_the_workers_loss() {
	for reason in [
		RejectReason::Reverted,
		RejectReason::CallFailed,
		RejectReason::MalformedAnswer,
		RejectReason::CodeChanged,
	] {
		new_test_ext().execute_with(|| {
			let job = Order::default().claimed_by(&worker(0));
			answer(Decision::Rejected(reason));
			assert_ok!(Outcome::honest(&worker(0), job).deliver());
			System::assert_last_event(Event::NoVerdict { job, worker: worker(0), reason }.into());
			assert_eq!((status(job), free(&worker(0))), (Status::Queued, ENDOWMENT));
			assert_eq!(
				claim(&worker(0), job),
				Err(Error::<Test>::HasDeclined.into()),
				"no hold-up by faults"
			);
			invariants::hold();
		});
	}
}

#[test]
fn a_lane_without_a_contract_costs_nobody() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		amend_model(|model| model.verifier = None);
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		let reason = RejectReason::CodeChanged;
		System::assert_last_event(Event::NoVerdict { job, worker: worker(0), reason }.into());
		assert_eq!((asked(), free(&worker(0))), (0, ENDOWMENT));
		assert_eq!(claim(&worker(1), job), Err(Error::<Test>::LaneClosed.into()));
		invariants::hold();
	});
}

#[test]
fn the_first_hand_back_costs_what_the_waiting_is_worth_and_the_second_costs_the_bond() {
	new_test_ext().execute_with(|| {
		let job = Order { recipients: vec![worker(0)], ..Order::default() }.claimed_by(&worker(0));
		at(1 + FreeBlocks::get());
		assert_ok!(release(&worker(0), job));
		// Three of the hundred blocks that the client was ready to wait.
		let waiting = PRICE * 3 / 100;
		System::assert_last_event(Event::Released { job, worker: worker(0), bond_cut: waiting }.into());
		assert_eq!((free(&worker(0)), queue(MODEL)), (ENDOWMENT - waiting, vec![job]));

		assert_ok!(claim(&worker(0), job));
		assert_ok!(release(&worker(0), job));
		System::assert_last_event(Event::Released { job, worker: worker(0), bond_cut: BOND }.into());
		let lost = waiting + BOND;
		assert_eq!((free(&worker(0)), free(&client(0))), (ENDOWMENT - lost, WAITING + lost));
		invariants::hold();
	});
}

#[test]
fn a_hand_back_costs_in_proportion_to_the_time_held() {
	// A dear job's waiting is worth more than the bond's part, a cheap one's less; the bond is the most in any case.
	let dear = [(0, 0), (1, 10), (3, 30), (4, 40), (10, 100), (19, 100), (20, 100)];
	let cheap = [(0, 0), (1, 4), (3, 12), (4, 20), (10, 50), (19, 95), (20, 100)];
	let table = dear.map(|row| (PRICE, row)).into_iter().chain(cheap.map(|row| (MinPrice::get(), row)));
	for (price, (held, cost)) in table {
		new_test_ext().execute_with(|| {
			amend_model(|model| model.price = MinPrice::get());
			let job = Order { price, ..Order::default() }.claimed_by(&worker(0));
			let waiting = free(&client(0));
			at(1 + held);
			assert_ok!(release(&worker(0), job));
			let told = format!("{price} after {held} blocks");
			assert_eq!((free(&worker(0)), free(&client(0))), (ENDOWMENT - cost, waiting + cost), "{told}");
			invariants::hold();
		});
	}
}

/// `jobs_poc.rs`: a claim held to its last block and handed back, to leave the job no time.
#[test]
fn poc_a_recipient_kills_a_job_and_loses_nothing() {
	new_test_ext().execute_with(|| {
		let job = Order { deadline: 1 + CLAIM_BLOCKS, ..Order::default() }.claimed_by(&worker(0));
		at(1 + CLAIM_BLOCKS);
		assert_ok!(release(&worker(0), job));
		at(2 + CLAIM_BLOCKS);
		assert_ok!(expire(&client(0), job));
		assert_eq!(free(&worker(0)), ENDOWMENT - BOND, "all of it, for it was held to the end");
		assert_eq!(free(&client(0)), ENDED + BOND, "and the client that waited has it");
	});
}

/// The same: two identities of one operator, to end a job with the default deadline for nothing.
#[test]
fn poc_two_identities_kill_a_job_with_the_default_deadline() {
	new_test_ext().execute_with(|| {
		let recipients = vec![worker(0), worker(1), worker(2)];
		let job = Order { deadline: 1 + 2 * CLAIM_BLOCKS, recipients, ..Order::default() }.placed();
		assert_ok!(claim(&worker(0), job));
		at(1 + CLAIM_BLOCKS);
		assert_ok!(release(&worker(0), job));
		assert_ok!(claim(&worker(1), job));
		at(1 + 2 * CLAIM_BLOCKS);
		assert_ok!(release(&worker(1), job));
		assert_eq!((free(&worker(0)), free(&worker(1))), (ENDOWMENT - BOND, ENDOWMENT - BOND));
	});
}

/// `poc_bond.py`: a price that would size a bond after which nothing is left to complete with.
#[test]
fn poc_a_clients_price_sizes_the_bond() {
	new_test_ext().execute_with(|| {
		let job = Order { price: ENDOWMENT / 2, ..Order::default() }.claimed_by(&worker(0));
		assert_eq!(free(&worker(0)), ENDOWMENT - BOND, "the model's terms do");
		assert_ok!(Outcome::honest(&worker(0), job).deliver());

		amend_model(|model| model.bond = BOND + 1);
		let job = Order::numbered(2).placed();
		assert_eq!(
			claim(&worker(0), job),
			Err(Error::<Test>::BondTooHigh.into()),
			"its declaration caps them"
		);
		amend_model(|model| model.bond = BOND);
		let spare =
			free(&worker(0)) - EXISTENTIAL - BOND - EndingReserve::convert(VERDICT_LIMIT.saturating_mul(2));
		pay(&worker(0), &client(1), spare + 1);
		assert_eq!(claim(&worker(0), job), Err(Error::<Test>::CannotPayForEnding.into()));
		pay(&client(1), &worker(0), 1);
		assert_ok!(claim(&worker(0), job));
		invariants::hold();
	});
}

#[test]
fn a_client_takes_back_what_nobody_has_claimed() {
	new_test_ext().execute_with(|| {
		let job = Order::default().placed();
		assert_ok!(cancel(&client(0), job));
		assert_eq!((status(job), free(&client(0))), (Status::Refunded { block: 1 }, ENDED));
		invariants::hold();
	});
}

#[test]
fn the_last_recipient_to_decline_ends_the_wait() {
	new_test_ext().execute_with(|| {
		let job = Order::default().placed();
		assert_ok!(decline(&worker(0), job));
		assert_eq!(status(job), Status::Queued);
		invariants::hold();
		assert_ok!(decline(&worker(1), job));
		assert_eq!((status(job), free(&client(0))), (Status::Refunded { block: 1 }, ENDED));
		assert_eq!(Registered::get(worker(0)).expect("registered").endings, [0, 0, 0, 0, 1]);
		invariants::hold();
	});
}

#[test]
fn a_record_leaves_after_the_retention_time_and_its_deposit_comes_back() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		at(1 + Retention::get() + 1);
		assert_ok!(forget(&client(2), job));
		assert_eq!((Records::<Test>::get(job), free(&client(0))), (None, ENDOWMENT - PRICE));
		System::assert_last_event(Event::Forgotten { job }.into());
		invariants::hold();
	});
}

/// `poc_flood.py`: many open jobs of one client, each for the price of the first.
#[test]
fn poc_a_flood_costs_as_the_square_of_its_size() {
	new_test_ext().execute_with(|| {
		let mut last = 0;
		for n in 1..=20 {
			let before = free(&client(0));
			Order::numbered(n).placed();
			let held = before - free(&client(0));
			assert!(held >= last + 100 || n == 1, "job {n} is dearer than the one before");
			last = held;
		}
		// And it hides no job of anybody else's from its worker: what is for worker 2 is all that worker 2 reads.
		let honest = Order { client: client(1), recipients: vec![worker(2)], ..Order::default() }.placed();
		let found: Vec<H256> = crate::JobsOf::<Test>::iter_key_prefix(worker(2)).collect();
		assert_eq!(found, [honest]);
		invariants::hold();
	});
}

#[test]
fn a_publisher_that_is_gone_does_not_keep_a_worker_from_its_pay() {
	new_test_ext().execute_with(|| {
		let job = Order { price: 1_000, ..Order::default() }.claimed_by(&worker(0));
		amend_model(|model| {
			model.publisher = AccountId::new([0x71; 32]);
			model.share = polkadot_sdk::sp_runtime::Permill::from_parts(1_000);
		});
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		assert_eq!(free(&worker(0)), ENDOWMENT + PRICE, "a share of dust opens no account");
		invariants::hold();
	});
}

#[test]
fn endings_are_on_the_workers_record() {
	new_test_ext().execute_with(|| {
		let jobs: Vec<H256> = (1..=4).map(|n| Order::numbered(n).claimed_by(&worker(0))).collect();
		assert_ok!(Outcome::honest(&worker(0), jobs[0]).deliver());
		assert_ok!(Outcome::with_bad_proof(&worker(0), jobs[1]).deliver());
		assert_ok!(release(&worker(0), jobs[3]));
		at(1 + CLAIM_BLOCKS + 1);
		assert_ok!(lapse(&client(2), jobs[2]));
		assert_eq!(Registered::get(worker(0)).expect("registered").endings, [1, 1, 1, 1, 0]);
	});
}

#[test]
fn a_dead_workers_claim_lapses_by_anyones_hand() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		at(1 + CLAIM_BLOCKS + 1);
		assert_ok!(lapse(&client(2), job));
		System::assert_last_event(Event::Lapsed { job, worker: worker(0), bond_cut: BOND }.into());
		assert_eq!((queue(MODEL), free(&client(0))), (vec![job], WAITING + BOND));
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
		assert_eq!(free(&worker(1)), ENDOWMENT + PAY);
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
		assert_eq!((status(job), free(&client(0))), (Status::Refunded { block: 102 }, ENDED));
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
		assert_eq!((free(&client(0)), free(&worker(0))), (ENDED + BOND, ENDOWMENT - BOND));
		invariants::hold();
	});
}

#[test]
fn a_job_that_every_recipient_failed_is_refunded_before_its_deadline() {
	new_test_ext().execute_with(|| {
		let job = Order { recipients: vec![worker(0)], ..Order::default() }.claimed_by(&worker(0));
		assert_ok!(Outcome::with_bad_proof(&worker(0), job).deliver());
		assert_ok!(expire(&client(0), job));
		assert_eq!(free(&client(0)), ENDED + BOND);
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
		assert_eq!(free(&worker(0)), ENDOWMENT - ROYALTY - RecordDeposit::get());
		invariants::hold();
	});
}

#[test]
fn a_verdicts_weight_is_declared_at_its_most_and_charged_as_used() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		let outcome = Outcome::honest(&worker(0), job);
		let own =
			<() as WeightInfo>::complete(outcome.sealed_output.len() as u32, outcome.proof.len() as u32);
		let asked = || outcome.call().get_dispatch_info().call_weight;
		assert_eq!(asked(), own.saturating_add(VERDICT_LIMIT.saturating_mul(2)), "a verdict and a probe");

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
		let mut faulty = outcome.clone();
		faulty.proof[0] = FAULTY;
		faulty.receipt.proof_hash = sha2_256(&faulty.proof).into();
		let both = VERDICT_WEIGHT.saturating_mul(2);
		with_storage_layer(|| {
			assert_eq!(actual(&faulty), Some(own.saturating_add(both)));
			Err::<(), _>(DispatchError::Other("undo"))
		})
		.expect_err("undone");
		assert_eq!(actual(&outcome), Some(own.saturating_add(VERDICT_WEIGHT)));

		// What is not claimed may be another job by the time the call is made, in a batch: as dear as any.
		let most = own.saturating_add(MAX_VERDICT_WEIGHT.saturating_mul(2));
		assert_eq!(asked(), most, "an ended job");
		let unknown = Outcome { job: H256::zero(), ..outcome.clone() };
		assert_eq!(unknown.call().get_dispatch_info().call_weight, most, "no job");
	});
}

/// Rule 4: a proof on which the contract fails costs what holding the job costs, for the contract judges others.
#[test]
fn a_proof_that_makes_the_contract_fail_is_no_free_way_to_hold_a_job_up() {
	let table: [(u32, Balance); 4] = [(0, 0), (3, PRICE * 3 / 100), (10, BOND), (CLAIM_BLOCKS, BOND)];
	for (held, cost) in table {
		new_test_ext().execute_with(|| {
			let job = Order::default().claimed_by(&worker(0));
			at(1 + held);
			let mut outcome = Outcome::honest(&worker(0), job);
			outcome.proof[0] = FAULTY;
			outcome.receipt.proof_hash = sha2_256(&outcome.proof).into();
			let before = free(&client(0));
			assert_ok!(outcome.deliver());
			assert_eq!(free(&worker(0)), ENDOWMENT - cost, "after {held} blocks");
			assert_eq!(free(&client(0)), before + cost);
			assert_eq!(status(job), Status::Queued);
			let reason = RejectReason::CallFailed;
			let event = Event::FaultyProof { job, worker: worker(0), reason, bond_cut: cost };
			System::assert_last_event(event.into());
			assert!(!Models::model(&MODEL).expect("published").retired, "the entry is as good as before");
			assert_eq!(claim(&worker(0), job), Err(Error::<Test>::HasDeclined.into()));
			assert_ok!(claim(&worker(1), job));
			invariants::hold();
		});
	}
}

/// Rule 4: nobody holds a job up twice while others would do it.
#[test]
fn who_let_go_of_a_job_comes_after_those_who_did_not() {
	let lapsed = |job| {
		at(1 + CLAIM_BLOCKS + 1);
		assert_ok!(lapse(&client(0), job));
	};
	let handed_back = |job| release(&worker(0), job).expect("it holds the job");
	let ran_out = |_| at(1 + CLAIM_BLOCKS + 1);
	for let_go in [&lapsed as &dyn Fn(H256), &handed_back, &ran_out] {
		new_test_ext().execute_with(|| {
			let job = Order::default().claimed_by(&worker(0));
			let_go(job);
			let before = free(&worker(0));
			assert_eq!(claim(&worker(0), job), Err(Error::<Test>::OthersFirst.into()));
			assert_eq!(free(&worker(0)), before);
			// Once nobody else is left, it may try again.
			amend(&worker(1), |entry| entry.expired = true);
			assert_ok!(claim(&worker(0), job));
			invariants::hold();
		});
		new_test_ext().execute_with(|| {
			let job = Order::default().claimed_by(&worker(0));
			let_go(job);
			assert_ok!(claim(&worker(1), job));
			assert_ok!(Outcome::honest(&worker(1), job).deliver());
			invariants::hold();
		});
	}
}

/// A recipient that cannot do a job pays nothing for saying so; the client paid for it when it named the recipient.
#[test]
fn declining_is_free_and_paid_for_by_who_named_the_recipient() {
	use polkadot_sdk::frame_support::dispatch::Pays;
	new_test_ext().execute_with(|| {
		let order = Order::default();
		let (submit, decline) = (<() as WeightInfo>::submit(10), <() as WeightInfo>::decline());
		assert_eq!(
			order.call().get_dispatch_info().call_weight,
			submit.saturating_add(decline.saturating_mul(2))
		);
		let job = order.placed();
		let call = || RuntimeCall::Jobs(crate::Call::decline { job });
		let origin = || RawOrigin::Signed(worker(0)).into();
		assert_eq!(call().dispatch(origin()).expect("a recipient").pays_fee, Pays::No);
		assert_eq!(call().dispatch(origin()).expect_err("again").post_info.pays_fee, Pays::Yes);
	});
}

/// Rule 1: a contract that judges nothing retires the entry by itself, whoever met it.
#[test]
fn an_entry_that_its_contract_cannot_judge_retires_by_itself() {
	for reason in [RejectReason::Reverted, RejectReason::CallFailed, RejectReason::MalformedAnswer] {
		new_test_ext().execute_with(|| {
			let job = Order::default().claimed_by(&worker(0));
			answer(Decision::Rejected(reason));
			assert_ok!(Outcome::honest(&worker(0), job).deliver());
			assert_eq!(asked(), 2, "the verdict and the probe");
			assert!(Models::model(&MODEL).expect("published").retired);
			assert_eq!(Order::numbered(2).submit(), Err(Error::<Test>::ModelRetired.into()));
		});
	}
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		answer(Decision::Rejected(RejectReason::CodeChanged));
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		assert!(
			!Models::model(&MODEL).expect("published").retired,
			"governance changed the lane, not the entry"
		);
	});
}

#[test]
fn a_suspended_worker_takes_no_new_work_and_ends_what_it_holds() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		let waiting = Order { recipients: vec![worker(0)], ..Order::numbered(2) }.placed();
		amend(&worker(0), |entry| entry.suspended = true);
		assert_eq!(claim(&worker(0), waiting), Err(Error::<Test>::WorkerSuspended.into()));
		assert_eq!(Order::numbered(3).submit(), Err(Error::<Test>::WorkerSuspended.into()));
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
		assert_ok!(decline(&worker(0), waiting));
		invariants::hold();
	});
}

#[test]
fn nothing_is_submitted_to_a_lane_without_a_contract() {
	new_test_ext().execute_with(|| {
		amend_model(|model| model.verifier = None);
		assert_eq!(Order::default().submit(), Err(Error::<Test>::LaneClosed.into()));
	});
}
