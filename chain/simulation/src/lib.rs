//! Honest and hostile people on the real runtime.
//!
//! - [`chain`]: blocks and extrinsics; [`market`]: jobs, models, workers and the calls about them.
//! - [`people`]: strategies; [`society`]: what everybody does in each block; [`ledger`]: who lost what to whom.
//!
//! `make sim` runs the whole of it, the tests a small part. Every attack of the market is a test of its own.

pub mod chain;
pub mod ledger;
pub mod market;
pub mod people;
pub mod society;

#[cfg(test)]
mod tests;
