//! Random calls by everyone, in any order: no unit of balance appears, vanishes or lies about, and a job ends once.

use std::collections::BTreeMap;

use polkadot_sdk::{frame_support::traits::fungible::Inspect, sp_core::H256, sp_io::hashing::sha2_256};
use proofward_primitives::{Balance, Decision, RejectReason};
use proptest::{collection::vec, prelude::*};

use super::{invariants, mock::*};
use crate::{Event, Jobs as Records, Status};

/// What somebody does. `job` counts the jobs submitted so far and wraps around; `worker` is read by [`actor`].
#[derive(Clone, Debug)]
enum Action {
	Submit {
		client: u8,
		model: bool,
		recipients: u8,
		price: Balance,
		lifetime: u32,
		sealed: u16,
	},
	Claim {
		job: u8,
		worker: u8,
	},
	Release {
		job: u8,
		worker: u8,
	},
	Lapse {
		job: u8,
	},
	Complete {
		job: u8,
		worker: u8,
		good_proof: bool,
		faulty: bool,
		good_receipt: bool,
	},
	Expire {
		job: u8,
	},
	Decline {
		job: u8,
		worker: u8,
	},
	Cancel {
		job: u8,
		client: u8,
	},
	Forget {
		job: u8,
	},
	/// The contract breaks, or works again.
	Break {
		broken: bool,
	},
	Renew {
		worker: u8,
	},
	Advance {
		blocks: u32,
	},
}

fn action() -> impl Strategy<Value = Action> {
	let (job, worker) = (0..6u8, 0..12u8);
	prop_oneof![
		3 => (0..3u8, any::<bool>(), 0..16u8, 950..3_000u128, 0..90u32, 0..400u16).prop_map(
			|(client, model, recipients, price, lifetime, sealed)| Action::Submit {
				client, model, recipients, price, lifetime, sealed
			}
		),
		8 => (job.clone(), worker.clone()).prop_map(|(job, worker)| Action::Claim { job, worker }),
		2 => (job.clone(), worker.clone()).prop_map(|(job, worker)| Action::Release { job, worker }),
		2 => job.clone().prop_map(|job| Action::Lapse { job }),
		6 => (
			job.clone(),
			worker.clone(),
			prop::bool::weighted(0.6),
			prop::bool::weighted(0.1),
			prop::bool::weighted(0.9),
		)
			.prop_map(|(job, worker, good_proof, faulty, good_receipt)| Action::Complete {
				job,
				worker,
				good_proof,
				faulty,
				good_receipt,
			}),
		2 => job.clone().prop_map(|job| Action::Expire { job }),
		2 => (job.clone(), worker).prop_map(|(job, worker)| Action::Decline { job, worker }),
		1 => (job.clone(), 0..3u8).prop_map(|(job, client)| Action::Cancel { job, client }),
		1 => job.prop_map(|job| Action::Forget { job }),
		1 => prop::bool::weighted(0.3).prop_map(|broken| Action::Break { broken }),
		1 => (0..4u8).prop_map(|worker| Action::Renew { worker }),
		3 => prop_oneof![8 => 1..15u32, 1 => 500..600u32].prop_map(|blocks| Action::Advance { blocks }),
	]
}

/// Who works: three workers, and a client that is registered as one, so that it may hold its own jobs.
fn hand(n: u8) -> AccountId {
	if n == 3 {
		client(0)
	} else {
		worker(n)
	}
}

/// Below 4 anybody, rightly or not; above, whoever holds the job, else one of its recipients.
fn actor(n: u8, job: H256) -> AccountId {
	match Records::<Test>::get(job) {
		Some(record) if n >= 4 => match record.status {
			Status::Claimed { worker, .. } => worker,
			_ => record.recipients[n as usize % record.recipients.len()].clone(),
		},
		_ => hand(n % 4),
	}
}

/// Performs the action; whether it succeeds is the pallet's business.
fn perform(action: &Action, orders: &mut Vec<Order>) {
	let ids: Vec<H256> = orders.iter().map(Order::id).collect();
	let pick = |job: u8| ids.get(job as usize % ids.len().max(1)).copied().unwrap_or_default();
	let _ = match action.clone() {
		Action::Submit { client: who, model, recipients, price, lifetime, sealed } => {
			let order = Order {
				client: client(who),
				model: if model { MODEL } else { OTHER_MODEL },
				nonce: H256::from_low_u64_be(orders.len() as u64),
				sealed: vec![7; sealed.into()],
				recipients: (0..4).filter(|bit| recipients >> bit & 1 == 1).map(hand).collect(),
				price,
				deadline: System::block_number() + lifetime,
				..Order::default()
			};
			let result = order.submit();
			if result.is_ok() {
				orders.push(order);
			}
			result
		}
		Action::Claim { job, worker: who } => claim(&actor(who, pick(job)), pick(job)),
		Action::Release { job, worker: who } => release(&actor(who, pick(job)), pick(job)),
		Action::Lapse { job } => lapse(&client(0), pick(job)),
		Action::Complete { job, worker: who, good_proof, faulty, good_receipt }
			if Records::<Test>::contains_key(pick(job)) =>
		{
			let mut outcome = if good_proof {
				Outcome::honest(&actor(who, pick(job)), pick(job))
			} else {
				Outcome::with_bad_proof(&actor(who, pick(job)), pick(job))
			};
			if faulty {
				outcome.proof[0] = FAULTY;
				outcome.receipt.proof_hash = sha2_256(&outcome.proof).into();
			}
			outcome.receipt.level =
				if good_receipt { outcome.receipt.level } else { proofward_primitives::Level::Simulated };
			outcome.deliver()
		}
		Action::Complete { .. } => Ok(()),
		Action::Expire { job } => expire(&client(1), pick(job)),
		Action::Decline { job, worker: who } => decline(&actor(who, pick(job)), pick(job)),
		Action::Cancel { job, client: who } => cancel(&client(who), pick(job)),
		Action::Forget { job } => forget(&client(2), pick(job)),
		Action::Break { broken } => {
			if broken {
				answer(Decision::Rejected(RejectReason::Reverted));
			} else {
				answer_honestly();
			}
			Ok(())
		}
		Action::Renew { worker: who } => {
			renew(&hand(who));
			Ok(())
		}
		Action::Advance { blocks } => {
			at(System::block_number() + blocks);
			Ok(())
		}
	};
}

/// What everybody owns, holds included, if the events tell the truth; and how each job ended.
#[derive(Default)]
struct Ledger {
	owned: BTreeMap<AccountId, Balance>,
	clients: BTreeMap<H256, AccountId>,
	ended: BTreeMap<H256, &'static str>,
}

impl Ledger {
	fn shift(&mut self, from: &AccountId, to: &AccountId, amount: Balance) {
		*self.owned.get_mut(from).expect("known") -= amount;
		*self.owned.entry(to.clone()).or_default() += amount;
	}

	fn end(&mut self, job: H256, how: &'static str) {
		assert_eq!(self.ended.insert(job, how), None, "a job ended twice");
	}

	fn read(&mut self, event: Event<Test>) {
		match event {
			Event::Submitted { job, client, .. } => {
				assert!(self.clients.insert(job, client).is_none(), "an id was used twice");
			}
			Event::Accepted { job, worker, paid, royalty, .. } => {
				let client = self.clients[&job].clone();
				self.shift(&client, &worker, paid);
				self.shift(&client, &PUBLISHER, royalty);
				self.end(job, "accepted");
			}
			Event::Refunded { job, .. } => self.end(job, "refunded"),
			// Rule 1 and rule 4: a bond is lost to the client that waited, and by nothing else.
			Event::Lapsed { job, worker, bond_cut }
			| Event::Released { job, worker, bond_cut }
			| Event::Rejected { job, worker, bond_cut, .. }
			| Event::FaultyProof { job, worker, bond_cut, .. } => {
				assert!(bond_cut <= BOND, "more than the worker declared");
				let client = self.clients[&job].clone();
				self.shift(&worker, &client, bond_cut);
			}
			Event::Claimed { job, .. } | Event::NoVerdict { job, .. } => {
				assert!(!self.ended.contains_key(&job), "a job moved after its end");
			}
			Event::Declined { .. } => {}
			Event::Forgotten { job } => assert!(self.ended.contains_key(&job), "an open job was forgotten"),
			Event::Contested { .. } => unreachable!("nobody contests here"),
			Event::__Ignore(..) => unreachable!(),
		}
	}
}

proptest! {
	#![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

	#[test]
	fn balance_is_conserved_and_every_invariant_holds(actions in vec(action(), 1..64)) {
		new_test_ext().execute_with(|| {
			let issuance = Balances::total_issuance();
			let mut ledger = Ledger::default();
			Registered::insert(hand(3), Registered::get(worker(0)).expect("registered"));
			(0..3).map(client).chain((0..4).map(worker)).chain([PUBLISHER]).for_each(|who| {
				ledger.owned.insert(who, ENDOWMENT);
			});
			let mut orders = vec![];
			for action in &actions {
				System::reset_events();
				perform(action, &mut orders);
				for record in System::events() {
					if let RuntimeEvent::Jobs(event) = record.event {
						ledger.read(event);
					}
				}
				invariants::hold();
				assert_eq!(Balances::total_issuance(), issuance, "after {action:?}");
				for (who, owned) in &ledger.owned {
					assert_eq!(Balances::total_balance(who), *owned, "{who} after {action:?}");
				}
			}
			// Whatever happened, time gives everyone back what is theirs.
			at(System::block_number() + MaxDeadline::get() + 1);
			for order in &orders {
				let _ = expire(&client(2), order.id());
				assert!(Records::<Test>::get(order.id()).is_none_or(|job| !job.is_open()));
			}
			invariants::hold();
			// Rule 2: and nothing is left of it when the retention time is over.
			at(System::block_number() + Retention::get() + 1);
			for order in &orders {
				let _ = forget(&client(2), order.id());
			}
			assert_eq!(Records::<Test>::iter().count() + crate::JobsOf::<Test>::iter().count(), 0);
			invariants::hold();
		});
	}
}
