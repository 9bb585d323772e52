//! Jobs on a runtime of tables. Calls are dispatched as in a block, so an error rolls back what was done before it.

mod adversarial;
mod contest;
mod invariants;
mod lifecycle;
mod mock;
mod properties;
mod reentrancy;
