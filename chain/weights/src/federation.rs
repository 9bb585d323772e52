//! The federation pallet's calls, in a study with as many sites and rounds as there may be.

use pallet_federation::{
	commitments::{self, study_id, values_hash, Aggregate, Opening},
	types::*,
};
use polkadot_sdk::{
	frame_support::{assert_ok, traits::Currency, BoundedVec},
	sp_core::{Pair, H256},
	sp_runtime::{AccountId32, DispatchResult},
};
use proofward_fixtures as fixtures;

use crate::{
	calls::*,
	chain::*,
	measure::{cost, Cost},
};

const ROOT: H256 = H256([0xc0; 32]);
const RHO: u64 = 125_000_000;
const BUDGET: u64 = RHO * MAX_ROUNDS as u64;
const WINDOW: u32 = 100;
/// The block in which a round begins.
const BEGUN: u32 = 10;
/// The greatest value that can be committed to.
const VALUE: i64 = (1 << 52) - 1;

fn site(n: u32) -> AccountId32 {
	AccountId32::new([0x40 + n as u8; 32])
}

fn of(n: u32) -> RuntimeOrigin {
	RuntimeOrigin::signed(site(n))
}

fn study() -> H256 {
	study_id(&CLIENT, &NONCE)
}

fn rules() -> Rules {
	Rules { policy: H256::zero(), yearly: BUDGET, round: RHO, cohort: 1, purposes: u32::MAX }
}

fn plan(dimension: u32) -> Plan {
	Plan {
		rule: H256::zero(),
		dimension,
		clip: 100,
		variance: 40_000,
		budget: BUDGET,
		cohort: 1,
		rounds: MAX_ROUNDS,
		purpose: 1,
		window: WINDOW,
		end: 1_000_000,
	}
}

/// Sites that could be members, all with consents; the aggregator signs by its former key, which is tried last.
fn sites() {
	registered();
	pallet_workers::Workers::<Chain>::mutate(ALICE, |worker| {
		let receipt_key = receipt_pair(0x53).public().0;
		let worker = worker.as_mut().expect("registered");
		worker.previous = Some(pallet_workers::types::PreviousEpoch { epoch: 0, receipt_key });
	});
	for n in 0..MAX_MEMBERS {
		drop(Balances::deposit_creating(&site(n), 1_000));
		assert_ok!(Federation::register_site(of(n), rules()));
		System::set_block_number(BEGUN - 1);
		assert_ok!(Federation::set_consents(of(n), ROOT, 1));
	}
	System::set_block_number(BEGUN);
}

fn create(dimension: u32) -> DispatchResult {
	Federation::create(client(), NONCE, ALICE, plan(dimension))
}

/// A study that all but the last site are invited to.
fn almost_invited() {
	sites();
	assert_ok!(create(MAX_OPENED));
	for n in 0..MAX_MEMBERS - 1 {
		assert_ok!(Federation::invite(client(), study(), site(n)));
	}
}

fn invite() -> DispatchResult {
	Federation::invite(client(), study(), site(MAX_MEMBERS - 1))
}

fn join(n: u32) -> DispatchResult {
	Federation::join(of(n), study(), BUDGET)
}

fn almost_joined() {
	almost_invited();
	assert_ok!(invite());
	for n in 0..MAX_MEMBERS - 1 {
		assert_ok!(join(n));
	}
}

fn joined() {
	almost_joined();
	assert_ok!(join(MAX_MEMBERS - 1));
}

fn scalar(number: u32) -> [u8; 32] {
	let mut bytes = [0; 32];
	bytes[..4].copy_from_slice(&number.to_le_bytes());
	bytes
}

fn blinding(n: u32) -> u32 {
	n + 1
}

/// Sites commit to nothing but a blinding: the sum is the noise.
fn update(n: u32) -> Commitment {
	commitments::commit(&[], &scalar(blinding(n))).expect("a point")
}

fn noise(values: &[i64]) -> Commitment {
	commitments::commit(values, &scalar(1_000)).expect("small values")
}

fn open(noise: Commitment) -> impl Fn() -> DispatchResult {
	let at = BEGUN - 1;
	let (genesis, block) = (H256(fixtures::GENESIS), H256(fixtures::block_hash(at as u8)));
	let opening = Opening { genesis, study: study(), rule: H256::zero(), number: 0, at, block, noise };
	let signature = receipt_pair(0x53).sign(&opening.message()).0;
	move || Federation::open(alice(), study(), at, noise, signature)
}

fn commit(n: u32) -> DispatchResult {
	Federation::commit(of(n), study(), 0, update(n), ROOT)
}

fn almost_committed() {
	joined();
	assert_ok!(open(noise(&[1]))());
	for n in 0..MAX_MEMBERS - 1 {
		assert_ok!(commit(n));
	}
}

/// Of a study whose sums have so many values, opened by the chain or not.
fn publish(values: &[i64], whole: bool) -> Cost {
	let noise = noise(values);
	let parts: Vec<Commitment> = (0..MAX_MEMBERS).map(update).chain([noise]).collect();
	let said = Aggregate {
		genesis: H256(fixtures::GENESIS),
		study: study(),
		number: 0,
		sum: commitments::sum(parts.iter()).expect("points"),
		values: values_hash(values),
		absent: vec![],
	};
	let signature = receipt_pair(0x53).sign(&said.message()).0;
	let opened = scalar(1_000 + (0..MAX_MEMBERS).map(blinding).sum::<u32>());
	let values = if whole {
		Values::Whole(values.to_vec().try_into().expect("as many as the chain opens"))
	} else {
		Values::Hash(said.values)
	};
	let dimension = match &values {
		Values::Whole(values) => values.len() as u32,
		Values::Hash(_) => MAX_OPENED + 1,
	};
	cost(
		|| {
			joined();
			pallet_federation::Studies::<Chain>::mutate(study(), |study| {
				study.as_mut().expect("created").plan.dimension = dimension;
			});
			assert_ok!(open(noise)());
			(0..MAX_MEMBERS).for_each(|n| {
				assert_ok!(commit(n));
			});
		},
		|| {
			let absent = BoundedVec::new();
			Federation::publish(alice(), study(), 0, absent, values.clone(), opened, signature)
		},
	)
}

/// A study with all its rounds.
fn finished() {
	almost_committed();
	assert_ok!(commit(MAX_MEMBERS - 1));
	let round = pallet_federation::Rounds::<Chain>::get(study(), 0).expect("begun");
	for number in 0..MAX_ROUNDS {
		let round = Round { ending: Some(Ending::Failed), ..round.clone() };
		pallet_federation::Rounds::<Chain>::insert(study(), number, round);
	}
	pallet_federation::Studies::<Chain>::mutate(study(), |study| {
		let study = study.as_mut().expect("created");
		(study.next, study.open) = (MAX_ROUNDS, false);
	});
}

pub fn federation() -> Pallet {
	let one = publish(&[VALUE], true).or(publish(&[VALUE], false));
	let most = publish(&[-VALUE; MAX_OPENED as usize], true);
	let leaving = || {
		sites();
		drop(Balances::deposit_creating(&CLIENT, 1_000));
		assert_ok!(Federation::register_site(client(), rules()));
	};
	Pallet {
		name: "federation",
		calls: vec![
			fixed("register_site", cost(sites, || Federation::register_site(client(), rules()))),
			fixed("leave", cost(leaving, || Federation::leave(client()))),
			fixed("set_consents", cost(sites, || Federation::set_consents(of(0), ROOT, 2))),
			fixed("create", cost(sites, || create(MAX_OPENED))),
			fixed("invite", cost(almost_invited, invite)),
			fixed("join", cost(almost_joined, || join(MAX_MEMBERS - 1))),
			fixed("withdraw", cost(joined, || Federation::withdraw(of(MAX_MEMBERS - 1), study()))),
			arithmetic(fixed("open", cost(joined, open(noise(&[1]))))),
			arithmetic(fixed("commit", cost(almost_committed, || commit(MAX_MEMBERS - 1)))),
			arithmetic(linear(
				"publish",
				&["`values`: how many the chain opens."],
				one,
				vec![("values", MAX_OPENED, most)],
			)),
			fixed("fail", cost(almost_committed, || Federation::fail(alice(), study(), 0))),
			fixed("close", cost(finished, || Federation::close(client(), study()))),
		],
	}
}
