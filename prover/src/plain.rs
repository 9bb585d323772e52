//! Poseidon where only the digest is wanted: the function of `poseidon`, in a quarter of the products.
//!
//! In a partial round only lane 0 meets an S-box, so what is linear in the others can be moved (Grassi et al.,
//! eprint 2019/458, appendix B). With M = [[m, v], [w, A]] and Q = diag(1, A):
//!
//! - *Constants* of the other lanes pass the S-box; each round's are carried through M into the next, and the
//!   last carry into the full rounds.
//! - *Matrices.* M diag(1, B) = diag(1, A B) [[m, v B], [(A B)^-1 w, 1]], and diag(1, .) commutes with the next
//!   round's S-box. So every round multiplies by a matrix with one dense row and one dense column, and what is
//!   left over, diag(1, A^P), multiplies once at the end.

use std::sync::OnceLock;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};

use crate::poseidon::{parameters, Parameters, FULL, MAX_ARITY};

const MOST: usize = MAX_ARITY + 1;

/// The digest of 1 to 16 elements.
pub fn hash(capacity: Fr, inputs: &[Fr]) -> Fr {
	let width = inputs.len() + 1;
	let (parameters, moved) = (parameters(width), moved(width));
	let mut state = [Fr::ZERO; MOST];
	state[0] = capacity;
	state[1..width].copy_from_slice(inputs);
	let half = FULL / 2;
	for constants in parameters.constants[..half * width].chunks(width) {
		full_round(&mut state[..width], constants, &parameters.mds);
	}
	for (constant, sparse) in moved.constants.iter().zip(moved.sparse.chunks(2 * width - 1)) {
		let x = power_of_five(state[0] + constant);
		let (row, column) = sparse.split_at(width);
		let mut sum = row[0] * x;
		for ((lane, r), c) in state[1..width].iter_mut().zip(&row[1..]).zip(column) {
			sum += *r * *lane;
			*lane += *c * x;
		}
		state[0] = sum;
	}
	let mut others = [Fr::ZERO; MOST];
	for (other, row) in others.iter_mut().zip(moved.last.chunks(width - 1)) {
		*other = dot(row, &state[1..width]);
	}
	state[1..width].copy_from_slice(&others[..width - 1]);
	for constants in moved.rest.chunks(width) {
		full_round(&mut state[..width], constants, &parameters.mds);
	}
	state[0]
}

fn full_round(state: &mut [Fr], constants: &[Fr], mds: &[Fr]) {
	state.iter_mut().zip(constants).for_each(|(lane, c)| *lane = power_of_five(*lane + c));
	let mut next = [Fr::ZERO; MOST];
	for (out, row) in next.iter_mut().zip(mds.chunks(state.len())) {
		*out = dot(row, state);
	}
	let width = state.len();
	state.copy_from_slice(&next[..width]);
}

fn power_of_five(x: Fr) -> Fr {
	x.square().square() * x
}

fn dot(row: &[Fr], lanes: &[Fr]) -> Fr {
	row.iter().zip(lanes).map(|(a, b)| *a * b).sum()
}

/// What the partial rounds become.
struct Moved {
	/// Of lane 0, one a partial round.
	constants: Vec<Fr>,
	/// A row and, without its first entry, a column for each partial round: `2 * width - 1` elements.
	sparse: Vec<Fr>,
	/// A^P, row by row.
	last: Vec<Fr>,
	/// Constants of the last full rounds, the last carry among them.
	rest: Vec<Fr>,
}

fn moved(width: usize) -> &'static Moved {
	static CACHE: [OnceLock<Moved>; MAX_ARITY] = [const { OnceLock::new() }; MAX_ARITY];
	CACHE[width - 2].get_or_init(|| Moved::new(parameters(width)))
}

impl Moved {
	fn new(parameters: &Parameters) -> Moved {
		let (width, mds) = (parameters.width, &parameters.mds);
		let others = width - 1;
		let first = FULL / 2 * width;
		let mut constants = Vec::with_capacity(parameters.partial);
		let mut carry = vec![Fr::ZERO; width];
		for own in parameters.constants[first..first + parameters.partial * width].chunks(width) {
			let mut total: Vec<Fr> = own.iter().zip(&carry).map(|(a, b)| *a + b).collect();
			constants.push(std::mem::replace(&mut total[0], Fr::ZERO));
			carry = mds.chunks(width).map(|row| dot(row, &total)).collect();
		}
		let mut rest = parameters.constants[first + parameters.partial * width..].to_vec();
		rest.iter_mut().zip(&carry).for_each(|(a, b)| *a += b);

		let a: Vec<Fr> =
			(0..others * others).map(|n| mds[(n / others + 1) * width + n % others + 1]).collect();
		let inverse = inverted(&a, others);
		let mut row = mds[1..width].to_vec();
		let mut column: Vec<Fr> = (1..width).map(|i| mds[i * width]).collect();
		let mut last: Vec<Fr> =
			(0..others * others).map(|n| Fr::from(u64::from(n / others == n % others))).collect();
		let mut sparse = Vec::with_capacity(parameters.partial * (2 * width - 1));
		for _ in 0..parameters.partial {
			column = inverse.chunks(others).map(|r| dot(r, &column)).collect();
			sparse.push(mds[0]);
			sparse.extend(&row);
			sparse.extend(&column);
			row = (0..others).map(|j| (0..others).map(|i| row[i] * a[i * others + j]).sum()).collect();
			last = product(&a, &last, others);
		}
		Moved { constants, sparse, last, rest }
	}
}

fn product(a: &[Fr], b: &[Fr], n: usize) -> Vec<Fr> {
	(0..n * n).map(|at| (0..n).map(|k| a[at / n * n + k] * b[k * n + at % n]).sum()).collect()
}

/// The inverse of an n by n matrix, by elimination. Square parts of a Cauchy matrix are invertible.
fn inverted(matrix: &[Fr], n: usize) -> Vec<Fr> {
	let mut rows: Vec<Vec<Fr>> = (0..n)
		.map(|i| {
			let unit = (0..n).map(|j| Fr::from(u64::from(i == j)));
			matrix[i * n..(i + 1) * n].iter().copied().chain(unit).collect()
		})
		.collect();
	for i in 0..n {
		let pivot = (i..n).find(|&k| rows[k][i] != Fr::ZERO).expect("a Cauchy matrix has full rank");
		rows.swap(i, pivot);
		let scale = rows[i][i].inverse().expect("a pivot is not 0");
		rows[i].iter_mut().for_each(|x| *x *= scale);
		let own = rows[i].clone();
		for (k, row) in rows.iter_mut().enumerate() {
			let factor = row[i];
			if k != i && factor != Fr::ZERO {
				row.iter_mut().zip(&own).for_each(|(x, y)| *x -= factor * y);
			}
		}
	}
	rows.iter().flat_map(|row| row[n..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::backend::FieldBackend;
	use crate::poseidon;

	/// `Native` without its short cut.
	struct Slow;

	impl FieldBackend for Slow {
		type Field = Fr;

		fn constant(&mut self, value: Fr) -> Fr {
			value
		}

		fn combine(&mut self, constant: Fr, terms: &[(Fr, &Fr)]) -> Fr {
			terms.iter().fold(constant, |sum, (coefficient, x)| sum + *coefficient * *x)
		}

		fn multiply(&mut self, a: &Fr, b: &Fr) -> Fr {
			*a * b
		}
	}

	#[test]
	fn is_the_function_of_the_rounds_as_they_are_written() {
		// Any element will do: the maps are polynomials, and no width has its own path.
		let mut seed = Fr::from(7);
		let mut next = || {
			seed = power_of_five(seed + Fr::from(3));
			seed
		};
		for n in 1..=MAX_ARITY {
			for _ in 0..3 {
				let (capacity, inputs) = (next(), (0..n).map(|_| next()).collect::<Vec<Fr>>());
				assert_eq!(
					hash(capacity, &inputs),
					poseidon::hash(&mut Slow, capacity, &inputs),
					"{n} inputs"
				);
			}
			let edges = vec![-Fr::from(1); n];
			assert_eq!(hash(Fr::ZERO, &edges), poseidon::hash(&mut Slow, Fr::ZERO, &edges), "{n} inputs");
		}
	}
}
