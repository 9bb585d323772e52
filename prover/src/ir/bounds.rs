//! What is known of a program's wires without running it. IR.md ("Static bounds") is the specification.

use crate::error::{refuse, Refusal, Result};
use crate::ir::{bit_length, Bounds, Node, Op, Row, MAX_BITS};

/// What the static bounds say about a Shift or a ReluShift; see IR.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
	/// The result is this constant.
	Constant(i64),
	/// A ReluShift by 0 of a wire that is never negative.
	Identity,
	/// `x + half - (q_lo << s)` has `bits` bits, of which the upper `bits - s` are `q - q_lo`.
	Shift { q_lo: i64, bits: u32 },
	/// `x + half + 2^k` has `k + 1` bits, of which the highest is the sign.
	Relu { k: u32 },
}

pub fn half(s: u32) -> i64 {
	if s == 0 {
		0
	} else {
		1 << (s - 1)
	}
}

pub fn rounding(relu: bool, s: u32, x: Bounds) -> Rounding {
	let (lo, hi) = (x.lo + half(s), x.hi + half(s));
	let (q_lo, q_hi) = (lo >> s, hi >> s);
	if relu && q_hi <= 0 {
		Rounding::Constant(0)
	} else if relu && q_lo < 0 {
		// Least k with -2^k <= lo and hi < 2^k.
		let k = bit_length(hi as u64).max(bit_length(!lo as u64));
		Rounding::Relu { k }
	} else if s == 0 {
		Rounding::Identity
	} else if q_lo == q_hi {
		Rounding::Constant(q_lo)
	} else {
		let bits = s + bit_length((q_hi - q_lo) as u64);
		Rounding::Shift { q_lo, bits }
	}
}

/// Static bounds of all wires, and which inputs are range-checked by a Thermometer.
pub fn bound(nodes: &[Node]) -> Result<(Vec<Bounds>, Vec<bool>)> {
	let mut bounds: Vec<Bounds> = Vec::new();
	let mut ranked: Vec<bool> = Vec::new();
	for node in nodes {
		let start = bounds.len();
		match &node.op {
			Op::Input(inputs) => {
				ranked = vec![false; inputs.len()];
				for node in nodes {
					if let Op::Thermometer { wire, k } = node.op {
						if let Some(input) = inputs.get(wire as usize) {
							ranked[wire as usize] |= input.lo == 0 && input.hi == i64::from(k);
						}
					}
				}
				for (input, &ranked) in inputs.iter().zip(&ranked) {
					let hi = match input.bits() {
						_ if ranked => input.hi,
						w if w > MAX_BITS => return too_wide(node, start),
						w => input.lo.saturating_add((1 << w) - 1),
					};
					bounds.push(Bounds { lo: input.lo, hi });
				}
			}
			Op::Linear(rows) => {
				for row in rows {
					match bound_row(row, &bounds[..start]) {
						Some(b) => bounds.push(b),
						None => return too_wide(node, bounds.len()),
					}
				}
			}
			Op::Shift { s, wires } => {
				for &w in wires {
					let q = |x: i64| (x + half(*s)) >> s;
					let x = bounds[w as usize];
					bounds.push(Bounds { lo: q(x.lo), hi: q(x.hi) });
				}
			}
			Op::ReluShift { s, wires } => {
				for &w in wires {
					let q = |x: i64| ((x + half(*s)) >> s).max(0);
					let x = bounds[w as usize];
					bounds.push(Bounds { lo: q(x.lo), hi: q(x.hi) });
				}
			}
			Op::Thermometer { wire, k } => {
				if !bounds[*wire as usize].within(0, i64::from(*k)) {
					let label = &node.label;
					return refuse(
						Refusal::MalformedProgram,
						format!("node '{label}': Thermometer of {k} reads wire {wire}, which exceeds 0..{k}"),
					);
				}
				bounds.extend((0..*k).map(|_| Bounds { lo: 0, hi: 1 }));
			}
			Op::Mux(muxes) => {
				for &(bit, a, b) in muxes {
					if !bounds[bit as usize].within(0, 1) {
						let label = &node.label;
						return refuse(
							Refusal::MalformedProgram,
							format!("node '{label}': Mux selects by wire {bit}, whose bounds exceed 0..1"),
						);
					}
					let (a, b) = (bounds[a as usize], bounds[b as usize]);
					bounds.push(Bounds { lo: a.lo.min(b.lo), hi: a.hi.max(b.hi) });
				}
			}
			Op::Output(_) => {}
		}
		let limit = 1i64 << MAX_BITS;
		for (i, b) in bounds.iter().enumerate().skip(start) {
			if !b.within(1 - limit, limit - 1) || b.bits() > MAX_BITS {
				return too_wide(node, i);
			}
		}
		check_decompositions(node, &bounds)?;
	}
	Ok((bounds, ranked))
}

/// Bounds of a Linear row; None if a partial sum might leave 62 bits.
fn bound_row(row: &Row, bounds: &[Bounds]) -> Option<Bounds> {
	let (mut lo, mut hi) = (i128::from(row.bias), i128::from(row.bias));
	let mut magnitude = i128::from(row.bias).abs();
	for &(wire, coefficient) in &row.terms {
		let b = bounds[wire as usize];
		let ends = [b.lo, b.hi].map(|end| i128::from(coefficient) * i128::from(end));
		lo += ends[0].min(ends[1]);
		hi += ends[0].max(ends[1]);
		magnitude += ends[0].abs().max(ends[1].abs());
	}
	let fits = magnitude < 1 << 62;
	fits.then_some(Bounds { lo: lo as i64, hi: hi as i64 })
}

fn check_decompositions(node: &Node, bounds: &[Bounds]) -> Result<()> {
	let (relu, s, wires) = match &node.op {
		Op::Shift { s, wires } => (false, *s, wires),
		Op::ReluShift { s, wires } => (true, *s, wires),
		_ => return Ok(()),
	};
	for &w in wires {
		let bits = match rounding(relu, s, bounds[w as usize]) {
			Rounding::Shift { bits, .. } => bits,
			Rounding::Relu { k } => k + 1,
			Rounding::Constant(_) | Rounding::Identity => 0,
		};
		if bits > MAX_BITS {
			return too_wide(node, w as usize);
		}
	}
	Ok(())
}

fn too_wide<T>(node: &Node, wire: usize) -> Result<T> {
	let label = &node.label;
	refuse(
		Refusal::Overflow,
		format!(
			"node '{label}': wire {wire} may need more than {MAX_BITS} bits; quantise with smaller scales"
		),
	)
}
