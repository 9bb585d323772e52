//! A state in which every map of our pallets has something, before and after an upgrade of the runtime.

use std::collections::BTreeSet;

use codec::Encode;
use pallet_federation::{
	commitments::{commit, study_id, Opening},
	Plan, Rules,
};
use pallet_sessions::types::Terms as Offered;
use polkadot_sdk::{
	frame_support::traits::{StorageInfo, StorageInfoTrait},
	frame_system,
	sp_core::{ed25519, Pair, H256},
	sp_io,
	sp_keyring::Sr25519Keyring,
	sp_runtime::StateVersion,
	*,
};
use proofward_primitives::{
	sessions::{session_id, Checkpoint},
	Level,
};
use proofward_runtime::{
	config::UNIT,
	governance::{CouncilCollective, OwnMajority},
	AccountId, AllPalletsWithSystem, Attestation, Balances, Consortium, Executive, Runtime, RuntimeCall,
	RuntimeOrigin, System,
};

use super::scene::*;
use crate::{
	chain,
	market::{self, Order},
};

/// What a state between two calls never has, or only with what the simulation leaves out.
const EMPTY: [(&str, &str); 3] = [
	// Marks of a verdict that is being asked for.
	("Jobs", "Judging"),
	("InferenceSessions", "Judging"),
	// An output that was sealed to its client's key and does not open.
	("Jobs", "Contested"),
];
const OURS: [&str; 7] =
	["Attestation", "Workers", "Models", "Jobs", "InferenceSessions", "Federation", "Consortium"];

fn name(bytes: &[u8]) -> &str {
	std::str::from_utf8(bytes).expect("a name")
}

/// Items of our pallets without an entry in state.
fn unpopulated() -> BTreeSet<(String, String)> {
	let ours = |info: &StorageInfo| OURS.contains(&name(&info.pallet_name));
	let empty = |info: &StorageInfo| {
		let held = sp_io::storage::exists(&info.prefix);
		let next = sp_io::storage::next_key(&info.prefix);
		!held && !next.is_some_and(|key| key.starts_with(&info.prefix))
	};
	let all = AllPalletsWithSystem::storage_info().into_iter().filter(ours).filter(empty);
	all.map(|info| (name(&info.pallet_name).into(), name(&info.storage_name).into())).collect()
}

/// Jobs in every state, and workers that were late, retired or false.
fn jobs(scene: &Scene) {
	let recipients = vec![scene.worker.clone(), scene.second.clone()];
	let deadline = System::block_number() + 1_000;
	let order = |n| Order { recipients: recipients.clone(), deadline, ..scene.order(n) };
	let [waiting, held, ended, refunded] = [1, 2, 3, 4].map(order);
	for one in [&waiting, &held, &ended, &refunded] {
		done(&scene.client, one.submit());
	}
	done(&scene.client, market::cancel(refunded.id()));
	done(&scene.second, market::claim(ended.id(), BOND));
	next_block();
	done(&scene.second, market::complete(&scene.second, ended.id(), true));
	done(&scene.client, market::equivocation(&scene.second, ended.id()));

	let [late, gone] = [3, 4].map(|n| market::account("worker", n));
	for who in [&late, &gone] {
		let give = pallet_balances::Call::transfer_keep_alive {
			dest: proofward_runtime::Address::Id(who.clone()),
			value: 200 * UNIT,
		};
		done(&scene.mallory, RuntimeCall::Balances(give));
		market::register(who);
		done(who, market::serve(scene.model, PRICE));
	}
	for n in 10..10 + u64::from(pallet_workers::reliability::ALLOWED_LAPSES) + 1 {
		let order = Order { recipients: vec![late.clone()], ..scene.order(n) };
		done(&scene.client, order.submit());
		done(&late, market::claim(order.id(), BOND));
		chain::skip_to(System::block_number() + CLAIM_BLOCKS + 1);
		done(&scene.client, market::lapse(order.id()));
	}
	done(&gone, RuntimeCall::Workers(pallet_workers::Call::retire {}));

	done(&scene.worker, market::claim(held.id(), BOND));
	next_block();
	let _ = chain::apply(&scene.worker, market::crowding(held.id()), 0);
}

/// An offer, a session, and a window of it.
fn sessions(scene: &Scene) {
	use pallet_sessions::Call;
	let (model, nonce, voucher) = (scene.model, H256::repeat_byte(9), ed25519::Pair::from_seed(&[9; 32]));
	let terms =
		Offered { price: UNIT / 10, bond: UNIT, capacity: 2, most_sampled: 1_000_000, least_window: 5 };
	let calls = [
		(&scene.entry.publisher, Call::allow { model, floor: Some(1) }),
		(&scene.worker, Call::offer { model, terms }),
		(
			&scene.client,
			Call::open {
				worker: scene.worker.clone(),
				model,
				nonce,
				voucher_key: voucher.public().0,
				epoch: 1,
				max_price: UNIT,
				escrow: 10 * UNIT,
				sample: 1_000_000,
				window: 100,
				end: System::block_number() + 1_000,
				min_level: Level::Simulated,
				allow_dev_setup: true,
			},
		),
	];
	for (who, call) in calls {
		done(who, RuntimeCall::InferenceSessions(call));
	}
	let session = session_id(&scene.client, &nonce);
	let genesis = frame_system::BlockHash::<Runtime>::get(0);
	let said = Checkpoint { genesis, session, number: 0, root: H256::repeat_byte(8), pages: 2, records: 30 };
	let call = Call::checkpoint {
		session,
		number: said.number,
		root: said.root,
		pages: said.pages,
		records: said.records,
		signature: market::receipt_pair(&scene.worker).sign(&said.enclave_message()).0,
		voucher: voucher.sign(&said.voucher_message()).0,
	};
	done(&scene.worker, RuntimeCall::InferenceSessions(call));
}

/// A study in whose round one of two sites has committed.
fn study(scene: &Scene) {
	use pallet_federation::Call;
	let sites = [market::account("site", 0), market::account("site", 1)];
	let (nonce, rho) = (H256::repeat_byte(7), 125_000_000);
	let study = study_id(&scene.client, &nonce);
	let rules = Rules { policy: H256::zero(), yearly: 10 * rho, round: rho, cohort: 1, purposes: 1 };
	let end = System::block_number() + 1_000;
	let plan = Plan {
		rule: H256::zero(),
		dimension: 2,
		clip: 100,
		variance: 40_000,
		budget: 10 * rho,
		cohort: 1,
		rounds: 2,
		purpose: 1,
		window: 100,
		end,
	};
	let call = |who: &AccountId, call| done(who, RuntimeCall::Federation(call));
	call(&scene.client, Call::create { nonce, aggregator: scene.worker.clone(), plan });
	let other = H256::repeat_byte(8);
	call(&scene.client, Call::create { nonce: other, aggregator: scene.worker.clone(), plan });
	call(&scene.client, Call::close { study: study_id(&scene.client, &other) });
	for site in &sites {
		let give = pallet_balances::Call::transfer_keep_alive {
			dest: proofward_runtime::Address::Id(site.clone()),
			value: UNIT,
		};
		done(&scene.client, RuntimeCall::Balances(give));
		call(site, Call::register_site { rules });
		call(site, Call::set_consents { root: H256::repeat_byte(6), live: 1 });
		call(&scene.client, Call::invite { study, site: site.clone() });
		call(site, Call::join { study, budget: rho });
	}
	next_block();
	let at = System::block_number() - 1;
	let noise = commit(&[1, 2], &[2; 32]).expect("small");
	let (genesis, block) = (System::block_hash(0), System::block_hash(at));
	let opening = Opening { genesis, study, rule: plan.rule, number: 0, at, block, noise };
	let signature = market::receipt_pair(&scene.worker).sign(&opening.message()).0;
	call(&scene.worker, Call::open { study, at, noise, signature });
	let commitment = commit(&[3, 4], &[1; 32]).expect("small");
	call(&sites[0], Call::commit { study, number: 0, commitment, consents: H256::repeat_byte(6) });
}

/// What governance decided, and what waits.
fn governance(scene: &Scene) {
	let root = RuntimeOrigin::root;
	Attestation::ban_platform(root(), H256::repeat_byte(5), true).expect("root's");
	Attestation::set_policy(root(), Default::default()).expect("root's");
	let (quote, collateral) =
		(proofward_fixtures::quote("alice"), proofward_fixtures::collateral("up_to_date"));
	// It is good at the time of its making.
	let now = pallet_timestamp::Now::<Runtime>::get();
	pallet_timestamp::Now::<Runtime>::put(proofward_fixtures::now());
	let refresh = pallet_attestation::Call::refresh_collateral {
		quote: quote.try_into().expect("short"),
		collateral: collateral.try_into().expect("short"),
	};
	done(&scene.client, RuntimeCall::Attestation(refresh));
	pallet_timestamp::Now::<Runtime>::put(now);

	let endpoint = b"/dns/there".to_vec().try_into().expect("short");
	Consortium::admit(root(), scene.client.clone(), H256::zero(), endpoint).expect("root's");
	Consortium::announce_call(root(), H256::repeat_byte(4)).expect("root's");
	let pause = pallet_tx_pause::Call::pause { full_name: (bytes("Jobs"), bytes("submit")) };
	let motion = Box::new(RuntimeCall::TxPause(pause));
	let length_bound = motion.encoded_size() as u32;
	let seats = pallet_collective::Members::<Runtime, CouncilCollective>::get().len() as u32;
	let threshold = OwnMajority::of(&motion, seats);
	let propose = pallet_collective::Call::propose { threshold, proposal: motion, length_bound };
	done(&Sr25519Keyring::Alice.to_account_id(), RuntimeCall::Council(propose));
}

fn bytes(text: &str) -> frame_support::BoundedVec<u8, frame_support::traits::ConstU32<256>> {
	text.as_bytes().to_vec().try_into().expect("short")
}

fn populate(scene: &Scene) {
	jobs(scene);
	sessions(scene);
	study(scene);
	// Last, because a notice is soon over.
	governance(scene);
}

#[test]
fn every_invariant_holds_on_a_populated_state_and_after_an_upgrade() {
	play(|scene| {
		let issuance = Balances::total_issuance();
		populate(scene);
		let empty = unpopulated();
		let expected = EMPTY.map(|(pallet, item)| (pallet.to_owned(), item.to_owned()));
		assert_eq!(empty, expected.into(), "without an entry");
		chain::check(issuance).expect("every invariant holds before");

		let before = sp_io::storage::root(StateVersion::V1);
		Executive::execute_on_runtime_upgrade();
		chain::check(issuance).expect("every invariant holds after");
		assert_eq!(sp_io::storage::root(StateVersion::V1), before, "no migration is due");

		// And it lives on: what was begun is ended.
		chain::skip_to(System::block_number() + 2_000);
		chain::check(issuance).expect("every invariant holds later");
	});
}
