//! A runtime whose contracts are a table and whose quotes name their own verdict.

use polkadot_sdk::{
	frame_support::{
		self, assert_ok, derive_impl, parameter_types,
		traits::{ConstU128, ConstU32, ConstU64},
		weights::Weight,
	},
	frame_system::{self, RawOrigin},
	pallet_balances,
	sp_core::{H160, H256},
	sp_io::{hashing::sha2_256, TestExternalities},
	sp_runtime::{
		traits::{Dispatchable, IdentityLookup},
		BuildStorage, DispatchError, DispatchResult,
	},
};
use proofward_primitives::{
	ids, messages, Balance, ContractCode, Decision, Lane, Level, ProofVerifier, QuoteVerifier, RejectReason,
	Statement, TrustList, Verdict, Verified, VerifierContract,
};

use crate::{
	self as pallet_models,
	types::{GenesisVerifier, Terms},
	Call, SetupEvidence,
};

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
	pub type Models = pallet_models;
	#[runtime::pallet_index(2)]
	pub type Balances = pallet_balances;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
	type AccountId = u64;
	type Lookup = IdentityLookup<u64>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<1>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
}

pub const VERIFIER: H160 = H160::repeat_byte(0xc0);
pub const CODE: H256 = H256::repeat_byte(0xcd);
pub const EMPTY_ADDRESS: H160 = H160::repeat_byte(0xee);

/// One contract.
pub struct Contracts;
impl ContractCode for Contracts {
	fn code_hash(address: &H160) -> Option<H256> {
		(*address == VERIFIER).then_some(CODE)
	}
}

pub const CONTRACT: VerifierContract = VerifierContract { address: VERIFIER, code_hash: CODE };
pub const PROBE: [u8; 3] = [0x50; 3];
/// What the contract uses for a look at a key, and for the probe; and the most that it may.
pub const LOOK_WEIGHT: Weight = Weight::from_parts(300_000, 0);
pub const PROBE_WEIGHT: Weight = Weight::from_parts(400_000, 0);
pub const MAX_WEIGHT: Weight = Weight::from_parts(2_000_000, 0);
/// What the contract takes for a verifying key.
pub const KEY: [u8; 40] = [0x4b; 40];

impl ProofVerifier for Contracts {
	fn well_formed(contract: &VerifierContract, key: &[u8]) -> Verdict {
		let key = *contract == CONTRACT && key == KEY;
		let decision = if key { Decision::Accepted } else { Decision::Rejected(RejectReason::ProofInvalid) };
		Verdict { decision, weight: LOOK_WEIGHT }
	}
	fn verify(_: &VerifierContract, key: &[u8], _: &H256, _: &H256, proof: &[u8], _: Weight) -> Verdict {
		assert_eq!((key, proof), (&KEY[..], &PROBE[..]), "the models pallet judges nobody's proofs");
		Verdict { decision: ProbeAnswer::get(), weight: PROBE_WEIGHT }
	}
	fn verify_many(_: &VerifierContract, _: &[u8], _: &[Statement], _: Weight) -> Verdict {
		unreachable!("only sessions ask about many")
	}
	fn probe(_: Lane) -> Vec<u8> {
		PROBE.to_vec()
	}
	fn max_weight() -> Weight {
		MAX_WEIGHT
	}
}

parameter_types! {
	/// What the contract says to the probe.
	pub static ProbeAnswer: Decision = Decision::Rejected(RejectReason::ProofInvalid);
	pub static StruckOff: Vec<H256> = vec![];
	pub static Banned: Vec<H256> = vec![];
}

/// Everything is trusted but what was struck off: a root, a measurement, a platform.
pub struct Trust;
impl TrustList for Trust {
	fn trusted(root: &H256, measurement: &H256) -> bool {
		![root, measurement].iter().any(|each| StruckOff::get().contains(each))
	}
	fn platform_banned(platform: &H256) -> bool {
		Banned::get().contains(platform)
	}
}

pub const ROOT: H256 = H256::repeat_byte(1);
pub const MEASUREMENT: H256 = H256::repeat_byte(2);
pub const PLATFORM: H256 = H256::repeat_byte(3);

/// A quote is `level || report_data`; anything else is refused as the attestation pallet would.
pub struct Quotes;
impl QuoteVerifier for Quotes {
	fn verify_quote(quote: &[u8]) -> Result<Verified, DispatchError> {
		let (level, report_data) = match quote {
			[0, rest @ ..] => (Level::Simulated, rest),
			[1, rest @ ..] => (Level::Hardware, rest),
			_ => return Err(DispatchError::Other("QuoteRejected")),
		};
		Ok(Verified {
			level,
			root: ROOT,
			measurement: MEASUREMENT,
			platform: PLATFORM,
			report_data: report_data.try_into().map_err(|_| DispatchError::Other("MalformedQuote"))?,
			collateral_expires_at: u64::MAX,
		})
	}
	fn verify_quote_weight() -> Weight {
		Weight::from_parts(1_000_000, 0)
	}
}

impl pallet_models::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Contracts = Contracts;
	type Quotes = Quotes;
	type Trust = Trust;
	type Governance = frame_system::EnsureRoot<u64>;
	type BlockNumberProvider = System;
	type Pot = ConstU64<POT>;
	type MinPrice = ConstU128<500>;
	type MinBond = ConstU128<50>;
	type MaxBond = ConstU128<5_000>;
	type DepositBase = ConstU128<100>;
	type DepositPerByte = ConstU128<1>;
	type MaxDeadline = ConstU32<MAX_DEADLINE>;
	type WeightInfo = ();
}

pub const PUBLISHER: u64 = 1;
pub const STRANGER: u64 = 2;
pub const POT: u64 = 3;
pub const MAX_DEADLINE: u32 = 100;
pub const ENDOWMENT: Balance = 10_000;

/// The arguments of `publish`; a test changes the one that it is about.
#[derive(Clone)]
pub struct Offer {
	pub name: Vec<u8>,
	pub manifest: H256,
	pub input_shape: Vec<u32>,
	pub batch: u32,
	pub vk_hash: H256,
	pub circuit_digest: H256,
	pub lane: Lane,
	pub key: Vec<u8>,
	pub terms: Terms,
	pub evidence: SetupEvidence,
}

impl Default for Offer {
	fn default() -> Self {
		Self {
			name: b"breast-cancer-mlp".to_vec(),
			manifest: Self::MANIFEST,
			input_shape: vec![30],
			batch: 1,
			vk_hash: H256::repeat_byte(0x11),
			circuit_digest: H256::repeat_byte(0x22),
			lane: Lane::Groth16,
			key: KEY.to_vec(),
			terms: Terms { price: 1_000, share: 100_000, bond: 200, claim_blocks: 20 },
			evidence: SetupEvidence::Dev,
		}
	}
}

impl Offer {
	pub const WEIGHTS: H256 = H256::repeat_byte(0x33);
	pub const MANIFEST: H256 = H256::repeat_byte(0x44);

	pub fn call(&self) -> Call<Test> {
		Call::publish {
			name: self.name.clone().try_into().expect("short"),
			weights_digest: Self::WEIGHTS,
			manifest_hash: self.manifest,
			input_shape: self.input_shape.clone().try_into().expect("short"),
			batch: self.batch,
			lane: self.lane,
			vk_hash: self.vk_hash,
			key: self.key.clone().try_into().expect("short"),
			circuit_digest: self.circuit_digest,
			terms: self.terms,
			evidence: self.evidence.clone(),
		}
	}

	pub fn publish(&self) -> DispatchResult {
		RuntimeCall::Models(self.call())
			.dispatch(RawOrigin::Signed(PUBLISHER).into())
			.map(|_| ())
			.map_err(|error| error.error)
	}

	pub fn id(&self) -> H256 {
		ids::model_id(
			&PUBLISHER,
			&Self::WEIGHTS,
			&self.manifest,
			self.lane,
			&self.vk_hash,
			&sha2_256(&self.key).into(),
		)
	}

	/// With a quote at `level` that binds what `binding` holds.
	pub fn attested(self, level: Level, binding: Binding) -> Self {
		let mut quote = vec![level as u8];
		quote.extend(messages::setup_report_data(
			&binding.genesis,
			&binding.publisher,
			&binding.manifest_hash,
			&binding.circuit_digest,
			&binding.vk_hash,
			&binding.block_hash,
		));
		let quote = quote.try_into().expect("short");
		Self { evidence: SetupEvidence::Attested { quote, block: NAMED_BLOCK }, ..self }
	}
}

/// The block that a setup's quote names.
pub const NAMED_BLOCK: u32 = 5;

/// What a setup's quote binds; by default the default offer.
pub struct Binding {
	pub genesis: H256,
	pub publisher: u64,
	pub manifest_hash: H256,
	pub circuit_digest: H256,
	pub vk_hash: H256,
	pub block_hash: H256,
}

impl Default for Binding {
	fn default() -> Self {
		let offer = Offer::default();
		Self {
			genesis: H256::repeat_byte(0xa0),
			publisher: PUBLISHER,
			manifest_hash: Offer::MANIFEST,
			circuit_digest: offer.circuit_digest,
			vk_hash: offer.vk_hash,
			block_hash: H256::repeat_byte(NAMED_BLOCK as u8),
		}
	}
}

pub fn new_test_ext() -> TestExternalities {
	ProbeAnswer::set(Decision::Rejected(RejectReason::ProofInvalid));
	StruckOff::set(vec![]);
	Banned::set(vec![]);
	let config = RuntimeGenesisConfig {
		balances: pallet_balances::GenesisConfig {
			balances: vec![(PUBLISHER, ENDOWMENT), (STRANGER, ENDOWMENT), (POT, 1)],
			..Default::default()
		},
		models: pallet_models::GenesisConfig {
			verifiers: vec![GenesisVerifier { lane: Lane::Groth16, contract: CONTRACT }],
			..Default::default()
		},
		..Default::default()
	};
	let mut ext = TestExternalities::new(config.build_storage().expect("no genesis"));
	ext.execute_with(|| {
		frame_system::BlockHash::<Test>::insert(0, Binding::default().genesis);
		for block in 1..7 {
			frame_system::BlockHash::<Test>::insert(block, H256::repeat_byte(block as u8));
		}
		System::set_block_number(7);
	});
	ext
}

/// Publishes the default offer and returns its id.
pub fn published() -> H256 {
	assert_ok!(Offer::default().publish());
	Offer::default().id()
}
