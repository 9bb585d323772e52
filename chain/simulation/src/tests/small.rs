//! What `make sim` shows of ten thousand blocks, shown of a few hundred.

use crate::{
	people::{Scale, Strategy},
	society::Society,
};

#[test]
fn honest_people_lose_nothing_and_get_their_results() {
	let ledger = Society::run(Scale::SMALL, |_| {}).expect("the chain's state holds together");
	println!("{ledger}");
	assert_eq!(ledger.broken(), Vec::<String>::new());
	// Nobody harms others for less than it costs himself.
	for (strategy, account) in ledger.strategies() {
		assert!(account.cost() >= account.all_harm(), "{strategy:?}: {account:?}");
	}
	// And the hostile were there, and paid.
	let paid =
		|strategy: Strategy| ledger.strategies().any(|(one, account)| *one == strategy && account.cost() > 0);
	for strategy in Strategy::WORKERS.into_iter().chain(Strategy::CLIENTS) {
		assert!(paid(strategy), "{strategy:?} took no part");
	}
}

#[test]
fn a_history_follows_from_its_seed() {
	let scale = Scale { blocks: 20, ..Scale::SMALL };
	let run = |seed| Society::run(Scale { seed, ..scale }, |_| {}).expect("it holds together");
	let seven = run(7);
	assert_eq!(seven, run(7));
	assert_ne!(seven, run(8));
}
