//! The circuit: copies of a program, one a record, between two commitments.
//!
//! Statement, for public `C_in` and `C_out`: I know records x, salts s and t with commit(x, s) = C_in and
//! commit(Program(x), t) = C_out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ark_bn254::Fr;
use ark_serialize::CanonicalSerialize;
use sha2::{Digest, Sha256};

use crate::backend::{Backend, Public, Witness};
use crate::commit::{self, Batch, Form};
use crate::error::{refuse, Refusal, Result};
use crate::gadgets;
use crate::ir::{half, Op, Program, MAX_BATCH};
use crate::layout::Layout;
use crate::matrices::{Matrices, Sparse, Var};
use crate::memory;
use crate::statement::{self, Ends};

/// Rows that repeat the public inputs (1, `C_in`, `C_out`), as is usual for Groth16.
pub const PUBLIC_ROWS: usize = 3;

/// Rows of the commitments' hashes, at most: some 1,600 field elements, of 253 bits each.
pub const MAX_HASH_ROWS: usize = 1 << 16;

/// What is known of a circuit without its matrices.
pub struct Circuit {
	/// What is proved of each record.
	pub program: Program,
	/// Records proved together, and how they are committed to.
	pub batch: Batch,
	/// Set where the circuit is a statement's: then its batch is one record.
	pub ends: Option<Ends>,
	/// SHA-256 over the program, the batch and every row.
	pub digest: [u8; 32],
	/// Rows, the public inputs' included.
	pub constraints: usize,
	/// (label, rows) of each node, then of the commitments.
	pub layers: Vec<(String, usize)>,
	/// The shape of its keys.
	pub layout: Arc<Layout>,
	/// Integer and field variables, integer and field rows.
	room: [usize; 4],
}

impl Circuit {
	/// Decode, check and record. Refuses malformed-program, over-limit, overflow.
	pub fn new(program_bytes: &[u8], batch: impl Into<Batch>) -> Result<Circuit> {
		let batch = batch.into();
		if batch.records == 0 || batch.records > MAX_BATCH {
			return refuse(
				Refusal::OverLimit,
				format!("a batch of {}: 1 to {MAX_BATCH} are possible", batch.records),
			);
		}
		let program = Program::decode(program_bytes)?;
		let ends = [program.inputs().to_vec(), program.output_bounds()];
		if ends.iter().map(|bounds| commit::hash_rows(bounds, batch)).sum::<usize>() > MAX_HASH_ROWS {
			return refuse(
				Refusal::OverLimit,
				format!("the commitments to inputs and outputs take more than {MAX_HASH_ROWS} constraints"),
			);
		}
		Circuit::recorded(program_bytes, program, batch, None)
	}

	/// The circuit of a statement. Refuses malformed-program, over-limit, overflow, input-length.
	pub fn statement(program_bytes: &[u8], ends: Ends) -> Result<Circuit> {
		let program = Program::decode(program_bytes)?;
		ends.check(&program)?;
		let hashed = [program.inputs().to_vec(), program.output_bounds()];
		if hashed.iter().map(|bounds| commit::hash_rows(bounds, 1.into())).sum::<usize>() > MAX_HASH_ROWS {
			return refuse(
				Refusal::OverLimit,
				format!("the statement's hashes take more than {MAX_HASH_ROWS} constraints"),
			);
		}
		Circuit::recorded(program_bytes, program, 1.into(), Some(ends))
	}

	fn recorded(bytes: &[u8], program: Program, batch: Batch, ends: Option<Ends>) -> Result<Circuit> {
		let matrices = matrices(&program, batch, ends)?;
		let mut layers: Vec<(String, usize)> = program
			.nodes
			.iter()
			.zip(&matrices.layers)
			.map(|(node, &rows)| (node.label.clone(), rows))
			.collect();
		let own = program.nodes.len();
		let second = if ends.is_some() { "claim" } else { "output commitment" };
		layers.push(("input commitment".into(), matrices.layers[own]));
		layers.push((second.into(), matrices.layers[own + 1]));
		layers.push(("public inputs".into(), PUBLIC_ROWS));
		let circuit = Circuit {
			layout: Arc::new(Layout::new(&matrices)?),
			digest: digest(bytes, batch.records, ends, &matrices),
			constraints: matrices.rows() + PUBLIC_ROWS,
			room: [
				matrices.widths.len(),
				matrices.fields as usize,
				matrices.int_rows.len(),
				matrices.field_rows.len(),
			],
			program,
			batch,
			ends,
			layers,
		};
		drop(matrices);
		memory::give_back();
		Ok(circuit)
	}

	/// The circuit's rows, again: it does not keep them.
	pub fn rows(&self) -> Result<Matrices> {
		matrices(&self.program, self.batch, self.ends)
	}

	/// Rows rounded up to a size that has a Fourier transform.
	pub fn domain_size(&self) -> usize {
		self.layout.domain
	}

	/// Outputs of `values`, one or more records. Refuses input-length, input-out-of-range.
	pub fn evaluate(&self, values: &[i64]) -> Result<Vec<i64>> {
		evaluate(&self.program, values)
	}

	/// The assignment, with outputs. Salts are the job's; records derive theirs.
	pub fn witness(
		&self,
		values: &[i64],
		input_salt: &[u8; 32],
		output_salt: &[u8; 32],
	) -> Result<(Witness, Vec<i64>)> {
		commit::check_values(self.program.inputs(), self.batch.records, values)?;
		if self.ends.is_some() {
			return refuse(Refusal::KeyMismatch, "the circuit is a statement's: prove it as one");
		}
		let salts = self.batch.salts().map(|i| {
			[input_salt, output_salt].map(|salt| commit::salt_element(&commit::record_salt(salt, i)))
		});
		let mut witness = Witness::new(values, self.program.inputs().len(), salts.collect(), self.room);
		let outputs = synthesize(&self.program, self.batch, &mut witness);
		Ok((witness, outputs))
	}

	/// The assignment of a statement, with its claim. `salts` are the records' own.
	pub fn statement_witness(&self, values: &[i64], salts: &[[u8; 32]]) -> Result<(Witness, Vec<i64>)> {
		let Some(ends) = self.ends else {
			return refuse(Refusal::KeyMismatch, "the circuit is a model's, not a statement's");
		};
		commit::check_values(self.program.inputs(), 1, values)?;
		let salts = statement::salts(ends, salts)?;
		// There is one run of the program, whatever it says of how many records.
		let mut witness = Witness::new(values, values.len(), salts, self.room);
		let outputs = statement::synthesize(&self.program, ends, &mut witness);
		Ok((witness, outputs))
	}
}

/// The constraint system.
pub fn record(program: &Program, batch: impl Into<Batch>) -> Result<Matrices> {
	matrices(program, batch.into(), None)
}

fn matrices(program: &Program, batch: Batch, ends: Option<Ends>) -> Result<Matrices> {
	let mut matrices = Matrices::new(program.nodes.len() + 2);
	match ends {
		None => synthesize(program, batch, &mut matrices),
		Some(ends) => statement::synthesize(program, ends, &mut matrices),
	};
	matrices.check()?;
	Ok(matrices)
}

/// Walk the program on a backend; the outputs of all records.
pub fn synthesize<B: Backend>(program: &Program, batch: Batch, cs: &mut B) -> Vec<B::Int> {
	let layers = [program.nodes.len(), program.nodes.len() + 1];
	let bounds = [program.inputs().to_vec(), program.output_bounds()];
	let ends = [Public::InputCommitment, Public::OutputCommitment];
	// Of all records; of a tree the records' own commitments.
	let (mut values, mut leaves) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
	for record in 0..batch.records {
		if cs.stopped() {
			return Vec::new();
		}
		let wires = run(program, record, cs);
		let input = wires[..program.inputs().len()].to_vec();
		let output: Vec<B::Int> = program.outputs().iter().map(|&w| wires[w as usize].clone()).collect();
		for (end, own) in [input, output].into_iter().enumerate() {
			if batch.form == Form::Tree {
				cs.layer(layers[end]);
				let salt = cs.salt(record, ends[end]);
				leaves[end].push(commit::leaf(cs, &bounds[end], &own, salt));
			}
			values[end].extend(own);
		}
	}
	for end in 0..2 {
		cs.layer(layers[end]);
		let root = match batch.form {
			Form::Tree => commit::root(cs, &leaves[end]),
			Form::Flat => {
				let salt = cs.salt(0, ends[end]);
				commit::flat(cs, &bounds[end], batch.records, &values[end], salt)
			}
		};
		cs.expose(ends[end], &root);
	}
	let [_, outputs] = values;
	outputs
}

/// All wires of one record.
pub fn run<B: Backend>(program: &Program, record: usize, cs: &mut B) -> Vec<B::Int> {
	let mut wires: Vec<B::Int> = Vec::with_capacity(program.bounds.len());
	let bounds = &program.bounds;
	// Steps of the inputs that a Thermometer range-checks; every such Thermometer on the same input shares
	// them.
	let mut ranks: BTreeMap<u32, Vec<B::Int>> = BTreeMap::new();
	let at = |w: u32| w as usize;
	for (index, node) in program.nodes.iter().enumerate() {
		cs.layer(index);
		match &node.op {
			Op::Input(declared) => {
				for (i, &declared) in declared.iter().enumerate() {
					let honest = cs.input(record, i);
					let x = if program.ranked[i] {
						let (steps, rank) = gadgets::thermometer(cs, &honest, declared.hi as u32);
						ranks.insert(i as u32, steps);
						rank
					} else {
						gadgets::range(cs, &honest, declared)
					};
					wires.push(x);
				}
			}
			Op::Linear(rows) => {
				for row in rows {
					let terms: Vec<(i64, &B::Int)> =
						row.terms.iter().map(|&(w, c)| (c, &wires[at(w)])).collect();
					let sum = cs.linear(row.bias, &terms);
					wires.push(sum);
				}
			}
			Op::Shift { s, wires: read } => {
				for &w in read {
					let y = gadgets::round(cs, false, *s, &wires[at(w)], bounds[at(w)]);
					wires.push(y);
				}
			}
			Op::ReluShift { s, wires: read } => {
				for &w in read {
					let y = gadgets::round(cs, true, *s, &wires[at(w)], bounds[at(w)]);
					wires.push(y);
				}
			}
			Op::Thermometer { wire, k } => {
				let steps = match ranks.get(wire) {
					Some(steps) if steps.len() == *k as usize => steps.clone(),
					_ => {
						let (steps, rank) = gadgets::thermometer(cs, &wires[at(*wire)], *k);
						gadgets::equal(cs, &rank, &wires[at(*wire)]);
						steps
					}
				};
				wires.extend(steps);
			}
			Op::Mux(muxes) => {
				for &(bit, a, b) in muxes {
					let side = |w: u32| (&wires[at(w)], bounds[at(w)]);
					let y = gadgets::mux(cs, &wires[at(bit)], side(a), side(b));
					wires.push(y);
				}
			}
			Op::Output(_) => {}
		}
	}
	wires
}

/// The program's meaning, in plain integers.
pub fn evaluate(program: &Program, values: &[i64]) -> Result<Vec<i64>> {
	let n = program.inputs().len();
	let records = (values.len() / n).max(1);
	commit::check_values(program.inputs(), records, values)?;
	Ok(values.chunks(n).flat_map(|record| evaluate_record(program, record)).collect())
}

fn evaluate_record(program: &Program, record: &[i64]) -> Vec<i64> {
	let mut x = record.to_vec();
	x.reserve(program.bounds.len() - record.len());
	for node in &program.nodes {
		match &node.op {
			Op::Input(_) => {}
			Op::Linear(rows) => {
				for row in rows {
					let sum = row.terms.iter().fold(row.bias, |sum, &(w, c)| sum + c * x[w as usize]);
					x.push(sum);
				}
			}
			Op::Shift { s, wires } => wires.iter().for_each(|&w| x.push((x[w as usize] + half(*s)) >> s)),
			Op::ReluShift { s, wires } => {
				wires.iter().for_each(|&w| x.push(((x[w as usize] + half(*s)) >> s).max(0)))
			}
			Op::Thermometer { wire, k } => {
				let rank = x[*wire as usize];
				x.extend((1..=i64::from(*k)).map(|j| i64::from(rank >= j)));
			}
			Op::Mux(muxes) => {
				for &(bit, a, b) in muxes {
					let chosen = if x[bit as usize] == 1 { a } else { b };
					x.push(x[chosen as usize]);
				}
			}
			Op::Output(wires) => return wires.iter().map(|&w| x[w as usize]).collect(),
		}
	}
	unreachable!("decoding puts Output last")
}

fn digest(program: &[u8], batch: usize, ends: Option<Ends>, matrices: &Matrices) -> [u8; 32] {
	let mut hasher = Sha256::new();
	match ends {
		None => hasher.update([b"proofward/circuit/v1".as_slice(), &Sha256::digest(program)].concat()),
		Some(ends) => {
			hasher.update([b"proofward/statement/v1".as_slice(), &Sha256::digest(program)].concat());
			hasher.update(ends.bytes());
		}
	}
	hasher.update((batch as u32).to_le_bytes());
	hasher.update((matrices.int_rows.len() as u64).to_le_bytes());
	for row in &matrices.int_rows {
		hash_row(&mut hasher, &row.a, &row.b, row.c, |c| c.to_le_bytes().to_vec());
	}
	for row in &matrices.field_rows {
		hash_row(&mut hasher, &row.a, &row.b, row.c, field_bytes);
	}
	hasher.finalize().into()
}

fn field_bytes(x: &Fr) -> Vec<u8> {
	let mut bytes = Vec::with_capacity(32);
	x.serialize_compressed(&mut bytes).expect("a vector takes all bytes");
	bytes
}

fn hash_row<C>(
	hasher: &mut Sha256,
	a: &Sparse<C>,
	b: &Sparse<C>,
	c: Option<Var>,
	bytes: impl Fn(&C) -> Vec<u8>,
) {
	let name = |var: Var| match var {
		Var::Int(i) => u64::from(i).to_le_bytes(),
		Var::Field(i) => (1 << 32 | u64::from(i)).to_le_bytes(),
	};
	for side in [a, b] {
		hasher.update((side.len() as u64).to_le_bytes());
		for (var, coefficient) in side {
			hasher.update(name(*var));
			hasher.update(bytes(coefficient));
		}
	}
	hasher.update(c.map_or([0xff; 8], name));
}
