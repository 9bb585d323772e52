//! The runtime as a whole: what the pallets' own tests replace by tables.

mod beacon;
mod consensus;
mod economics;
mod genesis;
mod governance;
mod verdicts;
