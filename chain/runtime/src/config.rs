//! Every pallet's configuration, with the reason for each number. `docs/economics.md` tells them together.

use frame_support::{
	parameter_types,
	traits::{
		tokens::imbalance::ResolveTo, ConstBool, ConstU128, ConstU16, ConstU32, ConstU64, ConstU8, Get,
		InsideBoth, VariantCountOf,
	},
	weights::{
		constants::{RocksDbWeight, WEIGHT_REF_TIME_PER_SECOND},
		Weight,
	},
};
use frame_system::{EnsureNever, EnsureSigned};
use pallet_consortium::types::Kind;
use pallet_revive::{
	evm::fees::{BlockRatioFee, Info as FeeInfo},
	AccountId32Mapper, AutoMapper,
};
use polkadot_sdk::*;
use sp_core::H256;
use sp_runtime::{
	traits::{AccountIdLookup, BlakeTwo256, OpaqueKeys},
	FixedU128, Perbill, Permill,
};
use sp_version::RuntimeVersion;

use crate::{
	beacon::BlockBits,
	consensus::{GrandpaFinality, MaxMembers, ReportLongevity, SessionKeys, Sessions, RETAINED},
	fees::{Congestion, EndingReserve, Fees, PerLength, Pot},
	governance::{
		CouncilCollective, Desk, Governance, KeysStay, Members, NeverPaused, Objection, OwnMajority,
		PlatformRoom, ProxyType, Shallow, MOST_MOTIONS,
	},
	verifier::Contracts,
	*,
};

/// One token: twelve decimals.
pub const UNIT: Balance = 1_000_000_000_000;
/// A thousandth of a UNIT.
pub const MILLI_UNIT: Balance = UNIT / 1_000;
/// Blocks of a day, at one a second.
pub const DAY: u32 = 24 * 60 * 60;

/// What every item and every byte of state costs whoever wants it there, until it goes.
pub const PER_ITEM: Balance = 10 * MILLI_UNIT;
/// What a byte of state costs whoever wants it there.
pub const PER_BYTE: Balance = MILLI_UNIT / 100;

/// What ordinary extrinsics get of a block. The rest is kept for those that end what was begun: results, releases and
/// renewals are operational, of those whose they are (`ranks`).
const NORMAL: Perbill = Perbill::from_percent(75);

parameter_types! {
	/// This runtime's.
	pub const Version: RuntimeVersion = VERSION;
	/// Two seconds of computation a block at most.
	pub RuntimeBlockWeights: frame_system::limits::BlockWeights =
		frame_system::limits::BlockWeights::with_sensible_defaults(
			Weight::from_parts(2 * WEIGHT_REF_TIME_PER_SECOND, 10 * 1024 * 1024),
			NORMAL,
		);
	/// Five megabytes a block at most.
	pub RuntimeBlockLength: frame_system::limits::BlockLength = block_length();
	/// As long as a draw of the beacon can be asked for.
	pub const BlockHashCount: BlockNumber = 4_096;
	/// A hundredth of a UNIT: less than that is not worth an account's 112 bytes in state for ever.
	pub const ExistentialDeposit: Balance = 10 * MILLI_UNIT;
}

/// Five megabytes a block, of which ordinary extrinsics get three quarters.
fn block_length() -> frame_system::limits::BlockLength {
	use frame_support::dispatch::DispatchClass;
	const MOST: u32 = 5 * 1024 * 1024;
	frame_system::limits::BlockLength::builder()
		.max_length(MOST)
		.modify_max_length_for_class(DispatchClass::Normal, |most| *most = NORMAL * MOST)
		.build()
}

impl frame_system::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type BaseCallFilter = InsideBoth<TxPause, InsideBoth<KeysStay, InsideBoth<OwnMajority, Shallow>>>;
	type BlockWeights = RuntimeBlockWeights;
	type BlockLength = RuntimeBlockLength;
	type RuntimeOrigin = RuntimeOrigin;
	type RuntimeCall = RuntimeCall;
	type RuntimeTask = RuntimeTask;
	type Nonce = Nonce;
	type Hash = Hash;
	type Hashing = BlakeTwo256;
	type AccountId = AccountId;
	type Lookup = AccountIdLookup<AccountId, ()>;
	type Block = Block;
	type BlockHashCount = BlockHashCount;
	type DbWeight = RocksDbWeight;
	type Version = Version;
	type PalletInfo = PalletInfo;
	type AccountData = pallet_balances::AccountData<Balance>;
	// Every account is known to the contracts at once, so that nobody has to call `map_account`.
	type OnNewAccount = AutoMapper<Runtime>;
	type OnKilledAccount = AutoMapper<Runtime>;
	type SystemWeightInfo = frame_system::weights::SubstrateWeight<Runtime>;
	type ExtensionsWeightInfo = frame_system::SubstrateExtensionsWeight<Runtime>;
	type SS58Prefix = ConstU16<42>;
	type OnSetCode = ();
	type MaxConsumers = ConstU32<128>;
	type SingleBlockMigrations = ();
	type MultiBlockMigrator = ();
	type PreInherents = ();
	type PostInherents = ();
	type PostTransactions = ();
}

impl pallet_timestamp::Config for Runtime {
	type Moment = u64;
	// A block's time lies in its slot, so that no author stretches time.
	type OnTimestampSet = Aura;
	// The slot is what bounds it: blocks may follow each other at once in development.
	type MinimumPeriod = ConstU64<0>;
	type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

impl pallet_balances::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
	type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
	type Balance = Balance;
	type DustRemoval = ResolveTo<Pot, Balances>;
	type ExistentialDeposit = ExistentialDeposit;
	type AccountStore = System;
	type ReserveIdentifier = [u8; 8];
	type FreezeIdentifier = RuntimeFreezeReason;
	type MaxLocks = ConstU32<50>;
	type MaxReserves = ConstU32<50>;
	type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
	type DoneSlashHandler = ();
}

impl pallet_transaction_payment::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type OnChargeTransaction = Fees;
	// One UNIT for a second of computation.
	type WeightToFee = BlockRatioFee<1, 1, Self, Balance>;
	type LengthToFee = PerLength;
	type FeeMultiplierUpdate = Congestion;
	// Results go before whatever pays less than five times their fee as a tip.
	type OperationalFeeMultiplier = ConstU8<5>;
	type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
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

parameter_types! {
	/// For an item of a contract's storage.
	pub const ContractItem: Balance = PER_ITEM;
	/// For a byte of it.
	pub const ContractByte: Balance = PER_BYTE;
	/// For an item of a contract's child trie.
	pub const ContractChildItem: Balance = PER_ITEM / 10;
	/// Nobody pays for using code that others uploaded.
	pub const CodeHashLockupDepositPercent: Perbill = Perbill::from_percent(0);
	/// The most of an extrinsic's limit that an Ethereum transaction may take.
	pub const MaxEthExtrinsicWeight: FixedU128 = FixedU128::from_rational(9, 10);
	/// Gas in a unit of fee, as wallets see it.
	pub const GasScale: u32 = 50_000;
}

/// By which wallets and the chain know what an Ethereum-signed transaction is for: "PW", then 1 on development's chain and
/// 2 on a local one, whose keys are published; on every other "PW" and the first four bytes of the genesis hash, so that
/// what is signed for one chain counts on no other. On no list of chains.
pub struct EthereumId;

impl Get<u64> for EthereumId {
	fn get() -> u64 {
		const PW: u64 = 0x5057;
		match pallet_consortium::SettingsOf::<Runtime>::get().kind {
			Kind::Development => PW << 16 | 1,
			Kind::Local => PW << 16 | 2,
			Kind::Consortium => {
				let H256([a, b, c, d, ..]) = System::block_hash(0);
				PW << 32 | u64::from(u32::from_be_bytes([a, b, c, d]))
			}
		}
	}
}

impl pallet_revive::Config for Runtime {
	type Time = Timestamp;
	type Balance = Balance;
	type Currency = Balances;
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type RuntimeOrigin = RuntimeOrigin;
	type RuntimeHoldReason = RuntimeHoldReason;
	type WeightInfo = pallet_revive::weights::SubstrateWeight<Self>;
	type Precompiles = ();
	type FindAuthor = ();
	type DepositPerByte = ContractByte;
	type DepositPerItem = ContractItem;
	type DepositPerChildTrieItem = ContractChildItem;
	type CodeHashLockupDepositPercent = CodeHashLockupDepositPercent;
	type AddressMapper = AccountId32Mapper<Self>;
	type AllowEVMBytecode = ConstBool<true>;
	type UploadOrigin = EnsureSigned<AccountId>;
	type InstantiateOrigin = EnsureSigned<AccountId>;
	type RuntimeMemory = ConstU32<{ 128 * 1024 * 1024 }>;
	type PVFMemory = ConstU32<{ 512 * 1024 * 1024 }>;
	type ChainId = EthereumId;
	// Wallets count in 18 decimals, the chain in 12.
	type NativeToEthRatio = ConstU32<1_000_000>;
	type FeeInfo = FeeInfo<Address, Signature, EthereumExtension>;
	type Deposit = ();
	type MaxEthExtrinsicWeight = MaxEthExtrinsicWeight;
	type DebugEnabled = ConstBool<false>;
	type AutoMap = ConstBool<true>;
	type GasScale = GasScale;
	type OnBurn = ();
}

parameter_types! {
	/// Two thirds of a UNIT for 64 KiB of collateral: what a family of platforms costs its first member.
	pub const CollateralDeposit: Balance = PER_ITEM + 65_536 * PER_BYTE;
	/// More families of platforms than Intel has; each is an entry of 25 kB.
	pub const MaxFamilies: u32 = 256;
}

impl pallet_attestation::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Governance = Governance;
	type CollateralDeposit = CollateralDeposit;
	type MaxFamilies = MaxFamilies;
	type Time = Timestamp;
	type WeightInfo = pallet_attestation::weights::Measured<Runtime>;
}

parameter_types! {
	/// Enough that an identity costs something, little enough that anyone can start.
	pub const WorkerStake: Balance = 100 * UNIT;
	/// For the account's last epoch, which the chain remembers for ever.
	pub const EpochDeposit: Balance = PER_ITEM;
	/// A day: a worker proves afresh, with new keys, at least that often.
	pub const RegistrationLifetime: u64 = 24 * 60 * 60 * 1_000;
	/// A week in which a wronged client can bring evidence.
	pub const Unbonding: u32 = 7 * DAY;
	/// Half of the stake for two results of one job; a tenth of that for whoever shows them.
	pub const SlashShare: Permill = Permill::from_percent(50);
	/// Of what is taken, what whoever showed it has.
	pub const ReporterShare: Permill = Permill::from_percent(10);
	/// A quarter of that at most for a price that a client paid for nothing. With the reporter's it is less than half, so
	/// nobody saves a stake by contesting its own results.
	pub const RestitutionShare: Permill = Permill::from_percent(25);
	/// A day's claims say whether a worker can be relied on; a miss of last week says little.
	pub const ReliabilityWindow: u32 = DAY;
	/// An hour without new work: time to find out what is wrong.
	pub const Suspension: u32 = DAY / 24;
	/// Two UNIT for each time: less than the bonds that went before, and 25 times make half of the stake.
	pub const MissShare: Permill = Permill::from_percent(2);
}

impl pallet_workers::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Quotes = Attestation;
	type Trust = Attestation;
	type Models = Models;
	type Governance = Governance;
	type Time = Timestamp;
	type Pot = Pot;
	type Stake = WorkerStake;
	type EpochDeposit = EpochDeposit;
	type Lifetime = RegistrationLifetime;
	type Unbonding = Unbonding;
	type SlashShare = SlashShare;
	type ReporterShare = ReporterShare;
	type RestitutionShare = RestitutionShare;
	type ReliabilityWindow = ReliabilityWindow;
	type Suspension = Suspension;
	type MissShare = MissShare;
	type PlatformRoom = PlatformRoom;
	type WeightInfo = pallet_workers::weights::Measured<Runtime>;
}

parameter_types! {
	/// Eight hours of one-second blocks: a job that nobody does comes back the same day.
	pub const MaxDeadline: u32 = 8 * 60 * 60;
	/// More than a claim and an ordinary result cost a worker in fees.
	pub const MinPrice: Balance = 200 * MILLI_UNIT;
	/// Bonds are the model's to set, so that holding a job up costs more than the delay is worth to most; neither a
	/// joke nor a trap.
	pub const MinBond: Balance = 100 * MILLI_UNIT;
	/// The greatest bond of a model.
	pub const MaxBond: Balance = 25 * UNIT;
	/// What an item of state costs, as pallets take it.
	pub const PerItem: Balance = PER_ITEM;
	/// The same for a byte.
	pub const PerByteOfState: Balance = PER_BYTE;
	/// For a job's record.
	pub const RecordDeposit: Balance = PER_ITEM + 1_024 * PER_BYTE;
	/// Longer than any evidence counts, so that an id that comes back meets no old receipt.
	pub const Retention: u32 = 8 * DAY;
	/// Time to open an envelope and see that it cannot be done.
	pub const FreeBlocks: u32 = 3;
	/// As long as a stake stays after its worker retired.
	pub const ContestWindow: u32 = 7 * DAY;
}

impl pallet_models::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Contracts = Contracts;
	type Quotes = Attestation;
	type Trust = Attestation;
	type Governance = Governance;
	type BlockNumberProvider = System;
	type Pot = Pot;
	type MinPrice = MinPrice;
	type MinBond = MinBond;
	type MaxBond = MaxBond;
	type DepositBase = PerItem;
	type DepositPerByte = PerByteOfState;
	type MaxDeadline = MaxDeadline;
	type WeightInfo = pallet_models::weights::Measured<Runtime>;
}

impl pallet_jobs::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Models = Models;
	type Workers = Workers;
	type Evidence = Workers;
	type Verifier = Contracts;
	type MaxDeadline = MaxDeadline;
	type DepositBase = PerItem;
	type DepositPerByte = PerByteOfState;
	type RecordDeposit = RecordDeposit;
	type Retention = Retention;
	type MinPrice = MinPrice;
	type FreeBlocks = FreeBlocks;
	type ContestWindow = ContestWindow;
	type EndingReserve = EndingReserve;
	type WeightInfo = pallet_jobs::weights::Measured<Runtime>;
}

parameter_types! {
	/// Four hours of blocks: a session ends before a model that retired meanwhile can go.
	pub const MaxLength: u32 = 4 * 60 * 60;
	/// Time to post a last checkpoint.
	pub const Grace: u32 = 20;
	/// Enough that a worker's slots are not taken for nothing.
	pub const MinEscrow: Balance = UNIT;
	/// Ten claims' worth.
	pub const SessionBond: Balance = UNIT;
	/// What a proof of one page costs a worker in fees, and more.
	pub const ForceFee: Balance = 200 * MILLI_UNIT;
	/// A record, its index, and as many windows as there may be, with all that can be asked of them.
	pub const SessionDeposit: Balance = 34 * PER_ITEM + 34 * 3_072 * PER_BYTE;
	/// For a worker's or a publisher's entry.
	pub const OfferDeposit: Balance = PER_ITEM + 256 * PER_BYTE;
}

impl pallet_sessions::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Time = Timestamp;
	type Models = Models;
	type Workers = Workers;
	type Evidence = Workers;
	type Verifier = Contracts;
	type Beacon = BlockBits;
	type MaxLength = MaxLength;
	type Grace = Grace;
	type MinEscrow = MinEscrow;
	type MinBond = SessionBond;
	type ForceFee = ForceFee;
	type SessionDeposit = SessionDeposit;
	type EntryDeposit = OfferDeposit;
	type WeightInfo = pallet_sessions::weights::Measured<Runtime>;
}

parameter_types! {
	/// Everybody makes the pulses of a chain whose other keys everybody has, too.
	pub LocalPulses: bool = pallet_consortium::SettingsOf::<Runtime>::get().kind != Kind::Consortium;
}

impl pallet_drand::Config for Runtime {
	type Governance = Governance;
	type Time = Timestamp;
	type LocalAllowed = LocalPulses;
	type WeightInfo = pallet_drand::weights::Measured<Runtime>;
}

parameter_types! {
	/// A year of blocks: how far ahead a study may end, and after how long a site's budget is whole again.
	pub const Year: u32 = 365 * DAY;
	/// For a site's entry.
	pub const SiteDeposit: Balance = PER_ITEM + 256 * PER_BYTE;
	/// For a study's entry with as many sites as it may have.
	pub const StudyDeposit: Balance = PER_ITEM + 2_048 * PER_BYTE;
	/// For a round's, likewise.
	pub const RoundDeposit: Balance = PER_ITEM + 2_048 * PER_BYTE;
	/// For the id of a study that ended, which the chain remembers for ever.
	pub const IdDeposit: Balance = PER_ITEM + 256 * PER_BYTE;
}

impl pallet_federation::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Workers = Workers;
	type MaxLength = Year;
	type Year = Year;
	type SiteDeposit = SiteDeposit;
	type StudyDeposit = StudyDeposit;
	type RoundDeposit = RoundDeposit;
	type IdDeposit = IdDeposit;
	type WeightInfo = pallet_federation::weights::Measured<Runtime>;
}

parameter_types! {
	/// A week to vote.
	pub const MotionDuration: BlockNumber = 7 * DAY;
	/// Of a motion's call: half a block.
	pub MaxProposalWeight: Weight = Perbill::from_percent(50) * RuntimeBlockWeights::get().max_block;
	/// For each proxy of an account.
	pub const ProxyFactor: Balance = 33 * PER_BYTE;
	/// For each call that a proxy announced.
	pub const AnnouncementFactor: Balance = 68 * PER_BYTE;
	/// For each signatory.
	pub const MultisigFactor: Balance = 32 * PER_BYTE;
	/// For a call that waits for signatories.
	pub const MultisigBase: Balance = PER_ITEM + 88 * PER_BYTE;
}

impl pallet_collective::Config<CouncilCollective> for Runtime {
	type RuntimeOrigin = RuntimeOrigin;
	type Proposal = RuntimeCall;
	type RuntimeEvent = RuntimeEvent;
	type MotionDuration = MotionDuration;
	type MaxProposals = ConstU32<MOST_MOTIONS>;
	type MaxMembers = MaxMembers;
	// A member that does not vote has not agreed.
	type DefaultVote = pallet_collective::PrimeDefaultVote;
	type WeightInfo = pallet_collective::weights::SubstrateWeight<Runtime>;
	// The members of the consortium have the seats, and nobody else sets them.
	type SetMembersOrigin = EnsureNever<()>;
	type MaxProposalWeight = MaxProposalWeight;
	type DisapproveOrigin = Governance;
	type KillOrigin = Governance;
	type Consideration = Desk;
}

impl pallet_proxy::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type Currency = Balances;
	type ProxyType = ProxyType;
	type ProxyDepositBase = PerItem;
	type ProxyDepositFactor = ProxyFactor;
	type MaxProxies = ConstU32<16>;
	type WeightInfo = pallet_proxy::weights::SubstrateWeight<Runtime>;
	type MaxPending = ConstU32<16>;
	type CallHasher = BlakeTwo256;
	type AnnouncementDepositBase = PerItem;
	type AnnouncementDepositFactor = AnnouncementFactor;
	type BlockNumberProvider = System;
}

impl pallet_multisig::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type Currency = Balances;
	type DepositBase = MultisigBase;
	type DepositFactor = MultisigFactor;
	type MaxSignatories = ConstU32<32>;
	type WeightInfo = pallet_multisig::weights::SubstrateWeight<Runtime>;
	type BlockNumberProvider = System;
}

impl pallet_tx_pause::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type PauseOrigin = Governance;
	type UnpauseOrigin = Governance;
	type WhitelistedCalls = NeverPaused;
	type MaxNameLen = ConstU32<256>;
	type WeightInfo = pallet_tx_pause::weights::SubstrateWeight<Runtime>;
}

impl pallet_aura::Config for Runtime {
	type AuthorityId = sp_consensus_aura::sr25519::AuthorityId;
	type DisabledValidators = Session;
	type MaxAuthorities = MaxMembers;
	type AllowMultipleBlocksPerSlot = pallet_consortium::SeveralBlocks<Runtime>;
	type SlotDuration = pallet_consortium::SlotMilliseconds<Runtime>;
}

impl pallet_authorship::Config for Runtime {
	// The member whose turn it was, and not the key that its machine has.
	type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Runtime, Aura>;
	type EventHandler = ();
}

impl pallet_session::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type ValidatorId = AccountId;
	type ValidatorIdOf = pallet_consortium::MayValidate<Runtime>;
	type ShouldEndSession = Sessions;
	type NextSessionRotation = Sessions;
	type SessionManager = Consortium;
	type SessionHandler = <SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
	type Keys = SessionKeys;
	type DisablingStrategy = pallet_session::disabling::UpToLimitDisablingStrategy;
	type WeightInfo = pallet_session::weights::SubstrateWeight<Runtime>;
	type Currency = Balances;
	// A member's place is what it has at stake.
	type KeyDeposit = ConstU128<0>;
}

impl pallet_grandpa::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type WeightInfo = ();
	type MaxAuthorities = MaxMembers;
	type MaxNominators = ConstU32<0>;
	type MaxSetIdSessionEntries = ConstU64<{ RETAINED as u64 }>;
	type KeyOwnerProof = pallet_consortium::types::Ownership;
	type EquivocationReportSystem = pallet_grandpa::EquivocationReportSystem<
		Runtime,
		pallet_consortium::FirstOffence<Runtime, Offences>,
		Consortium,
		ReportLongevity,
	>;
}

impl pallet_offences::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type IdentificationTuple = AccountId;
	type OnOffenceHandler = Consortium;
}

impl pallet_consortium::Config for Runtime {
	type RootCall = RuntimeCall;
	type Vote = Members;
	type Objection = Objection;
	type Council = Council;
	type Offences = pallet_consortium::FirstOffence<Runtime, Offences>;
	type Finality = GrandpaFinality;
	type MaxMembers = MaxMembers;
	type MaxNotices = ConstU32<16>;
	type Lapse = MotionDuration;
	type Retained = ConstU32<RETAINED>;
	type WeightInfo = pallet_consortium::weights::Measured<Runtime>;
}
