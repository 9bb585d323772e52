//! The plaintext of a sealed output, and what the seal is bound to (`docs/protocol.md`, "Sealed output").

use alloc::vec::Vec;

use codec::{Decode, DecodeAll, Encode};

use crate::Shape;

const OUTPUT: &[u8] = b"proofward/output/v1";

/// What a sealed output is bound to, 32 bytes each.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Context {
	/// Hash of block 0.
	pub genesis: [u8; 32],
	/// The job's id.
	pub job: [u8; 32],
	/// The model's id.
	pub model: [u8; 32],
	/// The worker's account.
	pub worker: [u8; 32],
	/// To the input.
	pub input_commitment: [u8; 32],
	/// To the output, as it was proven.
	pub output_commitment: [u8; 32],
}

impl Context {
	/// HPKE's `info`: the domain, then the SCALE encoding.
	pub fn info(&self) -> Vec<u8> {
		[OUTPUT, &self.encode()].concat()
	}
}

/// What an enclave seals.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Output {
	/// How many of the records are real; the client knows better.
	pub records: u32,
	/// Batch times outputs, record by record.
	pub values: Vec<i64>,
	/// Of the commitment.
	pub salt: [u8; 32],
}

impl Output {
	/// The canonical encoding of an output of this shape, and nothing behind it.
	pub fn decode(plaintext: &[u8], shape: &Shape) -> Option<Self> {
		let output = Self::decode_all(&mut &*plaintext).ok()?;
		let shaped = output.values.len() == shape.values() && (1..=shape.batch()).contains(&output.records);
		shaped.then_some(output)
	}
}
