//! Vector Pedersen commitments over ristretto255: any number of integers in 32 bytes, and they add.
//!
//! `commit(v, r) = sum_j v_j G_j + r H`, with `G_j` and `H` hashed to the group (RFC 9496's one-way map), so that
//! there is no setup and nobody knows a relation between them. Hiding is perfect, binding as hard as a discrete
//! logarithm. `commit(v, r) + commit(w, s) = commit(v + w, r + s)`: the opening of a sum is the sum of openings.
//! `chain/pallets/federation/src/commitments.rs` has the same for the chain; both give `tests/vectors/federation.json`.

use std::sync::{Arc, Mutex};

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use rayon::prelude::*;
use sha2::{Digest, Sha512};

use crate::error::{refuse, Refusal, Result};

/// Most values of one vector.
pub const MAX_LENGTH: usize = 1 << 17;
/// Most bits of a value's magnitude.
pub const MAX_VALUE_BITS: u32 = 52;

const GENERATORS: &[u8] = b"proofward/federation/generator/v1";

/// The generator with a number: the last, `u32::MAX`, is the blinding's.
pub fn generator(index: u32) -> RistrettoPoint {
	let hash = Sha512::new().chain_update(GENERATORS).chain_update(index.to_le_bytes()).finalize();
	RistrettoPoint::from_uniform_bytes(&hash.into())
}

/// The generators before `count`, kept from one call to the next.
pub fn generators(count: usize) -> Arc<Vec<RistrettoPoint>> {
	static KEPT: Mutex<Option<Arc<Vec<RistrettoPoint>>>> = Mutex::new(None);
	let mut kept = KEPT.lock().unwrap_or_else(|e| e.into_inner());
	match kept.as_ref() {
		Some(points) if points.len() >= count => points.clone(),
		other => {
			let before = other.map_or(0, |points| points.len());
			let more = (before..count).into_par_iter().map(|j| generator(j as u32)).collect::<Vec<_>>();
			let mut points = other.map_or_else(Vec::new, |points| points.to_vec());
			points.extend(more);
			let points = Arc::new(points);
			*kept = Some(points.clone());
			points
		}
	}
}

/// The blinding's generator.
pub fn blinder() -> RistrettoPoint {
	generator(u32::MAX)
}

/// The commitment to `values` under a blinding. Its time depends on the values: run it where they are at home.
pub fn commit(values: &[i64], blinding: &Scalar) -> Result<RistrettoPoint> {
	if values.is_empty() || values.len() > MAX_LENGTH {
		return refuse(Refusal::InputLength, format!("a vector has 1 to {MAX_LENGTH} values"));
	}
	if values.iter().any(|v| v.unsigned_abs() >> MAX_VALUE_BITS != 0) {
		return refuse(Refusal::InputOutOfRange, format!("a value needs more than {MAX_VALUE_BITS} bits"));
	}
	Ok(small_msm(values, &generators(values.len())) + blinder() * blinding)
}

/// `sum_j v_j P_j` for small integers: buckets over signed digits, as few of them as the largest value needs.
fn small_msm(values: &[i64], points: &[RistrettoPoint]) -> RistrettoPoint {
	let bits = 1 + values.iter().map(|v| 64 - v.unsigned_abs().leading_zeros()).max().unwrap_or(0);
	let count = bits.div_ceil(values.len().max(16).ilog2().saturating_sub(2).min(13));
	let width = bits.div_ceil(count);
	let half = 1i64 << (width - 1);
	// With half of its range added to every digit, what a shift and a mask read is never negative.
	let offset = (0..count).fold(0, |sum, window| sum + (half << (window * width)));
	let windows = (0..count).into_par_iter().map(|window| {
		let mask = if window + 1 == count { i64::MAX } else { 2 * half - 1 };
		let mut buckets = vec![RistrettoPoint::identity(); half as usize];
		for (value, point) in values.iter().zip(points) {
			let digit = ((value + offset) >> (window * width) & mask) - half;
			if digit != 0 {
				let bucket = &mut buckets[digit.unsigned_abs() as usize - 1];
				*bucket = if digit < 0 { *bucket - point } else { *bucket + point };
			}
		}
		let (mut running, mut sum) = (RistrettoPoint::identity(), RistrettoPoint::identity());
		for bucket in buckets.iter().rev() {
			running += bucket;
			sum += running;
		}
		sum
	});
	let sums: Vec<RistrettoPoint> = windows.collect();
	sums.iter()
		.rev()
		.fold(RistrettoPoint::identity(), |sum, part| (0..width).fold(sum, |sum, _| sum + sum) + part)
}

/// A commitment's bytes, read: only the canonical encoding of a point is one.
pub fn point(bytes: &[u8]) -> Result<RistrettoPoint> {
	let read = CompressedRistretto::from_slice(bytes).ok().and_then(|bytes| bytes.decompress());
	match read {
		Some(point) => Ok(point),
		None => refuse(Refusal::MalformedCommitment, "32 bytes are no commitment to a vector"),
	}
}

/// A blinding's bytes, read: a scalar below the group's order.
pub fn blinding(bytes: &[u8]) -> Result<Scalar> {
	let read = <[u8; 32]>::try_from(bytes).ok().and_then(|b| Option::from(Scalar::from_canonical_bytes(b)));
	match read {
		Some(scalar) => Ok(scalar),
		None => refuse(Refusal::BadSalt, "a blinding is 32 bytes below the group's order"),
	}
}

/// A uniform scalar from the operating system.
pub fn random() -> Result<Scalar> {
	let mut wide = zeroize::Zeroizing::new([0; 64]);
	match rand::RngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut wide[..]) {
		Ok(()) => Ok(Scalar::from_bytes_mod_order_wide(&wide)),
		Err(e) => refuse(Refusal::Io, format!("no randomness: {e}")),
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use proptest::prelude::*;

	#[test]
	fn generators_are_distinct() {
		let points = generators(64);
		for (i, one) in points.iter().enumerate() {
			assert!(*one != RistrettoPoint::identity() && *one != blinder());
			assert!(points[..i].iter().all(|other| other != one));
		}
	}

	proptest! {
		#![proptest_config(ProptestConfig::with_cases(32))]

		#[test]
		fn buckets_give_what_multiplying_gives(
			values in prop::collection::vec(-(1i64 << 52) + 1..1 << 52, 1..40), r in any::<u64>(),
		) {
			let scalar = |v: i64| if v < 0 { -Scalar::from(v.unsigned_abs()) } else { Scalar::from(v as u64) };
			let plain: RistrettoPoint = values.iter().zip(&*generators(40)).map(|(v, g)| g * scalar(*v)).sum();
			prop_assert_eq!(commit(&values, &Scalar::from(r)).unwrap(), plain + blinder() * Scalar::from(r));
		}

		#[test]
		fn sums_open_to_sums(
			(a, b) in (1usize..80).prop_flat_map(|n| {
				let vector = || prop::collection::vec(-(1i64 << 40)..1 << 40, n);
				(vector(), vector())
			}),
			r in any::<u64>(), s in any::<u64>(),
		) {
			let (r, s) = (Scalar::from(r), Scalar::from(s));
			let sum: Vec<i64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
			let both = commit(&a, &r).unwrap() + commit(&b, &s).unwrap();
			prop_assert_eq!(both, commit(&sum, &(r + s)).unwrap());
			let mut wrong = sum;
			wrong[0] += 1;
			prop_assert_ne!(both, commit(&wrong, &(r + s)).unwrap());
		}
	}

	#[test]
	fn what_is_no_vector_is_refused() {
		let zero = Scalar::ZERO;
		assert_eq!(commit(&[], &zero).unwrap_err().refusal, Refusal::InputLength);
		assert_eq!(commit(&vec![0; MAX_LENGTH + 1], &zero).unwrap_err().refusal, Refusal::InputLength);
		for value in [1 << 52, -(1 << 52), i64::MIN, i64::MAX] {
			assert_eq!(commit(&[value], &zero).unwrap_err().refusal, Refusal::InputOutOfRange);
		}
		assert_eq!(point(&[0xff; 32]).unwrap_err().refusal, Refusal::MalformedCommitment);
		assert_eq!(point(&[0; 31]).unwrap_err().refusal, Refusal::MalformedCommitment);
		assert_eq!(blinding(&[0xff; 32]).unwrap_err().refusal, Refusal::BadSalt);
	}
}
