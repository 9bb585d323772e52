//! A runtime whose one worker is a table, three hospitals, and what an honest enclave would post.

use codec::{Decode, Encode};
use polkadot_sdk::{
	frame_support::{
		self, assert_ok, derive_impl, parameter_types, storage_alias, traits::ConstU128, Blake2_128Concat,
	},
	frame_system::{self, RawOrigin},
	pallet_balances,
	sp_core::{ed25519, Pair, H256},
	sp_io::{hashing::blake2_256, TestExternalities},
	sp_runtime::{
		traits::{Dispatchable, IdentityLookup},
		AccountId32, BuildStorage, DispatchResult,
	},
};
use proofward_primitives::{Balance, Ending, Level, WorkerRegistry, WorkerView};

use crate::{
	self as pallet_federation,
	commitments::{self, values_hash, Aggregate, Opening},
	types::*,
	Call,
};

pub type AccountId = AccountId32;
type Block = frame_system::mocking::MockBlockU32<Test>;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeFreezeReason,
		RuntimeHoldReason,
		RuntimeSlashReason,
		RuntimeLockId,
		RuntimeTask,
		RuntimeViewFunction
	)]
	pub struct Test;
	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(2)]
	pub type Federation = pallet_federation;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
	type AccountId = AccountId;
	type Lookup = IdentityLookup<AccountId>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<10>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
}

parameter_types! {
	pub const MaxLength: u32 = 1_000;
	pub const Year: u32 = 500;
	pub const SiteDeposit: Balance = 11;
	pub const StudyDeposit: Balance = 100;
	pub const RoundDeposit: Balance = 7;
	pub const IdDeposit: Balance = 3;
}

impl pallet_federation::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Workers = Workers;
	type MaxLength = MaxLength;
	type Year = Year;
	type SiteDeposit = SiteDeposit;
	type StudyDeposit = StudyDeposit;
	type RoundDeposit = RoundDeposit;
	type IdDeposit = IdDeposit;
	type WeightInfo = ();
}

#[derive(Clone, Encode, Decode)]
pub struct Entry {
	pub active: bool,
	pub epoch: u32,
}

#[storage_alias]
pub type Registered = StorageMap<Registry, Blake2_128Concat, AccountId, Entry>;

pub struct Workers;
impl WorkerRegistry<AccountId> for Workers {
	fn active(worker: &AccountId) -> Option<WorkerView> {
		let entry = Registered::get(worker).filter(|entry| entry.active)?;
		Some(WorkerView {
			level: Level::Hardware,
			epoch: entry.epoch,
			receipt_key: receipt_pair(entry.epoch).public().0,
			previous_receipt_key: (entry.epoch > 1).then(|| receipt_pair(entry.epoch - 1).public().0),
			expires_at: 0,
			suspended: false,
		})
	}
	fn serves(_: &AccountId, _: &H256) -> Option<Balance> {
		unreachable!("an aggregator serves no models")
	}
	fn claim_opened(_: &AccountId) -> DispatchResult {
		unreachable!("an aggregator claims nothing")
	}
	fn claim_closed(_: &AccountId, _: Ending) {
		unreachable!("an aggregator claims nothing")
	}
	fn declined(_: &AccountId) {
		unreachable!("an aggregator declines nothing")
	}
}

pub fn receipt_pair(epoch: u32) -> ed25519::Pair {
	ed25519::Pair::from_seed(&blake2_256(&(b"receipt key", epoch).encode()))
}

pub const GENESIS: H256 = H256::repeat_byte(0x9e);
pub const RESEARCHER: AccountId = AccountId::new([0x70; 32]);
pub const AGGREGATOR: AccountId = AccountId::new([0xa6; 32]);
pub const STRANGER: AccountId = AccountId::new([0x55; 32]);
pub const ENDOWMENT: Balance = 1_000_000;
pub const ROOT: H256 = H256::repeat_byte(0xc0);
/// A round's cost under `plan()`.
pub const RHO: u64 = 125_000_000;
pub const BUDGET: u64 = 3 * RHO;

pub fn site(n: u8) -> AccountId {
	AccountId::new([0x10 + n; 32])
}

pub fn plan() -> Plan {
	Plan {
		rule: H256::repeat_byte(0x31),
		dimension: 4,
		clip: 100,
		variance: 40_000,
		budget: BUDGET,
		cohort: 2,
		rounds: 4,
		purpose: 0b10,
		window: 10,
		end: 400,
	}
}

pub fn rules() -> Rules {
	Rules { policy: H256::repeat_byte(0x50), yearly: 5 * RHO, round: RHO, cohort: 2, purposes: 0b110 }
}

pub fn study() -> H256 {
	commitments::study_id(&RESEARCHER, &H256::repeat_byte(1))
}

pub fn create(plan: Plan) -> DispatchResult {
	dispatch(&RESEARCHER, Call::create { nonce: H256::repeat_byte(1), aggregator: AGGREGATOR, plan })
}

pub fn join(n: u8) -> DispatchResult {
	dispatch(&site(n), Call::join { study: study(), budget: BUDGET })
}

/// Three registered sites with consents, one aggregator, no study yet. Block 3.
pub fn new_test_ext() -> TestExternalities {
	let accounts = (0..3).map(site).chain([RESEARCHER, AGGREGATOR, STRANGER]);
	let balances = accounts.map(|account| (account, ENDOWMENT)).collect();
	let storage = RuntimeGenesisConfig {
		balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
		..Default::default()
	}
	.build_storage()
	.expect("a valid genesis");
	let mut ext = TestExternalities::new(storage);
	ext.execute_with(|| {
		System::initialize(&1, &GENESIS, &Default::default());
		Registered::insert(&AGGREGATOR, Entry { active: true, epoch: 1 });
		for n in 0..3 {
			assert_ok!(dispatch(&site(n), Call::register_site { rules: rules() }));
			assert_ok!(dispatch(&site(n), Call::set_consents { root: ROOT, live: 5 }));
		}
		at(3);
	});
	ext
}

/// The plan's study, and an invitation to each of the three.
pub fn create_inviting(plan: Plan) {
	assert_ok!(create(plan));
	(0..3).for_each(|n| {
		assert_ok!(invite(&site(n)));
	});
}

pub fn invite(site: &AccountId) -> DispatchResult {
	dispatch(&RESEARCHER, Call::invite { study: study(), site: site.clone() })
}

/// The same with a study that all three have joined.
pub fn with_study() -> TestExternalities {
	let mut ext = new_test_ext();
	ext.execute_with(|| {
		create_inviting(plan());
		(0..3).for_each(|n| {
			assert_ok!(join(n));
		});
	});
	ext
}

pub fn dispatch(who: &AccountId, call: Call<Test>) -> DispatchResult {
	RuntimeCall::Federation(call)
		.dispatch(RawOrigin::Signed(who.clone()).into())
		.map(|_| ())
		.map_err(|error| error.error)
}

/// Jumps to a block, whose parent's hash the chain knows.
pub fn at(block: u32) {
	frame_system::BlockHash::<Test>::insert(block - 1, H256::repeat_byte((block - 1) as u8 | 1));
	System::set_block_number(block);
}

pub fn scalar(byte: u8) -> [u8; 32] {
	let mut bytes = [0; 32];
	bytes[0] = byte;
	bytes
}

/// A vector with its blinding.
#[derive(Clone)]
pub struct Secret {
	pub values: Vec<i64>,
	pub blinding: u8,
}

impl Secret {
	pub fn commitment(&self) -> Commitment {
		commitments::commit(&self.values, &scalar(self.blinding)).expect("small values")
	}
}

pub fn noise(number: u32) -> Secret {
	Secret { values: vec![i64::from(number) - 3, 2, -200, 77], blinding: 100 + number as u8 }
}

pub fn update(n: u8) -> Secret {
	Secret { values: vec![i64::from(n), -50, 3 * i64::from(n), 1 << 20], blinding: n + 1 }
}

pub fn opening(number: u32) -> Opening {
	let at = System::block_number() - 1;
	Opening {
		genesis: GENESIS,
		study: study(),
		rule: plan().rule,
		number,
		at,
		block: System::block_hash(at),
		noise: noise(number).commitment(),
	}
}

pub fn open_as(who: &AccountId, said: Opening, signed: Opening) -> DispatchResult {
	let signature = receipt_pair(1).sign(&signed.message()).0;
	dispatch(who, Call::open { study: said.study, at: said.at, noise: said.noise, signature })
}

pub fn open(number: u32) -> DispatchResult {
	open_as(&AGGREGATOR, opening(number), opening(number))
}

pub fn commit(n: u8, number: u32) -> DispatchResult {
	let commitment = update(n).commitment();
	dispatch(&site(n), Call::commit { study: study(), number, commitment, consents: ROOT })
}

/// The arguments of `publish`, and who signs; a test changes the one that it is about.
#[derive(Clone)]
pub struct Sum {
	pub who: AccountId,
	pub number: u32,
	pub absent: Vec<u32>,
	pub values: Vec<i64>,
	pub blinding: u8,
	pub epoch: u32,
	/// What the enclave signed, when it is not the same.
	pub signed: Option<Aggregate>,
}

impl Sum {
	/// Of these sites, in a round whose commitments came from `all` of them.
	pub fn of(number: u32, all: &[u8], absent: &[u32]) -> Self {
		let mut parts = vec![noise(number)];
		for (place, n) in all.iter().enumerate() {
			if !absent.contains(&(place as u32)) {
				parts.push(update(*n));
			}
		}
		let values = (0..4).map(|j| parts.iter().map(|part| part.values[j]).sum()).collect();
		let blinding = parts.iter().map(|part| part.blinding).sum();
		let absent = absent.to_vec();
		Self { who: AGGREGATOR, number, absent, values, blinding, epoch: 1, signed: None }
	}

	pub fn said(&self) -> Aggregate {
		let round = crate::Rounds::<Test>::get(study(), self.number).expect("a round");
		let places = round.committed.iter().enumerate();
		let present = places
			.filter(|(place, _)| !self.absent.contains(&(*place as u32)))
			.map(|(_, one)| &one.commitment)
			.chain([&round.noise]);
		Aggregate {
			genesis: GENESIS,
			study: study(),
			number: self.number,
			sum: commitments::sum(present).expect("points"),
			values: values_hash(&self.values),
			absent: self.absent.clone(),
		}
	}

	pub fn publish(&self) -> DispatchResult {
		let said = self.signed.clone().unwrap_or_else(|| self.said());
		let call = Call::publish {
			study: study(),
			number: self.number,
			absent: self.absent.clone().try_into().expect("few"),
			values: Values::Whole(self.values.clone().try_into().expect("few")),
			blinding: scalar(self.blinding),
			signature: receipt_pair(self.epoch).sign(&said.message()).0,
		};
		dispatch(&self.who, call)
	}
}

pub fn invariants_hold() {
	assert_ok!(Federation::do_try_state());
}
