//! Every pallet's configuration, with the reason for each number.

use frame_support::{
	derive_impl, parameter_types,
	traits::{ConstBool, ConstU128, ConstU32, ConstU64, VariantCountOf},
	weights::{
		constants::{RocksDbWeight, WEIGHT_REF_TIME_PER_SECOND},
		FixedFee, Weight,
	},
	PalletId,
};
use pallet_revive::{
	evm::fees::{BlockRatioFee, Info as FeeInfo},
	AccountId32Mapper, AutoMapper,
};
use pallet_transaction_payment::{ConstFeeMultiplier, FungibleAdapter, Multiplier};
use polkadot_sdk::*;
use sp_runtime::{
	traits::{AccountIdLookup, One},
	Perbill, Permill,
};
use sp_version::RuntimeVersion;

use crate::{verifier::Contracts, *};

/// One token: twelve decimals.
pub const UNIT: Balance = 1_000_000_000_000;
pub const MILLI_UNIT: Balance = UNIT / 1_000;

parameter_types! {
	pub const Version: RuntimeVersion = VERSION;
	/// Two seconds of computation a block at most, of which ordinary extrinsics get three quarters.
	pub RuntimeBlockWeights: frame_system::limits::BlockWeights =
		frame_system::limits::BlockWeights::with_sensible_defaults(
			Weight::from_parts(2 * WEIGHT_REF_TIME_PER_SECOND, 10 * 1024 * 1024),
			Perbill::from_percent(75),
		);
	pub FeeMultiplier: Multiplier = Multiplier::one();
	pub const CodeHashLockupDepositPercent: Perbill = Perbill::from_percent(0);
	pub const DepositPerItem: Balance = MILLI_UNIT;
	pub const DepositPerByte: Balance = MILLI_UNIT / 1_000;
	pub const DepositPerChildTrieItem: Balance = MILLI_UNIT / 100;
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
	type Block = Block;
	type Version = Version;
	type AccountId = AccountId;
	type Hash = Hash;
	type Nonce = Nonce;
	type Lookup = AccountIdLookup<AccountId, ()>;
	type BlockWeights = RuntimeBlockWeights;
	type DbWeight = RocksDbWeight;
	type AccountData = pallet_balances::AccountData<Balance>;
	type SS58Prefix = frame_support::traits::ConstU16<42>;
	type SystemWeightInfo = frame_system::weights::SubstrateWeight<Runtime>;
	// Every account is known to the contracts at once, so that nobody has to call `map_account`.
	type OnNewAccount = AutoMapper<Runtime>;
	type OnKilledAccount = AutoMapper<Runtime>;
}

impl pallet_timestamp::Config for Runtime {
	type Moment = u64;
	type OnTimestampSet = ();
	// The block author's clock is trusted as it is: blocks may follow each other at once in development.
	type MinimumPeriod = ConstU64<0>;
	type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Runtime {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<1_000_000>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
	type FreezeIdentifier = RuntimeFreezeReason;
	type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
	type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
}

#[derive_impl(pallet_transaction_payment::config_preludes::TestDefaultConfig)]
impl pallet_transaction_payment::Config for Runtime {
	type OnChargeTransaction = FungibleAdapter<Balances, ()>;
	type WeightToFee = BlockRatioFee<1, 1, Self, Balance>;
	type LengthToFee = FixedFee<1_000, Balance>;
	type FeeMultiplierUpdate = ConstFeeMultiplier<FeeMultiplier>;
}

impl pallet_sudo::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type WeightInfo = pallet_sudo::weights::SubstrateWeight<Runtime>;
}

impl pallet_utility::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type PalletsOrigin = OriginCaller;
	type WeightInfo = pallet_utility::weights::SubstrateWeight<Runtime>;
}

#[derive_impl(pallet_revive::config_preludes::TestDefaultConfig)]
impl pallet_revive::Config for Runtime {
	type AddressMapper = AccountId32Mapper<Self>;
	type Balance = Balance;
	type ChainId = ConstU64<420_420_420>;
	type Currency = Balances;
	// Wallets count in 18 decimals, the chain in 12.
	type NativeToEthRatio = ConstU32<1_000_000>;
	type Time = Timestamp;
	type FeeInfo = FeeInfo<Address, Signature, EthereumExtension>;
	type UploadOrigin = frame_system::EnsureSigned<AccountId>;
	type InstantiateOrigin = frame_system::EnsureSigned<AccountId>;
	type AllowEVMBytecode = ConstBool<true>;
	type AutoMap = ConstBool<true>;
	type DepositPerItem = DepositPerItem;
	type DepositPerByte = DepositPerByte;
	type DepositPerChildTrieItem = DepositPerChildTrieItem;
	type CodeHashLockupDepositPercent = CodeHashLockupDepositPercent;
	type WeightInfo = pallet_revive::weights::SubstrateWeight<Self>;
}

parameter_types! {
	/// Enough that an identity costs something, little enough that anyone can start.
	pub const WorkerStake: Balance = 100 * UNIT;
	/// A day: a worker proves afresh, with new keys, at least that often.
	pub const RegistrationLifetime: u64 = 24 * 60 * 60 * 1_000;
}

impl pallet_attestation::Config for Runtime {
	type Time = Timestamp;
	type WeightInfo = pallet_attestation::weights::Measured<Runtime>;
}

impl pallet_workers::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Quotes = Attestation;
	type Trust = Attestation;
	type Time = Timestamp;
	type Stake = WorkerStake;
	type Lifetime = RegistrationLifetime;
	type WeightInfo = pallet_workers::weights::Measured<Runtime>;
}

parameter_types! {
	pub const JobsPalletId: PalletId = PalletId(*b"pw/jobs_");
	/// Eight hours of one-second blocks: a job that nobody does comes back the same day.
	pub const MaxDeadline: u32 = 8 * 60 * 60;
	pub const SealedDepositBase: Balance = 10 * MILLI_UNIT;
	/// A full envelope of 64 KiB holds about 0.08 UNIT while its job is open.
	pub const SealedDepositPerByte: Balance = MILLI_UNIT / 1_000;
	/// Half of what there is to earn: holding a job up costs more than the delay is worth to most, and an honest
	/// worker with a few failures stays in business.
	pub const BondShare: Permill = Permill::from_percent(50);
	pub const MinBond: Balance = 100 * MILLI_UNIT;
}

impl pallet_models::Config for Runtime {
	type Contracts = Contracts;
	type Quotes = Attestation;
	type BlockNumberProvider = System;
	type WeightInfo = pallet_models::weights::Measured<Runtime>;
}

impl pallet_jobs::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Models = Models;
	type Workers = Workers;
	type Verifier = Contracts;
	type PalletId = JobsPalletId;
	type MaxDeadline = MaxDeadline;
	type DepositBase = SealedDepositBase;
	type DepositPerByte = SealedDepositPerByte;
	type BondShare = BondShare;
	type MinBond = MinBond;
	type WeightInfo = pallet_jobs::weights::Measured<Runtime>;
}
