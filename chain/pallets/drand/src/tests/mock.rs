//! A runtime whose clock the test sets.

use core::time::Duration;

use polkadot_sdk::{
	frame_support::{self, derive_impl, parameter_types, traits::UnixTime},
	frame_system::{self, EnsureRoot},
	sp_io::TestExternalities,
	sp_runtime::BuildStorage,
};

use crate::{self as pallet_drand};

type Block = frame_system::mocking::MockBlockU32<Test>;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(RuntimeCall, RuntimeEvent, RuntimeError, RuntimeOrigin, RuntimeTask)]
	pub struct Test;
	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Drand = pallet_drand;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
}

parameter_types! {
	pub storage Milliseconds: u64 = 0;
	pub storage LocalAllowed: bool = true;
}

pub struct Clock;
impl UnixTime for Clock {
	fn now() -> Duration {
		Duration::from_millis(Milliseconds::get())
	}
}

impl pallet_drand::Config for Test {
	type Governance = EnsureRoot<u64>;
	type Time = Clock;
	type LocalAllowed = LocalAllowed;
	type WeightInfo = ();
}

/// A chain with the network whose secret is known, or with quicknet.
pub fn chain(local: bool) -> TestExternalities {
	let genesis = RuntimeGenesisConfig {
		drand: pallet_drand::GenesisConfig { local, ..Default::default() },
		..Default::default()
	};
	genesis.build_storage().unwrap().into()
}

pub fn clock(milliseconds: u64) {
	Milliseconds::set(&milliseconds);
}

pub fn forbid_local() {
	LocalAllowed::set(&false);
}

pub fn anyone() -> RuntimeOrigin {
	RuntimeOrigin::signed(1)
}

pub fn governance() -> RuntimeOrigin {
	RuntimeOrigin::root()
}
