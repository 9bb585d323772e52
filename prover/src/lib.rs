//! Groth16 proofs of integer programs: ../IR.md says what a program means, ../../docs/proving.md why a proof
//! proves it.
//!
//! Read in this order: `ir` (what is proved), `gadgets` and `poseidon` (how, in constraints), `commit` and
//! `circuit` (the whole statement), `setup`, `groth16` and `verify` (keys, proofs, verdicts). `backend` and `matrices` are
//! what gadgets run on; `domain` and `msm` are arithmetic; the rest is bytes.

pub mod backend;
pub mod circuit;
pub mod commit;
pub mod domain;
pub mod encode;
pub mod encoding;
pub mod error;
pub mod export;
pub mod field;
pub mod gadgets;
pub mod groth16;
pub mod ir;
pub mod keys;
pub mod matrices;
pub mod msm;
pub mod poseidon;
#[cfg(feature = "python")]
mod python;
pub mod setup;
pub mod verify;
