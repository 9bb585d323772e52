//! A chain of four members, whose blocks are the numbers of their slots.

use codec::Encode;
use polkadot_sdk::{
	frame_support::{
		assert_ok, derive_impl,
		traits::{ConstU128, ConstU32, ConstU64, EitherOfDiverse, OnFinalize, OnInitialize},
	},
	frame_system::{self, EnsureRoot},
	sp_consensus_aura::{sr25519::AuthorityId, Slot, AURA_ENGINE_ID},
	sp_core::{crypto::UncheckedFrom, sr25519, Pair, H256},
	sp_keyring::Sr25519Keyring,
	sp_runtime::{impl_opaque_keys, traits::OpaqueKeys, AccountId32, BuildStorage, Digest, DigestItem},
	*,
};

use crate::types::{Endpoint, GenesisMember, Kind, Settings};

pub type Block = frame_system::mocking::MockBlock<Test>;
pub type Header = sp_runtime::generic::Header<u64, sp_runtime::traits::BlakeTwo256>;
pub type Error = crate::Error<Test>;
type Seats = pallet_collective::Instance1;

pub const SESSION: u64 = 10;
pub const NOTICE: u64 = 15;
pub const LAPSE: u64 = 50;
pub const RETAINED: u32 = 6;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeTask,
		RuntimeHoldReason,
		RuntimeFreezeReason
	)]
	pub struct Test;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Timestamp = pallet_timestamp;
	#[runtime::pallet_index(2)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(3)]
	pub type Aura = pallet_aura;
	#[runtime::pallet_index(4)]
	pub type Council = pallet_collective<Instance1>;
	#[runtime::pallet_index(5)]
	pub type Consortium = crate;
	#[runtime::pallet_index(6)]
	pub type Session = pallet_session;
	#[runtime::pallet_index(7)]
	pub type Offences = pallet_offences;
}

impl_opaque_keys! {
	pub struct SessionKeys {
		pub aura: Aura,
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
	type OnTimestampSet = Aura;
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

impl pallet_aura::Config for Test {
	type AuthorityId = AuthorityId;
	type DisabledValidators = Session;
	type MaxAuthorities = ConstU32<8>;
	type AllowMultipleBlocksPerSlot = crate::SeveralBlocks<Test>;
	type SlotDuration = crate::SlotMilliseconds<Test>;
}

type Sessions = pallet_session::PeriodicSessions<crate::SessionBlocks<Test>, ConstU64<0>>;

impl pallet_session::Config for Test {
	type RuntimeEvent = RuntimeEvent;
	type ValidatorId = AccountId32;
	type ValidatorIdOf = crate::MayValidate<Test>;
	type ShouldEndSession = Sessions;
	type NextSessionRotation = Sessions;
	type SessionManager = Consortium;
	type SessionHandler = <SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
	type Keys = SessionKeys;
	type DisablingStrategy = pallet_session::disabling::UpToLimitDisablingStrategy;
	type WeightInfo = ();
	type Currency = Balances;
	type KeyDeposit = ConstU128<0>;
}

impl pallet_collective::Config<Seats> for Test {
	type RuntimeOrigin = RuntimeOrigin;
	type Proposal = RuntimeCall;
	type RuntimeEvent = RuntimeEvent;
	type MotionDuration = ConstU64<1_000>;
	type MaxProposals = ConstU32<8>;
	type MaxMembers = ConstU32<8>;
	type DefaultVote = pallet_collective::PrimeDefaultVote;
	type WeightInfo = ();
	type SetMembersOrigin = frame_system::EnsureNever<()>;
	type MaxProposalWeight = MaxProposalWeight;
	type DisapproveOrigin = EnsureRoot<AccountId32>;
	type KillOrigin = EnsureRoot<AccountId32>;
	type Consideration = ();
}

frame_support::parameter_types! {
	pub const MaxProposalWeight: frame_support::weights::Weight = frame_support::weights::Weight::MAX;
	/// What finality was restarted with.
	pub static Restarted: Option<(u64, u64)> = None;
}

impl pallet_offences::Config for Test {
	type RuntimeEvent = RuntimeEvent;
	type IdentificationTuple = AccountId32;
	type OnOffenceHandler = Consortium;
}

pub struct Finality;
impl crate::Finality<u64> for Finality {
	fn note_stalled(delay: u64, best_finalised: u64) {
		Restarted::set(Some((delay, best_finalised)));
	}
}

impl crate::Config for Test {
	type RootCall = RuntimeCall;
	type Vote = EitherOfDiverse<
		EnsureRoot<AccountId32>,
		pallet_collective::EnsureProportionMoreThan<AccountId32, Seats, 2, 3>,
	>;
	type Objection = pallet_collective::EnsureProportionAtLeast<AccountId32, Seats, 1, 3>;
	type Council = Council;
	type Offences = crate::FirstOffence<Test, Offences>;
	type Finality = Finality;
	type MaxMembers = ConstU32<8>;
	type MaxNotices = ConstU32<4>;
	type Lapse = ConstU64<LAPSE>;
	type Retained = ConstU32<RETAINED>;
	type WeightInfo = ();
}

pub use Sr25519Keyring::{Alice, Bob, Charlie, Dave, Eve, Ferdie};
pub const FOUR: [Sr25519Keyring; 4] = [Alice, Bob, Charlie, Dave];

pub fn account(key: Sr25519Keyring) -> AccountId32 {
	key.to_account_id()
}

/// Accounts in the order in which the chain has them.
pub fn accounts(keys: &[Sr25519Keyring]) -> Vec<AccountId32> {
	let mut accounts: Vec<_> = keys.iter().map(|key| account(*key)).collect();
	accounts.sort();
	accounts
}

pub fn endpoint() -> Endpoint {
	b"/ip4/192.0.2.1/tcp/30333".to_vec().try_into().unwrap()
}

/// A chain whose members are these, each with its own key for Aura.
pub fn chain_of(members: &[Sr25519Keyring], kind: Kind, least_validators: u32) -> sp_io::TestExternalities {
	let config = RuntimeGenesisConfig {
		consortium: crate::GenesisConfig {
			settings: Settings {
				kind,
				slot_milliseconds: 2_000,
				several_blocks_per_slot: false,
				session_blocks: SESSION as u32,
				notice_blocks: NOTICE as u32,
				least_validators,
			},
			members: members
				.iter()
				.map(|key| GenesisMember {
					account: account(*key),
					legal_name: H256(key.to_raw_public()),
					endpoint: "/ip4/192.0.2.1".into(),
				})
				.collect(),
		},
		session: pallet_session::GenesisConfig {
			keys: members
				.iter()
				.map(|key| (account(*key), account(*key), SessionKeys { aura: key.public().into() }))
				.collect(),
			..Default::default()
		},
		balances: pallet_balances::GenesisConfig {
			balances: Sr25519Keyring::well_known().map(|key| (account(key), 1_000)).collect(),
			..Default::default()
		},
		..Default::default()
	};
	let mut chain: sp_io::TestExternalities = config.build_storage().unwrap().into();
	chain.register_extension(sp_keystore::KeystoreExt::new(sp_keystore::testing::MemoryKeystore::new()));
	chain.execute_with(|| run_to(1));
	chain
}

/// What `check` finds on a chain of Alice, Bob, Charlie and Dave at block 1; what always holds must hold behind it too.
pub fn four(check: impl FnOnce()) {
	chain_of(&FOUR, Kind::Consortium, 4).execute_with(|| {
		check();
		Consortium::check_invariants(&pallet_collective::Members::<Test, Seats>::get());
	});
}

pub fn slot_digest(slot: u64) -> Digest {
	Digest { logs: vec![DigestItem::PreRuntime(AURA_ENGINE_ID, Slot::from(slot).encode())] }
}

/// Build blocks up to a number. Block `n` has slot `2 n`, so that every turn could be somebody's who is not disabled.
pub fn run_to(number: u64) {
	while System::block_number() < number {
		let next = System::block_number() + 1;
		let disabled = pallet_session::DisabledValidators::<Test>::get();
		let turns = Session::validators().len() as u64;
		let last = u64::from(pallet_aura::CurrentSlot::<Test>::get());
		let slot = (last + 1..)
			.find(|slot| !disabled.iter().any(|(index, _)| u64::from(*index) == slot % turns))
			.unwrap();
		System::initialize(&next, &H256::repeat_byte(next as u8), &slot_digest(slot));
		AllPalletsWithSystem::on_initialize(next);
		assert_ok!(Timestamp::set(RuntimeOrigin::none(), slot * 2_000));
		System::note_finished_initialize();
		AllPalletsWithSystem::on_finalize(next);
	}
}

/// The first block of the session behind the present one.
pub fn next_session() {
	run_to((System::block_number() / SESSION + 1) * SESSION);
}

pub fn slot() -> u64 {
	pallet_aura::CurrentSlot::<Test>::get().into()
}

/// Vote as so many of so many members.
pub fn votes(yes: u32, of: u32) -> RuntimeOrigin {
	pallet_collective::RawOrigin::<AccountId32, Seats>::Members(yes, of).into()
}

pub fn signed(key: Sr25519Keyring) -> RuntimeOrigin {
	RuntimeOrigin::signed(account(key))
}

/// Session keys made on this machine for an account, and the proof that it has them.
pub fn new_keys(owner: Sr25519Keyring, seed: Option<&str>) -> (SessionKeys, Vec<u8>) {
	let made = SessionKeys::generate(&account(owner).encode(), seed.map(|seed| seed.as_bytes().to_vec()));
	(made.keys, made.proof.encode())
}

pub fn set_keys(key: Sr25519Keyring) -> SessionKeys {
	let (keys, proof) = new_keys(key, None);
	assert_ok!(Session::set_keys(signed(key), keys.clone(), proof));
	keys
}

pub fn admit(key: Sr25519Keyring) {
	assert_ok!(Consortium::admit(votes(3, 4), account(key), H256::zero(), endpoint()));
}

/// Whether the pallet told this.
pub fn told(event: crate::Event<Test>) -> bool {
	System::events().iter().any(|record| record.event == RuntimeEvent::Consortium(event.clone()))
}

/// A header for a slot, sealed by a key.
pub fn sealed(number: u64, slot: u64, extra: u8, key: &sr25519::Pair) -> Header {
	let mut header = Header {
		parent_hash: H256::repeat_byte(extra),
		number,
		state_root: H256::zero(),
		extrinsics_root: H256::zero(),
		digest: slot_digest(slot),
	};
	let signature = key.sign(header.hash().as_ref());
	header.digest.push(DigestItem::Seal(AURA_ENGINE_ID, signature.encode()));
	header
}

pub fn authority(key: &sr25519::Pair) -> AuthorityId {
	sr25519::Public::unchecked_from(key.public().0).into()
}
