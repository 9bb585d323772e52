//! What the chain keeps of a model, and what a publisher offers as evidence for its setup.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{pallet_prelude::ConstU32, BoundedVec},
	sp_core::{H160, H256},
};
use proofward_primitives::{Balance, Lane, ModelView, Setup, VerifierContract};
use scale_info::TypeInfo;

/// Longest name, in bytes of UTF-8.
pub const MAX_NAME: u32 = 64;
/// Most dimensions of an input.
pub const MAX_DIMENSIONS: u32 = 4;
/// Most numbers in one record's input: eight bytes each, and a batch of one still fits a job's envelope.
pub const MAX_FEATURES: u32 = 8_000;
/// Most records in one job.
pub const MAX_BATCH: u32 = 32;
/// Longest quote, in bytes.
pub const MAX_QUOTE: u32 = 16_384;
/// Shortest and longest time that a model may give a worker for a claim, in blocks.
pub const CLAIM_BLOCKS: core::ops::RangeInclusive<u32> = 5..=600;

pub type Name = BoundedVec<u8, ConstU32<MAX_NAME>>;
pub type InputShape = BoundedVec<u32, ConstU32<MAX_DIMENSIONS>>;
pub type Quote = BoundedVec<u8, ConstU32<MAX_QUOTE>>;

/// What a publisher shows for the origin of the proving key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum SetupEvidence {
	/// Nothing: whoever made the key can prove anything.
	#[codec(index = 0)]
	Dev,
	/// The quote of the enclave that made the key; its report_data binds circuit digest and verifying key.
	#[codec(index = 1)]
	Attested(Quote),
}

impl SetupEvidence {
	/// Length of the quote in bytes; 0 without one.
	pub fn quote_len(&self) -> u32 {
		match self {
			Self::Dev => 0,
			Self::Attested(quote) => quote.len() as u32,
		}
	}
}

/// A published model. Everything but `setup`, `evidence_hash` and `retired` is fixed for good.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Model<AccountId> {
	pub publisher: AccountId,
	/// UTF-8 without control characters.
	pub name: Name,
	/// SHA-256 of the ONNX file.
	pub weights_digest: H256,
	/// SHA-256 of the artefact's manifest, which says how inputs are quantised and outputs are read.
	pub manifest_hash: H256,
	/// Dimensions of one record's input.
	pub input_shape: InputShape,
	/// Records that one job can carry.
	pub batch: u32,
	pub lane: Lane,
	/// SHA-256 of the verifying key.
	pub vk_hash: H256,
	/// What the lane's compiler calls the circuit; the setup's quote binds it.
	pub circuit_digest: H256,
	/// The contract that decides about proofs.
	pub verifier: H160,
	/// keccak-256 of its runtime code; no other code is ever asked.
	pub code_hash: H256,
	/// The least price of a job, in the smallest unit.
	pub price: Balance,
	/// Blocks after which a claim lapses.
	pub claim_blocks: u32,
	pub setup: Setup,
	/// SHA-256 of the setup's quote (to be found in the extrinsic at `published_at`), or the hash of the ceremony's
	/// transcript.
	pub evidence_hash: Option<H256>,
	/// Block of publication.
	pub published_at: u32,
	/// Takes no new jobs; those in its queue may still be done.
	pub retired: bool,
}

impl<AccountId> Model<AccountId> {
	pub fn view(&self) -> ModelView {
		ModelView {
			weights_digest: self.weights_digest,
			lane: self.lane,
			setup: self.setup,
			verifier: VerifierContract { address: self.verifier, code_hash: self.code_hash },
			price: self.price,
			claim_blocks: self.claim_blocks,
			retired: self.retired,
		}
	}
}
