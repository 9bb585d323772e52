//! The runtime as a whole: what the pallets' own tests replace by tables.

mod beacon;
mod economics;
mod genesis;
mod governance;
mod verdicts;
