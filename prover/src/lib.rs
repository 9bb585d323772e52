//! Groth16 proofs of integer programs: ../IR.md says what a program means, ../../docs/proving.md why a proof
//! proves it.
//!
//! Read in this order: `ir` (what is proved), `gadgets` and `poseidon` (how, in constraints), `commit` and
//! `circuit` (the whole statement), `setup`, `keys`, `check`, `groth16` and `verify` (keys, proofs, verdicts). `backend` and
//! `matrices` are what gadgets run on; `domain` and `msm` are arithmetic; the rest is bytes.

mod backend;
pub mod ceremony;
mod check;
mod circuit;
mod commit;
mod domain;
pub mod error;
mod export;
mod field;
mod gadgets;
mod groth16;
mod ir;
mod keys;
mod layout;
mod made;
mod matrices;
mod memory;
mod msm;
mod norm;
pub mod pedersen;
mod plain;
mod points;
mod poseidon;
mod ptau;
mod secrets;
mod setup;
pub mod statement;
mod verify;

pub use backend::{Native, Witness};
pub use ceremony::{Contribution, ShareProof, State, Transcript};
pub use check::well_formed;
pub use circuit::{evaluate, record, run, synthesize, Circuit};
pub use commit::{check_record, commit, open_record, Batch, Form};
pub use error::{Error, Refusal, Result};
pub use export::{proof_json, r1cs, verifying_key_json};
pub use field::to_bytes;
pub use groth16::prove;
pub use ir::{encode, Bounds, Node, Op, Program, Row, Wire};
pub use keys::{check_file, decode as decode_key, Points, ProvingKey};
pub use layout::{Layout, MAX_TABLE_BYTES};
pub use made::Made;
pub use matrices::{Matrices, Row as MatrixRow, Sparse, Var};
pub use norm::{prove_norm, verify_norm};
pub use pedersen::point as vector_commitment;
pub use points::{
	commitment, proof_from_bytes, proof_to_bytes, verifying_key_from_bytes, verifying_key_to_bytes,
	PROOF_BYTES, VERIFYING_KEY_BYTES,
};
pub use poseidon::{hash as poseidon, MAX_ARITY};
pub use ptau::{generate, read as read_phase1, Phase1};
pub use setup::setup;
pub use verify::{Claim, Verifier};
