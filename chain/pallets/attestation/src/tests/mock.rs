//! A chain with this pallet and a clock.

use polkadot_sdk::{
	frame_support::{
		self, assert_ok, derive_impl,
		traits::{ConstU128, ConstU32, ConstU64},
	},
	sp_core::H256,
	sp_io::{hashing::sha2_256, TestExternalities},
	sp_runtime::{AccountId32, BuildStorage, DispatchError},
	*,
};
use proofward_fixtures as fixtures;
use proofward_primitives::{Level, QuoteVerifier, Verified};

use crate as pallet_attestation;

type Block = frame_system::mocking::MockBlockU32<Test>;

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
	pub type Attestation = pallet_attestation;
	#[runtime::pallet_index(3)]
	pub type Balances = pallet_balances;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
	type AccountId = AccountId32;
	type Lookup = sp_runtime::traits::IdentityLookup<AccountId32>;
	type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = u128;
	type ExistentialDeposit = ConstU128<1>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
}

impl pallet_timestamp::Config for Test {
	type Moment = u64;
	type OnTimestampSet = ();
	type MinimumPeriod = ConstU64<0>;
	type WeightInfo = ();
}

pub const DEPOSIT: u128 = 100;
pub const ENDOWMENT: u128 = 1_000;

impl pallet_attestation::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Governance = frame_system::EnsureRoot<AccountId32>;
	type CollateralDeposit = ConstU128<DEPOSIT>;
	type MaxFamilies = ConstU32<2>;
	type Time = Timestamp;
	type WeightInfo = ();
}

/// SHA-256 of the development root.
pub fn dev_root() -> H256 {
	sha2_256(&fixtures::DEV_ROOT).into()
}

/// What the development quotes measure: SHA-256 over the registers, of which only MRTD is not zero.
pub fn measurement(mrtd: u8) -> H256 {
	let mut message = b"proofward/measurement/v1".to_vec();
	message.extend([mrtd; 48]);
	message.extend([0; 7 * 48]);
	sha2_256(&message).into()
}

/// A chain that trusts Intel's root and the development root, at the time of the development quotes.
pub fn chain() -> TestExternalities {
	let config = RuntimeGenesisConfig {
		attestation: pallet_attestation::GenesisConfig {
			roots: vec![(Level::Simulated, hex::encode(&*fixtures::DEV_ROOT))],
			..Default::default()
		},
		balances: pallet_balances::GenesisConfig {
			balances: vec![(ANYONE, ENDOWMENT)],
			..Default::default()
		},
		..Default::default()
	};
	let mut chain = TestExternalities::new(config.build_storage().unwrap());
	chain.execute_with(|| {
		System::set_block_number(1);
		at(fixtures::now());
	});
	chain
}

pub fn at(now: u64) {
	pallet_timestamp::Now::<Test>::put(now);
}

pub const ANYONE: AccountId32 = AccountId32::new([9; 32]);

pub fn anyone() -> RuntimeOrigin {
	RuntimeOrigin::signed(ANYONE)
}

pub fn refresh(quote: Vec<u8>, collateral: Vec<u8>) -> frame_support::dispatch::DispatchResult {
	Attestation::refresh_collateral(anyone(), quote.try_into().unwrap(), collateral.try_into().unwrap())
}

/// A chain on which the development quotes verify.
pub fn ready() -> TestExternalities {
	let mut chain = chain();
	chain.execute_with(|| {
		assert_ok!(refresh(fixtures::quote("alice"), fixtures::collateral("up_to_date")));
		allow(measurement(0x11));
	});
	chain
}

pub fn allow(measurement: H256) {
	let label = b"test".to_vec().try_into().unwrap();
	assert_ok!(Attestation::allow_measurement(RuntimeOrigin::root(), measurement, label));
}

pub fn verify(quote: &[u8]) -> Result<Verified, DispatchError> {
	Attestation::verify_quote(quote)
}

pub fn refused(error: crate::Error<Test>) -> Result<Verified, DispatchError> {
	Err(error.into())
}
