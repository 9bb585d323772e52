//! What the chain keeps of a model, and what a publisher offers as evidence for its setup.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{pallet_prelude::ConstU32, weights::Weight, BoundedVec},
	sp_core::H256,
	sp_runtime::Permill,
};
use proofward_primitives::{Balance, Lane, Setup, VerifierContract};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

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
/// Longest verifying key, in bytes; the Groth16 lane's has 640. Every verdict reads it.
pub const MAX_KEY: u32 = 4_096;
/// Shortest and longest time that a model may give a worker for a claim, in blocks.
pub const CLAIM_BLOCKS: core::ops::RangeInclusive<u32> = 5..=600;
/// The most that a publisher may take of a price: the rest must be worth a worker's while.
pub const MAX_SHARE: Permill = Permill::from_percent(90);

/// UTF-8 without control characters.
pub type Name = BoundedVec<u8, ConstU32<MAX_NAME>>;
/// Dimensions of one record's input.
pub type InputShape = BoundedVec<u32, ConstU32<MAX_DIMENSIONS>>;
/// A TDX quote, version 4 or 5.
pub type Quote = BoundedVec<u8, ConstU32<MAX_QUOTE>>;
/// A verifying key, as the lane's contract takes it.
pub type Key = BoundedVec<u8, ConstU32<MAX_KEY>>;

/// The oldest block, counted from the present one, that may date a setup's quote.
pub const MAX_SETUP_AGE: u32 = 256;

/// What a publisher shows for the origin of the proving key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum SetupEvidence {
	/// Nothing: whoever made the key can prove anything.
	#[codec(index = 0)]
	Dev,
	/// The quote of the enclave that made the key, and the block that dates it; its report_data is
	/// `proofward_primitives::messages::setup_report_data`.
	#[codec(index = 1)]
	Attested {
		/// Over `setup_report_data`.
		quote: Quote,
		/// Among the last [`MAX_SETUP_AGE`].
		block: u32,
	},
}

impl SetupEvidence {
	/// Length of the quote in bytes; 0 without one.
	pub fn quote_len(&self) -> u32 {
		match self {
			Self::Dev => 0,
			Self::Attested { quote, .. } => quote.len() as u32,
		}
	}
}

/// What an attested setup rests on; its word falls with any of it.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Grounds {
	/// SHA-256 of the root's DER.
	pub root: H256,
	/// Of the enclave that made the key.
	pub measurement: H256,
	/// SHA-256 of the platform's identifier.
	pub platform: H256,
}

/// On what terms a model is run. A client that submits and a worker that claims have both read them.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Terms {
	/// The least price of a job, in the smallest unit.
	pub price: Balance,
	/// The publisher's part of each price, in millionths. Fixed for good.
	pub share: u32,
	/// What a worker puts down for a claim, in the smallest unit. Fixed for good.
	pub bond: Balance,
	/// Blocks after which a claim lapses. Fixed for good.
	pub claim_blocks: u32,
}

/// A published model. Everything but the price, the setup and its grounds and `retired_at` is fixed for good.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Model<AccountId> {
	/// Who published it, and has its share of each price.
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
	/// How its proofs are made and judged.
	pub lane: Lane,
	/// SHA-256 of the verifying key's file, as the artefact has it.
	pub vk_hash: H256,
	/// SHA-256 of the verifying key as the lane's contract takes it: what every proof is judged by.
	pub key_hash: H256,
	/// What the lane's compiler calls the circuit; the setup's quote binds it.
	pub circuit_digest: H256,
	/// On what terms it is run.
	pub terms: Terms,
	/// Whose word its proving key rests on.
	pub setup: Setup,
	/// What `setup` rests on, when it is an attested one.
	pub grounds: Option<Grounds>,
	/// SHA-256 of the setup's quote (to be found in the extrinsic at `published_at`), or the hash of the ceremony's
	/// transcript.
	pub evidence_hash: Option<H256>,
	/// Block of publication.
	pub published_at: u32,
	/// Since when it takes no new jobs; those in its queue may still be done.
	pub retired_at: Option<u32>,
	/// Held from the publisher until the entry is removed, in the smallest unit.
	pub deposit: Balance,
}

/// What a verdict cost when it was measured, and under what.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Measured {
	/// keccak-256 of the contract's runtime code.
	pub code_hash: H256,
	/// The runtime's, which says what an instruction weighs.
	pub spec_version: u32,
	/// The most that one verdict used.
	pub weight: Weight,
}

/// A lane's contract in a genesis file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisVerifier {
	/// How its proofs are made and judged.
	pub lane: Lane,
	/// Its address and code hash.
	pub contract: VerifierContract,
}
