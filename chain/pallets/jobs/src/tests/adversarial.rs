//! Every refusal, named after the fault. A refusal is an error that leaves no trace in state.

use codec::{Decode, Encode};
use polkadot_sdk::{
	frame_support::assert_ok,
	frame_system::RawOrigin,
	sp_core::H256,
	sp_io,
	sp_runtime::{traits::Dispatchable, DispatchError, DispatchResult, StateVersion, TokenError},
};
use proofward_primitives::{Balance, Level, Setup};

use super::{invariants, mock::*};
use crate::{types, Call, Error, Jobs as Records, Status};

/// Asserts that `attempt` fails with `error` and changes nothing.
fn refused(fault: &str, attempt: impl FnOnce() -> DispatchResult, error: impl Into<DispatchError>) {
	let before = sp_io::storage::root(StateVersion::V1);
	assert_eq!(attempt(), Err(error.into()), "{fault}");
	assert_eq!(before, sp_io::storage::root(StateVersion::V1), "{fault}: left a trace");
	invariants::hold();
}

type Fault<Subject> = (&'static str, fn(&mut Subject), Error<Test>);

#[test]
fn faults_of_a_submission() {
	let table: [Fault<Order>; 14] = [
		("unknown model", |order| order.model = H256::zero(), Error::UnknownModel),
		("price below the model's", |order| order.price = PRICE - 1, Error::PriceTooLow),
		("deadline in the past", |order| order.deadline = 0, Error::DeadlinePassed),
		("deadline in this very block", |order| order.deadline = 1, Error::DeadlinePassed),
		("deadline too far", |order| order.deadline = 1 + MaxDeadline::get() + 1, Error::DeadlineTooFar),
		("deadline at the end of time", |order| order.deadline = u32::MAX, Error::DeadlineTooFar),
		("no recipients", |order| order.recipients.clear(), Error::NoRecipients),
		(
			"a recipient named twice",
			|order| order.recipients = vec![worker(0), worker(1), worker(0)],
			Error::DuplicateRecipient,
		),
		(
			"price below the chain's least",
			|order| {
				amend_model(|model| model.price = 0);
				order.price = MinPrice::get() - 1;
			},
			Error::PriceTooLow,
		),
		(
			"a recipient that expired",
			|_| amend(&worker(1), |entry| entry.expired = true),
			Error::RecipientInactive,
		),
		(
			"a recipient that does not exist",
			|order| order.recipients.push(AccountId::new([0xff; 32])),
			Error::RecipientInactive,
		),
		(
			"a recipient that does not serve the model",
			|_| amend(&worker(1), |entry| entry.least = None),
			Error::RecipientDoesNotServe,
		),
		(
			"a recipient that is dearer",
			|_| amend(&worker(1), |entry| entry.least = Some(PRICE + 1)),
			Error::BelowRecipientsPrice,
		),
		("dev setup when refused", |order| order.allow_dev_setup = false, Error::DevSetupRefused),
	];
	for (fault, spoil, error) in table {
		new_test_ext().execute_with(|| {
			let mut order = Order::default();
			spoil(&mut order);
			refused(fault, || order.submit(), error);
		});
	}
}

#[test]
fn duplicate_nonce_while_open_and_after_the_end() {
	new_test_ext().execute_with(|| {
		let order = Order::default();
		order.placed();
		refused("nonce used by an open job", || order.submit(), Error::<Test>::DuplicateJob);
		at(102);
		assert_ok!(expire(&client(0), order.id()));
		let again = Order { deadline: 150, ..order.clone() };
		refused("nonce used by an ended job", || again.submit(), Error::<Test>::DuplicateJob);
		assert_ok!(Order { client: client(1), ..again }.submit());
	});
}

#[test]
fn retired_model_takes_no_new_job_but_finishes_the_old() {
	new_test_ext().execute_with(|| {
		let job = Order::default().placed();
		amend_model(|model| model.retired = true);
		refused("retired model", || Order::numbered(2).submit(), Error::<Test>::ModelRetired);
		assert_ok!(claim(&worker(0), job));
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
	});
}

#[test]
fn setup_attested_below_the_demanded_level_counts_as_dev() {
	new_test_ext().execute_with(|| {
		let strict = Order { allow_dev_setup: false, ..Order::default() };
		amend_model(|model| model.setup = Setup::Attested(Level::Simulated));
		refused("simulated setup", || strict.submit(), Error::<Test>::DevSetupRefused);
		assert_ok!(Order { min_level: Level::Simulated, ..strict.clone() }.submit());
		amend_model(|model| model.setup = Setup::Attested(Level::Hardware));
		assert_ok!(Order { nonce: H256::repeat_byte(2), ..strict.clone() }.submit());
		amend_model(|model| model.setup = Setup::Ceremony);
		assert_ok!(Order { nonce: H256::repeat_byte(3), ..strict }.submit());
	});
}

#[test]
fn a_client_that_cannot_pay() {
	new_test_ext().execute_with(|| {
		let order = Order { price: ENDOWMENT - EXISTENTIAL, ..Order::default() };
		refused("price affordable, deposit not", || order.submit(), TokenError::FundsUnavailable);
		let order = Order { price: Balance::MAX, ..Order::default() };
		refused("price beyond all money", || order.submit(), TokenError::FundsUnavailable);
	});
}

#[test]
fn arguments_too_large_do_not_decode() {
	fn call_with(sealed: usize, proof: usize, recipients: usize) -> [Vec<u8>; 2] {
		let submit = (0u8, MODEL, H256::zero(), vec![0u8; sealed], INPUT, vec![worker(0); recipients]);
		let rest = (PRICE, 9u32, Level::Hardware, true);
		let complete = (4u8, H256::zero(), vec![0u8; sealed], OUTPUT, vec![0u8; proof], 1u32, [0u8; 64]);
		[(submit, rest).encode(), complete.encode()]
	}
	let decodes = |bytes: &[u8]| Call::<Test>::decode(&mut &bytes[..]).is_ok();
	let (sealed, proof, recipients) =
		(types::MAX_SEALED as usize, types::MAX_PROOF as usize, types::MAX_RECIPIENTS as usize);
	assert!(call_with(sealed, proof, recipients).iter().all(|bytes| decodes(bytes)));
	let [submit, complete] = call_with(sealed + 1, proof, recipients);
	assert!(!decodes(&submit), "envelope too large");
	assert!(!decodes(&complete), "sealed output too large");
	assert!(!decodes(&call_with(sealed, proof + 1, recipients)[1]), "proof too large");
	assert!(!decodes(&call_with(sealed, proof, recipients + 1)[0]), "too many recipients");
}

#[test]
fn faults_of_a_claim() {
	let table: [Fault<AccountId>; 9] = [
		("not a recipient", |who| *who = worker(2), Error::NotRecipient),
		("not a worker at all", |who| *who = client(1), Error::NotRecipient),
		("expired worker record", |who| amend(who, |entry| entry.expired = true), Error::WorkerInactive),
		("retired worker", |who| Registered::remove(who), Error::WorkerInactive),
		(
			"simulated worker for a hardware job",
			|who| amend(who, |entry| entry.level = Level::Simulated),
			Error::LevelTooLow,
		),
		(
			"claim while claimed",
			|_| claim(&worker(1), Order::default().id()).expect("free"),
			Error::AlreadyClaimed,
		),
		("claim twice", |who| claim(who, Order::default().id()).expect("free"), Error::AlreadyClaimed),
		("claim after the deadline", |_| at(102), Error::DeadlinePassed),
		(
			"claim of a refunded job",
			|_| {
				at(102);
				expire(&client(0), Order::default().id()).expect("due");
			},
			Error::NotOpen,
		),
	];
	for (fault, prepare, error) in table {
		new_test_ext().execute_with(|| {
			let job = Order::default().placed();
			let mut who = worker(0);
			prepare(&mut who);
			refused(fault, || claim(&who, job), error);
			refused("unknown job", || claim(&who, H256::zero()), Error::<Test>::UnknownJob);
		});
	}
}

#[test]
fn a_worker_that_cannot_put_down_the_bond() {
	new_test_ext().execute_with(|| {
		let job = Order { client: client(1), price: ENDOWMENT / 2, ..Order::default() }.placed();
		let poor = AccountId::new([0x77; 32]);
		let entry = Registered::get(worker(0)).expect("registered");
		Registered::insert(&poor, Entry { open_claims: 0, ..entry });
		let job_for_poor = Order { recipients: vec![poor.clone()], ..Order::numbered(2) }.placed();
		refused("no money", || claim(&poor, job_for_poor), TokenError::FundsUnavailable);
		assert_ok!(claim(&worker(0), job));
	});
}

#[test]
fn claim_after_the_own_proof_was_rejected() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		assert_ok!(Outcome::with_bad_proof(&worker(0), job).deliver());
		refused("rejected before", || claim(&worker(0), job), Error::<Test>::WasRejected);
		refused("rejected before", || decline(&worker(0), job), Error::<Test>::WasRejected);
	});
}

#[test]
fn faults_of_a_release_or_lapse() {
	new_test_ext().execute_with(|| {
		let job = Order::default().placed();
		refused("release unclaimed", || release(&worker(0), job), Error::<Test>::NotClaimant);
		refused("lapse unclaimed", || lapse(&worker(0), job), Error::<Test>::NotLapsed);
		assert_ok!(claim(&worker(0), job));
		refused("release of another's claim", || release(&worker(1), job), Error::<Test>::NotClaimant);
		at(1 + CLAIM_BLOCKS);
		refused("lapse in the claim's last block", || lapse(&worker(1), job), Error::<Test>::NotLapsed);
		at(1 + CLAIM_BLOCKS + 1);
		refused("release after the lapse", || release(&worker(0), job), Error::<Test>::ClaimLapsed);
		assert_ok!(lapse(&worker(1), job));
		refused("lapse twice", || lapse(&worker(1), job), Error::<Test>::NotLapsed);
		at(102);
		assert_ok!(expire(&worker(1), job));
		refused("release after the end", || release(&worker(0), job), Error::<Test>::NotOpen);
		refused("lapse after the end", || lapse(&worker(0), job), Error::<Test>::NotOpen);
		refused("expire twice", || expire(&worker(0), job), Error::<Test>::NotOpen);
		refused("unknown job", || lapse(&worker(0), H256::zero()), Error::<Test>::UnknownJob);
	});
}

#[test]
fn faults_of_a_decline_a_cancellation_or_a_forgetting() {
	new_test_ext().execute_with(|| {
		let job = Order { recipients: (0..3).map(worker).collect(), ..Order::default() }.placed();
		refused("not a recipient", || decline(&worker(3), job), Error::<Test>::NotRecipient);
		refused("not the client", || cancel(&client(1), job), Error::<Test>::NotClient);
		refused("open", || forget(&client(0), job), Error::<Test>::Retained);
		assert_ok!(decline(&worker(0), job));
		refused("declined before", || decline(&worker(0), job), Error::<Test>::HasDeclined);
		refused("claimed after declining", || claim(&worker(0), job), Error::<Test>::HasDeclined);
		assert_ok!(claim(&worker(1), job));
		refused("held by the caller", || decline(&worker(1), job), Error::<Test>::HoldsClaim);
		refused("claimed", || cancel(&client(0), job), Error::<Test>::AlreadyClaimed);
		assert_ok!(Outcome::honest(&worker(1), job).deliver());
		refused("ended", || cancel(&client(0), job), Error::<Test>::NotOpen);
		refused("ended", || decline(&worker(2), job), Error::<Test>::NotOpen);
		at(1 + Retention::get());
		refused("retained", || forget(&client(0), job), Error::<Test>::Retained);
		refused("unknown job", || forget(&client(0), H256::zero()), Error::<Test>::UnknownJob);
	});
}

#[test]
fn expire_before_the_deadline_has_passed() {
	new_test_ext().execute_with(|| {
		let job = Order::default().placed();
		at(101);
		refused("deadline's own block", || expire(&client(0), job), Error::<Test>::DeadlineNotPassed);
		assert_ok!(claim(&worker(0), job));
		assert_ok!(Outcome::with_bad_proof(&worker(0), job).deliver());
		refused("a recipient is left", || expire(&client(0), job), Error::<Test>::DeadlineNotPassed);
	});
}

/// Worker 0 holds the job since block 5; worker 1 is a recipient too; another job of worker 0's waits. Block 9.
#[test]
fn faults_of_a_result() {
	let table: [Fault<Outcome>; 23] = [
		("unknown job", |outcome| outcome.job = H256::zero(), Error::UnknownJob),
		("job that nobody holds", |outcome| outcome.job = Order::numbered(2).id(), Error::NotClaimant),
		("result of another worker", |outcome| outcome.worker = worker(1), Error::NotClaimant),
		("result after the claim lapsed", |_| at(5 + CLAIM_BLOCKS + 1), Error::ClaimLapsed),
		("result after the deadline", |_| at(102), Error::DeadlinePassed),
		(
			"worker expired meanwhile",
			|_| amend(&worker(0), |entry| entry.expired = true),
			Error::WorkerInactive,
		),
		(
			"worker renewed at a lower level meanwhile",
			|_| amend(&worker(0), |entry| entry.level = Level::Simulated),
			Error::LevelTooLow,
		),
		("receipt from before the claim", |outcome| outcome.receipt.block = 4, Error::ReceiptBlock),
		("receipt from the future", |outcome| outcome.receipt.block = 10, Error::ReceiptBlock),
		(
			"receipt signed by another key",
			|outcome| outcome.signer = receipt_pair(&worker(1), 1),
			Error::BadReceipt,
		),
		(
			"receipt signed by the next epoch's key",
			|outcome| outcome.signer = receipt_pair(&worker(0), 2),
			Error::BadReceipt,
		),
		("receipt for another chain", |outcome| outcome.receipt.genesis = H256::zero(), Error::BadReceipt),
		(
			"receipt for another job",
			|outcome| outcome.receipt.job = Order::numbered(2).id(),
			Error::BadReceipt,
		),
		("receipt for another model", |outcome| outcome.receipt.model = OTHER_MODEL, Error::BadReceipt),
		("receipt for another worker", |outcome| outcome.receipt.worker = worker(1), Error::BadReceipt),
		(
			"receipt for other weights",
			|outcome| outcome.receipt.weights_digest = H256::zero(),
			Error::BadReceipt,
		),
		("receipt for another input", |outcome| outcome.receipt.input_commitment = OUTPUT, Error::BadReceipt),
		(
			"receipt for another output",
			|outcome| outcome.receipt.output_commitment = INPUT,
			Error::BadReceipt,
		),
		("receipt for another sealed output", |outcome| outcome.sealed_output[0] ^= 1, Error::BadReceipt),
		("receipt for another proof", |outcome| outcome.proof[0] ^= 1, Error::BadReceipt),
		("receipt for another level", |outcome| outcome.receipt.level = Level::Simulated, Error::BadReceipt),
		("receipt for another setup", |outcome| outcome.receipt.setup = Setup::Ceremony, Error::BadReceipt),
		(
			"output commitment swapped under the receipt",
			|outcome| outcome.output_commitment = INPUT,
			Error::BadReceipt,
		),
	];
	for (fault, spoil, error) in table {
		new_test_ext().execute_with(|| {
			let job = Order::default().placed();
			Order::numbered(2).placed();
			at(5);
			assert_ok!(claim(&worker(0), job));
			at(9);
			let mut outcome = Outcome::honest(&worker(0), job);
			spoil(&mut outcome);
			refused(fault, || outcome.deliver(), error);
			assert_eq!(asked(), 0, "{fault}: the contract was asked");
		});
	}
}

#[test]
fn every_bit_of_the_signature_counts() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		let Call::complete {
			sealed_output, output_commitment, proof, receipt_block, receipt_signature, ..
		} = Outcome::honest(&worker(0), job).call()
		else {
			unreachable!()
		};
		for bit in 0..512 {
			let mut receipt_signature = receipt_signature;
			receipt_signature[bit / 8] ^= 1 << (bit % 8);
			let (sealed_output, proof) = (sealed_output.clone(), proof.clone());
			let call = Call::complete {
				job,
				sealed_output,
				output_commitment,
				proof,
				receipt_block,
				receipt_signature,
			};
			assert_eq!(dispatch(&worker(0), call), Err(Error::<Test>::BadReceipt.into()), "bit {bit}");
		}
		assert_ok!(Outcome::honest(&worker(0), job).deliver());
	});
}

#[test]
fn double_complete() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		let outcome = Outcome::honest(&worker(0), job);
		assert_ok!(outcome.deliver());
		refused("the same result again", || outcome.deliver(), Error::<Test>::NotOpen);
		refused("claim of an accepted job", || claim(&worker(1), job), Error::<Test>::NotOpen);
		at(102);
		refused("refund of an accepted job", || expire(&client(0), job), Error::<Test>::NotOpen);
		assert_eq!(asked(), 1);
	});
}

#[test]
fn a_replayed_receipt_after_a_second_claim() {
	new_test_ext().execute_with(|| {
		let job = Order { recipients: vec![worker(0)], ..Order::default() }.claimed_by(&worker(0));
		let stale = Outcome::honest(&worker(0), job);
		at(3);
		assert_ok!(release(&worker(0), job));
		at(5);
		assert_ok!(claim(&worker(0), job));
		refused("receipt of the first claim", || stale.deliver(), Error::<Test>::ReceiptBlock);
	});
}

#[test]
fn previous_epochs_receipt_key_counts_for_exactly_one_epoch() {
	new_test_ext().execute_with(|| {
		let jobs: Vec<H256> = (1..=2).map(|n| Order::numbered(n).claimed_by(&worker(0))).collect();
		let [first, second] = [jobs[0], jobs[1]].map(|job| Outcome::honest(&worker(0), job));
		renew(&worker(0));
		assert_ok!(first.deliver());
		renew(&worker(0));
		refused("key two epochs old", || second.deliver(), Error::<Test>::BadReceipt);
		assert_ok!(Outcome::honest(&worker(0), jobs[1]).deliver());
	});
}

#[test]
fn calls_without_a_signature() {
	new_test_ext().execute_with(|| {
		let job = Order::default().claimed_by(&worker(0));
		let calls = [
			Order::numbered(2).call(),
			Call::claim { job, max_bond: BOND },
			Call::release { job },
			Call::decline { job },
			Call::cancel { job },
			Call::forget { job },
			Call::lapse { job },
			Outcome::honest(&worker(0), job).call(),
			Call::expire { job },
		];
		for call in calls {
			for origin in [RawOrigin::None, RawOrigin::Root] {
				let attempt = || RuntimeCall::Jobs(call.clone()).dispatch(origin.clone().into());
				refused(
					"no signature",
					|| attempt().map(|_| ()).map_err(|error| error.error),
					DispatchError::BadOrigin,
				);
			}
		}
		assert!(matches!(Records::<Test>::get(job).expect("kept").status, Status::Claimed { .. }));
	});
}

/// Governance may certify a model's setup, or take that back, while a worker is at work. Its receipt states what it saw.
#[test]
fn a_setup_that_changes_under_a_claim_costs_nobody() {
	new_test_ext().execute_with(|| {
		let (dev, ceremony) = (Setup::Dev, Setup::Ceremony);
		let cases = [
			(dev, ceremony, dev),
			(dev, ceremony, ceremony),
			(ceremony, dev, dev),
			(ceremony, dev, ceremony),
		];
		for (n, (before, after, stated)) in cases.into_iter().enumerate() {
			amend_model(|model| model.setup = before);
			let job = Order { nonce: H256([70 + n as u8; 32]), ..Order::default() }.claimed_by(&worker(0));
			amend_model(|model| model.setup = after);
			let mut outcome = Outcome::honest(&worker(0), job);
			outcome.receipt.setup = Setup::Attested(Level::Hardware);
			refused("a third setup", || outcome.deliver(), Error::<Test>::BadReceipt);
			outcome.receipt.setup = stated;
			assert_ok!(outcome.deliver());
			let status = Records::<Test>::get(job).expect("kept").status;
			assert!(matches!(status, Status::Accepted { setup, .. } if setup == stated), "{status:?}");
			invariants::hold();
		}
		// What was claimed afterwards knows only the new one.
		amend_model(|model| model.setup = Setup::Ceremony);
		let job = Order { nonce: H256([90; 32]), ..Order::default() }.claimed_by(&worker(0));
		assert_ok!(dispatch(&worker(0), Call::release { job }));
		amend_model(|model| model.setup = Setup::Dev);
		assert_ok!(claim(&worker(1), job));
		let mut outcome = Outcome::honest(&worker(1), job);
		outcome.receipt.setup = Setup::Ceremony;
		refused("the last claim's setup", || outcome.deliver(), Error::<Test>::BadReceipt);
	});
}
