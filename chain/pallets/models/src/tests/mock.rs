//! A runtime whose contracts are a table and whose quotes name their own verdict.

use polkadot_sdk::{
	frame_support::{self, assert_ok, derive_impl, weights::Weight},
	frame_system::{self, RawOrigin},
	sp_core::{H160, H256},
	sp_io::TestExternalities,
	sp_runtime::{traits::IdentityLookup, BuildStorage, DispatchError, DispatchResult},
};
use proofward_primitives::{ids, messages, ContractCode, Lane, Level, QuoteVerifier, Verified};

use crate::{self as pallet_models, SetupEvidence};

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
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
	type AccountId = u64;
	type Lookup = IdentityLookup<u64>;
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
			root: H256::repeat_byte(1),
			measurement: H256::repeat_byte(2),
			report_data: report_data.try_into().map_err(|_| DispatchError::Other("MalformedQuote"))?,
			collateral_expires_at: u64::MAX,
		})
	}
	fn verify_quote_weight() -> Weight {
		Weight::from_parts(1_000_000, 0)
	}
}

impl pallet_models::Config for Test {
	type Contracts = Contracts;
	type Quotes = Quotes;
	type BlockNumberProvider = System;
	type WeightInfo = ();
}

pub const PUBLISHER: u64 = 1;
pub const STRANGER: u64 = 2;

/// The arguments of `publish`; a test changes the one that it is about.
#[derive(Clone)]
pub struct Offer {
	pub name: Vec<u8>,
	pub input_shape: Vec<u32>,
	pub batch: u32,
	pub vk_hash: H256,
	pub circuit_digest: H256,
	pub verifier: H160,
	pub code_hash: H256,
	pub claim_blocks: u32,
	pub evidence: SetupEvidence,
}

impl Default for Offer {
	fn default() -> Self {
		Self {
			name: b"breast-cancer-mlp".to_vec(),
			input_shape: vec![30],
			batch: 1,
			vk_hash: H256::repeat_byte(0x11),
			circuit_digest: H256::repeat_byte(0x22),
			verifier: VERIFIER,
			code_hash: CODE,
			claim_blocks: 20,
			evidence: SetupEvidence::Dev,
		}
	}
}

impl Offer {
	pub const WEIGHTS: H256 = H256::repeat_byte(0x33);
	pub const MANIFEST: H256 = H256::repeat_byte(0x44);

	pub fn publish(&self) -> DispatchResult {
		Models::publish(
			RawOrigin::Signed(PUBLISHER).into(),
			self.name.clone().try_into().expect("short"),
			Self::WEIGHTS,
			Self::MANIFEST,
			self.input_shape.clone().try_into().expect("short"),
			self.batch,
			Lane::Groth16,
			self.vk_hash,
			self.circuit_digest,
			self.verifier,
			self.code_hash,
			1_000,
			self.claim_blocks,
			self.evidence.clone(),
		)
	}

	pub fn id(&self) -> H256 {
		ids::model_id(
			&PUBLISHER,
			&Self::WEIGHTS,
			&Self::MANIFEST,
			Lane::Groth16,
			&self.vk_hash,
			&self.verifier,
			&self.code_hash,
		)
	}

	/// With a quote at `level` that binds `circuit_digest` and `vk_hash`.
	pub fn attested(self, level: Level, circuit_digest: H256, vk_hash: H256) -> Self {
		let mut quote = vec![level as u8];
		quote.extend(messages::setup_report_data(&circuit_digest, &vk_hash));
		Self { evidence: SetupEvidence::Attested(quote.try_into().expect("short")), ..self }
	}
}

pub fn new_test_ext() -> TestExternalities {
	let storage = frame_system::GenesisConfig::<Test>::default().build_storage().expect("no genesis");
	let mut ext = TestExternalities::new(storage);
	ext.execute_with(|| System::set_block_number(7));
	ext
}

/// Publishes the default offer and returns its id.
pub fn published() -> H256 {
	assert_ok!(Offer::default().publish());
	Offer::default().id()
}
