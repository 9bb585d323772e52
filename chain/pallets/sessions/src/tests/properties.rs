//! Random calls by everyone, in any order: no unit of balance appears, vanishes or lies about.

use polkadot_sdk::{frame_support::traits::fungible::Inspect, sp_core::H256};
use proofward_primitives::{Balance, Decision, RejectReason};
use proptest::{collection::vec, prelude::*};

use super::mock::*;
use crate::{types::*, Call, Nonces, Sessions as Records, Windows};

#[derive(Clone, Debug)]
enum Action {
	Open { client: u8, escrow: Balance, sample: u32, length: u32 },
	Offer { capacity: u32, bond: Balance },
	Withdraw,
	TopUp { session: u8, amount: Balance },
	Close { session: u8, by_client: bool },
	Checkpoint { session: u8, pages: u32 },
	Force { session: u8, page: u32 },
	Prove { session: u8, window: u8, good: bool, some: bool },
	Finish { session: u8 },
	Waive { session: u8 },
	Settle { session: u8, by_worker: bool },
	Break { broken: bool },
	Advance { blocks: u32 },
}

fn action() -> impl Strategy<Value = Action> {
	let session = 0..4u8;
	let one = session.clone();
	prop_oneof![
		3 => (0..3u8, 50..20_000u128, 1..400_000u32, 1..150u32)
			.prop_map(|(client, escrow, sample, length)| Action::Open { client, escrow, sample, length }),
		1 => (0..4u32, 40..2_000u128).prop_map(|(capacity, bond)| Action::Offer { capacity, bond }),
		1 => Just(Action::Withdraw),
		1 => (one.clone(), 0..5_000u128).prop_map(|(session, amount)| Action::TopUp { session, amount }),
		1 => (one.clone(), any::<bool>()).prop_map(|(session, by_client)| Action::Close { session, by_client }),
		8 => (one.clone(), 1..30u32).prop_map(|(session, pages)| Action::Checkpoint { session, pages }),
		2 => (one.clone(), 0..60u32).prop_map(|(session, page)| Action::Force { session, page }),
		8 => (one.clone(), 0..4u8, prop::bool::weighted(0.95), any::<bool>())
			.prop_map(|(session, window, good, some)| Action::Prove { session, window, good, some }),
		6 => one.clone().prop_map(|session| Action::Finish { session }),
		1 => one.clone().prop_map(|session| Action::Waive { session }),
		2 => (one, any::<bool>()).prop_map(|(session, by_worker)| Action::Settle { session, by_worker }),
		1 => prop::bool::weighted(0.2).prop_map(|broken| Action::Break { broken }),
		6 => prop_oneof![4 => 1..40u32, 1 => 150..250u32].prop_map(|blocks| Action::Advance { blocks }),
	]
}

fn perform(action: &Action, ids: &mut Vec<H256>) {
	let pick = |session: u8| ids.get(session as usize % ids.len().max(1)).copied().unwrap_or_default();
	let client_of = |id: H256| Records::<Test>::get(id).map_or(client(0), |session| session.client);
	let _ = match action.clone() {
		Action::Open { client: who, escrow, sample, length } => {
			let order = Order {
				client: client(who),
				nonce: H256::from_low_u64_be(ids.len() as u64),
				escrow,
				sample,
				end: System::block_number() + length,
				..Order::default()
			};
			let opened = order.open();
			if opened.is_ok() {
				ids.push(order.id());
			}
			opened
		}
		Action::Offer { capacity, bond } => {
			let terms = Terms { capacity, bond, ..terms() };
			dispatch(&worker(0), Call::offer { model: MODEL, terms })
		}
		Action::Withdraw => dispatch(&worker(0), Call::withdraw { model: MODEL }),
		Action::TopUp { session, amount } => {
			let id = pick(session);
			dispatch(&client_of(id), Call::top_up { session: id, amount })
		}
		Action::Close { session, by_client } => {
			let id = pick(session);
			let who = if by_client { client_of(id) } else { worker(0) };
			dispatch(&who, Call::close { session: id })
		}
		Action::Checkpoint { session, pages } if Records::<Test>::contains_key(pick(session)) => {
			Posting::honest(pick(session), pages).post()
		}
		Action::Checkpoint { .. } => Ok(()),
		Action::Force { session, page } => {
			let id = pick(session);
			let number = Records::<Test>::get(id).map_or(0, |session| session.next.saturating_sub(1));
			dispatch(&client_of(id), Call::force { session: id, number, page })
		}
		Action::Prove { session, window: number, good, some } => {
			let id = pick(session);
			let oldest = Records::<Test>::get(id).map_or(0, |session| session.oldest);
			let number = oldest + u32::from(number);
			let _ = dispatch(&client(2), Call::draw { session: id, number });
			let Some(window) = Windows::<Test>::get(id, number) else { return };
			let most = if some { 1 } else { 8 };
			let owed: Vec<u32> =
				window.asked.iter().filter(|one| !one.proved).map(|one| one.page).take(most).collect();
			let mut pages = proofs(id, number, &owed);
			if let Some(page) = pages.first_mut().filter(|_| !good) {
				page.proof[1] ^= 1;
			}
			prove(&worker(0), id, number, pages)
		}
		Action::Finish { session } => finish(pick(session)),
		Action::Waive { session } => dispatch(&worker(0), Call::waive { session: pick(session) }),
		Action::Settle { session, by_worker } => {
			settle(&if by_worker { worker(0) } else { client(1) }, pick(session))
		}
		Action::Break { broken } => {
			answer(broken.then_some(Decision::Rejected(RejectReason::Reverted)));
			amend_model(|model| model.retired = false);
			Ok(())
		}
		Action::Advance { blocks } => {
			at(System::block_number() + blocks);
			Ok(())
		}
	};
}

proptest! {
	#![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

	#[test]
	fn balance_is_conserved_and_every_invariant_holds(actions in vec(action(), 1..80)) {
		new_test_ext().execute_with(|| {
			let issuance = Balances::total_issuance();
			let mut ids = vec![];
			for action in &actions {
				perform(action, &mut ids);
				invariants_hold();
				assert_eq!(Balances::total_issuance(), issuance, "after {action:?}");
			}
			// Whatever happened, time gives everyone back what is theirs, by anybody's calls.
			answer(None);
			let last = System::block_number() + MaxLength::get() + 2_000;
			for id in &ids {
				at(last);
				while finish(*id).is_ok() {}
				let _ = settle(&client(2), *id);
			}
			let _ = dispatch(&worker(0), Call::withdraw { model: MODEL });
			assert_eq!(Records::<Test>::iter().count() + Windows::<Test>::iter().count(), 0);
			invariants_hold();
			for who in (0..3).map(client).chain([worker(0)]) {
				let nonce = Nonces::<Test>::get(&who).map_or(0, |(_, deposit)| deposit);
				assert_eq!(Balances::balance(&who) + nonce, Balances::total_balance(&who), "held of {who}");
			}
		});
	}
}
