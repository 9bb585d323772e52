//! A chain with our pallets, but for the consortium's. Contracts and their verdicts cost nothing here: the runtime charges what the
//! contract really used on top.

use std::cell::Cell;

use polkadot_sdk::{
	frame_support::{
		self, derive_impl, parameter_types,
		traits::{ConstU128, ConstU32, ConstU64},
		weights::Weight,
	},
	sp_core::{H160, H256},
	sp_io::TestExternalities,
	sp_runtime::{traits::IdentityLookup, AccountId32, BuildStorage, Permill},
	*,
};
use proofward_fixtures as fixtures;
use proofward_primitives::{
	Beacon, ContractCode, Decision, Draw, Lane, Level, ProofVerifier, RejectReason, Statement, Verdict,
	VerifierContract,
};

type Block = frame_system::mocking::MockBlockU32<Chain>;

pub const ALICE: AccountId32 = AccountId32::new([1; 32]);
pub const CLIENT: AccountId32 = AccountId32::new([9; 32]);
pub const POT: AccountId32 = AccountId32::new([8; 32]);
pub const CODE_HASH: H256 = H256([0xc0; 32]);

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
	pub struct Chain;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Timestamp = pallet_timestamp;
	#[runtime::pallet_index(2)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(7)]
	pub type Attestation = pallet_attestation;
	#[runtime::pallet_index(8)]
	pub type Workers = pallet_workers;
	#[runtime::pallet_index(9)]
	pub type Models = pallet_models;
	#[runtime::pallet_index(10)]
	pub type Jobs = pallet_jobs;
	#[runtime::pallet_index(30)]
	pub type InferenceSessions = pallet_sessions;
	#[runtime::pallet_index(31)]
	pub type Drand = pallet_drand;
	#[runtime::pallet_index(35)]
	pub type Federation = pallet_federation;
}

parameter_types! {
	pub const Half: Permill = Permill::from_percent(50);
	pub const MissShare: Permill = Permill::from_percent(2);
	pub const Tenth: Permill = Permill::from_percent(10);
	pub const Pot: AccountId32 = POT;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Chain {
	type Block = Block;
	type AccountId = AccountId32;
	type Lookup = IdentityLookup<AccountId32>;
	type AccountData = pallet_balances::AccountData<u128>;
}

impl pallet_timestamp::Config for Chain {
	type Moment = u64;
	type OnTimestampSet = ();
	type MinimumPeriod = ConstU64<0>;
	type WeightInfo = ();
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Chain {
	type Balance = u128;
	type ExistentialDeposit = ConstU128<1>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
}

pub struct Room;

impl sp_runtime::traits::Convert<Level, u32> for Room {
	fn convert(_: Level) -> u32 {
		16
	}
}

impl pallet_attestation::Config for Chain {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Governance = frame_system::EnsureRoot<AccountId32>;
	type CollateralDeposit = ConstU128<10>;
	type MaxFamilies = ConstU32<256>;
	type Time = Timestamp;
	type WeightInfo = ();
}

impl pallet_workers::Config for Chain {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Quotes = Attestation;
	type Trust = Attestation;
	type Models = Models;
	type Governance = frame_system::EnsureRoot<AccountId32>;
	type Time = Timestamp;
	type Pot = Pot;
	type Stake = ConstU128<100>;
	type EpochDeposit = ConstU128<10>;
	type Lifetime = ConstU64<86_400_000>;
	type Unbonding = ConstU32<604_800>;
	type SlashShare = Half;
	type ReporterShare = Tenth;
	type RestitutionShare = Tenth;
	type ReliabilityWindow = ConstU32<86_400>;
	type Suspension = ConstU32<3_600>;
	type MissShare = MissShare;
	type PlatformRoom = Room;
	type WeightInfo = ();
}

impl pallet_models::Config for Chain {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Contracts = Contracts;
	type Quotes = Attestation;
	type Trust = Attestation;
	type Governance = frame_system::EnsureRoot<AccountId32>;
	type BlockNumberProvider = System;
	type Pot = Pot;
	type MinPrice = ConstU128<10>;
	type MinBond = ConstU128<10>;
	type MaxBond = ConstU128<1_000>;
	type DepositBase = ConstU128<10>;
	type DepositPerByte = ConstU128<1>;
	type MaxDeadline = ConstU32<28_800>;
	type WeightInfo = ();
}

pub struct Reserve;

impl sp_runtime::traits::Convert<Weight, u128> for Reserve {
	fn convert(_: Weight) -> u128 {
		10
	}
}

impl pallet_jobs::Config for Chain {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Models = Models;
	type Workers = Workers;
	type Evidence = Workers;
	type Verifier = Contracts;
	type MaxDeadline = ConstU32<28_800>;
	type DepositBase = ConstU128<10>;
	type DepositPerByte = ConstU128<1>;
	type RecordDeposit = ConstU128<10>;
	type Retention = ConstU32<691_200>;
	type MinPrice = ConstU128<10>;
	type FreeBlocks = ConstU32<3>;
	type ContestWindow = ConstU32<604_800>;
	type EndingReserve = Reserve;
	type WeightInfo = ();
}

impl pallet_sessions::Config for Chain {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Time = Timestamp;
	type Models = Models;
	type Workers = Workers;
	type Evidence = Workers;
	type Verifier = Contracts;
	type Beacon = Bits;
	type MaxLength = ConstU32<14_400>;
	type Grace = ConstU32<20>;
	type MinEscrow = ConstU128<10>;
	type MinBond = ConstU128<10>;
	type ForceFee = ConstU128<10>;
	type SessionDeposit = ConstU128<10>;
	type EntryDeposit = ConstU128<10>;
	type WeightInfo = ();
}

impl pallet_drand::Config for Chain {
	type Governance = frame_system::EnsureRoot<AccountId32>;
	type Time = Timestamp;
	type LocalAllowed = frame_support::traits::ConstBool<true>;
	type WeightInfo = ();
}

impl pallet_federation::Config for Chain {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Workers = Workers;
	type MaxLength = ConstU32<31_536_000>;
	type Year = ConstU32<31_536_000>;
	type SiteDeposit = ConstU128<10>;
	type StudyDeposit = ConstU128<10>;
	type RoundDeposit = ConstU128<10>;
	type IdDeposit = ConstU128<10>;
	type WeightInfo = ();
}

/// The hashes of the 32 blocks behind the commitment, as the runtime's beacon reads them.
pub struct Bits;

impl Beacon<u32> for Bits {
	fn draw(after: u32) -> Option<Draw> {
		let hashes: Vec<u8> = (1..=32).flat_map(|step| System::block_hash(after + step).0).collect();
		let value = H256(sp_io::hashing::blake2_256(&hashes));
		(System::block_number() >= Self::known_at(after)).then_some(Draw { value, choices: 3 })
	}

	fn known_at(after: u32) -> u32 {
		after + 33
	}

	fn forgotten_at(after: u32) -> u32 {
		after + 4_097
	}
}

pub const CONTRACT: VerifierContract = VerifierContract { address: H160([8; 20]), code_hash: CODE_HASH };

thread_local! {
	/// Whether the contract gives no verdict on anything.
	pub static BROKEN: Cell<bool> = const { Cell::new(false) };
}

/// A proof on which the contract gives no verdict.
pub const FAULTY: [u8; 1] = [1];
/// A false proof.
pub const PROBE: [u8; 1] = [0];

/// One contract everywhere, which accepts everything but the probe.
pub struct Contracts;

impl ContractCode for Contracts {
	fn code_hash(_: &H160) -> Option<H256> {
		Some(CODE_HASH)
	}
}

impl ProofVerifier for Contracts {
	fn well_formed(_: &VerifierContract, _: &[u8]) -> Verdict {
		Verdict { decision: Decision::Accepted, weight: Weight::zero() }
	}

	fn verify(_: &VerifierContract, _: &[u8], _: &H256, _: &H256, proof: &[u8], _: Weight) -> Verdict {
		let fails = proof == FAULTY || BROKEN.get();
		let decision = match proof {
			_ if fails => Decision::Rejected(RejectReason::CallFailed),
			proof if proof == PROBE => Decision::Rejected(RejectReason::ProofInvalid),
			_ => Decision::Accepted,
		};
		Verdict { decision, weight: Weight::zero() }
	}

	fn verify_many(_: &VerifierContract, _: &[u8], statements: &[Statement], _: Weight) -> Verdict {
		let decision = if statements.iter().any(|one| one.proof == PROBE) {
			Decision::Rejected(RejectReason::ProofInvalid)
		} else {
			Decision::Accepted
		};
		Verdict { decision, weight: Weight::zero() }
	}

	fn probe(_: Lane) -> Vec<u8> {
		PROBE.to_vec()
	}

	fn max_weight() -> Weight {
		Weight::zero()
	}
}

/// Block 10 of the fixtures' chain, at the time of their quotes, with funds and the development root.
pub fn fresh() -> TestExternalities {
	let config = RuntimeGenesisConfig {
		attestation: pallet_attestation::GenesisConfig {
			roots: vec![(Level::Simulated, include_str!("../../roots/dev_root.hex").into())],
			..Default::default()
		},
		balances: pallet_balances::GenesisConfig {
			balances: vec![(ALICE, 1_000_000), (CLIENT, 1_000_000), (POT, 1)],
			..Default::default()
		},
		models: pallet_models::GenesisConfig {
			verifiers: vec![pallet_models::types::GenesisVerifier {
				lane: Lane::Groth16,
				contract: CONTRACT,
			}],
			..Default::default()
		},
		..Default::default()
	};
	let mut chain = TestExternalities::new(config.build_storage().expect("genesis builds"));
	chain.execute_with(|| {
		frame_system::BlockHash::<Chain>::insert(0, H256(fixtures::GENESIS));
		for block in 1..10u32 {
			frame_system::BlockHash::<Chain>::insert(block, H256(fixtures::block_hash(block as u8)));
		}
		System::set_block_number(10);
		pallet_timestamp::Now::<Chain>::put(fixtures::now());
	});
	chain
}

/// Keys that are read and written in every block, whatever is in it.
pub fn per_block_keys() -> Vec<Vec<u8>> {
	let item =
		|pallet: &str, name: &str| frame_support::storage::storage_prefix(pallet.as_bytes(), name.as_bytes());
	["Number", "ExecutionPhase", "EventCount", "Events", "BlockWeight"]
		.map(|name| item("System", name))
		.into_iter()
		.chain([item("Timestamp", "Now")])
		.map(|key| key.to_vec())
		.collect()
}
