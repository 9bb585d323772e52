//! The runtime as a whole: what the pallets' own tests replace by tables.

mod genesis;
mod verdicts;
