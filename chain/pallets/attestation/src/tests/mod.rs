//! Real quotes at their date, the development root's, and what must be refused.

mod collateral;
mod faults;
mod mock;
mod verdicts;
