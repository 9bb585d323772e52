//! Whether a sealed output opens what was proven: HPKE open, decode, commit anew, compare.
//!
//! A client that contests a delivery reveals the reply key of that one job. Everything here follows from bytes that the
//! chain can check against hashes it holds, and nothing depends on anybody's word, so that an enclave that sealed what
//! it proved is found to have done so whatever a client reveals.
//!
//! - [`reply`]: the key, and how a job's id commits to it.
//! - [`shape`]: what the model's manifest says of an output.
//! - [`output`]: the plaintext of a sealed output.
//! - [`commitment`] and [`poseidon`]: the commitment of the Groth16 lane (`prover/IR.md`).
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod commitment;
pub mod output;
pub mod poseidon;
pub mod reply;
pub mod shape;

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

pub use output::Context;
pub use reply::ReplyKey;
pub use shape::Shape;

/// What is wrong with a sealed output. An enclave that sealed what it proved to the job's reply key meets none of them.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Fault {
	/// It does not authenticate under the job's reply key and context.
	#[codec(index = 0)]
	Sealed,
	/// What is inside is no output of the model's shape.
	#[codec(index = 1)]
	Malformed,
	/// A value is outside of what the circuit can give.
	#[codec(index = 2)]
	OutOfRange,
	/// It opens another commitment than the one that was proven.
	#[codec(index = 3)]
	OtherCommitment,
}

/// Opens `sealed` and compares it with the output commitment that `context` names.
pub fn judge(key: &ReplyKey, context: &Context, sealed: &[u8], shape: &Shape) -> Result<(), Fault> {
	let plaintext = key.open(&context.info(), sealed).ok_or(Fault::Sealed)?;
	let output = output::Output::decode(&plaintext, shape).ok_or(Fault::Malformed)?;
	let found = commitment::commit(shape, &output.values, &output.salt).ok_or(Fault::OutOfRange)?;
	if found != context.output_commitment {
		return Err(Fault::OtherCommitment);
	}
	Ok(())
}
