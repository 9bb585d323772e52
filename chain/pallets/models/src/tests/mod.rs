//! Publishing, retiring and certifying, on a runtime of tables.

mod adversarial;
mod lifecycle;
mod mock;
