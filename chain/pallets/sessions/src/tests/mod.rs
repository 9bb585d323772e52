//! The pallet over a runtime whose workers, models, contracts and beacon are tables.

mod adversarial;
mod lifecycle;
mod mock;
mod properties;
