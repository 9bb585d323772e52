//! Circuits of statements: what a program says of records that are committed to already.
//!
//! The program's first inputs are the records, one after the other; what follows them are its parameters and
//! hints. The first public input is the records' commitment, as a job has it. The second is the *claim*: the
//! program's outputs themselves, packed in one field element where they fit, else the hash of several.
//! IR.md, "Statements", is the specification.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, PrimeField};

use crate::backend::{Backend, FieldBackend, Native, Public};
use crate::circuit::run;
use crate::commit::{self, leaf};
use crate::error::{refuse, Refusal, Result};
use crate::ir::{Bounds, Program, MAX_BATCH};
use crate::poseidon::{self, MAX_ARITY};

/// Poseidon's capacity where the commitments of several jobs become one public input.
const JOBS: &[u8] = b"proofward/statement/v1/jobs";
/// The same where a claim takes several field elements.
const CLAIM: &[u8] = b"proofward/statement/v1/claim";

/// What of a program's inputs is committed to, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
	/// Records.
	pub records: usize,
	/// Values of each.
	pub values: usize,
	/// Whether they have one commitment, as a batch has, or one each.
	pub together: bool,
}

impl Ends {
	/// Refuses with over-limit or input-length what the program's inputs do not hold.
	pub fn check(&self, program: &Program) -> Result<()> {
		if self.records == 0 || self.records > MAX_BATCH {
			return refuse(Refusal::OverLimit, format!("a statement is about 1 to {MAX_BATCH} records"));
		}
		let inputs = program.inputs();
		if self.values == 0 || self.records.saturating_mul(self.values) > inputs.len() {
			return refuse(
				Refusal::InputLength,
				format!(
					"{} records of {} values are not in {} inputs",
					self.records,
					self.values,
					inputs.len()
				),
			);
		}
		if (1..self.records).any(|i| self.bounds(program, i) != self.bounds(program, 0)) {
			return refuse(Refusal::InputLength, "the records of a statement have different bounds");
		}
		Ok(())
	}

	/// Bounds of a record's values.
	fn bounds<'a>(&self, program: &'a Program, record: usize) -> &'a [Bounds] {
		&program.inputs()[record * self.values..(record + 1) * self.values]
	}

	/// What a circuit's digest says of them, 12 bytes.
	pub fn bytes(&self) -> Vec<u8> {
		[self.records as u32, self.values as u32, u32::from(self.together)].map(u32::to_le_bytes).concat()
	}
}

/// Walk the program on a backend; its outputs.
pub fn synthesize<B: Backend>(program: &Program, ends: Ends, cs: &mut B) -> Vec<B::Int> {
	let wires = run(program, 0, cs);
	cs.layer(program.nodes.len());
	let mut leaves = Vec::with_capacity(ends.records);
	for record in 0..ends.records {
		let bounds = ends.bounds(program, record);
		let salt = cs.salt(record, Public::InputCommitment);
		leaves.push(leaf(cs, bounds, &wires[record * ends.values..][..ends.values], salt));
	}
	let root = if ends.together { commit::root(cs, &leaves) } else { jobs(cs, leaves) };
	cs.expose(Public::InputCommitment, &root);
	cs.layer(program.nodes.len() + 1);
	let outputs: Vec<B::Int> = program.outputs().iter().map(|&w| wires[w as usize].clone()).collect();
	let elements = commit::elements(cs, &program.output_bounds(), 1, &outputs);
	let claim = fold(cs, CLAIM, elements);
	cs.expose(Public::OutputCommitment, &claim);
	outputs
}

/// One field element for the commitments of several jobs; the commitment itself where there is one job.
pub fn jobs<B: FieldBackend>(cs: &mut B, commitments: Vec<B::Field>) -> B::Field {
	fold(cs, JOBS, commitments)
}

/// The commitments of several jobs as one public input, natively.
pub fn root(commitments: &[Fr]) -> Result<Fr> {
	if commitments.is_empty() || commitments.len() > MAX_BATCH {
		return refuse(Refusal::InputLength, format!("a statement is about 1 to {MAX_BATCH} commitments"));
	}
	Ok(jobs(&mut Native, commitments.to_vec()))
}

/// The claim that these outputs make, natively. Refuses input-length, input-out-of-range, overflow.
pub fn claim(bounds: &[Bounds], values: &[i64]) -> Result<Fr> {
	let elements = commit::native_elements(bounds, values)?;
	Ok(fold(&mut Native, CLAIM, elements))
}

/// Chained Poseidon; one element is itself. How many there are is the circuit's to say, so one tag does.
fn fold<B: FieldBackend>(cs: &mut B, tag: &[u8], mut elements: Vec<B::Field>) -> B::Field {
	let tag = Fr::from_be_bytes_mod_order(tag);
	while elements.len() > 1 {
		let rest = elements.split_off(elements.len().min(MAX_ARITY));
		elements = vec![poseidon::hash(cs, tag, &elements)];
		elements.extend(rest);
	}
	elements.swap_remove(0)
}

/// Salts of the records, in the form that a witness takes them. Refuses bad-salt.
pub fn salts(ends: Ends, salts: &[[u8; 32]]) -> Result<Vec<[Fr; 2]>> {
	if salts.len() != ends.records || salts.iter().any(|salt| salt[31] != 0) {
		return refuse(
			Refusal::BadSalt,
			format!("a statement takes {} salts of records, their last byte 0", ends.records),
		);
	}
	Ok(salts.iter().map(|salt| [commit::salt_element(salt), Fr::ZERO]).collect())
}
