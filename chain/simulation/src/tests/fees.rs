//! What the calls of a job's life cost in fees, as `docs/economics.md` tells it.

use polkadot_sdk::{pallet_transaction_payment::Event, sp_runtime::traits::Convert};
use proofward_runtime::{
	config::UNIT, fees::EndingReserve, AccountId, Balance, RuntimeCall, RuntimeEvent, System,
};

use super::scene::*;
use crate::{chain, market};

/// What a call that succeeds costs `who`.
fn fee(who: &AccountId, call: RuntimeCall) -> Balance {
	let seen = System::event_count() as usize;
	chain::apply(who, call, 0).expect("a call that succeeds");
	let paid = |event| match event {
		RuntimeEvent::TransactionPayment(Event::TransactionFeePaid { actual_fee, .. }) => actual_fee,
		_ => 0,
	};
	chain::events(seen).into_iter().map(paid).sum()
}

#[test]
fn docs_economics_tells_what_calls_cost() {
	let page = include_str!("../../../../docs/economics.md");
	let told = |what: &str, amount: Balance| {
		let row = format!("| {what} | {:.3} UNIT |", amount as f64 / UNIT as f64);
		println!("{row}");
		page.contains(&row)
	};
	play(|scene| {
		let order = scene.order(1);
		let mut good = told("`submit`, 512 bytes, one recipient", fee(&scene.client, order.submit()));
		good &= told("`claim`", fee(&scene.worker, market::claim(order.id(), BOND)));
		good &= told("`release`", fee(&scene.worker, market::release(order.id())));
		done(&scene.worker, market::claim(order.id(), BOND));
		next_block();
		let result = fee(&scene.worker, market::complete(&scene.worker, order.id(), true));
		good &= told("`complete`, 300 bytes of output, 256 of proof", result);
		let order = scene.order(2);
		done(&scene.client, order.submit());
		good &= told("`decline`", fee(&scene.worker, market::decline(order.id())));
		good &= told("`serve`", fee(&scene.worker, market::serve(scene.model, PRICE)));
		let entry = market::Entry { publisher: scene.mallory.clone(), ..scene.entry.clone() };
		next_block();
		good &= told("`publish`", fee(&scene.mallory, entry.publish()));
		let limit = market::verdict_limit(&scene.model).expect("published");
		good &= told("kept for the end of a claim", EndingReserve::convert(limit * 2));
		assert!(good, "docs/economics.md lacks a row that is printed above");
	});
}
