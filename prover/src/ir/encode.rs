//! Encoding programs: the inverse of `ir::decode`, for tests and for tools. The compiler has its own encoder,
//! in Python.

use crate::ir::{Node, Op};

/// The bytes of a program of these nodes, canonical if the nodes are valid.
pub fn encode(nodes: &[Node]) -> Vec<u8> {
	let mut out = b"PWIR\x01\x00".to_vec();
	let put32 = |out: &mut Vec<u8>, n: usize| out.extend((n as u32).to_le_bytes());
	put32(&mut out, nodes.len());
	for node in nodes {
		let tag = match &node.op {
			Op::Input(_) => 0,
			Op::Linear(_) => 1,
			Op::Shift { .. } => 2,
			Op::ReluShift { .. } => 3,
			Op::Thermometer { .. } => 4,
			Op::Mux(_) => 5,
			Op::Output(_) => 6,
		};
		out.push(tag);
		out.push(node.label.len() as u8);
		out.extend(node.label.bytes());
		match &node.op {
			Op::Input(bounds) => {
				put32(&mut out, bounds.len());
				bounds.iter().for_each(|b| {
					out.extend(b.lo.to_le_bytes());
					out.extend(b.hi.to_le_bytes());
				});
			}
			Op::Linear(rows) => {
				put32(&mut out, rows.len());
				for row in rows {
					out.extend(row.bias.to_le_bytes());
					put32(&mut out, row.terms.len());
					for (wire, coefficient) in &row.terms {
						out.extend(wire.to_le_bytes());
						out.extend(coefficient.to_le_bytes());
					}
				}
			}
			Op::Shift { s, wires } | Op::ReluShift { s, wires } => {
				out.push(*s as u8);
				put32(&mut out, wires.len());
				wires.iter().for_each(|w| out.extend(w.to_le_bytes()));
			}
			Op::Thermometer { wire, k } => {
				out.extend(wire.to_le_bytes());
				out.extend(k.to_le_bytes());
			}
			Op::Mux(muxes) => {
				put32(&mut out, muxes.len());
				for (bit, a, b) in muxes {
					[bit, a, b].iter().for_each(|w| out.extend(w.to_le_bytes()));
				}
			}
			Op::Output(wires) => {
				put32(&mut out, wires.len());
				wires.iter().for_each(|w| out.extend(w.to_le_bytes()));
			}
		}
	}
	out
}
