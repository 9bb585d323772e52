//! The pallet over a runtime whose workers are a table; commitments and signatures are real.

mod adversarial;
mod lifecycle;
mod mock;
