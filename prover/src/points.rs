//! Group elements as bytes, in two forms.
//!
//! *EVM form*, for everything that others read (proofs, verifying keys): big-endian coordinates below the
//! modulus, G2 with the imaginary part first, as the precompiles have it (EIP-197). Decoding refuses what is
//! not canonical, on the curve, in the subgroup and other than infinity.
//!
//! *Table form*, for proving keys: Montgomery limbs, little-endian, read from a mapped file without
//! conversion.

use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, BigInteger, Field, PrimeField};
use ark_groth16::{Proof, VerifyingKey};

use crate::error::{refuse, Refusal, Result};
use crate::field;
use crate::msm::Point;

pub type Bn254 = ark_bn254::Bn254;

/// A, B and C.
pub const PROOF_BYTES: usize = 256;
/// alpha (G1), beta, gamma, delta (G2), three input points (G1).
pub const VERIFYING_KEY_BYTES: usize = 64 + 3 * 128 + 3 * 64;

fn put_fq(out: &mut Vec<u8>, x: &Fq) {
	out.extend(x.into_bigint().to_bytes_be());
}

pub fn put_g1(out: &mut Vec<u8>, p: &G1Affine) {
	let (x, y) = p.xy().unwrap_or_default();
	put_fq(out, &x);
	put_fq(out, &y);
}

pub fn put_g2(out: &mut Vec<u8>, p: &G2Affine) {
	let (x, y) = p.xy().unwrap_or_default();
	for coordinate in [x.c1, x.c0, y.c1, y.c0] {
		put_fq(out, &coordinate);
	}
}

/// Reads group elements from bytes whose length was checked; `refusal` is what to answer.
struct Points<'a> {
	bytes: &'a [u8],
	refusal: Refusal,
}

impl Points<'_> {
	fn fq(&mut self) -> Result<Fq> {
		let (now, later) = self.bytes.split_at(32);
		self.bytes = later;
		field::from_bytes(self.refusal, now.try_into().expect("32 bytes"))
	}

	fn g1(&mut self) -> Result<G1Affine> {
		let (x, y) = (self.fq()?, self.fq()?);
		let p = G1Affine::new_unchecked(x, y);
		// BN254's G1 is the whole curve: cofactor 1.
		match p.is_on_curve() && !p.is_zero() {
			true => Ok(p),
			false => refuse(self.refusal, "a point is not on the curve, or is infinity"),
		}
	}

	fn g2(&mut self) -> Result<G2Affine> {
		let (x1, x0, y1, y0) = (self.fq()?, self.fq()?, self.fq()?, self.fq()?);
		let p = G2Affine::new_unchecked(Fq2::new(x0, x1), Fq2::new(y0, y1));
		match p.is_on_curve() && !p.is_zero() && p.is_in_correct_subgroup_assuming_on_curve() {
			true => Ok(p),
			false => refuse(self.refusal, "a point is not on the curve, not in its subgroup, or is infinity"),
		}
	}
}

/// A proof in EVM form.
pub fn proof_to_bytes(proof: &Proof<Bn254>) -> Vec<u8> {
	let mut out = Vec::with_capacity(PROOF_BYTES);
	put_g1(&mut out, &proof.a);
	put_g2(&mut out, &proof.b);
	put_g1(&mut out, &proof.c);
	out
}

/// Refuses with malformed-proof.
pub fn proof_from_bytes(bytes: &[u8]) -> Result<Proof<Bn254>> {
	let refusal = Refusal::MalformedProof;
	if bytes.len() != PROOF_BYTES {
		return refuse(refusal, format!("a proof has {PROOF_BYTES} bytes, this one {}", bytes.len()));
	}
	let mut points = Points { bytes, refusal };
	let (a, b, c) = (points.g1()?, points.g2()?, points.g1()?);
	Ok(Proof { a, b, c })
}

/// A verifying key in EVM form.
pub fn verifying_key_to_bytes(key: &VerifyingKey<Bn254>) -> Vec<u8> {
	let mut out = Vec::with_capacity(VERIFYING_KEY_BYTES);
	put_g1(&mut out, &key.alpha_g1);
	for p in [&key.beta_g2, &key.gamma_g2, &key.delta_g2] {
		put_g2(&mut out, p);
	}
	key.gamma_abc_g1.iter().for_each(|p| put_g1(&mut out, p));
	out
}

/// Refuses with malformed-key.
pub fn verifying_key_from_bytes(bytes: &[u8]) -> Result<VerifyingKey<Bn254>> {
	let refusal = Refusal::MalformedKey;
	if bytes.len() != VERIFYING_KEY_BYTES {
		return refuse(
			refusal,
			format!("a verifying key has {VERIFYING_KEY_BYTES} bytes, this one {}", bytes.len()),
		);
	}
	let mut points = Points { bytes, refusal };
	Ok(VerifyingKey {
		alpha_g1: points.g1()?,
		beta_g2: points.g2()?,
		gamma_g2: points.g2()?,
		delta_g2: points.g2()?,
		gamma_abc_g1: vec![points.g1()?, points.g1()?, points.g1()?],
	})
}

/// A commitment's field element; refuses what is not below the modulus.
pub fn commitment(bytes: &[u8; 32]) -> Result<Fr> {
	field::from_bytes(Refusal::MalformedCommitment, bytes)
}

/// Coordinates in table form.
pub trait Coordinate: Field {
	const BYTES: usize;
	fn write(&self, out: &mut Vec<u8>);
	/// `bytes` has at least `BYTES` bytes.
	fn read(bytes: &[u8]) -> Self;
}

impl Coordinate for Fq {
	const BYTES: usize = 32;

	fn write(&self, out: &mut Vec<u8>) {
		self.0 .0.iter().for_each(|limb| out.extend(limb.to_le_bytes()));
	}

	#[inline]
	fn read(bytes: &[u8]) -> Fq {
		let limb = |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().expect("8 bytes"));
		Fq::new_unchecked(BigInt([limb(0), limb(1), limb(2), limb(3)]))
	}
}

impl Coordinate for Fq2 {
	const BYTES: usize = 64;

	fn write(&self, out: &mut Vec<u8>) {
		self.c0.write(out);
		self.c1.write(out);
	}

	#[inline]
	fn read(bytes: &[u8]) -> Fq2 {
		Fq2::new(Fq::read(&bytes[..32]), Fq::read(&bytes[32..64]))
	}
}

pub fn write_point<F: Coordinate>(p: &Point<F>, out: &mut Vec<u8>) {
	p.x.write(out);
	p.y.write(out);
}

#[inline]
pub fn read_point<F: Coordinate>(bytes: &[u8]) -> Point<F> {
	Point { x: F::read(bytes), y: F::read(&bytes[F::BYTES..]) }
}

/// Whether table-form limbs are below the modulus.
pub fn canonical(limbs: &[u8]) -> bool {
	limbs.chunks(32).all(|bytes| Fq::read(bytes).0 < Fq::MODULUS)
}
