//! Programs from bytes. IR.md ("Bytes") is the specification.

use crate::error::{refuse, Refusal, Result};
use crate::ir::{
	Bounds, Node, Op, Row, Wire, MAX_BYTES, MAX_ENDS, MAX_NODES, MAX_SHIFT, MAX_TERMS, MAX_THERMOMETER,
	MAX_WIRES,
};

/// What a program begins with.
pub const MAGIC: &[u8; 4] = b"PWIR";
/// The version of the format.
pub const VERSION: u16 = 1;

/// Nodes, in order, none of which reads what is not yet written. Refuses malformed-program, over-limit.
pub fn decode_nodes(bytes: &[u8]) -> Result<Vec<Node>> {
	if bytes.len() > MAX_BYTES {
		return refuse(Refusal::OverLimit, format!("the program has more than {MAX_BYTES} bytes"));
	}
	let mut reader = Reader { bytes, at: 0 };
	if reader.take::<4>()? != *MAGIC || u16::from_le_bytes(reader.take()?) != VERSION {
		return refuse(Refusal::MalformedProgram, "the program does not begin with PWIR, version 1");
	}
	let count = reader.count("nodes", MAX_NODES)?;
	let mut nodes = Vec::new();
	let (mut wires, mut terms) = (0usize, 0usize);
	for i in 0..count {
		let tag = reader.byte()?;
		let label = reader.label()?;
		if (i == 0) != (tag == 0) || (i + 1 == count) != (tag == 6) {
			return refuse(
				Refusal::MalformedProgram,
				"Input must be the first node, Output the last, and each occur once",
			);
		}
		let op = reader.op(tag, wires, &mut terms)?;
		wires += match &op {
			Op::Input(bounds) => bounds.len(),
			Op::Linear(rows) => rows.len(),
			Op::Shift { wires, .. } | Op::ReluShift { wires, .. } => wires.len(),
			Op::Thermometer { k, .. } => *k as usize,
			Op::Mux(muxes) => muxes.len(),
			Op::Output(_) => 0,
		};
		if wires > MAX_WIRES {
			return refuse(Refusal::OverLimit, format!("the program has more than {MAX_WIRES} wires"));
		}
		nodes.push(Node { label, op });
	}
	if nodes.len() < 2 || reader.at != bytes.len() {
		return refuse(Refusal::MalformedProgram, "the program does not end after its Output node");
	}
	Ok(nodes)
}

struct Reader<'a> {
	bytes: &'a [u8],
	at: usize,
}

impl Reader<'_> {
	fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
		match self.bytes.get(self.at..self.at + N).and_then(|b| b.try_into().ok()) {
			Some(array) => {
				self.at += N;
				Ok(array)
			}
			None => refuse(Refusal::MalformedProgram, format!("the program ends early, at byte {}", self.at)),
		}
	}

	fn byte(&mut self) -> Result<u8> {
		Ok(self.take::<1>()?[0])
	}

	fn u32(&mut self) -> Result<u32> {
		Ok(u32::from_le_bytes(self.take()?))
	}

	fn i64(&mut self) -> Result<i64> {
		Ok(i64::from_le_bytes(self.take()?))
	}

	fn label(&mut self) -> Result<String> {
		let length = self.byte()? as usize;
		let bytes = self.bytes.get(self.at..self.at + length).unwrap_or_default();
		if length > 63 || bytes.len() != length || !bytes.iter().all(|b| (0x20..=0x7e).contains(b)) {
			return refuse(Refusal::MalformedProgram, "a label must be at most 63 bytes of printable ASCII");
		}
		self.at += length;
		Ok(bytes.iter().map(|&b| char::from(b)).collect())
	}

	fn count(&mut self, what: &str, limit: usize) -> Result<usize> {
		match self.u32()? as usize {
			0 => refuse(Refusal::MalformedProgram, format!("the number of {what} must be at least 1")),
			n if n > limit => refuse(Refusal::OverLimit, format!("more than {limit} {what}")),
			n => Ok(n),
		}
	}

	fn wire(&mut self, wires: usize) -> Result<Wire> {
		match self.u32()? {
			w if (w as usize) < wires => Ok(w),
			w => refuse(Refusal::MalformedProgram, format!("wire {w} is read before it is written")),
		}
	}

	fn wires(&mut self, what: &str, limit: usize, wires: usize) -> Result<Vec<Wire>> {
		let n = self.count(what, limit)?;
		(0..n).map(|_| self.wire(wires)).collect()
	}

	fn shift(&mut self, least: u32) -> Result<u32> {
		match u32::from(self.byte()?) {
			s if (least..=MAX_SHIFT).contains(&s) => Ok(s),
			s => refuse(
				Refusal::MalformedProgram,
				format!("a shift by {s}: {least} to {MAX_SHIFT} are possible"),
			),
		}
	}

	fn row(&mut self, wires: usize, total: &mut usize) -> Result<Row> {
		let bias = self.i64()?;
		let n = self.u32()? as usize;
		*total = total.saturating_add(n);
		if *total > MAX_TERMS {
			return refuse(Refusal::OverLimit, format!("the program has more than {MAX_TERMS} linear terms"));
		}
		let mut terms: Vec<(Wire, i64)> = Vec::new();
		for _ in 0..n {
			let (wire, coefficient) = (self.wire(wires)?, self.i64()?);
			if coefficient == 0 || terms.last().is_some_and(|&(last, _)| last >= wire) {
				return refuse(
					Refusal::MalformedProgram,
					"a row's wires must increase and its coefficients must not be 0",
				);
			}
			terms.push((wire, coefficient));
		}
		Ok(Row { bias, terms })
	}

	fn op(&mut self, tag: u8, wires: usize, terms: &mut usize) -> Result<Op> {
		Ok(match tag {
			0 => {
				let n = self.count("inputs", MAX_ENDS)?;
				let mut bounds = Vec::new();
				for _ in 0..n {
					let (lo, hi) = (self.i64()?, self.i64()?);
					if lo > hi {
						return refuse(
							Refusal::MalformedProgram,
							format!("an input from {lo} to {hi} has no values"),
						);
					}
					bounds.push(Bounds { lo, hi });
				}
				Op::Input(bounds)
			}
			1 => {
				let n = self.count("rows", MAX_WIRES)?;
				Op::Linear((0..n).map(|_| self.row(wires, terms)).collect::<Result<_>>()?)
			}
			2 => Op::Shift { s: self.shift(1)?, wires: self.wires("shifts", MAX_WIRES, wires)? },
			3 => Op::ReluShift { s: self.shift(0)?, wires: self.wires("relus", MAX_WIRES, wires)? },
			4 => {
				let wire = self.wire(wires)?;
				let k = self.count("thermometer steps", MAX_THERMOMETER as usize)? as u32;
				Op::Thermometer { wire, k }
			}
			5 => {
				let n = self.count("muxes", MAX_WIRES)?;
				let mux = |r: &mut Self| Ok((r.wire(wires)?, r.wire(wires)?, r.wire(wires)?));
				Op::Mux((0..n).map(|_| mux(self)).collect::<Result<_>>()?)
			}
			6 => Op::Output(self.wires("outputs", MAX_ENDS, wires)?),
			tag => return refuse(Refusal::MalformedProgram, format!("unknown node tag {tag}")),
		})
	}
}
