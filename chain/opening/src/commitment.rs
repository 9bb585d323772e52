//! The Groth16 lane's commitment (`prover/IR.md`): values packed into field elements, a salt, Poseidon; for batches a
//! tree of arity 16 over the records' commitments, or one hash over all records where the manifest says `flat`.

use alloc::{vec, vec::Vec};

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField};
use sha2::{Digest, Sha256};

use crate::{
	poseidon::{Poseidon, MAX_ARITY},
	shape::{Bounds, Form},
	Shape,
};

/// Bits that a field element carries without wrapping.
const CAPACITY: u32 = 253;
const SALT: &[u8] = b"proofward/salt/v2";
/// What a hash is of: the first elements of a long record, the record itself, a node of the tree.
const PART: &[u8] = b"proofward/commit/v2/part";
const RECORD: &[u8] = b"proofward/commit/v2/record";
const NODE: &[u8] = b"proofward/commit/v2/node";
/// All records at once; behind it their number and how many values each has, so that no shape is taken for another.
const FLAT: &[u8] = b"proofward/flat/v1";
/// What stands for a record's number where one salt serves all.
const ALL: u32 = u32::MAX;

/// The 32 bytes (big-endian) of the commitment to all records; `None` when a value is outside of its bounds, or there
/// are not as many as the shape has.
pub fn commit(shape: &Shape, values: &[i64], salt: &[u8; 32]) -> Option<[u8; 32]> {
	if values.len() != shape.values() {
		return None;
	}
	let mut hasher = Hasher { poseidon: Poseidon::default() };
	let root = match shape.form() {
		Form::Tree => tree(&mut hasher, shape, values, salt)?,
		Form::Flat => {
			let count = shape.bounds().len() as u32;
			let domain = [FLAT, &shape.batch().to_be_bytes(), &count.to_be_bytes()].concat();
			let all = shape.bounds().iter().cycle();
			hasher.salted(&domain, pack(all, values)?, record_salt(salt, ALL))
		}
	};
	root.into_bigint().to_bytes_be().try_into().ok()
}

fn tree(hasher: &mut Hasher, shape: &Shape, values: &[i64], salt: &[u8; 32]) -> Option<Fr> {
	let records = values.chunks(shape.bounds().len()).enumerate();
	let mut level = records
		.map(|(index, record)| {
			let elements = pack(shape.bounds().iter(), record)?;
			Some(hasher.salted(RECORD, elements, record_salt(salt, index as u32)))
		})
		.collect::<Option<Vec<Fr>>>()?;
	while level.len() > 1 {
		level = level.chunks(MAX_ARITY).map(|group| hasher.node(group)).collect();
	}
	level.first().copied()
}

/// Values in as few elements as hold them, each value in one element.
fn pack<'a>(bounds: impl Iterator<Item = &'a Bounds>, values: &[i64]) -> Option<Vec<Fr>> {
	let (mut elements, mut limbs, mut shift) = (vec![], [0u64; 5], 0u32);
	for (&value, bounds) in values.iter().zip(bounds) {
		if !bounds.contains(value) {
			return None;
		}
		if shift + bounds.bits() > CAPACITY {
			elements.push(element(&limbs)?);
			(limbs, shift) = ([0; 5], 0);
		}
		let wide = u128::from(value.abs_diff(bounds.lo)) << (shift % 64);
		let limb = (shift / 64) as usize;
		limbs[limb] |= wide as u64;
		limbs[limb + 1] |= (wide >> 64) as u64;
		shift += bounds.bits();
	}
	elements.push(element(&limbs)?);
	Some(elements)
}

fn element(limbs: &[u64; 5]) -> Option<Fr> {
	Fr::from_bigint(BigInt([limbs[0], limbs[1], limbs[2], limbs[3]]))
}

/// 248 bits that every bit of the job's salt decides.
fn record_salt(salt: &[u8; 32], index: u32) -> Fr {
	let mut hasher = Sha256::new();
	hasher.update(SALT);
	hasher.update(salt);
	hasher.update(index.to_le_bytes());
	let mut salt: [u8; 32] = hasher.finalize().into();
	salt[31] = 0;
	Fr::from_le_bytes_mod_order(&salt)
}

struct Hasher {
	poseidon: Poseidon,
}

impl Hasher {
	fn salted(&mut self, domain: &[u8], mut elements: Vec<Fr>, salt: Fr) -> Fr {
		elements.push(salt);
		let mut rest = elements.as_slice();
		let mut first: Vec<Fr> = vec![];
		// What was hashed so far is the first element of what is hashed next.
		while first.len() + rest.len() > MAX_ARITY {
			let (next, left) = rest.split_at(MAX_ARITY - first.len());
			first.extend(next);
			first = vec![self.poseidon.hash(PART, &first)];
			rest = left;
		}
		first.extend(rest);
		self.poseidon.hash(domain, &first)
	}

	fn node(&mut self, group: &[Fr]) -> Fr {
		match group {
			[only] => *only,
			_ => self.poseidon.hash(NODE, group),
		}
	}
}
