//! What others have put on the chain costs nobody a read: the same calls on a small state and on a large one.

use std::collections::BTreeMap;

use polkadot_sdk::{sp_core::H256, *};
use proofward_runtime::{AccountId, Runtime, RuntimeCall, System};

use super::scene::*;
use crate::market::{self, Order};

/// What the environment's PROOFWARD_LARGE makes of it: ended jobs, models, open jobs of others.
fn size() -> [u64; 3] {
	if std::env::var("PROOFWARD_LARGE").is_ok() {
		[100_000, 10_000, 10_000]
	} else {
		[2_000, 500, 500]
	}
}

/// Copies of an ended job, of an entry and of an open job, as so many other people would have left them.
fn crowd(scene: &Scene, ended: &Order, [done, models, open]: [u64; 3]) {
	let name = |kind: u8, n: u64| {
		let bytes = [[kind; 8].as_slice(), &n.to_le_bytes()].concat();
		(
			H256(sp_io::hashing::blake2_256(&bytes)),
			AccountId::from(sp_io::hashing::blake2_256(&[bytes, vec![1]].concat())),
		)
	};
	let job = pallet_jobs::Jobs::<Runtime>::get(ended.id()).expect("ended");
	for n in 0..done {
		let (id, client) = name(1, n);
		pallet_jobs::Jobs::<Runtime>::insert(id, pallet_jobs::Job { client, ..job.clone() });
	}
	let entry = pallet_models::Models::<Runtime>::get(scene.model).expect("published");
	let key = pallet_models::Keys::<Runtime>::get(scene.model).expect("published");
	for n in 0..models {
		let (id, publisher) = name(2, n);
		let manifest_hash = H256::from_low_u64_be(n);
		pallet_models::Live::<Runtime>::insert(&publisher, manifest_hash, id);
		pallet_models::Models::<Runtime>::insert(
			id,
			pallet_models::Model { publisher, manifest_hash, ..entry.clone() },
		);
		pallet_models::Keys::<Runtime>::insert(id, key.clone());
	}
	// The open jobs stand in the same model's queue, before ours.
	let mut before: Option<H256> = None;
	for n in 0..open {
		let (id, client) = name(3, n);
		let waiting = pallet_jobs::Job {
			client: client.clone(),
			status: pallet_jobs::Status::Queued,
			recipients: vec![scene.second.clone()].try_into().expect("one"),
			..job.clone()
		};
		pallet_jobs::Jobs::<Runtime>::insert(id, waiting);
		pallet_jobs::JobsOf::<Runtime>::insert(&scene.second, id, ());
		pallet_jobs::OpenJobs::<Runtime>::insert(client, 1);
		pallet_jobs::Links::<Runtime>::insert(id, pallet_jobs::Link { prev: before, next: None });
		if let Some(before) = before {
			pallet_jobs::Links::<Runtime>::mutate(before, |link| {
				link.as_mut().expect("linked").next = Some(id)
			});
		}
		pallet_jobs::Queues::<Runtime>::mutate(scene.model, |queue| {
			queue.head = queue.head.or(Some(id));
			queue.tail = Some(id);
			queue.len += 1;
		});
		before = Some(id);
	}
}

/// Distinct keys that each call of a job's life reads, by name, and how many bytes; with what a node reads to find work.
fn reads(crowded: bool) -> BTreeMap<&'static str, (usize, u64)> {
	let mut all = BTreeMap::new();
	run(|scene| {
		let first = scene.order(1);
		done(&scene.client, first.submit());
		done(&scene.worker, market::claim(first.id(), BOND));
		next_block();
		done(&scene.worker, market::complete(&scene.worker, first.id(), true));
		// The queue has somebody in it in both cases, so that joining it touches a neighbour.
		let neighbour = Order { recipients: vec![scene.second.clone()], ..scene.order(2) };
		done(&scene.client, neighbour.submit());
		if crowded {
			crowd(scene, &first, size());
		}
		next_block();
		let order = scene.order(3);
		let id = order.id();
		let mut step = |name, who: &AccountId, call: RuntimeCall| {
			all.insert(name, recorded(|| done(who, call)));
		};
		step("submit", &scene.client, order.submit());
		step("claim", &scene.worker, market::claim(id, BOND));
		step("release", &scene.worker, market::release(id));
		step("claim again", &scene.worker, market::claim(id, BOND));
		next_block();
		step("complete", &scene.worker, market::complete(&scene.worker, id, true));
		let order = Order { deadline: System::block_number() + 5, ..scene.order(4) };
		step("submit another", &scene.client, order.submit());
		step("decline", &scene.worker, market::decline(order.id()));
		let order = scene.order(5);
		step("submit a third", &scene.client, order.submit());
		// What a node reads to find its work: all that is under its own account, and nothing else.
		let find = || {
			let found: Vec<H256> = pallet_jobs::JobsOf::<Runtime>::iter_key_prefix(&scene.worker).collect();
			assert_eq!(found, [order.id()]);
		};
		all.insert("find work", recorded(find));
		all.insert(
			"find workers",
			recorded(|| {
				let found = pallet_workers::Served::<Runtime>::iter_prefix(scene.model).count();
				assert_eq!(found, 2);
			}),
		);
	});
	all
}

#[test]
fn no_read_grows_with_what_others_have_put_on_the_chain() {
	let (small, large) = (reads(false), reads(true));
	println!("{size:?}: {large:#?}", size = size());
	assert_eq!(small.len(), 10);
	for (call, (keys, bytes)) in &small {
		let (large_keys, large_bytes) = large[call];
		assert_eq!(large_keys, *keys, "{call}: keys read");
		// A length of a queue, encoded, may be a byte or two longer.
		assert!(large_bytes.abs_diff(*bytes) <= 256, "{call}: {bytes} bytes, and then {large_bytes}");
	}
}

/// The invariants are not looked at: the crowd's deposits are nobody's.
fn run(play: impl FnOnce(&Scene)) {
	unchecked(play);
}

fn recorded(act: impl FnOnce()) -> (usize, u64) {
	let read = proofward_weights::accesses(act).read;
	(read.len(), read.values().sum())
}
