//! Where gadgets run. One gadget text serves three purposes, so that they cannot drift apart: `Native`
//! computes hashes, `Witness` computes the assignment and both sides of every product,
//! `crate::matrices::Matrices` records the constraints.
//!
//! A constraint is `a * b = c`, with `a` and `b` linear combinations and `c` nothing or one variable. Integer
//! rows speak about integers below 2^62 in magnitude, so their truth in the field is their truth in the
//! integers; field rows serve the hash.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use zeroize::Zeroize;

use crate::plain;

/// Field arithmetic for the hash.
pub trait FieldBackend {
	/// A field-valued linear combination.
	type Field: Clone;

	fn constant(&mut self, value: Fr) -> Self::Field;
	/// `constant + sum(coefficient * term)`. Costs nothing.
	fn combine(&mut self, constant: Fr, terms: &[(Fr, &Self::Field)]) -> Self::Field;
	/// A new variable equal to `a * b`. Costs one row.
	fn multiply(&mut self, a: &Self::Field, b: &Self::Field) -> Self::Field;
	/// A hash at once, where nothing but its value is wanted.
	fn digest(&mut self, _capacity: Fr, _inputs: &[Self::Field]) -> Option<Self::Field> {
		None
	}
}

/// Which public input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Public {
	InputCommitment,
	OutputCommitment,
}

/// Integer arithmetic for the program, and the public ends of the circuit.
pub trait Backend: FieldBackend {
	/// An integer-valued linear combination.
	type Int: Clone;

	/// `bias + sum(coefficient * term)`. Costs nothing.
	fn linear(&mut self, bias: i64, terms: &[(i64, &Self::Int)]) -> Self::Int;
	/// A new, unconstrained variable whose honest value is the bit `f(x)`.
	fn hint_bit(&mut self, x: &Self::Int, f: impl Fn(i64) -> bool) -> Self::Int;
	/// A new variable equal to `a * b`, below `2^width` in magnitude. Costs one row.
	fn product(&mut self, a: &Self::Int, b: &Self::Int, width: u32) -> Self::Int;
	/// Require `a * b = 0`. Costs one row.
	fn vanish(&mut self, a: &Self::Int, b: &Self::Int);

	/// The honest value of input `i` of record `record`, for hints only: it stands in no constraint.
	fn input(&mut self, record: usize, i: usize) -> Self::Int;
	/// A new variable: salt number `record`, of the input or of the output.
	fn salt(&mut self, record: usize, end: Public) -> Self::Field;
	/// `sum((x - lo) * 2^shift)` over `(x, lo, shift)`. Costs nothing.
	fn pack(&mut self, parts: &[(Self::Int, i64, u32)]) -> Self::Field;
	/// Require that the public input equals `x`. Costs one row.
	fn expose(&mut self, end: Public, x: &Self::Field);

	/// Whether what was run so far is refused already, and the rest need not run.
	fn stopped(&self) -> bool {
		false
	}

	/// Called before each part of the circuit, for reports.
	fn layer(&mut self, _index: usize) {}
}

/// Plain field arithmetic.
pub struct Native;

impl FieldBackend for Native {
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

	fn digest(&mut self, capacity: Fr, inputs: &[Fr]) -> Option<Fr> {
		Some(plain::hash(capacity, inputs))
	}
}

/// The assignment of one proof. Secret; erased when dropped.
#[derive(Default)]
pub struct Witness {
	/// What the statement is about.
	pub inputs: Vec<i64>,
	/// Inputs of one record.
	pub inputs_per_record: usize,
	/// Salt of each record's input and output; of all records', where one commitment has all.
	pub salts: Vec<[Fr; 2]>,
	/// Public inputs, once exposed.
	pub commitments: [Fr; 2],
	/// Integer variables, beginning with the constant 1.
	pub ints: Vec<i64>,
	/// Field variables, beginning with the two commitments.
	pub fields: Vec<Fr>,
	/// `(a, b)` of each integer row.
	pub int_rows: Vec<(i64, i64)>,
	/// `(a, b)` of each field row.
	pub field_rows: Vec<(Fr, Fr)>,
}

impl Witness {
	/// `inputs`: all records, one after the other, of `per_record` each. `salts`: (input, output) of each
	/// record. `room`: integer and field variables, integer and field rows, if known: vectors that do not grow
	/// leave no copies behind that nobody erases.
	pub fn new(inputs: &[i64], per_record: usize, salts: Vec<[Fr; 2]>, room: [usize; 4]) -> Witness {
		let mut witness = Witness::default();
		witness.inputs = inputs.to_vec();
		witness.inputs_per_record = per_record;
		witness.salts = salts;
		witness.ints = Vec::with_capacity(room[0]);
		witness.ints.push(1);
		witness.fields = Vec::with_capacity(room[1]);
		witness.fields.resize(2, Fr::ZERO);
		witness.int_rows = Vec::with_capacity(room[2]);
		witness.field_rows = Vec::with_capacity(room[3]);
		witness
	}
}

impl Drop for Witness {
	fn drop(&mut self) {
		self.inputs.zeroize();
		self.salts.zeroize();
		self.ints.zeroize();
		self.fields.zeroize();
		self.int_rows.zeroize();
		self.field_rows.zeroize();
	}
}

impl FieldBackend for Witness {
	type Field = Fr;

	fn constant(&mut self, value: Fr) -> Fr {
		value
	}

	fn combine(&mut self, constant: Fr, terms: &[(Fr, &Fr)]) -> Fr {
		Native.combine(constant, terms)
	}

	fn multiply(&mut self, a: &Fr, b: &Fr) -> Fr {
		let c = *a * b;
		self.field_rows.push((*a, *b));
		self.fields.push(c);
		c
	}
}

impl Backend for Witness {
	type Int = i64;

	fn linear(&mut self, bias: i64, terms: &[(i64, &i64)]) -> i64 {
		terms.iter().fold(bias, |sum, (coefficient, x)| sum + coefficient * *x)
	}

	fn hint_bit(&mut self, x: &i64, f: impl Fn(i64) -> bool) -> i64 {
		let bit = i64::from(f(*x));
		self.ints.push(bit);
		bit
	}

	fn product(&mut self, a: &i64, b: &i64, _: u32) -> i64 {
		let c = a * b;
		self.int_rows.push((*a, *b));
		self.ints.push(c);
		c
	}

	fn vanish(&mut self, a: &i64, b: &i64) {
		self.int_rows.push((*a, *b));
	}

	fn input(&mut self, record: usize, i: usize) -> i64 {
		self.inputs[record * self.inputs_per_record + i]
	}

	fn salt(&mut self, record: usize, end: Public) -> Fr {
		let salt = self.salts[record][end as usize];
		self.fields.push(salt);
		salt
	}

	fn pack(&mut self, parts: &[(i64, i64, u32)]) -> Fr {
		crate::field::pack(parts.iter().map(|&(x, lo, shift)| (x.abs_diff(lo), shift)))
	}

	fn expose(&mut self, end: Public, x: &Fr) {
		self.commitments[end as usize] = *x;
		self.fields[end as usize] = *x;
		self.field_rows.push((Fr::ZERO, Fr::ONE));
	}
}
