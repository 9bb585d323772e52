//! Federated studies: ids, what enclaves sign, privacy in integers, and vector commitments. Layouts:
//! `docs/federation.md`.
//!
//! `commit(v, r) = sum_j v_j G_j + r H` over ristretto255, with generators hashed to the group: no setup, and the
//! commitment to a sum is the sum of the commitments. `prover/src/pedersen.rs` is its twin outside the chain; both give
//! `tests/vectors/federation.json`.

use alloc::vec::Vec;
use codec::Encode;
use curve25519_dalek::{
	ristretto::{CompressedRistretto, RistrettoPoint},
	scalar::Scalar,
	traits::Identity,
};
use polkadot_sdk::{
	sp_core::H256,
	sp_io::hashing::{blake2_256, sha2_256},
};
use sha2::{Digest, Sha512};

const STUDY: &[u8] = b"proofward/study/v1";
const OPENING: &[u8] = b"proofward/federation-round/v1";
const AGGREGATE: &[u8] = b"proofward/federation-aggregate/v1";
const VALUES: &[u8] = b"proofward/federation-values/v1";
const GENERATOR: &[u8] = b"proofward/federation/generator/v1";

/// Parts of one unit of zCDP's rho in which budgets are kept.
pub const NANO: u128 = 1_000_000_000;
/// Most that one record may add to a sum's length.
pub const MAX_CLIP: u64 = 1 << 40;
/// Most of the noise's variance.
pub const MAX_VARIANCE: u128 = 1 << 96;
/// Most bits of a committed value's magnitude.
pub const MAX_VALUE_BITS: u32 = 52;

/// blake2-256 of the researcher's account and the nonce that it drew at random.
pub fn study_id<AccountId: Encode>(researcher: &AccountId, nonce: &H256) -> H256 {
	blake2_256(&[STUDY, &(researcher, nonce).encode()].concat()).into()
}

/// What one release costs in zCDP (Bun and Steinke 2016): `clip^2 / (2 variance)`, in `NANO` parts, rounded up; the
/// discrete Gaussian costs what the continuous one does (Canonne, Kamath, Steinke 2020, theorem 4). `None` out of
/// bounds.
pub fn rho(clip: u64, variance: u128) -> Option<u64> {
	if clip == 0 || clip > MAX_CLIP || variance == 0 || variance > MAX_VARIANCE {
		return None;
	}
	let square = u128::from(clip) * u128::from(clip) * NANO;
	u64::try_from(square.div_ceil(2 * variance)).ok()
}

/// What an aggregator's enclave signs before any update is known: its noise is drawn, and this is the commitment to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub struct Opening {
	/// Hash of the chain's first block.
	pub genesis: H256,
	/// See [`study_id`].
	pub study: H256,
	/// The study's document.
	pub rule: H256,
	/// 0 for the first.
	pub number: u32,
	/// A block's number among the last 256, and its hash: the noise is no older.
	pub at: u32,
	/// Likewise.
	pub block: H256,
	/// To the noise.
	pub noise: [u8; 32],
}

impl Opening {
	/// The signed bytes.
	pub fn message(&self) -> Vec<u8> {
		[OPENING, &self.encode()].concat()
	}
}

/// What an aggregator's enclave signs for a sum.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Aggregate {
	/// Hash of the chain's first block.
	pub genesis: H256,
	/// See [`study_id`].
	pub study: H256,
	/// Of the round.
	pub number: u32,
	/// The sum of the commitments of all sites that are in it, and of the noise's.
	pub sum: [u8; 32],
	/// See [`values_hash`].
	pub values: H256,
	/// Places, among the round's commitments, of those that are left out.
	pub absent: Vec<u32>,
}

impl Aggregate {
	/// The signed bytes.
	pub fn message(&self) -> Vec<u8> {
		[AGGREGATE, &self.encode()].concat()
	}
}

/// SHA-256 of a sum's values: i64 LE, one after the other, behind a domain.
pub fn values_hash(values: &[i64]) -> H256 {
	let mut bytes = VALUES.to_vec();
	values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
	sha2_256(&bytes).into()
}

/// Whether these bytes are a commitment: the one encoding of a point that is not neutral.
pub fn well_formed(commitment: &[u8; 32]) -> bool {
	point(commitment).is_some_and(|point| point != RistrettoPoint::identity())
}

/// The commitment to the sum of what these are to; `None` when one is none.
pub fn sum<'a>(commitments: impl Iterator<Item = &'a [u8; 32]>) -> Option<[u8; 32]> {
	let mut sum = RistrettoPoint::identity();
	for commitment in commitments {
		sum += point(commitment)?;
	}
	Some(sum.compress().to_bytes())
}

/// Whether `commitment` is to these values under this blinding.
pub fn opens(commitment: &[u8; 32], values: &[i64], blinding: &[u8; 32]) -> bool {
	commit(values, blinding).is_some_and(|found| found == *commitment)
}

/// The commitment to values under a blinding; `None` for a value or a blinding out of bounds.
pub fn commit(values: &[i64], blinding: &[u8; 32]) -> Option<[u8; 32]> {
	let blinding = Option::<Scalar>::from(Scalar::from_canonical_bytes(*blinding))?;
	if values.iter().any(|value| value.unsigned_abs() >> MAX_VALUE_BITS != 0) {
		return None;
	}
	Some((weighted(values) + generator(u32::MAX) * blinding).compress().to_bytes())
}

fn point(commitment: &[u8; 32]) -> Option<RistrettoPoint> {
	CompressedRistretto(*commitment).decompress()
}

fn generator(index: u32) -> RistrettoPoint {
	let hash = Sha512::new().chain_update(GENERATOR).chain_update(index.to_le_bytes()).finalize();
	RistrettoPoint::from_uniform_bytes(&hash.into())
}

/// `sum_j v_j G_j`: buckets of six bits, over the bits that the largest has.
fn weighted(values: &[i64]) -> RistrettoPoint {
	const WIDTH: u32 = 6;
	let points: Vec<RistrettoPoint> = (0..values.len() as u32).map(generator).collect();
	let bits = values.iter().map(|value| 64 - value.unsigned_abs().leading_zeros()).max().unwrap_or(0);
	let mut total = RistrettoPoint::identity();
	for window in (0..bits.div_ceil(WIDTH)).rev() {
		for _ in 0..WIDTH {
			total += total;
		}
		let mut buckets = [RistrettoPoint::identity(); (1 << WIDTH) - 1];
		for (value, point) in values.iter().zip(&points) {
			let digit = (value.unsigned_abs() >> (window * WIDTH)) as usize & ((1 << WIDTH) - 1);
			match digit.checked_sub(1) {
				Some(place) if *value < 0 => buckets[place] -= point,
				Some(place) => buckets[place] += point,
				None => {}
			}
		}
		let mut running = RistrettoPoint::identity();
		for bucket in buckets.iter().rev() {
			running += bucket;
			total += running;
		}
	}
	total
}

#[cfg(test)]
mod tests {
	use super::*;

	fn scalar(byte: u8) -> [u8; 32] {
		let mut bytes = [0; 32];
		bytes[0] = byte;
		bytes
	}

	#[test]
	fn a_sum_opens_to_the_sum_and_to_nothing_one_unit_away() {
		let (a, b) = ([5, -7, 1 << 40, 0], [-5, 3, -(1 << 50), 9]);
		let whole: Vec<i64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
		let parts = [commit(&a, &scalar(3)).unwrap(), commit(&b, &scalar(4)).unwrap()];
		let both = sum(parts.iter()).unwrap();
		assert!(opens(&both, &whole, &scalar(7)));
		assert!(!opens(&both, &whole, &scalar(8)));
		for place in 0..whole.len() {
			let mut wrong = whole.clone();
			wrong[place] += 1;
			assert!(!opens(&both, &wrong, &scalar(7)), "one unit at {place}");
		}
		assert!(!opens(&both, &whole[..3], &scalar(7)));
	}

	#[test]
	fn what_is_no_commitment_is_none() {
		assert!(!well_formed(&[0; 32]), "the neutral point commits to nothing");
		assert!(!well_formed(&[0xff; 32]));
		assert!(commit(&[1 << 52], &scalar(1)).is_none());
		assert!(commit(&[i64::MIN], &scalar(1)).is_none());
		assert!(commit(&[1], &[0xff; 32]).is_none());
	}

	#[test]
	fn rho_is_rounded_up_and_bounded() {
		assert_eq!(rho(1, 1), Some(500_000_000));
		assert_eq!(rho(1, 500_000_001), Some(1));
		assert_eq!(rho(3, 7), Some(642_857_143));
		for (clip, variance) in
			[(0, 1), (1, 0), (MAX_CLIP + 1, MAX_VARIANCE), (1, MAX_VARIANCE + 1), (MAX_CLIP, 1)]
		{
			assert_eq!(rho(clip, variance), None);
		}
	}

	#[test]
	fn vectors_hold() {
		let vectors: serde_json::Value =
			serde_json::from_str(include_str!("../../../../tests/vectors/federation.json")).unwrap();
		let bytes = |value: &serde_json::Value| -> [u8; 32] {
			hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
		};
		for case in vectors["commitments"].as_array().unwrap() {
			let values: Vec<i64> =
				case["values"].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
			assert_eq!(commit(&values, &bytes(&case["blinding"])), Some(bytes(&case["commitment"])));
			assert_eq!(values_hash(&values).0, bytes(&case["values_hash"]));
		}
		let said = &vectors["messages"];
		let opening = Opening {
			genesis: H256::repeat_byte(1),
			study: H256::repeat_byte(2),
			rule: H256::repeat_byte(3),
			number: 4,
			at: 5,
			block: H256::repeat_byte(6),
			noise: [7; 32],
		};
		assert_eq!(hex::encode(opening.message()), said["opening"].as_str().unwrap());
		let aggregate = Aggregate {
			genesis: H256::repeat_byte(1),
			study: H256::repeat_byte(2),
			number: 4,
			sum: [8; 32],
			values: H256::repeat_byte(9),
			absent: alloc::vec![1, 3],
		};
		assert_eq!(hex::encode(aggregate.message()), said["aggregate"].as_str().unwrap());
		let id = study_id(&[1u8; 32], &H256::repeat_byte(2));
		assert_eq!(id.0, bytes(&said["study_id"]));
	}
}
