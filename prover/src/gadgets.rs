//! The gadgets of the integer program. Each comment gives the rows it costs and why no other assignment
//! satisfies them; docs/proving.md has the long form, ../tests/gadgets.rs the proofs.

use crate::backend::Backend;
use crate::ir::{bit_length, half, rounding, Bounds, Rounding};

/// `b` is 0 or 1: `b * (b - 1) = 0`. One row.
pub fn boolean<B: Backend>(cs: &mut B, b: &B::Int) {
	let minus_one = cs.linear(-1, &[(1, b)]);
	cs.vanish(b, &minus_one);
}

fn bit_of<B: Backend>(cs: &mut B, x: &B::Int, offset: i64, i: u32) -> B::Int {
	let bit = cs.hint_bit(x, |x| (x + offset) >> i & 1 == 1);
	boolean(cs, &bit);
	bit
}

/// `sum(bit[i] * 2^i)`.
fn compose<B: Backend>(cs: &mut B, bias: i64, bits: &[B::Int]) -> B::Int {
	let terms: Vec<(i64, &B::Int)> = bits.iter().enumerate().map(|(i, bit)| (1 << i, bit)).collect();
	cs.linear(bias, &terms)
}

/// An input: `lo + sum(bits)`, so within `[lo, lo + 2^w - 1]` by construction. `w` rows.
pub fn range<B: Backend>(cs: &mut B, honest: &B::Int, declared: Bounds) -> B::Int {
	let bits: Vec<B::Int> = (0..declared.bits()).map(|i| bit_of(cs, honest, -declared.lo, i)).collect();
	compose(cs, declared.lo, &bits)
}

/// The `n` bits of `x + offset`, lowest first. `n` rows.
///
/// Bit 0 is no variable: it is `x + offset` minus the other bits, and being boolean closes the decomposition.
/// Both sides of `x + offset = sum(bit[i] * 2^i)` are below 2^62 in magnitude, so the equation holds in the
/// integers and the bits are unique.
pub fn bits<B: Backend>(cs: &mut B, x: &B::Int, offset: i64, n: u32) -> Vec<B::Int> {
	let upper: Vec<B::Int> = (1..n).map(|i| bit_of(cs, x, offset, i)).collect();
	let mut terms: Vec<(i64, &B::Int)> = vec![(1, x)];
	terms.extend(upper.iter().enumerate().map(|(i, bit)| (-(2 << i), bit)));
	let lowest = cs.linear(offset, &terms);
	boolean(cs, &lowest);
	std::iter::once(lowest).chain(upper).collect()
}

/// `(x + half) >> s`, or its positive part. Rows: the bits, and one product for a ReLU whose sign is open.
pub fn round<B: Backend>(cs: &mut B, relu: bool, s: u32, x: &B::Int, bounds: Bounds) -> B::Int {
	match rounding(relu, s, bounds) {
		Rounding::Constant(value) => cs.linear(value, &[]),
		Rounding::Identity => x.clone(),
		Rounding::Shift { q_lo, bits: n } => {
			let bits = bits(cs, x, half(s) - (q_lo << s), n);
			compose(cs, q_lo, &bits[s as usize..])
		}
		Rounding::Relu { k } => {
			let bits = bits(cs, x, half(s) + (1 << k), k + 1);
			let (sign, magnitude) = (&bits[k as usize], &bits[s as usize..k as usize]);
			// With the sign bit set, the bits below it are x + half; by s = 0 that is x itself.
			let quotient = match s {
				0 => x.clone(),
				_ => compose(cs, 0, magnitude),
			};
			cs.product(sign, &quotient, k - s)
		}
	}
}

/// Wires `t[1..=k]` with `t[j] = (x >= j)`, and their sum, which is `x`. `k + 1` rows, or one if `k` is 1.
///
/// The differences `1 - t[1], t[1] - t[2], .., t[k]` are boolean and add up to 1, so exactly one of them is
/// 1: the wires are `x` ones, then zeros.
pub fn thermometer<B: Backend>(cs: &mut B, honest: &B::Int, k: u32) -> (Vec<B::Int>, B::Int) {
	let steps: Vec<B::Int> = (1..=i64::from(k)).map(|j| cs.hint_bit(honest, |x| x >= j)).collect();
	if k > 1 {
		let first = cs.linear(1, &[(-1, &steps[0])]);
		boolean(cs, &first);
	}
	for pair in steps.windows(2) {
		let difference = cs.linear(0, &[(1, &pair[0]), (-1, &pair[1])]);
		boolean(cs, &difference);
	}
	boolean(cs, &steps[steps.len() - 1]);
	let terms: Vec<(i64, &B::Int)> = steps.iter().map(|t| (1, t)).collect();
	let rank = cs.linear(0, &terms);
	(steps, rank)
}

/// `x = y`. One row.
pub fn equal<B: Backend>(cs: &mut B, x: &B::Int, y: &B::Int) {
	let difference = cs.linear(0, &[(1, x), (-1, y)]);
	let one = cs.linear(1, &[]);
	cs.vanish(&difference, &one);
}

/// `bit * (a - b) + b`. One row, none if both are constants.
pub fn mux<B: Backend>(
	cs: &mut B,
	bit: &B::Int,
	(a, a_bounds): (&B::Int, Bounds),
	(b, b_bounds): (&B::Int, Bounds),
) -> B::Int {
	if a_bounds.lo == a_bounds.hi && b_bounds.lo == b_bounds.hi {
		return cs.linear(b_bounds.lo, &[(a_bounds.lo - b_bounds.lo, bit)]);
	}
	let difference = cs.linear(0, &[(1, a), (-1, b)]);
	let reach = a_bounds.hi.abs_diff(b_bounds.lo).max(b_bounds.hi.abs_diff(a_bounds.lo));
	let chosen = cs.product(bit, &difference, bit_length(reach));
	cs.linear(0, &[(1, &chosen), (1, b)])
}
