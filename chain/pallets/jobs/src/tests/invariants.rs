//! What holds between any two calls.

use std::collections::{BTreeMap, BTreeSet};

use polkadot_sdk::{frame_support::storage::unhashed, sp_core::H256};
use proofward_primitives::Balance;

use super::mock::*;
use crate::{
	escrow::{on_hold, pot},
	HoldReason, Jobs as Records, Judging, Links, Queues, Sealed, Status,
};

/// Every invariant of the pallet, over the whole state.
pub fn hold() {
	holds_are_those_of_open_jobs();
	queues_are_the_queued_jobs();
	ciphertext_is_that_of_open_jobs();
	open_claims_are_the_claimed_jobs();
	assert!(!Judging::<Test>::exists(), "the mark of a verdict outlived it");
	assert!(!unhashed::exists(TRACE), "a contract left a trace");
}

fn everyone() -> impl Iterator<Item = AccountId> {
	(0..3).map(client).chain((0..4).map(worker)).chain([pot::<Test>()])
}

fn holds_are_those_of_open_jobs() {
	let mut expected: BTreeMap<(u8, AccountId), Balance> = BTreeMap::new();
	let mut add = |reason: HoldReason, who: AccountId, amount| {
		*expected.entry((reason as u8, who)).or_default() += amount;
	};
	for (_, job) in Records::<Test>::iter().filter(|(_, job)| job.is_open()) {
		add(HoldReason::Escrow, job.client.clone(), job.price);
		add(HoldReason::Deposit, job.client.clone(), job.deposit);
		if let Status::Claimed { worker, bond, .. } = job.status {
			add(HoldReason::Bond, worker, bond);
		}
	}
	for who in everyone() {
		for reason in [HoldReason::Escrow, HoldReason::Deposit, HoldReason::Bond] {
			let owed = expected.get(&(reason as u8, who.clone())).copied().unwrap_or_default();
			assert_eq!(on_hold::<Test>(reason, &who), owed, "{reason:?} of {who}");
		}
	}
}

fn queues_are_the_queued_jobs() {
	let mut linked = BTreeSet::new();
	for (model, queue) in Queues::<Test>::iter() {
		assert!(queue.len > 0, "an empty queue is stored");
		let (mut previous, mut next, mut steps) = (None, queue.head, 0);
		while let Some(id) = next {
			let link = Links::<Test>::get(id).expect("a link leads to a queued job");
			let job = Records::<Test>::get(id).expect("a link leads to a job");
			assert_eq!((job.model, &job.status), (model, &Status::Queued));
			assert_eq!(link.prev, previous);
			assert!(linked.insert(id), "a job is linked twice");
			steps += 1;
			(previous, next) = (Some(id), link.next);
		}
		assert_eq!((queue.tail, queue.len), (previous, steps));
	}
	let queued: BTreeSet<H256> =
		Records::<Test>::iter().filter(|(_, job)| job.status == Status::Queued).map(|(id, _)| id).collect();
	assert_eq!(linked, queued, "queues hold the queued jobs");
	assert_eq!(Links::<Test>::iter_keys().collect::<BTreeSet<_>>(), queued, "links are those of queued jobs");
}

fn ciphertext_is_that_of_open_jobs() {
	let open: BTreeSet<H256> =
		Records::<Test>::iter().filter(|(_, job)| job.is_open()).map(|(id, _)| id).collect();
	assert_eq!(Sealed::<Test>::iter_keys().collect::<BTreeSet<_>>(), open);
}

fn open_claims_are_the_claimed_jobs() {
	let mut claims: BTreeMap<AccountId, u32> = BTreeMap::new();
	for (_, job) in Records::<Test>::iter() {
		if let Status::Claimed { worker, .. } = job.status {
			*claims.entry(worker).or_default() += 1;
		}
	}
	for (who, entry) in Registered::iter() {
		assert_eq!(entry.open_claims, claims.get(&who).copied().unwrap_or_default(), "open claims of {who}");
	}
}
