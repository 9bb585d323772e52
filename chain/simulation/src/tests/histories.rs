//! Random histories of people who wish each other ill, over the real runtime: the rules hold after every call.

use pallet_jobs::Event as JobsEvent;
use pallet_workers::Event as WorkersEvent;
use polkadot_sdk::{frame_support::traits::fungible::InspectHold, sp_core::H256};
use proofward_runtime::{
	config::{MaxDeadline, Retention, UNIT},
	AccountId, Balances, Runtime, RuntimeCall, RuntimeEvent, System,
};
use proptest::{collection::vec, prelude::*};

use super::scene::*;
use crate::{
	chain,
	market::{self, Entry, Order},
};

/// What somebody does. `job` counts the jobs submitted so far and wraps around; `who` is one of the hostile.
#[derive(Clone, Debug)]
enum Action {
	Submit {
		who: u8,
		recipients: u8,
		price: u8,
		lifetime: u32,
		copy: bool,
	},
	Claim {
		who: u8,
		job: u8,
	},
	Release {
		who: u8,
		job: u8,
	},
	Complete {
		who: u8,
		job: u8,
		honest: bool,
	},
	Decline {
		who: u8,
		job: u8,
	},
	Cancel {
		who: u8,
		job: u8,
	},
	End {
		who: u8,
		job: u8,
		lapse: bool,
	},
	Forget {
		who: u8,
		job: u8,
	},
	Equivocate {
		who: u8,
		job: u8,
	},
	Publish {
		who: u8,
		manifest: u8,
		share: u32,
	},
	RetireModel {
		who: u8,
	},
	Serve {
		who: u8,
		price: u8,
	},
	Leave {
		who: u8,
	},
	TopUp {
		who: u8,
	},
	Measure {
		who: u8,
	},
	/// The honest worker does a job as it should be done.
	Work {
		job: u8,
	},
	Advance {
		blocks: u32,
	},
}

fn action() -> impl Strategy<Value = Action> {
	let (who, job) = (0..3u8, 0..6u8);
	let both = || (0..3u8, 0..6u8);
	prop_oneof![
		4 => (who.clone(), 1..16u8, 0..5u8, 0..90u32, prop::bool::weighted(0.2)).prop_map(
			|(who, recipients, price, lifetime, copy)| Action::Submit { who, recipients, price, lifetime, copy }
		),
		6 => both().prop_map(|(who, job)| Action::Claim { who, job }),
		3 => both().prop_map(|(who, job)| Action::Release { who, job }),
		3 => (who.clone(), job.clone(), any::<bool>())
			.prop_map(|(who, job, honest)| Action::Complete { who, job, honest }),
		2 => both().prop_map(|(who, job)| Action::Decline { who, job }),
		1 => both().prop_map(|(who, job)| Action::Cancel { who, job }),
		3 => (who.clone(), job.clone(), any::<bool>())
			.prop_map(|(who, job, lapse)| Action::End { who, job, lapse }),
		1 => both().prop_map(|(who, job)| Action::Forget { who, job }),
		1 => both().prop_map(|(who, job)| Action::Equivocate { who, job }),
		1 => (who.clone(), 0..3u8, 0..1_000_000u32)
			.prop_map(|(who, manifest, share)| Action::Publish { who, manifest, share }),
		1 => who.clone().prop_map(|who| Action::RetireModel { who }),
		1 => (who.clone(), 0..5u8).prop_map(|(who, price)| Action::Serve { who, price }),
		1 => who.clone().prop_map(|who| Action::Leave { who }),
		1 => who.clone().prop_map(|who| Action::TopUp { who }),
		1 => who.prop_map(|who| Action::Measure { who }),
		4 => job.prop_map(|job| Action::Work { job }),
		4 => prop_oneof![8 => 1..25u32, 1 => 600_000..700_000u32].prop_map(|blocks| Action::Advance { blocks }),
	]
}

/// The hostile: two are registered workers, all are funded.
fn hostile(scene: &Scene, who: u8) -> AccountId {
	match who {
		0 => scene.second.clone(),
		1 => market::account("worker", 7),
		_ => scene.mallory.clone(),
	}
}

struct History<'a> {
	scene: &'a Scene,
	orders: Vec<Order>,
	entries: Vec<Entry>,
}

impl History<'_> {
	fn job(&self, job: u8) -> H256 {
		let orders = &self.orders;
		orders.get(job as usize % orders.len().max(1)).map(Order::id).unwrap_or_default()
	}

	/// Puts a call into the block; whether it succeeds is the chain's business.
	fn tries(&self, who: &AccountId, call: RuntimeCall) -> bool {
		chain::apply(who, call, 0).is_ok()
	}

	fn perform(&mut self, action: &Action) {
		let scene = self.scene;
		let known = |job| pallet_jobs::Jobs::<Runtime>::contains_key(job);
		match *action {
			Action::Submit { who, recipients, price, lifetime, copy } => {
				let all = [scene.worker.clone(), hostile(scene, 0), hostile(scene, 1), scene.mallory.clone()];
				let named = all.into_iter().enumerate().filter(|(bit, _)| recipients >> bit & 1 == 1);
				let model = match self.entries.last().filter(|_| copy) {
					Some(entry) => entry.id(),
					None => scene.model,
				};
				let client = if who == 0 { scene.client.clone() } else { hostile(scene, who) };
				let order = Order {
					client,
					model,
					recipients: named.map(|(_, account)| account).collect(),
					price: UNIT / 2 * u128::from(price),
					deadline: System::block_number() + lifetime,
					..scene.order(self.orders.len() as u64)
				};
				if self.tries(&order.client, order.submit()) {
					self.orders.push(order);
				}
			}
			Action::Claim { who, job } => {
				self.tries(&hostile(scene, who), market::claim(self.job(job), 25 * UNIT));
			}
			Action::Release { who, job } => {
				self.tries(&hostile(scene, who), market::release(self.job(job)));
			}
			Action::Complete { who, job, honest } if known(self.job(job)) => {
				let who = hostile(scene, who);
				self.tries(&who, market::complete(&who, self.job(job), honest));
			}
			Action::Decline { who, job } => {
				self.tries(&hostile(scene, who), market::decline(self.job(job)));
			}
			Action::Cancel { who, job } => {
				self.tries(&hostile(scene, who), market::cancel(self.job(job)));
			}
			Action::End { who, job, lapse } => {
				let call = if lapse { market::lapse } else { market::expire };
				self.tries(&hostile(scene, who), call(self.job(job)));
			}
			Action::Forget { who, job } => {
				self.tries(&hostile(scene, who), market::forget(self.job(job)));
			}
			Action::Equivocate { who, job } if known(self.job(job)) => {
				let call = market::equivocation(&hostile(scene, who), self.job(job));
				self.tries(&scene.client, call);
			}
			Action::Publish { who, manifest, share } => {
				let mut entry = Entry {
					publisher: hostile(scene, who),
					manifest: H256::repeat_byte(manifest),
					..scene.entry.clone()
				};
				entry.terms.share = share;
				if self.tries(&entry.publisher, entry.publish()) {
					self.entries.push(entry);
				}
			}
			Action::RetireModel { who } => {
				let model = self.entries.last().map(Entry::id).unwrap_or(scene.model);
				let call = RuntimeCall::Models(pallet_models::Call::retire { model });
				self.tries(&hostile(scene, who), call);
			}
			Action::Serve { who, price } => {
				let model = self.entries.last().map(Entry::id).unwrap_or(scene.model);
				self.tries(&hostile(scene, who), market::serve(model, UNIT / 2 * u128::from(price)));
			}
			Action::Leave { who } => {
				let who = hostile(scene, who);
				self.tries(&who, RuntimeCall::Workers(pallet_workers::Call::retire {}));
				self.tries(&who, RuntimeCall::Workers(pallet_workers::Call::withdraw {}));
			}
			Action::TopUp { who } => {
				self.tries(&hostile(scene, who), RuntimeCall::Workers(pallet_workers::Call::top_up {}));
			}
			Action::Measure { who } => {
				let call = RuntimeCall::Models(pallet_models::Call::measure { model: scene.model });
				self.tries(&hostile(scene, who), call);
			}
			Action::Work { job } => {
				let job = self.job(job);
				// What the node looks at before it claims: that it is to do, and that there is time.
				let time = pallet_jobs::Jobs::<Runtime>::get(job)
					.is_some_and(|job| job.deadline >= System::block_number() + 2);
				if time && self.tries(&scene.worker, market::claim(job, BOND)) {
					next_block();
					let call = market::complete(&scene.worker, job, true);
					assert!(self.tries(&scene.worker, call), "what was claimed can be done");
					assert!(accepted(job));
				}
			}
			Action::Advance { blocks } => chain::skip_to(System::block_number() + blocks),
			Action::Complete { .. } | Action::Equivocate { .. } => {}
		}
	}

	/// Rule 1 and 4: whoever does its work loses no bond and no stake, whatever others do.
	fn honest_worker_lost_nothing(&self, from: usize) {
		for event in chain::events(from) {
			match event {
				RuntimeEvent::Jobs(
					JobsEvent::Lapsed { worker, .. }
					| JobsEvent::Released { worker, .. }
					| JobsEvent::Rejected { worker, .. }
					| JobsEvent::FaultyProof { worker, .. },
				)
				| RuntimeEvent::Workers(
					WorkersEvent::Suspended { worker, .. } | WorkersEvent::Equivocated { worker, .. },
				) => assert_ne!(worker, self.scene.worker),
				_ => {}
			}
		}
	}
}

proptest! {
	#![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

	#[test]
	fn every_rule_holds_whatever_people_do(actions in vec(action(), 1..40)) {
		play(|scene| {
			let issuance = Balances::total_issuance();
			let registered = market::account("worker", 7);
			let give = polkadot_sdk::pallet_balances::Call::transfer_keep_alive {
				dest: proofward_runtime::Address::Id(registered.clone()),
				value: 400 * UNIT,
			};
			done(&scene.mallory, RuntimeCall::Balances(give));
			market::register(&registered);
			done(&registered, market::serve(scene.model, UNIT / 2));

			let mut history = History { scene, orders: vec![], entries: vec![] };
			let mut epochs = std::collections::BTreeMap::<AccountId, u32>::new();
			for action in &actions {
				let (block, seen) = (System::block_number(), System::event_count() as usize);
				history.perform(action);
				let from = if System::block_number() == block { seen } else { 0 };
				history.honest_worker_lost_nothing(from);
				chain::check(issuance).map_err(|fault| TestCaseError::fail(format!("{fault} after {action:?}")))
					.expect("every invariant holds");
				for (who, epoch) in pallet_workers::Epochs::<Runtime>::iter() {
					let before = epochs.insert(who, epoch).unwrap_or_default();
					assert!(epoch >= before, "an epoch came back after {action:?}");
				}
			}

			// Rule 2: time gives everyone back what is theirs, and nothing of it stays.
			chain::skip_to(System::block_number() + MaxDeadline::get() + 1);
			for order in &history.orders {
				let _ = chain::apply(&scene.client, market::expire(order.id()), 0);
			}
			chain::skip_to(System::block_number() + Retention::get() + 1);
			for order in &history.orders {
				let _ = chain::apply(&scene.client, market::forget(order.id()), 0);
			}
			for entry in &history.entries {
				let model = entry.id();
				let _ = chain::apply(&entry.publisher, RuntimeCall::Models(pallet_models::Call::retire { model }), 0);
			}
			chain::skip_to(System::block_number() + MaxDeadline::get() + 1);
			for entry in &history.entries {
				let model = entry.id();
				let _ = chain::apply(&scene.client, RuntimeCall::Models(pallet_models::Call::remove { model }), 0);
			}
			assert_eq!(pallet_jobs::Jobs::<Runtime>::iter().count(), 0);
			assert_eq!(pallet_models::Models::<Runtime>::iter().count(), 1, "the honest entry");
			for who in [&scene.client, &scene.mallory] {
				assert_eq!(Balances::total_balance_on_hold(who), 0);
			}
			chain::check(issuance).expect("every invariant holds");
		});
	}
}
