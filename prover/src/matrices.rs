//! The backend that records constraints: sparse rows, in two kinds (see `backend`).

use std::collections::BTreeMap;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, Zero};

use crate::backend::{Backend, FieldBackend, Public};
use crate::error::{refuse, Refusal, Result};

/// Rows of a circuit, at most. The prover takes about four kilobytes for each.
pub const MAX_ROWS: usize = 1 << 18;
/// Terms of all rows together, at most.
pub const MAX_MATRIX_TERMS: usize = 1 << 23;
/// Terms handled while linear layers are multiplied out.
const MAX_WORK: usize = 1 << 26;

/// A variable. Integer 0 is the constant 1; fields 0 and 1 are the commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Var {
	/// An integer below 2^62 in magnitude.
	Int(u32),
	/// Any field element.
	Field(u32),
}

/// The constant.
pub const ONE: Var = Var::Int(0);

/// Terms sorted by variable, no coefficient 0. A constant is a multiple of `ONE`.
pub type Sparse<C> = Vec<(Var, C)>;

/// `a * b = c`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<C> {
	/// The left factor.
	pub a: Sparse<C>,
	/// The right factor.
	pub b: Sparse<C>,
	/// The product; None for 0.
	pub c: Option<Var>,
}

/// All rows of a circuit but the public inputs'.
#[derive(Default)]
pub struct Matrices {
	/// Bits of each integer variable's magnitude.
	pub widths: Vec<u8>,
	/// Field variables.
	pub fields: u32,
	/// Rows over integer variables.
	pub int_rows: Vec<Row<i64>>,
	/// Rows over any variables.
	pub field_rows: Vec<Row<Fr>>,
	/// Rows of each layer.
	pub layers: Vec<usize>,
	layer: usize,
	terms: usize,
	work: usize,
	failure: Option<Refusal>,
}

impl Matrices {
	/// Nothing recorded yet, with rows counted for so many layers.
	pub fn new(layers: usize) -> Matrices {
		Matrices { widths: vec![1], fields: 2, layers: vec![0; layers], ..Matrices::default() }
	}

	/// Refuses with over-limit or overflow what could not be recorded.
	pub fn check(&self) -> Result<()> {
		match self.failure {
			Some(Refusal::Overflow) => {
				refuse(Refusal::Overflow, "a product of linear layers has coefficients beyond 64 bits")
			}
			Some(_) => refuse(
				Refusal::OverLimit,
				format!(
					"the circuit has more than {MAX_ROWS} constraints or {MAX_MATRIX_TERMS} matrix terms"
				),
			),
			None => Ok(()),
		}
	}

	/// Rows recorded.
	pub fn rows(&self) -> usize {
		self.int_rows.len() + self.field_rows.len()
	}

	fn new_int(&mut self, width: u32) -> Sparse<i64> {
		if self.failure.is_some() {
			return Vec::new();
		}
		if self.widths.len() > 2 * MAX_ROWS {
			self.failure = Some(Refusal::OverLimit);
		}
		self.widths.push(width as u8);
		vec![(Var::Int(self.widths.len() as u32 - 1), 1)]
	}

	fn new_field(&mut self) -> Sparse<Fr> {
		self.fields += 1;
		vec![(Var::Field(self.fields - 1), Fr::ONE)]
	}

	/// Count a row of this many terms; false if it is beyond the limits.
	fn admit(&mut self, terms: usize) -> bool {
		self.terms += terms;
		self.layers[self.layer] += 1;
		if self.terms > MAX_MATRIX_TERMS || self.rows() >= MAX_ROWS {
			self.failure.get_or_insert(Refusal::OverLimit);
		}
		self.failure.is_none()
	}

	fn int_row(&mut self, a: &Sparse<i64>, b: &Sparse<i64>, c: Option<Var>) {
		if self.admit(a.len() + b.len()) {
			let (a, b) = (a.clone(), b.clone());
			self.int_rows.push(Row { a, b, c });
		}
	}

	fn field_row(&mut self, a: &Sparse<Fr>, b: &Sparse<Fr>, c: Option<Var>) {
		if self.admit(a.len() + b.len()) {
			let (a, b) = (a.clone(), b.clone());
			self.field_rows.push(Row { a, b, c });
		}
	}

	/// Sum integer terms; coefficients beyond 64 bits are a failure of the whole.
	fn sum_ints<'a>(
		&mut self,
		terms: impl Iterator<Item = (i64, &'a Sparse<i64>)>,
		bias: i64,
	) -> Sparse<i64> {
		if self.failure.is_some() {
			return Vec::new();
		}
		let mut all: Sparse<i64> = vec![(ONE, bias)];
		for (coefficient, x) in terms {
			self.work += x.len();
			if self.work > MAX_WORK {
				self.failure.get_or_insert(Refusal::OverLimit);
				return Vec::new();
			}
			for &(var, c) in x {
				match c.checked_mul(coefficient) {
					Some(c) => all.push((var, c)),
					None => {
						self.failure.get_or_insert(Refusal::Overflow);
					}
				}
			}
		}
		all.sort_unstable_by_key(|&(var, _)| var);
		let mut sum: Sparse<i64> = Vec::new();
		for (var, c) in all {
			match sum.last_mut() {
				Some((last, total)) if *last == var => match total.checked_add(c) {
					Some(value) => *total = value,
					None => {
						self.failure.get_or_insert(Refusal::Overflow);
					}
				},
				_ => sum.push((var, c)),
			}
		}
		sum.retain(|&(_, c)| c != 0);
		sum
	}
}

impl FieldBackend for Matrices {
	type Field = Sparse<Fr>;

	fn constant(&mut self, value: Fr) -> Sparse<Fr> {
		self.combine(value, &[])
	}

	fn combine(&mut self, constant: Fr, terms: &[(Fr, &Sparse<Fr>)]) -> Sparse<Fr> {
		if self.stopped() {
			return Vec::new();
		}
		let mut sum = BTreeMap::from([(ONE, constant)]);
		for (coefficient, x) in terms {
			for (var, c) in x.iter() {
				*sum.entry(*var).or_insert(Fr::ZERO) += *coefficient * c;
			}
		}
		sum.into_iter().filter(|(_, c)| !c.is_zero()).collect()
	}

	fn multiply(&mut self, a: &Sparse<Fr>, b: &Sparse<Fr>) -> Sparse<Fr> {
		let c = self.new_field();
		self.field_row(a, b, c.first().map(|term| term.0));
		c
	}
}

impl Backend for Matrices {
	type Int = Sparse<i64>;

	fn linear(&mut self, bias: i64, terms: &[(i64, &Sparse<i64>)]) -> Sparse<i64> {
		self.sum_ints(terms.iter().copied(), bias)
	}

	fn hint_bit(&mut self, _: &Sparse<i64>, _: impl Fn(i64) -> bool) -> Sparse<i64> {
		self.new_int(1)
	}

	fn product(&mut self, a: &Sparse<i64>, b: &Sparse<i64>, width: u32) -> Sparse<i64> {
		let c = self.new_int(width);
		self.int_row(a, b, c.first().map(|term| term.0));
		c
	}

	fn vanish(&mut self, a: &Sparse<i64>, b: &Sparse<i64>) {
		self.int_row(a, b, None);
	}

	fn input(&mut self, _: usize, _: usize) -> Sparse<i64> {
		Vec::new()
	}

	fn salt(&mut self, _: usize, _: Public) -> Sparse<Fr> {
		self.new_field()
	}

	fn pack(&mut self, parts: &[(Sparse<i64>, i64, u32)]) -> Sparse<Fr> {
		if self.stopped() {
			return Vec::new();
		}
		let mut sum: BTreeMap<Var, Fr> = BTreeMap::new();
		for (x, lo, shift) in parts {
			let scale = crate::field::power_of_two(*shift);
			for (var, c) in x {
				*sum.entry(*var).or_insert(Fr::ZERO) += scale * Fr::from(*c);
			}
			*sum.entry(ONE).or_insert(Fr::ZERO) -= scale * Fr::from(*lo);
		}
		sum.into_iter().filter(|(_, c)| !c.is_zero()).collect()
	}

	fn expose(&mut self, end: Public, x: &Sparse<Fr>) {
		let commitment = vec![(Var::Field(end as u32), Fr::ONE)];
		let difference = self.combine(Fr::ZERO, &[(Fr::ONE, x), (-Fr::ONE, &commitment)]);
		self.field_row(&difference, &vec![(ONE, Fr::ONE)], None);
	}

	fn stopped(&self) -> bool {
		self.failure.is_some()
	}

	fn layer(&mut self, index: usize) {
		self.layer = index;
	}
}
