//! The scripts of a hostile review, step by step, against the real runtime: each ends with the attacker refused, or worse
//! off than whom he attacked. `docs/economics.md` lists them.

use pallet_models::types::Terms;
use polkadot_sdk::sp_core::H256;
use proofward_runtime::{
	config::{MaxBond, MinPrice, UNIT},
	Runtime, RuntimeCall, System,
};

use super::scene::*;
use crate::{
	chain::{self, owns, Failure},
	market::{self, Entry, Order},
};

type Models = pallet_models::Error<Runtime>;
type Jobs = pallet_jobs::Error<Runtime>;

/// `poc_copycat.py`: a copy of an entry for everybody who has the artefact to serve, with a contract that says no and
/// takes their bonds.
#[test]
fn poc_copycat() {
	play(|scene| {
		let before = owns(&scene.mallory);
		// No entry names a contract any more: the lane's judges. What is left to choose are terms.
		let greedy = Terms { bond: MaxBond::get() + 1, ..scene.entry.terms };
		let copy = Entry { publisher: scene.mallory.clone(), ..scene.entry.clone() };
		fails(&scene.mallory, Entry { terms: greedy, ..copy.clone() }.publish(), Models::BadBond);
		let trap = Terms { bond: MaxBond::get(), share: 900_000, claim_blocks: 5, ..scene.entry.terms };
		let copy = Entry { terms: trap, ..copy };
		done(&scene.mallory, copy.publish());

		let order = Order { client: scene.mallory.clone(), model: copy.id(), ..scene.order(1) };
		fails(&scene.mallory, order.submit(), Jobs::RecipientDoesNotServe);
		// And a worker that took the copy for the original by its own mistake is held to what it declared.
		done(&scene.worker, market::serve(copy.id(), PRICE));
		let worker = owns(&scene.worker);
		done(&scene.mallory, order.submit());
		fails(&scene.worker, market::claim(order.id(), BOND), Jobs::BondTooHigh);
		assert!(worker - owns(&scene.worker) < UNIT / 10, "fees of a failed call and no more");
		assert!(before > owns(&scene.mallory), "the attacker paid fees");
	});
}

/// `poc_bond.py`: a job with a high price, to size a bond after which `complete` cannot be paid.
#[test]
fn poc_bond() {
	play(|scene| {
		let free = owns(&scene.worker) - 100 * UNIT;
		let order = Order { client: scene.mallory.clone(), price: 2 * (free - UNIT / 3), ..scene.order(1) };
		done(&scene.mallory, order.submit());
		done(&scene.worker, market::claim(order.id(), BOND));
		next_block();
		done(&scene.worker, market::complete(&scene.worker, order.id(), true));
		assert!(accepted(order.id()), "the model's bond, and what `complete` takes was left");

		// A worker that could not pay for `complete` afterwards is refused the claim, and loses a fee.
		let poor = market::account("poor", 0);
		let give = |to: &_, amount| {
			RuntimeCall::Balances(polkadot_sdk::pallet_balances::Call::transfer_keep_alive {
				dest: proofward_runtime::Address::Id(Clone::clone(to)),
				value: amount,
			})
		};
		done(&scene.mallory, give(&poor, 100 * UNIT + BOND + UNIT / 2));
		market::register(&poor);
		done(&poor, market::serve(scene.model, PRICE));
		let order = Order { recipients: vec![poor.clone()], nonce: H256::repeat_byte(2), ..order };
		let order = Order { price: PRICE, ..order };
		done(&scene.mallory, order.submit());
		fails(&poor, market::claim(order.id(), BOND), Jobs::CannotPayForEnding);
	});
}

/// `poc_stuff.py`: blocks full of bytes, for the honest claim to run out behind them.
#[test]
fn poc_stuff() {
	play(|scene| {
		let order = scene.order(1);
		done(&scene.client, order.submit());
		done(&scene.worker, market::claim(order.id(), BOND));
		let (victim, attacker) = (owns(&scene.worker), owns(&scene.mallory));
		let mut junk = 0;
		for block in 0..CLAIM_BLOCKS - 2 {
			next_block();
			junk = chain::priority(&scene.mallory, &market::stuffing(3_900_000), 0);
			done(&scene.mallory, market::stuffing(3_900_000));
			let again = chain::apply(&scene.mallory, market::stuffing(3_900_000), 0);
			assert_eq!(again, Err(Failure::BlockFull), "block {block} is full");
		}
		// In the last of them the result has its room, and goes first.
		let result = market::complete(&scene.worker, order.id(), true);
		assert!(chain::priority(&scene.worker, &result, 0) > junk);
		done(&scene.worker, result);
		assert!(accepted(order.id()));
		assert!(owns(&scene.worker) > victim, "the worker is paid");
		let spent = attacker - owns(&scene.mallory);
		assert!(spent > 39 * UNIT * u128::from(CLAIM_BLOCKS - 2), "{} UNIT", chain::units(spent));
	});
}

/// Batches of hand-backs of jobs that nobody knows, to fill the room that is kept for results for 2 UNIT a block and to
/// go before a result by a small tip: every open claim would run out, to its client's profit.
#[test]
fn poc_stuff_with_results_of_nobody() {
	use polkadot_sdk::pallet_utility;
	play(|scene| {
		let order = scene.order(1);
		done(&scene.client, order.submit());
		done(&scene.worker, market::claim(order.id(), BOND));
		next_block();
		let (victim, attacker) = (owns(&scene.worker), owns(&scene.mallory));
		let nobodys = |count: u64| {
			let calls = (0..count).map(|n| market::release(H256::from_low_u64_be(n))).collect();
			RuntimeCall::Utility(pallet_utility::Call::force_batch { calls })
		};
		let tip = UNIT / 5;
		let result = market::complete(&scene.worker, order.id(), true);
		// Nothing of it is longer than an ordinary extrinsic may be.
		assert_eq!(chain::apply(&scene.mallory, nobodys(330), tip), Err(Failure::BlockFull));
		let mut sent = 0;
		for size in [240, 120, 60, 30, 15, 8, 4, 2, 1] {
			while chain::apply(&scene.mallory, nobodys(size), tip).is_ok() {
				sent += size;
			}
		}
		assert!(sent > 100, "the ordinary room is full: {sent}");
		// Nor does a call that only root or the job's holder may make get into the room that is left, or go first.
		let code = RuntimeCall::System(polkadot_sdk::frame_system::Call::set_code { code: vec![] });
		let others = [market::release(order.id()), result.clone(), code];
		for call in others {
			let first = chain::priority(&scene.worker, &market::release(order.id()), 0);
			let tried = chain::apply(&scene.mallory, call.clone(), 0);
			assert_eq!(tried, Err(Failure::BlockFull), "{call:?}");
			next_block();
			assert!(chain::priority(&scene.mallory, &call, 0) < first, "{call:?}");
			assert!(matches!(chain::apply(&scene.mallory, call, 0), Err(Failure::Failed(_))));
			while chain::apply(&scene.mallory, nobodys(1), tip).is_ok() {}
		}
		assert!(
			chain::priority(&scene.worker, &result, 0) > chain::priority(&scene.mallory, &nobodys(200), tip)
		);
		assert!(chain::apply(&scene.worker, result, 0).is_ok(), "there is room in the full block");
		assert!(accepted(order.id()));
		assert!(owns(&scene.worker) > victim && owns(&scene.mallory) < attacker);
	});
}

/// A worker that has a claim, or a registration, repeats calls that end nothing: one of them goes first, and the others
/// with everybody's. What hands its claim back still does.
#[test]
fn poc_stuff_with_results_of_ones_own() {
	play(|scene| {
		let order = scene.order(1);
		done(&scene.client, order.submit());
		done(&scene.worker, market::claim(order.id(), BOND));
		let first = |call: &RuntimeCall| {
			chain::priority(&scene.worker, call, 0) > 3 * chain::priority(&scene.client, call, 0)
		};
		let mut false_receipt = market::complete(&scene.worker, order.id(), true);
		if let RuntimeCall::Jobs(pallet_jobs::Call::complete { receipt_signature, .. }) = &mut false_receipt {
			receipt_signature[0] ^= 1;
		}
		let honest = market::complete(&scene.worker, order.id(), true);
		assert!(first(&false_receipt) && first(&honest) && first(&market::release(order.id())));
		fails(&scene.worker, false_receipt.clone(), Jobs::BadReceipt);
		assert!(!first(&false_receipt) && !first(&honest));
		assert!(first(&market::release(order.id())), "handing it back cannot be repeated");
		let wait = proofward_runtime::Workers::goes_last;
		chain::skip_to(System::block_number() + pallet_workers::reliability::LAST_FOR.min(CLAIM_BLOCKS - 2));
		assert!(wait(&scene.worker) && !wait(&scene.second));
		done(&scene.worker, honest);
		assert!(accepted(order.id()), "it goes with the others' meanwhile");
		assert!(!first(&market::release(order.id())), "there is nothing left to hand back");
	});
}

/// Anybody may hand in the next runtime's code: it goes first if it is the one that was decided on.
#[test]
fn an_upgrade_that_was_authorised_goes_first() {
	use polkadot_sdk::{frame_system::Call, sp_io::hashing::blake2_256};
	play(|scene| {
		let apply = |code: &[u8]| {
			let call = RuntimeCall::System(Call::apply_authorized_upgrade { code: code.to_vec() });
			chain::priority(&scene.mallory, &call, 0)
		};
		let before = apply(b"next");
		let hash = H256(blake2_256(b"next"));
		System::authorize_upgrade_without_checks(proofward_runtime::RuntimeOrigin::root(), hash).unwrap();
		assert!(apply(b"next") > 3 * before);
		assert_eq!(apply(b"junk"), before);
	});
}

/// `poc_flood.py`: junk jobs, to hide an honest one from a node that looks at so many heads and keys.
#[test]
fn poc_flood() {
	play(|scene| {
		// Recipients that do not exist, or do not serve the model.
		let junk = Order { client: scene.mallory.clone(), sealed: 0, ..scene.order(0) };
		let nobody = Order { recipients: vec![scene.mallory.clone()], ..junk.clone() };
		fails(&scene.mallory, nobody.submit(), Jobs::RecipientInactive);

		let before = owns(&scene.mallory);
		let held = || {
			use polkadot_sdk::frame_support::traits::fungible::InspectHold;
			proofward_runtime::Balances::total_balance_on_hold(&scene.mallory)
		};
		let flood: Vec<Order> = (0..100u64)
			.map(|n| Order {
				nonce: H256::from_low_u64_be(n),
				recipients: vec![scene.second.clone()],
				deadline: System::block_number() + 28_000,
				..junk.clone()
			})
			.collect();
		flood.iter().for_each(|order| {
			while chain::apply(&scene.mallory, order.submit(), 0) == Err(Failure::BlockFull) {
				next_block();
			}
		});
		// The hundredth deposit is a hundred times the first.
		assert!(held() > 100 * PRICE + 50 * UNIT, "{}", chain::units(held()));
		assert!(
			before - owns(&scene.mallory) > UNIT,
			"and fees: {}",
			chain::units(before - owns(&scene.mallory))
		);

		// The other worker finds its own job, alone under its own account.
		next_block();
		let order = scene.order(1_000);
		done(&scene.client, order.submit());
		let found: Vec<H256> = pallet_jobs::JobsOf::<Runtime>::iter_key_prefix(&scene.worker).collect();
		assert_eq!(found, [order.id()]);
		done(&scene.worker, market::claim(order.id(), BOND));
		done(&scene.worker, market::complete(&scene.worker, order.id(), true));
		assert!(accepted(order.id()));
		// Who was flooded says no at nobody's cost but the flooder's.
		let victim = owns(&scene.second);
		done(&scene.second, market::decline(flood[0].id()));
		assert_eq!(owns(&scene.second), victim);
	});
}

/// `poc_free.py`: a copy of the publisher's entry at price 0, to have the work done for nothing.
#[test]
fn poc_free() {
	play(|scene| {
		let free = Entry {
			publisher: scene.mallory.clone(),
			terms: Terms { price: 0, ..scene.entry.terms },
			..scene.entry.clone()
		};
		fails(&scene.mallory, free.publish(), Models::PriceTooLow);
		let order = Order { client: scene.mallory.clone(), price: PRICE - 1, ..scene.order(1) };
		fails(&scene.mallory, order.submit(), Jobs::PriceTooLow);
		// At the chain's least price the copy stands, and nobody's worker serves it.
		let cheap = Entry { terms: Terms { price: MinPrice::get(), ..scene.entry.terms }, ..free };
		done(&scene.mallory, cheap.publish());
		let order = Order { model: cheap.id(), price: MinPrice::get(), ..order };
		fails(&scene.mallory, order.submit(), Jobs::RecipientDoesNotServe);
		// A worker's own price counts as well.
		done(&scene.worker, market::serve(cheap.id(), PRICE));
		fails(&scene.mallory, order.submit(), Jobs::BelowRecipientsPrice);
	});
}

/// `poc_models.py`: four thousand entries for ever, for 3.9 UNIT and nothing held.
#[test]
fn poc_models() {
	play(|scene| {
		let entry = |n: u64| Entry {
			publisher: scene.mallory.clone(),
			manifest: H256::from_low_u64_be(n),
			..scene.entry.clone()
		};
		let before = owns(&scene.mallory);
		let mut published = 0;
		for n in 0..20 {
			match chain::apply(&scene.mallory, entry(n).publish(), 0) {
				Ok(_) => published += 1,
				Err(Failure::BlockFull) => next_block(),
				Err(other) => panic!("{other:?}"),
			}
		}
		let fees = (before - owns(&scene.mallory)) / published;
		let deposit = pallet_models::Models::<Runtime>::get(entry(0).id()).expect("published").deposit;
		assert!(deposit >= UNIT / 100 * 2, "{}", chain::units(deposit));
		// Four thousand of them, at the fees of idle blocks.
		assert!(4_000 * (fees + deposit) > 300 * UNIT, "{}", chain::units(4_000 * (fees + deposit)));
		let again = Entry { manifest: entry(0).manifest, ..entry(0) };
		fails(&scene.mallory, again.publish(), Models::DuplicateModel);
		// Whoever wants it gone may have it gone, once it is retired for long enough.
		done(&scene.mallory, RuntimeCall::Models(pallet_models::Call::retire { model: entry(0).id() }));
		let remove = || RuntimeCall::Models(pallet_models::Call::remove { model: entry(0).id() });
		fails(&scene.client, remove(), Models::NotRemovable);
		chain::skip_to(System::block_number() + 8 * 60 * 60 + 1);
		done(&scene.client, remove());
		assert!(pallet_models::Models::<Runtime>::get(entry(0).id()).is_none());
	});
}

/// Two identities of one operator, with the client's default deadline (`jobs_poc.rs`): they pay, and the client gets it.
#[test]
fn poc_two_identities() {
	play(|scene| {
		let [one, two] = [7, 8].map(|n| market::account("worker", n));
		for who in [&one, &two] {
			done(
				&scene.mallory,
				RuntimeCall::Balances(polkadot_sdk::pallet_balances::Call::transfer_keep_alive {
					dest: proofward_runtime::Address::Id(who.clone()),
					value: 150 * UNIT,
				}),
			);
			market::register(who);
			done(who, market::serve(scene.model, PRICE));
		}
		let recipients = vec![one.clone(), two.clone(), scene.worker.clone()];
		let deadline = System::block_number() + 3 * CLAIM_BLOCKS + 12;
		let order = Order { recipients, deadline, ..scene.order(1) };
		done(&scene.client, order.submit());
		let client = owns(&scene.client);
		for who in [&one, &two] {
			done(who, market::claim(order.id(), BOND));
			fails(&scene.worker, market::claim(order.id(), BOND), Jobs::AlreadyClaimed);
			chain::skip_to(System::block_number() + CLAIM_BLOCKS);
			done(who, market::release(order.id()));
			fails(who, market::claim(order.id(), BOND), Jobs::OthersFirst);
		}
		// Each hand-back at the last moment cost all of a bond, twice the price, and there is time for the third.
		assert_eq!(owns(&scene.client) - client, 2 * BOND);
		done(&scene.worker, market::claim(order.id(), BOND));
		done(&scene.worker, market::complete(&scene.worker, order.id(), true));
		assert!(accepted(order.id()));
	});
}

/// `jobs_poc.rs`: a job for nobody, to sit in the queue until the longest deadline.
#[test]
fn poc_unregistered_recipients_are_taken() {
	play(|scene| {
		let nobody = market::account("nobody", 0);
		for recipients in [vec![nobody.clone()], vec![scene.worker.clone(), nobody], vec![]] {
			let order = Order { client: scene.mallory.clone(), recipients, ..scene.order(1) };
			let result = chain::apply(&scene.mallory, order.submit(), 0);
			assert!(matches!(result, Err(Failure::Failed(_))), "{result:?}");
			assert!(pallet_jobs::Jobs::<Runtime>::get(order.id()).is_none(), "no record");
		}
	});
}

/// `runtime_poc.rs`: a contract of the same code that changes its answers. Nobody but governance names contracts, and
/// nothing that anybody sends to the lane's own changes what it says.
#[test]
fn poc_a_pinned_contract_changes_its_mind() {
	use polkadot_sdk::{pallet_revive, sp_runtime::DispatchError};
	use proofward_primitives::{ContractCode, Lane, VerifierContract};
	use proofward_runtime::{genesis::GROTH16_ADDRESS, verifier::Contracts};
	play(|scene| {
		let code_hash = Contracts::code_hash(&GROTH16_ADDRESS).expect("the genesis has it");
		let own = VerifierContract { address: GROTH16_ADDRESS, code_hash };
		let set = pallet_models::Call::set_verifier { lane: Lane::Groth16, contract: Some(own) };
		fails(&scene.mallory, RuntimeCall::Models(set), DispatchError::BadOrigin);

		let before = accepted_after(scene, 1);
		for data in [vec![], vec![0], vec![1], vec![0xff; 4], vec![0xa5; 1_000], market::key()] {
			let call = pallet_revive::Call::call {
				dest: GROTH16_ADDRESS,
				value: 0,
				weight_limit: proofward_runtime::verifier::VERDICT_LIMIT,
				storage_deposit_limit: 10 * UNIT,
				data,
			};
			// It may revert: that is the contract's to say.
			let _ = chain::apply(&scene.mallory, RuntimeCall::Revive(call), 0);
			next_block();
		}
		assert_eq!(Contracts::code_hash(&GROTH16_ADDRESS), Some(code_hash));
		assert_eq!((before, accepted_after(scene, 2)), (true, true));
		// And a false proof is as false as before.
		let order = scene.order(3);
		done(&scene.client, order.submit());
		done(&scene.worker, market::claim(order.id(), BOND));
		next_block();
		done(&scene.worker, market::complete(&scene.worker, order.id(), false));
		assert!(!accepted(order.id()));
	});
}

/// Whether an honest job, number `n` of the client's, is done.
fn accepted_after(scene: &Scene, n: u64) -> bool {
	let order = scene.order(n);
	done(&scene.client, order.submit());
	done(&scene.worker, market::claim(order.id(), BOND));
	next_block();
	done(&scene.worker, market::complete(&scene.worker, order.id(), true));
	accepted(order.id())
}
