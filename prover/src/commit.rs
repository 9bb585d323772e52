//! Commitments: values packed into field elements, a salt, Poseidon; for batches a tree of arity 16 over the
//! records' commitments, or one hash over all records. IR.md fixes the layout.

use ark_bn254::Fr;
use ark_ff::PrimeField;
use sha2::{Digest, Sha256};

use crate::backend::{Backend, FieldBackend, Native};
use crate::error::{refuse, Refusal, Result};
use crate::field;
use crate::ir::{Bounds, MAX_BATCH, MAX_BITS, MAX_ENDS};
use crate::poseidon::{self, MAX_ARITY};

/// Bits that a field element carries without wrapping: 2^253 is below the modulus.
const CAPACITY: u32 = 253;

/// How the records of a batch are committed to together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
	/// Each for itself, and a tree over them: a record can be opened without the others.
	Tree,
	/// All in one hash under one salt: a third of the rows, and no record opens without the others.
	Flat,
}

impl Form {
	/// As manifests name it.
	pub fn parse(name: &str) -> Option<Form> {
		match name {
			"tree" => Some(Form::Tree),
			"flat" => Some(Form::Flat),
			_ => None,
		}
	}
}

/// How many records are committed to together, and how. A number alone is a tree's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
	/// One or more.
	pub records: usize,
	/// Of both commitments.
	pub form: Form,
}

impl From<usize> for Batch {
	fn from(records: usize) -> Batch {
		Batch { records, form: Form::Tree }
	}
}

impl Batch {
	/// So many records, all in one hash.
	pub fn flat(records: usize) -> Batch {
		Batch { records, form: Form::Flat }
	}

	/// Numbers of the salts of one commitment.
	pub fn salts(self) -> std::ops::RangeInclusive<u32> {
		match self.form {
			Form::Tree => 0..=(self.records as u32).saturating_sub(1),
			// No record has this number.
			Form::Flat => u32::MAX..=u32::MAX,
		}
	}
}

/// Where a value goes: its element, its lowest bit there, and the value that is packed as 0.
struct Place {
	element: usize,
	shift: u32,
	lo: i64,
}

fn layout(bounds: &[Bounds], records: usize) -> Vec<Place> {
	let (mut element, mut shift) = (0, 0);
	let mut places = Vec::new();
	for b in bounds.iter().cycle().take(bounds.len() * records) {
		if shift + b.bits() > CAPACITY {
			(element, shift) = (element + 1, 0);
		}
		places.push(Place { element, shift, lo: b.lo });
		shift += b.bits();
	}
	places
}

/// Commitment of one record, on a recording backend.
pub fn leaf<B: Backend>(cs: &mut B, bounds: &[Bounds], values: &[B::Int], salt: B::Field) -> B::Field {
	let mut elements = elements(cs, bounds, 1, values);
	elements.push(salt);
	sponge(cs, Domain::Record.tag(), elements)
}

/// Commitment to all records in one, on a recording backend.
pub fn flat<B: Backend>(
	cs: &mut B,
	bounds: &[Bounds],
	records: usize,
	values: &[B::Int],
	salt: B::Field,
) -> B::Field {
	let mut elements = elements(cs, bounds, records, values);
	elements.push(salt);
	sponge(cs, Domain::Flat(records, bounds.len()).tag(), elements)
}

/// Values of so many records, packed into field elements. Costs nothing. Packing is injective on values within
/// 2^bits of `lo`, which the callers' bounds guarantee.
pub fn elements<B: Backend>(
	cs: &mut B,
	bounds: &[Bounds],
	records: usize,
	values: &[B::Int],
) -> Vec<B::Field> {
	let places = layout(bounds, records);
	let count = places.last().map_or(1, |p| p.element + 1);
	(0..count)
		.map(|element| {
			let parts: Vec<(B::Int, i64, u32)> = places
				.iter()
				.zip(values)
				.filter(|(place, _)| place.element == element)
				.map(|(place, value)| (value.clone(), place.lo, place.shift))
				.collect();
			cs.pack(&parts)
		})
		.collect()
}

/// What a hash is of, as Poseidon's capacity: the first elements of what is long, one record, a node of the
/// tree, so many records of so many values. A hash of one kind is never one of another kind, nor of another
/// protocol.
#[derive(Clone, Copy)]
enum Domain {
	Part,
	Record,
	Node,
	Flat(usize, usize),
}

impl Domain {
	fn tag(self) -> Fr {
		let name: &[u8] = match self {
			Domain::Part => b"proofward/commit/v2/part",
			Domain::Record => b"proofward/commit/v2/record",
			Domain::Node => b"proofward/commit/v2/node",
			Domain::Flat(records, values) => {
				let [records, values] = [records, values].map(|n| (n as u32).to_be_bytes());
				&[b"proofward/flat/v1", &records[..], &values[..]].concat()
			}
		};
		Fr::from_be_bytes_mod_order(name)
	}
}

fn sponge<B: FieldBackend>(cs: &mut B, tag: Fr, mut elements: Vec<B::Field>) -> B::Field {
	while elements.len() > MAX_ARITY {
		let rest = elements.split_off(MAX_ARITY);
		elements = vec![poseidon::hash(cs, Domain::Part.tag(), &elements)];
		elements.extend(rest);
	}
	poseidon::hash(cs, tag, &elements)
}

/// Rows of all hashes that commit to records, without the tree's. They are the costly ones to record: each is
/// dense.
pub fn hash_rows(bounds: &[Bounds], batch: Batch) -> usize {
	let (hashes, records) = match batch.form {
		Form::Tree => (batch.records, 1),
		Form::Flat => (1, batch.records),
	};
	let mut elements = layout(bounds, records).last().map_or(1, |place| place.element + 1) + 1;
	let mut rows = 0;
	while elements > MAX_ARITY {
		rows += poseidon::rows(MAX_ARITY);
		elements -= MAX_ARITY - 1;
	}
	hashes * (rows + poseidon::rows(elements))
}

/// Root over the records' commitments; a single record is its own root.
pub fn root<B: FieldBackend>(cs: &mut B, leaves: &[B::Field]) -> B::Field {
	let mut level = leaves.to_vec();
	while level.len() > 1 {
		level = level.chunks(MAX_ARITY).map(|group| parent(cs, group)).collect();
	}
	level.swap_remove(0)
}

fn parent<B: FieldBackend>(cs: &mut B, group: &[B::Field]) -> B::Field {
	match group {
		[only] => only.clone(),
		_ => poseidon::hash(cs, Domain::Node.tag(), group),
	}
}

/// Salt of record `index` (see `Batch::salts`): 248 bits that every bit of the job's salt decides, then a byte
/// of 0.
pub fn record_salt(salt: &[u8; 32], index: u32) -> [u8; 32] {
	let mut hasher = Sha256::new();
	hasher.update(b"proofward/salt/v2");
	hasher.update(salt);
	hasher.update(index.to_le_bytes());
	let mut salt: [u8; 32] = hasher.finalize().into();
	salt[31] = 0;
	salt
}

/// The field element of a record's salt, little-endian; its last byte is 0.
pub fn salt_element(record_salt: &[u8; 32]) -> Fr {
	Fr::from_le_bytes_mod_order(record_salt)
}

/// Native commitment of one record. Refuses input-length and input-out-of-range.
fn native_leaf(bounds: &[Bounds], record: &[i64], salt: &[u8; 32]) -> Result<Fr> {
	let mut elements = packed(bounds, 1, record)?;
	elements.push(salt_element(salt));
	Ok(sponge(&mut Native, Domain::Record.tag(), elements))
}

/// Values packed natively. Refuses input-length, input-out-of-range, over-limit and overflow.
pub fn native_elements(bounds: &[Bounds], values: &[i64]) -> Result<Vec<Fr>> {
	check_shape(bounds, 1)?;
	packed(bounds, 1, values)
}

fn packed(bounds: &[Bounds], records: usize, values: &[i64]) -> Result<Vec<Fr>> {
	check_values(bounds, records, values)?;
	let places = layout(bounds, records).into_iter().zip(values.iter().copied()).collect::<Vec<_>>();
	let each = places
		.chunk_by(|(one, _), (next, _)| one.element == next.element)
		.map(|parts| field::pack(parts.iter().map(|(place, value)| (value.abs_diff(place.lo), place.shift))));
	Ok(each.collect())
}

/// Refuses values that are too many, too few or out of their bounds.
pub fn check_values(bounds: &[Bounds], records: usize, values: &[i64]) -> Result<()> {
	if bounds.is_empty() || values.len() != bounds.len() * records {
		return refuse(
			Refusal::InputLength,
			format!("{} values given, {records} record(s) of {} expected", values.len(), bounds.len()),
		);
	}
	for (i, &x) in values.iter().enumerate() {
		let b = bounds[i % bounds.len()];
		if !b.contains(x) {
			let (record, at) = (i / bounds.len(), i % bounds.len());
			return refuse(
				Refusal::InputOutOfRange,
				// The value itself is the client's secret: it goes into no message.
				format!("value {at} of record {record} is outside {}..={}", b.lo, b.hi),
			);
		}
	}
	Ok(())
}

fn check_shape(bounds: &[Bounds], batch: usize) -> Result<()> {
	if batch == 0 || batch > MAX_BATCH || bounds.len() > MAX_ENDS {
		return refuse(
			Refusal::OverLimit,
			format!("1 to {MAX_BATCH} records of at most {MAX_ENDS} values are possible"),
		);
	}
	if bounds.iter().any(|b| b.lo > b.hi || b.bits() > MAX_BITS) {
		return refuse(Refusal::Overflow, format!("a value needs more than {MAX_BITS} bits"));
	}
	Ok(())
}

fn leaves(bounds: &[Bounds], batch: usize, values: &[i64], salt: &[u8; 32]) -> Result<Vec<Fr>> {
	check_shape(bounds, batch)?;
	check_values(bounds, batch, values)?;
	let records = values.chunks(bounds.len()).enumerate();
	records.map(|(i, record)| native_leaf(bounds, record, &record_salt(salt, i as u32))).collect()
}

/// Commitment to a batch, as the circuit computes it.
pub fn commit(bounds: &[Bounds], batch: impl Into<Batch>, values: &[i64], salt: &[u8; 32]) -> Result<Fr> {
	let batch = batch.into();
	match batch.form {
		Form::Tree => Ok(root(&mut Native, &leaves(bounds, batch.records, values, salt)?)),
		Form::Flat => {
			check_shape(bounds, batch.records)?;
			let mut elements = packed(bounds, batch.records, values)?;
			elements.push(salt_element(&record_salt(salt, *batch.salts().start())));
			Ok(sponge(&mut Native, Domain::Flat(batch.records, bounds.len()).tag(), elements))
		}
	}
}

/// Salt and path that open record `index` of a tree alone: for each level its siblings, in order, from the
/// leaves up.
pub fn open_record(
	bounds: &[Bounds],
	batch: usize,
	values: &[i64],
	salt: &[u8; 32],
	index: usize,
) -> Result<([u8; 32], Vec<Fr>)> {
	let mut level = leaves(bounds, batch, values, salt)?;
	if index >= batch {
		return refuse(Refusal::InputLength, format!("record {index} of {batch} does not exist"));
	}
	let (mut path, mut at) = (Vec::new(), index);
	while level.len() > 1 {
		let group = level.chunks(MAX_ARITY).nth(at / MAX_ARITY).expect("index is below the width");
		path.extend(group.iter().enumerate().filter(|(i, _)| *i != at % MAX_ARITY).map(|(_, x)| *x));
		level = level.chunks(MAX_ARITY).map(|group| parent(&mut Native, group)).collect();
		at /= MAX_ARITY;
	}
	Ok((record_salt(salt, index as u32), path))
}

/// Whether `record` is record `index` of the tree under `root`.
pub fn check_record(
	bounds: &[Bounds],
	batch: usize,
	index: usize,
	record: &[i64],
	salt: &[u8; 32],
	path: &[Fr],
	root: &Fr,
) -> Result<bool> {
	check_shape(bounds, batch)?;
	if salt[31] != 0 {
		return refuse(Refusal::BadSalt, "the last byte of a record's salt must be 0");
	}
	if index >= batch {
		return refuse(Refusal::InputLength, format!("record {index} of {batch} does not exist"));
	}
	let mut node = native_leaf(bounds, record, salt)?;
	let (mut rest, mut at, mut width) = (path, index, batch);
	while width > 1 {
		let siblings = (width - at / MAX_ARITY * MAX_ARITY).min(MAX_ARITY) - 1;
		if rest.len() < siblings {
			return Ok(false);
		}
		let mut group = rest[..siblings].to_vec();
		group.insert(at % MAX_ARITY, node);
		node = parent(&mut Native, &group);
		rest = &rest[siblings..];
		(at, width) = (at / MAX_ARITY, width.div_ceil(MAX_ARITY));
	}
	Ok(rest.is_empty() && node == *root)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::circuit::Circuit;
	use crate::ir::{encode, Node, Op};

	#[test]
	fn domains_of_the_sponge_never_meet() {
		let flat = [(1, 1), (1, 2), (2, 1), (1, 256), (256, 1)].map(|(n, m)| Domain::Flat(n, m));
		let tags: Vec<Fr> =
			[Domain::Part, Domain::Record, Domain::Node].into_iter().chain(flat).map(Domain::tag).collect();
		let mut seen = std::collections::BTreeSet::new();
		for arity in 1..=MAX_ARITY {
			let elements: Vec<Fr> = (1..=arity as u64).map(Fr::from).collect();
			for tag in tags.iter().copied().chain([Fr::from(0)]) {
				assert!(seen.insert(poseidon::hash(&mut Native, tag, &elements)));
			}
		}
	}

	#[test]
	fn hashes_have_the_rows_that_were_foretold() {
		for n in [1, 60, 64, 70, 130] {
			let wide = Bounds { lo: 0, hi: (1 << 60) - 1 };
			let node = |op| Node { label: String::new(), op };
			let program = [node(Op::Input(vec![wide; n])), node(Op::Output(vec![0]))];
			for batch in [Batch::from(1), Batch::flat(1), Batch::flat(5)] {
				let circuit = Circuit::new(&encode(&program), batch).expect("a small circuit");
				let commitments = circuit.layers.iter().filter(|(label, _)| label.ends_with("commitment"));
				let rows: usize = commitments.map(|(_, rows)| rows - 1).sum();
				assert_eq!(rows, hash_rows(&vec![wide; n], batch) + hash_rows(&[wide], batch));
			}
		}
	}
}
