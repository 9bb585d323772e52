//! What Proofward's pallets share: types, identifiers, signed messages, and the traits between them.
//!
//! No pallet depends on another: each names, in its `Config`, a trait from [`traits`] that the runtime fulfils.
//! Byte layouts here are normative; `docs/protocol.md` restates them with test vectors.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod beacon;
pub mod holds;
pub mod ids;
pub mod messages;
pub mod sessions;
pub mod traits;
pub mod types;

pub use beacon::{Beacon, Draw};
pub use traits::{
	ContractCode, Decision, Ending, Equivocation, ModelRegistry, ModelView, ProofVerifier, QuoteVerifier,
	RejectReason, Statement, TrustList, Verdict, Verified, VerifierContract, WorkerRegistry, WorkerView,
	PROBED,
};
pub use types::{Balance, Lane, Level, Moment, Setup};
