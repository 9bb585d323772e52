//! A proof that the vector in a Pedersen commitment has at most a given length, and nothing else about it.
//!
//! For `V = commit(u, r)` and an integer `B`: there are integers `s_1..s_4` with `|u|^2 + s_1^2 + .. + s_4^2 = B`
//! (Lagrange: every natural number is a sum of four squares). A sigma protocol over the field shows the equation
//! modulo the group's order; that nothing wraps there, random projections show: with `w = (u, s)`, a matrix `R` of
//! zeros and ones that is fixed after the commitments, and masks `m`, all of `y = R w + m` are public and short. If
//! one `w_j` were longer than twice their bound, each row would show it with probability 1/2, whatever the rest:
//! 128 rows leave 2^-128. The masks are 2^64 times longer than what they hide. Made non-interactive by SHA-512
//! (Fiat-Shamir). Size: 32 bytes a value, and 6,304 more.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest, Sha512};

use crate::error::{refuse, Refusal, Result};
use crate::pedersen;

const DOMAIN: &[u8] = b"proofward/federation/norm/v1";
const ROWS: usize = 128;
const SLACKS: usize = 4;
/// Slacks and masks have generators of their own, from here on; the one before is that of products.
const AUXILIARY: u32 = 1 << 31;
/// By how many bits a mask is longer than what it hides.
const HIDING_BITS: u32 = 64;
/// Most bits of the bound on the squared length.
pub const MAX_BOUND_BITS: u32 = 80;
const WORD: usize = 32;
const MASK_BYTES: usize = 16;
/// W, C1, x, both blindings, tau; the projections; responses of slacks and masks.
const FIXED: usize = 6 * WORD + ROWS * MASK_BYTES + (SLACKS + ROWS) * WORD;

/// What is proved: `|u|^2 <= bound` for the vector of `length` values in `commitment`, said in a `context`.
struct Statement<'a> {
	commitment: RistrettoPoint,
	length: usize,
	bound: u128,
	context: &'a [u8],
}

impl Statement<'_> {
	/// Bits of the largest projection that is taken. `2^(2 mask + 2) (length + 4)` stays below half the order.
	fn mask_bits(&self) -> Result<u32> {
		if self.length == 0 || self.length > pedersen::MAX_LENGTH {
			return refuse(
				Refusal::InputLength,
				format!("a vector has 1 to {} values", pedersen::MAX_LENGTH),
			);
		}
		let bound_bits = 128 - self.bound.leading_zeros();
		if bound_bits > MAX_BOUND_BITS {
			return refuse(Refusal::OverLimit, format!("a bound of more than {MAX_BOUND_BITS} bits"));
		}
		let length_bits = usize::BITS - (self.length + SLACKS).leading_zeros();
		let mask = (bound_bits + length_bits).div_ceil(2) + HIDING_BITS;
		debug_assert!(2 * mask + 2 + length_bits <= 250);
		Ok(mask)
	}

	fn hash(&self, label: &[u8], parts: &[&[u8]]) -> [u8; 64] {
		let mut hash = Sha512::new();
		let (length, bound) = ((self.length as u64).to_le_bytes(), self.bound.to_le_bytes());
		let commitment = self.commitment.compress();
		for part in [DOMAIN, label, self.context, commitment.as_bytes(), &length, &bound].iter().chain(parts)
		{
			hash.update((part.len() as u64).to_le_bytes());
			hash.update(part);
		}
		hash.finalize().into()
	}

	/// Bit `i` of entry `j` is `R[i][j]`.
	fn matrix(&self, hidden: &RistrettoPoint) -> Vec<u128> {
		let seed = self.hash(b"matrix", &[hidden.compress().as_bytes()]);
		let mut columns = Vec::with_capacity(self.length + SLACKS + 3);
		for block in 0..((self.length + SLACKS).div_ceil(4) as u64) {
			let bytes = Sha512::new().chain_update(seed).chain_update(block.to_le_bytes()).finalize();
			columns
				.extend(bytes.chunks_exact(16).map(|c| u128::from_le_bytes(c.try_into().expect("16 bytes"))));
		}
		columns.truncate(self.length + SLACKS);
		columns
	}

	fn challenge(&self, first: &First) -> Scalar {
		let projections: Vec<u8> = first.projections.iter().flat_map(|y| y.to_le_bytes()).collect();
		let masked: Vec<u8> = first.masked.iter().flat_map(|e| e.to_bytes()).collect();
		let points = [first.hidden, first.vector, first.rest, first.linear, first.constant];
		let points: Vec<u8> = points.iter().flat_map(|point| point.compress().to_bytes()).collect();
		Scalar::from_bytes_mod_order_wide(&self.hash(b"challenge", &[&points, &projections, &masked]))
	}
}

/// All that is fixed before the challenge.
struct First {
	/// Of slacks and masks.
	hidden: RistrettoPoint,
	projections: Vec<i128>,
	/// Of the vector's blind, and of the blind of slacks and masks.
	vector: RistrettoPoint,
	rest: RistrettoPoint,
	/// Of the square's linear and constant coefficient.
	linear: RistrettoPoint,
	constant: RistrettoPoint,
	/// Projections of the blinds.
	masked: Vec<Scalar>,
}

fn project(matrix: &[u128], values: &[Scalar], masks: &[Scalar]) -> Vec<Scalar> {
	let mut sums = masks.to_vec();
	for (column, value) in matrix.iter().zip(values) {
		let mut bits = *column;
		while bits != 0 {
			sums[bits.trailing_zeros() as usize] += value;
			bits &= bits - 1;
		}
	}
	sums
}

fn signed(value: i128) -> Scalar {
	let scalar = Scalar::from(value.unsigned_abs());
	if value < 0 {
		-scalar
	} else {
		scalar
	}
}

fn dot(a: &[Scalar], b: &[Scalar]) -> Scalar {
	a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn of_vector(values: &[Scalar], blinding: &Scalar) -> RistrettoPoint {
	let points = pedersen::generators(values.len());
	RistrettoPoint::vartime_multiscalar_mul(values, &points[..values.len()]) + pedersen::blinder() * blinding
}

fn of_rest(values: &[Scalar], blinding: &Scalar) -> RistrettoPoint {
	let points = (0..values.len() as u32).map(|k| pedersen::generator(AUXILIARY + k));
	RistrettoPoint::vartime_multiscalar_mul(values, points) + pedersen::blinder() * blinding
}

fn of_product(value: &Scalar, blinding: &Scalar) -> RistrettoPoint {
	pedersen::generator(AUXILIARY - 1) * value + pedersen::blinder() * blinding
}

fn uniform(count: usize) -> Result<Vec<Scalar>> {
	(0..count).map(|_| pedersen::random()).collect()
}

/// A mask, uniform among the integers of at most `bits` bits.
fn mask(bits: u32) -> Result<i128> {
	let wide = pedersen::random()?.to_bytes();
	let low = u128::from_le_bytes(wide[..16].try_into().expect("16 bytes"));
	Ok((low >> (127 - bits)) as i128 - (1 << bits))
}

/// A refusal of some bytes is one of the proof that holds them.
fn malformed<T>(read: Result<T>) -> Result<T> {
	read.or_else(|_| refuse(Refusal::MalformedProof, "a number of the proof is not in its one form"))
}

/// Proves that `values`, committed to under `blinding`, have a squared length of at most `bound`.
///
/// `slacks` are four integers whose squares make up the difference. Refuses when they do not.
pub fn prove_norm(
	values: &[i64],
	blinding: &Scalar,
	bound: u128,
	slacks: [i64; SLACKS],
	context: &[u8],
) -> Result<Vec<u8>> {
	let commitment = pedersen::commit(values, blinding)?;
	let statement = Statement { commitment, length: values.len(), bound, context };
	let mask_bits = statement.mask_bits()?;
	let short: Vec<i64> = values.iter().chain(&slacks).copied().collect();
	let square = short.iter().try_fold(0u128, |sum, v| {
		let v = u128::from(v.unsigned_abs());
		sum.checked_add(v * v)
	});
	if square != Some(bound) {
		return refuse(
			Refusal::Unsatisfied,
			"the vector is longer than the bound, or the slacks are not its own",
		);
	}
	let w: Vec<Scalar> = short.iter().map(|v| signed((*v).into())).collect();
	let (hidden_blinding, blinds) = (pedersen::random()?, uniform(short.len() + ROWS + 4)?);
	let (k_w, others) = blinds.split_at(short.len());
	let (k_m, others) = others.split_at(ROWS);
	let [kappa_v, kappa_w, rho_linear, rho_constant] = others else { unreachable!("four are left") };
	let (k_u, k_s) = k_w.split_at(values.len());
	// A projection longer than a mask would tell something: once in 2^64 the masks are drawn anew.
	let (masks, hidden, matrix, projections) = loop {
		let masks = (0..ROWS).map(|_| mask(mask_bits)).collect::<Result<Vec<i128>>>()?;
		let rest: Vec<Scalar> =
			w[values.len()..].iter().copied().chain(masks.iter().map(|m| signed(*m))).collect();
		let hidden = of_rest(&rest, &hidden_blinding);
		let matrix = statement.matrix(&hidden);
		let mut sums = masks.clone();
		for (column, value) in matrix.iter().zip(&short) {
			for (row, sum) in sums.iter_mut().enumerate() {
				*sum += i128::from(*value) * (column >> row & 1) as i128;
			}
		}
		if sums.iter().all(|y| y.unsigned_abs() >> mask_bits == 0) {
			break (masks, hidden, matrix, sums);
		}
	};
	let linear_value = dot(&w, k_w) + dot(&w, k_w);
	let first = First {
		hidden,
		projections,
		vector: of_vector(k_u, kappa_v),
		rest: of_rest(&[k_s, k_m].concat(), kappa_w),
		linear: of_product(&linear_value, rho_linear),
		constant: of_product(&dot(k_w, k_w), rho_constant),
		masked: project(&matrix, k_w, k_m),
	};
	let x = statement.challenge(&first);
	let respond = |secret: &Scalar, blind: &Scalar| x * secret + blind;
	let mut proof = Vec::with_capacity(FIXED + values.len() * WORD);
	proof.extend(first.hidden.compress().as_bytes());
	proof.extend(first.linear.compress().as_bytes());
	proof.extend(x.as_bytes());
	proof.extend(respond(blinding, kappa_v).as_bytes());
	proof.extend(respond(&hidden_blinding, kappa_w).as_bytes());
	proof.extend(respond(rho_linear, rho_constant).as_bytes());
	first.projections.iter().for_each(|y| proof.extend(y.to_le_bytes()));
	masks.iter().zip(k_m).for_each(|(m, k)| proof.extend(respond(&signed(*m), k).as_bytes()));
	w.iter().zip(k_w).for_each(|(w, k)| proof.extend(respond(w, k).as_bytes()));
	Ok(proof)
}

/// Whether `proof` shows that the vector of `length` values in `commitment` has a squared length of at most `bound`.
pub fn verify_norm(
	commitment: &RistrettoPoint,
	length: usize,
	bound: u128,
	context: &[u8],
	proof: &[u8],
) -> Result<bool> {
	let statement = Statement { commitment: *commitment, length, bound, context };
	let mask_bits = statement.mask_bits()?;
	if proof.len() != FIXED + length * WORD {
		return refuse(Refusal::MalformedProof, format!("a proof over {length} values has another length"));
	}
	let (head, tail) = proof.split_at(6 * WORD);
	let (projections, responses) = tail.split_at(ROWS * MASK_BYTES);
	let hidden = malformed(pedersen::point(&head[..32]))?;
	let linear = malformed(pedersen::point(&head[32..64]))?;
	let read = |bytes: &[u8]| bytes.chunks_exact(WORD).map(pedersen::blinding).collect::<Result<Vec<_>>>();
	let scalars = malformed(read(&head[64..]))?;
	let [x, l_blinding, l_hidden, tau] = scalars[..] else { unreachable!("four words") };
	let responses = malformed(read(responses))?;
	let projections: Vec<i128> = projections
		.chunks_exact(MASK_BYTES)
		.map(|bytes| i128::from_le_bytes(bytes.try_into().expect("16 bytes")))
		.collect();
	if projections.iter().any(|y| y.unsigned_abs() >> mask_bits != 0) || hidden.is_identity() {
		return Ok(false);
	}
	let (l_m, l_w) = responses.split_at(ROWS);
	let (l_u, l_s) = l_w.split_at(length);
	let matrix = statement.matrix(&hidden);
	let bound = Scalar::from(bound);
	let masked =
		project(&matrix, l_w, l_m).iter().zip(&projections).map(|(sum, y)| sum - x * signed(*y)).collect();
	let first = First {
		vector: of_vector(l_u, &l_blinding) - commitment * x,
		rest: of_rest(&[l_s, l_m].concat(), &l_hidden) - hidden * x,
		constant: of_product(&(dot(l_w, l_w) - x * x * bound), &tau) - linear * x,
		hidden,
		projections,
		linear,
		masked,
	};
	Ok(statement.challenge(&first) == x)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::pedersen::commit;

	const CONTEXT: &[u8] = b"study, round, site";

	fn blinding() -> Scalar {
		Scalar::from(7u8)
	}

	fn proved(values: &[i64], slacks: [i64; 4]) -> (RistrettoPoint, u128, Vec<u8>) {
		let bound = values.iter().chain(&slacks).map(|v| u128::from(v.unsigned_abs()).pow(2)).sum();
		let proof = prove_norm(values, &blinding(), bound, slacks, CONTEXT).unwrap();
		(commit(values, &blinding()).unwrap(), bound, proof)
	}

	#[test]
	fn honest_proofs_hold() {
		for values in [vec![0], vec![3, -4], (-300..341).map(|v| v * 1_000_003).collect()] {
			let (commitment, bound, proof) = proved(&values, [1, 0, 5, 2]);
			assert!(verify_norm(&commitment, values.len(), bound, CONTEXT, &proof).unwrap());
		}
	}

	#[test]
	fn a_longer_vector_has_no_slacks() {
		let refusal = |bound| prove_norm(&[3, 4], &blinding(), bound, [0; 4], CONTEXT).unwrap_err().refusal;
		assert_eq!(refusal(24), Refusal::Unsatisfied);
		assert!(prove_norm(&[3, 4], &blinding(), 25, [0; 4], CONTEXT).is_ok());
	}

	/// A prover without the check above: the equation does not hold, and so the proof does not.
	#[test]
	fn proofs_for_other_statements_are_refused() {
		let values = [3, -4, 12];
		let (commitment, bound, proof) = proved(&values, [1, 1, 1, 0]);
		let other = commit(&[3, -4, 13], &blinding()).unwrap();
		let holds = |c: &RistrettoPoint, bound, context: &[u8], proof: &[u8]| {
			verify_norm(c, 3, bound, context, proof).unwrap_or(false)
		};
		assert!(holds(&commitment, bound, CONTEXT, &proof));
		assert!(!holds(&commitment, bound - 1, CONTEXT, &proof), "a tighter bound");
		assert!(!holds(&commitment, bound + 1, CONTEXT, &proof), "a looser bound");
		assert!(!holds(&other, bound, CONTEXT, &proof), "another vector");
		assert!(!holds(&commitment, bound, b"another round", &proof), "another context");
		for place in (0..proof.len()).step_by(17) {
			let mut bad = proof.clone();
			bad[place] ^= 1;
			assert!(!holds(&commitment, bound, CONTEXT, &bad), "a bit flipped at {place}");
		}
		assert!(verify_norm(&commitment, 3, bound, CONTEXT, &proof[1..]).is_err());
		assert!(verify_norm(&commitment, 4, bound, CONTEXT, &proof).is_err());
		assert!(verify_norm(&commitment, 3, 1 << 80, CONTEXT, &proof).is_err());
	}

	/// `1/2` modulo the order squares to `1/4`: the sum of four such squares is 1 there, and no row but a projection
	/// tells. Zeros and ones tell; with signs in place of zeros the difference would be `2 * 1/2 = 1`.
	#[test]
	fn a_fraction_is_seen_by_its_projections() {
		let half = Scalar::from(2u8).invert();
		let statement = Statement { commitment: pedersen::blinder(), length: 4, bound: 1, context: CONTEXT };
		let matrix = statement.matrix(&pedersen::blinder());
		let sums = project(&matrix, &[half; 4], &vec![Scalar::ZERO; ROWS]);
		let mask_bits = statement.mask_bits().unwrap();
		let long = |s: &Scalar| {
			let bits = |s: Scalar| {
				256 - s
					.to_bytes()
					.iter()
					.rev()
					.map(|b| b.leading_zeros())
					.enumerate()
					.scan(true, |all, (_, zeros)| {
						let now = *all;
						*all &= zeros == 8;
						now.then_some(zeros)
					})
					.sum::<u32>()
			};
			bits(*s).min(bits(-s)) > mask_bits
		};
		assert!(sums.iter().filter(|s| long(s)).count() > ROWS / 4);
	}
}
