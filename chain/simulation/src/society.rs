//! The loop over blocks: people wish, the pool sorts, the runtime decides, and the ledger notes who lost what to whom.

use std::collections::{BTreeMap, BTreeSet};

use codec::Encode;
use pallet_jobs::Event as JobsEvent;
use pallet_models::types::Terms;
use pallet_workers::Event as WorkersEvent;
use polkadot_sdk::{sp_core::H256, *};
use proofward_runtime::{
	config::{MaxBond, MinPrice, UNIT},
	AccountId, Balance, Balances, RuntimeCall, RuntimeEvent, System,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
	chain::{self, Failure},
	ledger::Ledger,
	market::{self, Entry, Order},
	people::{Scale, Strategy, Who},
};

/// Blocks that an honest worker needs, at least and at most; and those that it wants to see left.
const WORK: core::ops::RangeInclusive<u32> = 2..=5;
const MARGIN: u32 = 12;
/// Workers of an honest job, and blocks between their turns.
const RECIPIENTS: usize = 3;
const TURN: u32 = 2;
/// Blocks of a claim in every honest model's terms. Three recipients have time for one each.
const CLAIM_BLOCKS: u32 = 30;
const DEADLINE: u32 = RECIPIENTS as u32 * CLAIM_BLOCKS + MARGIN;
/// The most that an honest worker puts down.
const MAX_BOND: Balance = 5 * UNIT;
/// Claims that a hostile worker holds at once, and open jobs of a flooder.
const GREED: usize = 6;
const FLOOD: usize = 12;
/// Bytes that fill a block.
const STUFFING: usize = 3_900_000;
/// Blocks between two volleys of those who crowd: all at once, so that they fill what is kept for endings.
const VOLLEY: u32 = 5;
/// Blocks for which an extrinsic waits for room.
const PATIENCE: u32 = 64;
/// Blocks whose changes are kept aside before they join the state: each block looks at all of them, to clear what the
/// block before left, so that a history of thousands would take quadratic time.
const KEPT: u32 = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
	/// Since when.
	Queued(u32),
	Held {
		by: usize,
		since: u32,
		lapses: u32,
	},
	Ended,
}

/// A job as its people know it.
struct Job {
	order: Order,
	client: usize,
	/// Whether the envelope opens.
	opens: bool,
	recipients: Vec<usize>,
	submitted: u32,
	stage: Stage,
	/// Who held it up, and for how many blocks.
	held_up: Vec<(Strategy, u32)>,
	held_up_by: Vec<usize>,
}

#[derive(Default)]
struct Worker {
	inbox: Vec<H256>,
	/// Jobs that it holds, and the block in which it acts on each.
	holds: Vec<(H256, u32)>,
	/// A wish of its is in the pool.
	waiting: bool,
	serves: Vec<usize>,
}

#[derive(Clone)]
enum Deed {
	Submit(Box<(Order, Vec<usize>, bool)>),
	/// After a refusal.
	SubmitAgain(Box<(Order, Vec<usize>, bool)>),
	Claim(H256),
	End,
	Decline(H256),
	Expire(H256),
	Other,
}

struct Wish {
	who: Who,
	call: RuntimeCall,
	deed: Deed,
	born: u32,
	priority: u64,
	length: usize,
}

/// Everything that is not on the chain.
pub struct Society {
	scale: Scale,
	/// The history's first block, after the founding.
	first: u32,
	rng: ChaCha8Rng,
	workers: Vec<Worker>,
	names: BTreeMap<AccountId, Who>,
	accounts: BTreeMap<Who, AccountId>,
	models: Vec<Entry>,
	jobs: BTreeMap<H256, Job>,
	/// Jobs by the block after their deadline.
	due: BTreeMap<u32, Vec<H256>>,
	open_of: BTreeMap<usize, Vec<H256>>,
	pool: Vec<Wish>,
	standing: Vec<Option<u64>>,
	equivocated: BTreeSet<H256>,
	nonce: u64,
	pub ledger: Ledger,
}

impl Society {
	/// Runs a whole history and returns what became of everybody, or how the chain broke.
	pub fn run(scale: Scale, mut progress: impl FnMut(u32)) -> Result<Ledger, String> {
		let mut people = vec![];
		for (role, count, funds) in [("worker", scale.workers, 140), ("client", scale.clients, 100)] {
			let hostile = scale.hostile(count);
			people.extend((0..count).map(|number| {
				let more = if number < hostile { 400 } else { 0 };
				(market::account(role, number), (funds + more) * UNIT)
			}));
		}
		people.extend((0..scale.models).map(|number| (market::account("publisher", number), 100 * UNIT)));
		let mut chain = chain::genesis(people);
		let (mut society, issuance) =
			chain.execute_with(|| (Self::founded(scale), Balances::total_issuance()));
		let (first, busy) = (society.first, society.first + scale.blocks);
		let last = busy + DEADLINE + PATIENCE;
		for begin in (first..=last).step_by(KEPT as usize) {
			chain.commit_all()?;
			chain.execute_with(|| {
				for number in begin..(begin + KEPT).min(last + 1) {
					society.lives_through(number, number < busy);
					let done = number + 1 - first;
					if done.is_multiple_of(1_000) || number == last {
						chain::check(issuance).map_err(|fault| format!("after block {done}: {fault}"))?;
						progress(done);
					}
				}
				Ok::<_, String>(())
			})?;
		}
		Ok(society.ledger)
	}

	/// One block. In a quiet one nobody asks for anything new.
	fn lives_through(&mut self, number: u32, busy: bool) {
		chain::begin(number);
		if busy {
			self.clients_wish(number);
		}
		self.workers_wish(number);
		self.the_due_are_ended(number);
		self.block(number);
		chain::end();
	}

	/// The first blocks: software is allowed, models are published, workers register and say what they serve.
	fn founded(scale: Scale) -> Self {
		chain::begin(1);
		market::allow_software();
		let mut rng = ChaCha8Rng::seed_from_u64(scale.seed);
		let mut accounts = BTreeMap::new();
		accounts.extend((0..scale.workers).map(|n| (Who::Worker(n), market::account("worker", n))));
		accounts.extend((0..scale.clients).map(|n| (Who::Client(n), market::account("client", n))));
		accounts.extend((0..scale.models).map(|n| (Who::Publisher(n), market::account("publisher", n))));
		let names = accounts.iter().map(|(who, account)| (account.clone(), *who)).collect();

		let models: Vec<Entry> = (0..scale.models)
			.map(|number| Entry {
				publisher: accounts[&Who::Publisher(number)].clone(),
				manifest: H256::repeat_byte(number as u8 + 1),
				terms: Terms {
					price: UNIT + UNIT / 4 * (number as u128 % 5),
					share: 100_000,
					bond: 2 * UNIT,
					claim_blocks: CLAIM_BLOCKS,
				},
			})
			.collect();
		let mut ledger = Ledger::new(scale);
		for entry in &models {
			while let Err(failure) = chain::apply(&entry.publisher, entry.publish(), 0) {
				assert_eq!(failure, Failure::BlockFull, "an honest entry");
				chain::skip_to(System::block_number() + 1);
			}
		}
		let mut workers: Vec<Worker> = (0..scale.workers).map(|_| Worker::default()).collect();
		for (number, worker) in workers.iter_mut().enumerate() {
			let account = &accounts[&Who::Worker(number)];
			market::register(account);
			let many = scale.models.div_ceil(2);
			worker.serves = rand::seq::index::sample(&mut rng, scale.models, many).into_vec();
			for &model in &worker.serves {
				let call = market::serve(models[model].id(), MinPrice::get());
				while let Err(failure) = chain::apply(account, call.clone(), 0) {
					assert_eq!(failure, Failure::BlockFull, "an honest declaration");
					chain::skip_to(System::block_number() + 1);
				}
			}
		}
		ledger.verdict_limit = market::verdict_limit(&models[0].id()).expect("published");
		// The history's own blocks follow; the founding is outside of its accounts.
		chain::end();
		let standing = vec![Some(1_000_000); scale.workers];
		Self {
			scale,
			first: System::block_number() + 1,
			rng,
			workers,
			names,
			accounts,
			models,
			jobs: BTreeMap::new(),
			due: BTreeMap::new(),
			open_of: BTreeMap::new(),
			pool: vec![],
			standing,
			equivocated: BTreeSet::new(),
			nonce: 0,
			ledger,
		}
	}

	fn worker_strategy(&self, number: usize) -> Option<Strategy> {
		let all = Strategy::WORKERS;
		(number < self.scale.hostile(self.scale.workers)).then(|| all[number % all.len()])
	}

	fn client_strategy(&self, number: usize) -> Option<Strategy> {
		let all = Strategy::CLIENTS;
		(number < self.scale.hostile(self.scale.clients)).then(|| all[number % all.len()])
	}

	fn strategy(&self, who: Who) -> Option<Strategy> {
		match who {
			Who::Worker(number) => self.worker_strategy(number),
			Who::Client(number) => self.client_strategy(number),
			Who::Publisher(_) => None,
		}
	}

	fn wish(&mut self, who: Who, call: RuntimeCall, deed: Deed, born: u32) {
		let priority = chain::priority(&self.accounts[&who], &call, 0);
		let length = call.encoded_size();
		self.pool.push(Wish { who, call, deed, born, priority, length });
	}

	// ---- clients ----

	fn clients_wish(&mut self, now: u32) {
		if (now - self.first).is_multiple_of(25) {
			let reputation = |number: usize| market::reputation(&self.accounts[&Who::Worker(number)]);
			self.standing = (0..self.scale.workers).map(reputation).collect();
		}
		let (whole, part) = (self.scale.jobs_in_100_blocks / 100, self.scale.jobs_in_100_blocks % 100);
		let count = whole + u32::from(self.rng.random_range(0..100) < part);
		let hostile = self.scale.hostile(self.scale.clients);
		for _ in 0..count {
			let client = self.rng.random_range(hostile..self.scale.clients);
			let model = self.rng.random_range(0..self.models.len());
			let recipients = self.chosen(model);
			let price = self.models[model].terms.price;
			self.order(client, model, recipients, price, now + DEADLINE, true, now);
		}
		for client in 0..hostile {
			self.hostile_client(client, now);
		}
	}

	/// Weighted by record, never the same order: as the client's `choose`.
	fn chosen(&mut self, model: usize) -> Vec<usize> {
		let able: Vec<(usize, u64)> = (0..self.scale.workers)
			.filter(|number| self.workers[*number].serves.contains(&model))
			.filter_map(|number| self.standing[number].map(|weight| (number, weight.max(1))))
			.collect();
		self.drawn(able, RECIPIENTS)
	}

	/// Honest workers of a model, for people who want to harm them.
	fn victims(&mut self, model: usize, count: usize) -> Vec<usize> {
		let hostile = self.scale.hostile(self.scale.workers);
		let able: Vec<(usize, u64)> = (hostile..self.scale.workers)
			.filter(|number| self.workers[*number].serves.contains(&model))
			.map(|number| (number, 1))
			.collect();
		self.drawn(able, count)
	}

	fn drawn(&mut self, mut able: Vec<(usize, u64)>, count: usize) -> Vec<usize> {
		let mut drawn = vec![];
		while drawn.len() < count && !able.is_empty() {
			let sum: u64 = able.iter().map(|(_, weight)| weight).sum();
			let mut at = self.rng.random_range(0..sum);
			let index = able.iter().position(|(_, weight)| {
				let here = at < *weight;
				at = at.saturating_sub(*weight);
				here
			});
			drawn.push(able.remove(index.expect("below the sum")).0);
		}
		drawn
	}

	#[allow(clippy::too_many_arguments)]
	fn order(
		&mut self,
		client: usize,
		model: usize,
		recipients: Vec<usize>,
		price: Balance,
		deadline: u32,
		opens: bool,
		now: u32,
	) {
		let id = self.models[model].id();
		self.order_of(client, id, recipients, price, deadline, opens, now);
	}

	#[allow(clippy::too_many_arguments)]
	fn order_of(
		&mut self,
		client: usize,
		model: H256,
		recipients: Vec<usize>,
		price: Balance,
		deadline: u32,
		opens: bool,
		now: u32,
	) {
		self.nonce += 1;
		let order = Order {
			client: self.accounts[&Who::Client(client)].clone(),
			model,
			nonce: H256::from_low_u64_be(self.nonce),
			sealed: 1_024,
			recipients: recipients.iter().map(|n| self.accounts[&Who::Worker(*n)].clone()).collect(),
			price,
			deadline,
		};
		if self.client_strategy(client).is_none() {
			self.ledger.ordered();
		}
		let call = order.submit();
		self.wish(Who::Client(client), call, Deed::Submit(Box::new((order, recipients, opens))), now);
	}

	/// A client that was refused, because a recipient works no more, asks others once.
	fn orders_again(&mut self, who: Who, refused: &Order, now: u32) {
		let model = self.models.iter().position(|entry| entry.id() == refused.model).expect("honest");
		let recipients = self.chosen(model);
		self.nonce += 1;
		let order = Order {
			nonce: H256::from_low_u64_be(self.nonce),
			recipients: recipients.iter().map(|n| self.accounts[&Who::Worker(*n)].clone()).collect(),
			deadline: now + DEADLINE,
			..refused.clone()
		};
		self.ledger.asked_again += 1;
		let call = order.submit();
		self.wish(who, call, Deed::SubmitAgain(Box::new((order, recipients, true))), now);
	}

	fn hostile_client(&mut self, client: usize, now: u32) {
		let who = Who::Client(client);
		let model = client % self.models.len();
		let terms = self.models[model].terms;
		let open = self.open_of.get(&client).map_or(0, Vec::len);
		let turn = now as usize + client;
		match self.client_strategy(client).expect("hostile") {
			Strategy::Flooder if open < FLOOD && turn.is_multiple_of(5) => {
				let victims = self.victims(model, 8);
				self.order(client, model, victims, terms.price, now + 400, false, now);
			}
			Strategy::Trapper if turn.is_multiple_of(60) => {
				let victims = self.victims(model, 8);
				self.order(client, model, victims, 50 * UNIT, now + MARGIN / 2, true, now);
			}
			Strategy::Canceller => {
				if let Some(job) = self.open_of.get(&client).and_then(|jobs| jobs.last().copied()) {
					self.wish(who, market::cancel(job), Deed::Other, now);
				} else if turn.is_multiple_of(40) {
					let victims = self.victims(model, 8);
					self.order(client, model, victims, terms.price, now + DEADLINE, true, now);
				}
			}
			Strategy::Copycat => {
				let copy = Entry {
					publisher: self.accounts[&who].clone(),
					manifest: self.models[model].manifest,
					terms: Terms { share: 900_000, bond: MaxBond::get(), claim_blocks: 5, ..terms },
				};
				if turn.is_multiple_of(2_000) || now == self.first {
					self.wish(who, copy.publish(), Deed::Other, now);
				} else if turn.is_multiple_of(100) {
					let victims = self.victims(model, 8);
					self.order_of(client, copy.id(), victims, terms.price, now + DEADLINE, true, now);
				}
			}
			Strategy::Undercutter if turn.is_multiple_of(100) => {
				let victims = self.victims(model, 3);
				self.order(client, model, victims, terms.price - 1, now + DEADLINE, true, now);
				let entry = Entry {
					publisher: self.accounts[&who].clone(),
					manifest: self.models[model].manifest,
					terms: Terms { price: 0, ..terms },
				};
				self.wish(who, entry.publish(), Deed::Other, now);
			}
			Strategy::Spammer if turn.is_multiple_of(50) => {
				self.nonce += 1;
				let entry = Entry {
					publisher: self.accounts[&who].clone(),
					manifest: H256::from_low_u64_be(self.nonce),
					terms,
				};
				self.wish(who, entry.publish(), Deed::Other, now);
			}
			Strategy::Stuffer => self.stuffs(who, now),
			Strategy::Mixer if turn.is_multiple_of(3) => self.stuffs(who, now),
			Strategy::Mixer if open < FLOOD && turn.is_multiple_of(5) => {
				let victims = self.victims(model, 8);
				self.order(client, model, victims, terms.price, now + 400, false, now);
			}
			_ => {}
		}
	}

	/// One block of bytes at a time.
	fn stuffs(&mut self, who: Who, now: u32) {
		if !self.pool.iter().any(|wish| wish.who == who && wish.length > STUFFING / 2) {
			self.wish(who, market::stuffing(STUFFING), Deed::Other, now);
		}
	}

	/// Whose job is past its deadline asks for the money.
	fn the_due_are_ended(&mut self, now: u32) {
		for job in self.due.remove(&now).unwrap_or_default() {
			let view = &self.jobs[&job];
			if view.stage != Stage::Ended {
				let client = view.client;
				self.wish(Who::Client(client), market::expire(job), Deed::Expire(job), now);
			}
		}
	}

	// ---- workers ----

	fn workers_wish(&mut self, now: u32) {
		for number in 0..self.scale.workers {
			if self.workers[number].waiting {
				continue;
			}
			match self.worker_strategy(number) {
				Some(Strategy::Sleeper) if now <= self.first + self.scale.blocks / 3 => {
					self.honest_worker(number, now)
				}
				Some(Strategy::Equivocator) | None => self.honest_worker(number, now),
				Some(strategy) => self.hostile_worker(number, strategy, now),
			}
		}
	}

	fn worker_wishes(&mut self, number: usize, call: RuntimeCall, deed: Deed, now: u32) {
		self.workers[number].waiting = true;
		self.wish(Who::Worker(number), call, deed, now);
	}

	/// One job at a time, in its turn, if there is time; what does not open is declined.
	fn honest_worker(&mut self, number: usize, now: u32) {
		if let Some(&(job, ready)) = self.workers[number].holds.first() {
			if now >= ready {
				let call = market::complete(&self.accounts[&Who::Worker(number)], job, true);
				self.worker_wishes(number, call, Deed::End, now);
			}
			return;
		}
		for job in self.workers[number].inbox.clone() {
			let view = &self.jobs[&job];
			if !view.opens {
				self.workers[number].inbox.retain(|other| *other != job);
				return self.worker_wishes(number, market::decline(job), Deed::Decline(job), now);
			}
			let place = view.recipients.iter().position(|other| *other == number).unwrap_or_default();
			// Who wants to sign twice does not wait for its turn.
			let eager = self.worker_strategy(number) == Some(Strategy::Equivocator);
			let place = if eager { 0 } else { place as u32 };
			let since = match view.stage {
				Stage::Queued(since) => since,
				Stage::Held { lapses, .. } => lapses + 1,
				Stage::Ended => continue,
			};
			if now >= since + TURN * place && now + MARGIN <= view.order.deadline {
				return self.worker_wishes(number, market::claim(job, MAX_BOND), Deed::Claim(job), now);
			}
		}
	}

	fn hostile_worker(&mut self, number: usize, strategy: Strategy, now: u32) {
		let account = self.accounts[&Who::Worker(number)].clone();
		if strategy == Strategy::Crowder {
			self.crowds(number, now);
		}
		for (job, _) in self.workers[number].holds.clone() {
			let Stage::Held { since, lapses, .. } = self.jobs[&job].stage else { continue };
			let call = match strategy {
				Strategy::Holder | Strategy::Sleeper | Strategy::Crowder if now + 1 >= lapses => {
					market::release(job)
				}
				Strategy::QuickReleaser if now >= since + 3 => market::release(job),
				Strategy::Forger => market::complete(&account, job, false),
				_ => continue,
			};
			return self.worker_wishes(number, call, Deed::End, now);
		}
		if self.workers[number].holds.len() >= GREED {
			return;
		}
		let hostile = self.scale.hostile(self.scale.clients);
		let free = self.workers[number].inbox.iter().find(|job| {
			let view = &self.jobs[*job];
			let free = match view.stage {
				Stage::Queued(_) => true,
				Stage::Held { lapses, .. } => now > lapses,
				Stage::Ended => false,
			};
			// Others come first: it would only pay a fee.
			let again = view.held_up_by.contains(&number);
			free && !again && view.client >= hostile && now < view.order.deadline
		});
		if let Some(&job) = free {
			// Once is enough: a second release costs all.
			if strategy == Strategy::QuickReleaser {
				self.workers[number].inbox.retain(|other| *other != job);
			}
			self.worker_wishes(number, market::claim(job, MAX_BOND), Deed::Claim(job), now);
		}
	}

	/// For every claim a result of the largest size that ends nothing. In the pool all of them go first.
	fn crowds(&mut self, number: usize, now: u32) {
		let who = Who::Worker(number);
		if !now.is_multiple_of(VOLLEY) || self.pool.iter().any(|wish| wish.who == who) {
			return;
		}
		for (job, _) in self.workers[number].holds.clone() {
			self.wish(who, market::crowding(job), Deed::Other, now);
		}
	}

	// ---- the block ----

	fn block(&mut self, now: u32) {
		let mut pool = std::mem::take(&mut self.pool);
		pool.sort_by_key(|wish| std::cmp::Reverse(wish.priority));
		// The shortest that found no room: what is longer finds none either.
		let mut no_room_for = usize::MAX;
		for wish in pool {
			if wish.length >= no_room_for && now - wish.born < PATIENCE {
				self.ledger.waited += 1;
				self.pool.push(wish);
				continue;
			}
			let seen = System::event_count() as usize;
			let result = chain::apply(&self.accounts[&wish.who], wish.call.clone(), 0);
			if result == Err(Failure::BlockFull) && now - wish.born < PATIENCE {
				if wish.length > STUFFING / 2 {
					no_room_for = wish.length;
				}
				self.ledger.waited += 1;
				self.pool.push(wish);
				continue;
			}
			if let Who::Worker(number) = wish.who {
				self.workers[number].waiting = false;
			}
			let events = chain::events(seen);
			self.fees_are_noted(&wish, &events, result.is_err());
			match (&wish.deed, &result) {
				(Deed::Submit(about) | Deed::SubmitAgain(about), Ok(_)) => self.submitted(&wish, about, now),
				(Deed::Submit(about), Err(_)) if self.strategy(wish.who).is_none() => {
					self.orders_again(wish.who, &about.0, now);
				}
				(Deed::SubmitAgain(_), Err(_)) => self.ledger.unsubmitted(),
				(Deed::Expire(job), Err(_)) if self.jobs[job].stage != Stage::Ended => {
					self.due.entry(now + 1).or_default().push(*job);
				}
				_ => {}
			}
			for event in events {
				self.happened(event, now);
			}
		}
	}

	fn fees_are_noted(&mut self, wish: &Wish, events: &[RuntimeEvent], failed: bool) {
		let paid: Balance = events
			.iter()
			.map(|event| match event {
				RuntimeEvent::TransactionPayment(pallet_transaction_payment::Event::TransactionFeePaid {
					actual_fee,
					..
				}) => *actual_fee,
				_ => 0,
			})
			.sum();
		if let Some(strategy) = self.strategy(wish.who) {
			self.ledger.of(strategy).fees += paid;
			return;
		}
		let (Deed::Claim(job) | Deed::Decline(job)) = &wish.deed else { return };
		let view = &self.jobs[job];
		let culprit = self.client_strategy(view.client).or(match view.stage {
			Stage::Held { by, .. } => self.worker_strategy(by),
			_ => None,
		});
		let wasted = failed || matches!(wish.deed, Deed::Decline(_));
		if let Some(strategy) = culprit.filter(|_| wasted) {
			self.ledger.of(strategy).wasted_fees += paid;
		}
	}

	fn submitted(&mut self, wish: &Wish, about: &(Order, Vec<usize>, bool), now: u32) {
		let (order, recipients, opens) = about.clone();
		let Who::Client(client) = wish.who else { unreachable!("clients submit") };
		let id = order.id();
		recipients.iter().for_each(|number| self.workers[*number].inbox.push(id));
		self.due.entry(order.deadline + 1).or_default().push(id);
		self.open_of.entry(client).or_default().push(id);
		let stage = Stage::Queued(now);
		let job = Job {
			order,
			client,
			opens,
			recipients,
			submitted: now,
			stage,
			held_up: vec![],
			held_up_by: vec![],
		};
		self.jobs.insert(id, job);
	}

	fn happened(&mut self, event: RuntimeEvent, now: u32) {
		match event {
			RuntimeEvent::Jobs(event) => self.job_moved(event, now),
			RuntimeEvent::Workers(WorkersEvent::Suspended { worker, slashed, .. }) => {
				self.stake_lost(&worker, slashed);
			}
			RuntimeEvent::Workers(WorkersEvent::Equivocated { worker, slashed, .. }) => {
				self.stake_lost(&worker, slashed);
			}
			_ => {}
		}
	}

	fn number(&self, worker: &AccountId) -> usize {
		match self.names[worker] {
			Who::Worker(number) => number,
			_ => unreachable!("workers hold jobs"),
		}
	}

	fn stake_lost(&mut self, worker: &AccountId, slashed: Balance) {
		let number = self.number(worker);
		self.standing[number] = None;
		match self.worker_strategy(number) {
			Some(strategy) => self.ledger.of(strategy).slashed += slashed,
			None => self.ledger.honest_loss(format!("worker {number} lost {slashed} of its stake")),
		}
	}

	/// A worker let go of a job, and `cut` of its bond went to the client.
	fn let_go(&mut self, job: H256, worker: &AccountId, cut: Balance, out: bool, now: u32) {
		let number = self.number(worker);
		let strategy = self.worker_strategy(number);
		self.workers[number].holds.retain(|(other, _)| *other != job);
		if out {
			self.workers[number].inbox.retain(|other| *other != job);
		}
		let view = self.jobs.get_mut(&job).expect("known");
		let since = match view.stage {
			Stage::Held { since, .. } => since,
			_ => now,
		};
		view.stage = Stage::Queued(now);
		let honest_client = view.client >= self.scale.hostile(self.scale.clients);
		match strategy {
			Some(strategy) => {
				view.held_up.push((strategy, now - since));
				view.held_up_by.push(number);
				let account = self.ledger.of(strategy);
				account.bonds += cut;
				account.compensated += if honest_client { cut } else { 0 };
			}
			None => self.ledger.honest_loss(format!("worker {number} let go of a job and lost {cut}")),
		}
	}

	fn job_moved(&mut self, event: JobsEvent<proofward_runtime::Runtime>, now: u32) {
		match event {
			JobsEvent::Claimed { job, worker, lapses_at } => {
				let by = self.number(&worker);
				let ready = now + self.rng.random_range(WORK);
				self.workers[by].holds.push((job, ready));
				self.jobs.get_mut(&job).expect("known").stage =
					Stage::Held { by, since: now, lapses: lapses_at };
			}
			JobsEvent::Released { job, worker, bond_cut } => self.let_go(job, &worker, bond_cut, false, now),
			JobsEvent::Lapsed { job, worker, bond_cut } => self.let_go(job, &worker, bond_cut, false, now),
			JobsEvent::Rejected { job, worker, bond_cut, .. }
			| JobsEvent::FaultyProof { job, worker, bond_cut, .. } => {
				self.let_go(job, &worker, bond_cut, true, now);
			}
			JobsEvent::NoVerdict { job, worker, .. } => self.let_go(job, &worker, 0, true, now),
			JobsEvent::Accepted { job, worker, .. } => {
				let number = self.number(&worker);
				self.workers[number].holds.retain(|(other, _)| *other != job);
				self.ended(job, Some(number), now);
				if self.worker_strategy(number) == Some(Strategy::Equivocator) && self.equivocated.insert(job)
				{
					let reporter =
						self.rng.random_range(self.scale.hostile(self.scale.clients)..self.scale.clients);
					let call = market::equivocation(&worker, job);
					self.wish(Who::Client(reporter), call, Deed::Other, now);
				}
			}
			JobsEvent::Refunded { job, .. } => self.ended(job, None, now),
			_ => {}
		}
	}

	fn ended(&mut self, job: H256, accepted: Option<usize>, now: u32) {
		let hostile = self.scale.hostile(self.scale.clients);
		let view = self.jobs.get_mut(&job).expect("known");
		view.stage = Stage::Ended;
		for number in &view.recipients {
			self.workers[*number].inbox.retain(|other| *other != job);
			self.workers[*number].holds.retain(|(other, _)| *other != job);
		}
		let open = self.open_of.entry(view.client).or_default();
		open.retain(|other| *other != job);
		if view.client < hostile {
			return;
		}
		let held: u32 = view.held_up.iter().map(|(_, blocks)| blocks).sum();
		let life = view.order.deadline - view.submitted;
		for (strategy, blocks) in &view.held_up {
			let (part, whole) = match accepted {
				// What waiting is worth: the price, spread over the time that the client was ready to wait.
				Some(_) => (*blocks, life),
				None => (*blocks, held.max(1)),
			};
			self.ledger.of(*strategy).harm += view.order.price * Balance::from(part) / Balance::from(whole);
		}
		match accepted {
			Some(_) => self.ledger.accepted(now - view.submitted),
			None => self.ledger.failed(view.held_up.is_empty()),
		}
	}
}
