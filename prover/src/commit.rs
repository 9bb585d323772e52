//! Commitments: values packed into field elements, a salt, Poseidon; for batches a tree of arity 16 over the
//! records' commitments. IR.md fixes the layout.

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

/// Where a value goes: its element, its lowest bit there, and the value that is packed as 0.
struct Place {
	element: usize,
	shift: u32,
	lo: i64,
}

fn layout(bounds: &[Bounds]) -> Vec<Place> {
	let (mut element, mut shift) = (0, 0);
	let mut places = Vec::new();
	for b in bounds {
		if shift + b.bits() > CAPACITY {
			(element, shift) = (element + 1, 0);
		}
		places.push(Place { element, shift, lo: b.lo });
		shift += b.bits();
	}
	places
}

/// Commitment of one record, on a recording backend. Packing is injective on values within 2^bits of `lo`,
/// which the callers' bounds guarantee.
pub fn leaf<B: Backend>(cs: &mut B, bounds: &[Bounds], values: &[B::Int], salt: B::Field) -> B::Field {
	let mut elements = elements(cs, bounds, values);
	elements.push(salt);
	sponge(cs, elements)
}

/// A record's values, packed into field elements. Costs nothing.
pub fn elements<B: Backend>(cs: &mut B, bounds: &[Bounds], values: &[B::Int]) -> Vec<B::Field> {
	let places = layout(bounds);
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

/// What a hash is of, as Poseidon's capacity: the first elements of a long record, the record itself, a node
/// of the tree. A hash of one kind is never one of another kind, nor of another protocol.
#[derive(Clone, Copy)]
enum Domain {
	Part,
	Record,
	Node,
}

impl Domain {
	fn tag(self) -> Fr {
		let name: &[u8] = match self {
			Domain::Part => b"proofward/commit/v2/part",
			Domain::Record => b"proofward/commit/v2/record",
			Domain::Node => b"proofward/commit/v2/node",
		};
		Fr::from_be_bytes_mod_order(name)
	}
}

fn sponge<B: FieldBackend>(cs: &mut B, mut elements: Vec<B::Field>) -> B::Field {
	while elements.len() > MAX_ARITY {
		let rest = elements.split_off(MAX_ARITY);
		elements = vec![poseidon::hash(cs, Domain::Part.tag(), &elements)];
		elements.extend(rest);
	}
	poseidon::hash(cs, Domain::Record.tag(), &elements)
}

/// Rows of all hashes that commit to `batch` records, without the tree's. They are the costly ones to record:
/// each is dense.
pub fn hash_rows(bounds: &[Bounds], batch: usize) -> usize {
	let mut elements = layout(bounds).last().map_or(1, |place| place.element + 1) + 1;
	let mut rows = 0;
	while elements > MAX_ARITY {
		rows += poseidon::rows(MAX_ARITY);
		elements -= MAX_ARITY - 1;
	}
	batch * (rows + poseidon::rows(elements))
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

/// Salt of record `index`: 248 bits that every bit of the job's salt decides, then a byte of 0.
pub fn record_salt(salt: &[u8; 32], index: usize) -> [u8; 32] {
	let mut hasher = Sha256::new();
	hasher.update(b"proofward/salt/v2");
	hasher.update(salt);
	hasher.update((index as u32).to_le_bytes());
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
	let mut elements = packed(bounds, record)?;
	elements.push(salt_element(salt));
	Ok(sponge(&mut Native, elements))
}

/// Values packed natively. Refuses input-length, input-out-of-range, over-limit and overflow.
pub fn native_elements(bounds: &[Bounds], values: &[i64]) -> Result<Vec<Fr>> {
	check_shape(bounds, 1)?;
	packed(bounds, values)
}

fn packed(bounds: &[Bounds], record: &[i64]) -> Result<Vec<Fr>> {
	check_values(bounds, 1, record)?;
	let places = layout(bounds);
	let count = places.last().map_or(1, |p| p.element + 1);
	let each = (0..count).map(|element| {
		let placed = places.iter().zip(record).filter(|(place, _)| place.element == element);
		field::pack(placed.map(|(place, value)| (value.abs_diff(place.lo), place.shift)))
	});
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
	records.map(|(i, record)| native_leaf(bounds, record, &record_salt(salt, i))).collect()
}

/// Commitment to `batch` records, as the circuit computes it.
pub fn commit(bounds: &[Bounds], batch: usize, values: &[i64], salt: &[u8; 32]) -> Result<Fr> {
	Ok(root(&mut Native, &leaves(bounds, batch, values, salt)?))
}

/// Salt and path that open record `index` alone: for each level its siblings, in order, from the leaves up.
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
	Ok((record_salt(salt, index), path))
}

/// Whether `record` is record `index` of the commitment `root`.
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
		let tags = [Domain::Part, Domain::Record, Domain::Node].map(Domain::tag).to_vec();
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
			let circuit = Circuit::new(&encode(&program), 1).expect("a small circuit");
			let commitments = circuit.layers.iter().filter(|(label, _)| label.ends_with("commitment"));
			let rows: usize = commitments.map(|(_, rows)| rows - 1).sum();
			assert_eq!(rows, hash_rows(&vec![wide; n], 1) + hash_rows(&[wide], 1));
		}
	}
}
