//! What became of everybody.

use std::{collections::BTreeMap, fmt};

use polkadot_sdk::frame_support::weights::Weight;
use proofward_runtime::Balance;

use crate::{
	chain::units,
	people::{Scale, Strategy},
};

/// The least part of honest jobs that must be accepted by their deadline, in thousandths.
const LEAST_ACCEPTED: u64 = 990;

/// What a strategy cost those who follow it, and others; in the smallest unit.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Account {
	pub fees: Balance,
	pub bonds: Balance,
	pub slashed: Balance,
	/// Of the bonds, what went to honest clients.
	pub compensated: Balance,
	/// Fees of honest workers for nothing.
	pub wasted_fees: Balance,
	/// Prices of honest jobs that came to nothing by it, and of the waiting of those that it held up.
	pub harm: Balance,
}

impl Account {
	pub fn cost(&self) -> Balance {
		self.fees + self.bonds + self.slashed
	}

	pub fn all_harm(&self) -> Balance {
		self.harm + self.wasted_fees
	}
}

/// The accounts of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
	shape: [u64; 6],
	strategies: BTreeMap<Strategy, Account>,
	ordered: u64,
	unsubmitted: u64,
	accepted: u64,
	failed: u64,
	failed_in_no_hostile_hand: u64,
	waits: Vec<u32>,
	honest_losses: Vec<String>,
	/// Extrinsics that found a block full, once for each block.
	pub waited: u64,
	/// Honest submissions that were refused and went to others.
	pub asked_again: u64,
	pub verdict_limit: Weight,
}

impl Ledger {
	pub fn new(scale: Scale) -> Self {
		let shape = [
			scale.workers as u64,
			scale.clients as u64,
			scale.hostile_percent as u64,
			u64::from(scale.blocks),
			scale.models as u64,
			scale.seed,
		];
		Self {
			shape,
			strategies: BTreeMap::new(),
			ordered: 0,
			unsubmitted: 0,
			accepted: 0,
			failed: 0,
			failed_in_no_hostile_hand: 0,
			waits: vec![],
			honest_losses: vec![],
			waited: 0,
			asked_again: 0,
			verdict_limit: Weight::zero(),
		}
	}

	pub fn of(&mut self, strategy: Strategy) -> &mut Account {
		self.strategies.entry(strategy).or_default()
	}

	pub fn ordered(&mut self) {
		self.ordered += 1;
	}

	/// An honest client's `submit` was refused twice, or found no room in an hour.
	pub fn unsubmitted(&mut self) {
		self.unsubmitted += 1;
	}

	pub fn accepted(&mut self, wait: u32) {
		self.accepted += 1;
		self.waits.push(wait);
	}

	pub fn failed(&mut self, in_no_hostile_hand: bool) {
		self.failed += 1;
		self.failed_in_no_hostile_hand += u64::from(in_no_hostile_hand);
	}

	pub fn honest_loss(&mut self, what: String) {
		self.honest_losses.push(what);
	}

	/// What each strategy came to.
	pub fn strategies(&self) -> impl Iterator<Item = (&Strategy, &Account)> {
		self.strategies.iter()
	}

	/// Which rules were broken; nothing when all hold.
	pub fn broken(&self) -> Vec<String> {
		let mut broken = vec![];
		if let Some(first) = self.honest_losses.first() {
			broken.push(format!("{} honest losses, the first: {first}", self.honest_losses.len()));
		}
		if self.accepted * 1_000 < self.ordered * LEAST_ACCEPTED {
			broken.push(format!("of {} honest jobs only {} were accepted", self.ordered, self.accepted));
		}
		if self.ordered != self.accepted + self.failed + self.unsubmitted {
			broken.push("honest jobs are missing".into());
		}
		let total = self.total(|strategy| !strategy.fills_blocks());
		if total.all_harm() > total.cost() {
			broken.push("harm is cheaper than what it costs others".into());
		}
		broken
	}

	fn total(&self, counts: impl Fn(&Strategy) -> bool) -> Account {
		let counted = self.strategies.iter().filter(|(strategy, _)| counts(strategy));
		counted.fold(Account::default(), |sum, (_, one)| Account {
			fees: sum.fees + one.fees,
			bonds: sum.bonds + one.bonds,
			slashed: sum.slashed + one.slashed,
			compensated: sum.compensated + one.compensated,
			wasted_fees: sum.wasted_fees + one.wasted_fees,
			harm: sum.harm + one.harm,
		})
	}
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, account: &Account) -> fmt::Result {
	let harm = account.all_harm();
	let ratio = match harm {
		0 => "no harm".to_owned(),
		_ => format!("{:.2}", units(account.cost()) / units(harm)),
	};
	writeln!(
		f,
		"{name:<15} {:>9.2} {:>8.2} {:>8.2} {:>10.2} {:>9.2} {:>9.2} {:>10}",
		units(account.fees),
		units(account.bonds),
		units(account.slashed),
		units(account.compensated),
		units(account.wasted_fees),
		units(account.harm),
		ratio
	)
}

impl fmt::Display for Ledger {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let [workers, clients, hostile, blocks, models, seed] = self.shape;
		writeln!(
			f,
			"{workers} workers, {clients} clients, {hostile} % of both hostile; {models} models, {blocks} blocks, seed {seed}"
		)?;
		writeln!(
			f,
			"the runtime itself; proofs judged by the groth16 lane's contract in its EVM (limit of a verdict: {:.1} ms,"
			,
			self.verdict_limit.ref_time() as f64 / 1e9,
		)?;
		writeln!(
			f,
			"{} kB); not simulated: quotes, signatures, who makes the blocks, the network",
			self.verdict_limit.proof_size() / 1_024
		)?;
		writeln!(f)?;
		let mut waits = self.waits.clone();
		waits.sort_unstable();
		let at = |percent: usize| {
			waits.get(waits.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
		};
		writeln!(
			f,
			"honest jobs: {} ordered, {} accepted by their deadline ({:.2} %), {} refunded ({} of them in no hostile hand), {} refused for good; {} went to others after a refusal",
			self.ordered,
			self.accepted,
			100.0 * self.accepted as f64 / self.ordered.max(1) as f64,
			self.failed,
			self.failed_in_no_hostile_hand,
			self.unsubmitted,
			self.asked_again
		)?;
		writeln!(f, "blocks from submission to acceptance: median {}, 99 of 100 within {}", at(50), at(99))?;
		writeln!(f, "bonds and stakes that honest workers lost: {}", self.honest_losses.len())?;
		writeln!(f, "extrinsics that found their block full: {}", self.waited)?;
		writeln!(f)?;
		writeln!(
			f,
			"{:<15} {:>9} {:>8} {:>8} {:>10} {:>9} {:>9} {:>10}",
			"strategy", "fees", "bonds", "stakes", "(victims)", "wasted", "harm", "cost/harm"
		)?;
		for (strategy, account) in &self.strategies {
			row(f, &format!("{strategy:?}"), account)?;
		}
		row(f, "all but fillers", &self.total(|strategy| !strategy.fills_blocks()))?;
		row(f, "all", &self.total(|_| true))?;
		writeln!(f)?;
		writeln!(f, "UNIT. Cost: fees, bonds and stakes lost; (victims): of the bonds, what honest clients got. Harm: prices of")?;
		writeln!(f, "honest jobs that came to nothing, waiting at price by time ready to wait; wasted: honest workers' fees.")
	}
}
