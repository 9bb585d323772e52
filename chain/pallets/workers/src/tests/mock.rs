//! A chain with clock, balances, the real attestation pallet and this one, at block 10 of the fixtures' chain.

use polkadot_sdk::{
	frame_support::{
		self, assert_ok, derive_impl,
		dispatch::DispatchResult,
		parameter_types,
		traits::{ConstU128, ConstU32, ConstU64},
		weights::Weight,
	},
	sp_core::{ed25519, Pair, H256},
	sp_io::TestExternalities,
	sp_runtime::{AccountId32, BuildStorage, Permill},
	*,
};
use proofward_fixtures as fixtures;
use proofward_primitives::{
	messages::{possession, worker_report_data, Receipt},
	Lane, Level, ModelRegistry, ModelView, Setup,
};

use crate::{self as pallet_workers, types::*};

type Block = frame_system::mocking::MockBlockU32<Test>;

pub const ALICE: AccountId32 = AccountId32::new([1; 32]);
pub const BOB: AccountId32 = AccountId32::new([2; 32]);
pub const USUAL_STAKE: u128 = 100;
pub const LIFETIME: u64 = 24 * 3_600 * 1_000;
/// The block that the fixtures' quotes name.
pub const NAMED_BLOCK: u32 = 5;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeHoldReason,
		RuntimeFreezeReason,
		RuntimeTask
	)]
	pub struct Test;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Timestamp = pallet_timestamp;
	#[runtime::pallet_index(2)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(3)]
	pub type Attestation = pallet_attestation;
	#[runtime::pallet_index(4)]
	pub type Workers = pallet_workers;
}

parameter_types! {
	pub static Stake: u128 = USUAL_STAKE;
	/// Workers on one machine: the fixtures' quotes all come from the same.
	pub static Room: u32 = 2;
	pub const SlashShare: Permill = Permill::from_percent(50);
	pub const ReporterShare: Permill = Permill::from_percent(10);
	pub const RestitutionShare: Permill = Permill::from_percent(25);
	pub const MissShare: Permill = Permill::from_percent(2);
	pub const Pot: AccountId32 = POT;
}

pub const POT: AccountId32 = AccountId32::new([8; 32]);
pub const EPOCH_DEPOSIT: u128 = 10;
pub const UNBONDING: u32 = 50;
pub const MODEL: H256 = H256::repeat_byte(0xa1);
pub const RETIRED_MODEL: H256 = H256::repeat_byte(0xa2);

/// Two models, one of them retired.
pub struct Models;
impl ModelRegistry<AccountId32> for Models {
	fn model(id: &H256) -> Option<ModelView<AccountId32>> {
		[MODEL, RETIRED_MODEL].contains(id).then(|| ModelView {
			publisher: BOB,
			weights_digest: H256::zero(),
			lane: Lane::Groth16,
			setup: Setup::Dev,
			verifier: None,
			verdict_limit: Weight::zero(),
			price: 0,
			share: Permill::zero(),
			bond: 0,
			claim_blocks: 5,
			retired: *id == RETIRED_MODEL,
		})
	}
	fn verifying_key(_: &H256) -> Vec<u8> {
		vec![]
	}
	fn faulted(_: &H256) {}
}

pub struct PlatformRoom;
impl sp_runtime::traits::Convert<Level, u32> for PlatformRoom {
	fn convert(_: Level) -> u32 {
		Room::get()
	}
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
	type AccountId = AccountId32;
	type Lookup = sp_runtime::traits::IdentityLookup<AccountId32>;
	type AccountData = pallet_balances::AccountData<u128>;
}

impl pallet_timestamp::Config for Test {
	type Moment = u64;
	type OnTimestampSet = ();
	type MinimumPeriod = ConstU64<0>;
	type WeightInfo = ();
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = u128;
	type ExistentialDeposit = ConstU128<1>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
}

impl pallet_attestation::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Governance = frame_system::EnsureRoot<AccountId32>;
	type CollateralDeposit = ConstU128<0>;
	type MaxFamilies = ConstU32<8>;
	type Time = Timestamp;
	type WeightInfo = ();
}

impl pallet_workers::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Quotes = Attestation;
	type Trust = Attestation;
	type Models = Models;
	type Governance = frame_system::EnsureRoot<AccountId32>;
	type Time = Timestamp;
	type Pot = Pot;
	type Stake = Stake;
	type EpochDeposit = ConstU128<EPOCH_DEPOSIT>;
	type Lifetime = ConstU64<LIFETIME>;
	type Unbonding = ConstU32<UNBONDING>;
	type SlashShare = SlashShare;
	type ReporterShare = ReporterShare;
	type RestitutionShare = RestitutionShare;
	type ReliabilityWindow = ConstU32<100>;
	type Suspension = ConstU32<50>;
	type MissShare = MissShare;
	type PlatformRoom = PlatformRoom;
	type WeightInfo = ();
}

/// The registers' digest of the fixtures' quotes (`0x11`), or of the one with other software (`0x22`).
pub fn measurement(mrtd: u8) -> H256 {
	let zero = [0; 48];
	proofward_primitives::ids::measurement(&proofward_primitives::ids::TdRegisters {
		mrtd: &[mrtd; 48],
		rtmr: [&zero; 4],
		mr_config_id: &zero,
		mr_owner: &zero,
		mr_owner_config: &zero,
	})
}

pub fn allow(mrtd: u8) {
	assert_ok!(Attestation::allow_measurement(RuntimeOrigin::root(), measurement(mrtd), Default::default()));
}

pub fn chain() -> TestExternalities {
	let config = RuntimeGenesisConfig {
		attestation: pallet_attestation::GenesisConfig {
			roots: vec![(Level::Simulated, hex_root())],
			..Default::default()
		},
		balances: pallet_balances::GenesisConfig {
			balances: vec![(ALICE, 1_000), (BOB, 1_000), (POT, 1)],
			..Default::default()
		},
		..Default::default()
	};
	Stake::set(USUAL_STAKE);
	Room::set(2);
	let mut chain = TestExternalities::new(config.build_storage().unwrap());
	chain.execute_with(|| {
		frame_system::BlockHash::<Test>::insert(0, H256(fixtures::GENESIS));
		for block in 1..10 {
			frame_system::BlockHash::<Test>::insert(block, H256(fixtures::block_hash(block as u8)));
		}
		System::set_block_number(10);
		at(fixtures::now());
		let (quote, collateral) = (fixtures::quote("alice"), fixtures::collateral("up_to_date"));
		let anyone = RuntimeOrigin::signed(BOB);
		assert_ok!(Attestation::refresh_collateral(
			anyone,
			quote.try_into().unwrap(),
			collateral.try_into().unwrap()
		));
		allow(0x11);
	});
	chain
}

fn hex_root() -> String {
	fixtures::DEV_ROOT.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn at(now: u64) {
	pallet_timestamp::Now::<Test>::put(now);
}

/// A receipt key of the fixtures: the secret key is one byte, repeated.
pub fn receipt_pair(seed: u8) -> ed25519::Pair {
	ed25519::Pair::from_seed(&[seed; 32])
}

/// The arguments of `register` and `renew`, as the fixtures' quotes bind them.
#[derive(Clone)]
pub struct Arguments {
	pub quote: Vec<u8>,
	pub hpke_key: Vec<u8>,
	pub receipt_key: [u8; 32],
	/// Who signs that it holds the receipt key.
	pub holder: ed25519::Pair,
	pub epoch: u32,
	pub block: u32,
}

impl Arguments {
	fn of(quote: &str, seed: u8, epoch: u32) -> Self {
		Self {
			quote: fixtures::quote(quote),
			hpke_key: vec![0x77; 32],
			receipt_key: receipt_pair(seed).public().0,
			holder: receipt_pair(seed),
			epoch,
			block: NAMED_BLOCK,
		}
	}

	pub fn alice() -> Self {
		Self::of("alice", 0x51, 1)
	}

	pub fn alice_epoch_2() -> Self {
		Self::of("alice_epoch_2", 0x52, 2)
	}

	pub fn alice_other_software() -> Self {
		Self::of("alice_epoch_2_other_software", 0x52, 2)
	}

	pub fn bob() -> Self {
		Self::of("bob", 0x53, 1)
	}

	pub fn bob_with_alices_receipt_key() -> Self {
		Self::of("bob_with_alices_receipt_key", 0x51, 1)
	}

	/// The holder's signature over what the quote should bind.
	fn possession(&self, who: &AccountId32) -> [u8; 64] {
		let block_hash = frame_system::BlockHash::<Test>::get(self.block);
		let genesis = frame_system::BlockHash::<Test>::get(0);
		let data =
			worker_report_data(&genesis, who, &self.hpke_key, &self.receipt_key, self.epoch, &block_hash);
		self.holder.sign(&possession(&data)).0
	}
}

pub fn register(who: AccountId32, a: Arguments) -> DispatchResult {
	let signature = a.possession(&who);
	let (quote, key) = (a.quote.try_into().unwrap(), a.hpke_key.try_into().unwrap());
	let (origin, endpoint) = (RuntimeOrigin::signed(who), Endpoint::default());
	let result = Workers::register(origin, quote, key, a.receipt_key, signature, a.epoch, a.block, endpoint);
	assert_ok!(Workers::do_try_state());
	result
}

pub fn renew(who: AccountId32, a: Arguments) -> DispatchResult {
	let signature = a.possession(&who);
	let (quote, key) = (a.quote.try_into().unwrap(), a.hpke_key.try_into().unwrap());
	let (origin, endpoint) = (RuntimeOrigin::signed(who), Endpoint::default());
	let result = Workers::renew(origin, quote, key, a.receipt_key, signature, a.epoch, a.block, endpoint);
	assert_ok!(Workers::do_try_state());
	result
}

pub fn retire(who: AccountId32) -> DispatchResult {
	Workers::retire(RuntimeOrigin::signed(who))
}

/// Retires and takes the stake back when the time has come.
pub fn leave(who: AccountId32) {
	assert_ok!(retire(who.clone()));
	System::set_block_number(System::block_number() + UNBONDING);
	assert_ok!(Workers::withdraw(RuntimeOrigin::signed(who)));
	assert_ok!(Workers::do_try_state());
}

/// A receipt of Alice's for one job, with this output.
pub fn receipt(output: u8) -> Receipt<AccountId32> {
	Receipt {
		genesis: H256(fixtures::GENESIS),
		job: H256::repeat_byte(9),
		model: MODEL,
		worker: ALICE,
		weights_digest: H256::zero(),
		input_commitment: H256::zero(),
		output_commitment: H256::repeat_byte(output),
		sealed_output_hash: H256::zero(),
		proof_hash: H256::zero(),
		level: Level::Simulated,
		setup: Setup::Dev,
		block: 10,
	}
}

pub fn signed(seed: u8, receipt: &Receipt<AccountId32>) -> [u8; 64] {
	receipt_pair(seed).sign(&receipt.message()).0
}
