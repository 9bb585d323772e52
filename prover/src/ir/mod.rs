//! The integer program: nodes, canonical bytes, limits and static bounds. IR.md is the specification.

mod bounds;
mod decode;
mod encode;

pub use bounds::{half, rounding, Rounding};
pub use encode::encode;

use crate::error::Result;

/// Bytes of a program, at most.
pub const MAX_BYTES: usize = 64 << 20;
/// Nodes of a program, at most.
pub const MAX_NODES: usize = 1 << 16;
/// Wires of a record, at most.
pub const MAX_WIRES: usize = 1 << 20;
/// Linear terms of a program, at most.
pub const MAX_TERMS: usize = 1 << 22;
/// Inputs, and outputs, of a record, at most.
pub const MAX_ENDS: usize = 8192;
/// Records of a circuit, at most.
pub const MAX_BATCH: usize = 32;
/// Bits that a Shift drops, at most.
pub const MAX_SHIFT: u32 = 48;
/// Wires of a Thermometer, at most.
pub const MAX_THERMOMETER: u32 = 4096;
/// Every decomposition takes this many bits or fewer, and every wire lies strictly within +-2^60.
pub const MAX_BITS: u32 = 60;

/// A wire's number: its position among all wires of a record.
pub type Wire = u32;

/// Inclusive bounds of a wire, true of every satisfying assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
	/// The least value.
	pub lo: i64,
	/// The largest value.
	pub hi: i64,
}

impl Bounds {
	/// Bits that hold `x - lo` for every `x` within.
	pub fn bits(&self) -> u32 {
		bit_length(self.hi.abs_diff(self.lo))
	}

	/// Whether `x` lies within.
	pub fn contains(&self, x: i64) -> bool {
		self.lo <= x && x <= self.hi
	}

	/// Whether all of it lies within `lo..=hi`.
	pub fn within(&self, lo: i64, hi: i64) -> bool {
		lo <= self.lo && self.hi <= hi
	}
}

/// Bits of `n`; 0 for 0.
pub fn bit_length(n: u64) -> u32 {
	64 - n.leading_zeros()
}

/// `bias + sum(coefficient * wire)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
	/// The constant.
	pub bias: i64,
	/// (wire, coefficient): wires increase, no coefficient is 0.
	pub terms: Vec<(Wire, i64)>,
}

/// What a node appends to the wires; IR.md has the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
	/// The record, with its declared bounds.
	Input(Vec<Bounds>),
	/// Weighted sums.
	Linear(Vec<Row>),
	/// `(x + half(s)) >> s` of each wire.
	Shift {
		/// Bits dropped.
		s: u32,
		/// What is read.
		wires: Vec<Wire>,
	},
	/// The positive part of a Shift.
	ReluShift {
		/// Bits dropped.
		s: u32,
		/// What is read.
		wires: Vec<Wire>,
	},
	/// `wire >= j` for `j` in `1..=k`.
	Thermometer {
		/// What is read: `0..=k`.
		wire: Wire,
		/// Wires appended.
		k: u32,
	},
	/// (bit, a, b): `a` if the bit is 1, else `b`.
	Mux(Vec<(Wire, Wire, Wire)>),
	/// The result.
	Output(Vec<Wire>),
}

/// A step of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
	/// For reports.
	pub label: String,
	/// What it does.
	pub op: Op,
}

/// A decoded program whose bounds have been proved.
#[derive(Clone, Debug)]
pub struct Program {
	/// In the order of their execution.
	pub nodes: Vec<Node>,
	/// Static bounds of every wire.
	pub bounds: Vec<Bounds>,
	/// For each input, whether a Thermometer on it is its range check.
	pub ranked: Vec<bool>,
}

impl Program {
	/// Decode and check. Refuses with malformed-program, over-limit or overflow.
	pub fn decode(bytes: &[u8]) -> Result<Program> {
		let nodes = decode::decode_nodes(bytes)?;
		let (bounds, ranked) = bounds::bound(&nodes)?;
		Ok(Program { nodes, bounds, ranked })
	}

	/// Declared bounds of the inputs.
	pub fn inputs(&self) -> &[Bounds] {
		match &self.nodes[0].op {
			Op::Input(bounds) => bounds,
			_ => unreachable!("decoding puts Input first"),
		}
	}

	/// The wires that are the result.
	pub fn outputs(&self) -> &[Wire] {
		match &self.nodes[self.nodes.len() - 1].op {
			Op::Output(wires) => wires,
			_ => unreachable!("decoding puts Output last"),
		}
	}

	/// Static bounds of the result.
	pub fn output_bounds(&self) -> Vec<Bounds> {
		let bound = |&w: &Wire| self.bounds[w as usize];
		self.outputs().iter().map(bound).collect()
	}
}
