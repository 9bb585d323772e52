//! Real quotes at their date, the development root's, and what must be refused.

mod collateral;
mod mock;
mod verdicts;
