//! Proving (Groth 2016); setup.rs has the keys, verify.rs the other side.

use ark_bn254::{g2, Fr, G1Projective, G2Projective};
use ark_ec::scalar_mul::glv::GLVConfig;
use ark_ec::short_weierstrass::{Projective, SWCurveConfig};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, PrimeField, UniformRand};
use ark_groth16::Proof;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use crate::backend::Witness;
use crate::circuit::PUBLIC_ROWS;
use crate::error::{refuse, Refusal, Result};
use crate::keys::ProvingKey;
use crate::layout::Section;
use crate::msm::{self, Scalar, Table, FULL_WIDTH};
use crate::points::Bn254;

/// Prove that the witness's commitments open to a run of the program. The proof is verified before it is
/// returned (`unsatisfied` otherwise).
pub fn prove(key: &ProvingKey, witness: &Witness) -> Result<Proof<Bn254>> {
	let rows = witness.int_rows.len() + witness.field_rows.len() + PUBLIC_ROWS;
	if rows > key.domain.size
		|| witness.ints.len() != key.layout.ints
		|| witness.ints.len() + witness.fields.len() != key.layout.widths.len()
	{
		return refuse(Refusal::KeyMismatch, "the witness and the proving key are of different circuits");
	}
	// Uniform blinding makes the proof independent of the witness.
	let blind = Zeroizing::new([Fr::rand(&mut OsRng), Fr::rand(&mut OsRng)]);
	let [r, s] = *blind;
	let sums = Sums::compute(key, witness);
	let (alpha, beta) = (key.verifying_key.alpha_g1, key.verifying_key.beta_g2);
	// In projective form scalars are split by the curve's endomorphism.
	let (delta_g1, delta_g2) = (key.delta_g1.into_group(), key.verifying_key.delta_g2.into_group());
	let a = sums.a + alpha + delta_g1 * r;
	let b1 = sums.b1 + key.beta_g1 + delta_g1 * s;
	let b2 = sums.b2 + beta + g2::Config::glv_mul_projective(delta_g2, s);
	let c = sums.l + sums.h + a * s + b1 * r - delta_g1 * (r * s);
	let proof = Proof { a: a.into_affine(), b: b2.into_affine(), c: c.into_affine() };
	match key.verifier.verify(&witness.commitments, &proof) {
		true => Ok(proof),
		false => refuse(
			Refusal::Unsatisfied,
			"the new proof does not verify: the proving key is not of this circuit",
		),
	}
}

/// The five sums over the key's points.
struct Sums {
	a: G1Projective,
	b1: G1Projective,
	l: G1Projective,
	b2: G2Projective,
	h: G1Projective,
}

impl Sums {
	fn compute(key: &ProvingKey, witness: &Witness) -> Sums {
		let fields = Zeroizing::new(witness.fields.iter().map(|x| x.into_bigint()).collect::<Vec<_>>());
		let layout = &*key.layout;
		let scalar = |i: usize| match i.checked_sub(layout.ints) {
			None => Scalar::from(witness.ints[i]),
			Some(i) => positive(fields[i]),
		};
		let parts = rayon::current_num_threads();
		let width = |i: usize| layout.widths[i];
		let tables = &key.tables;
		let (h, ((b2, l), (a, b1))) = rayon::join(
			|| {
				let quotient = Zeroizing::new(quotient(key, witness));
				sum(&tables.h, &layout.h, |_| FULL_WIDTH, |i| positive(quotient[i]), parts)
			},
			|| {
				rayon::join(
					|| {
						rayon::join(
							|| sum(&tables.b2, &layout.b, width, scalar, parts),
							|| sum(&tables.l, &layout.l, width, scalar, parts),
						)
					},
					|| {
						rayon::join(
							|| sum(&tables.a, &layout.a, width, scalar, parts),
							|| sum(&tables.b1, &layout.b, width, scalar, parts),
						)
					},
				)
			},
		);
		Sums { a, b1, l, b2, h }
	}
}

fn positive(magnitude: BigInt<4>) -> Scalar {
	Scalar { magnitude, negative: false }
}

fn sum<T: Table>(
	table: &T,
	section: &Section,
	width: impl Fn(usize) -> u8,
	scalar: impl Fn(usize) -> Scalar,
	parts: usize,
) -> Projective<T::Curve>
where
	T::Curve: SWCurveConfig,
{
	let (scalar, width) = (&scalar, &width);
	let scalars = section.variables.iter().map(|&i| (scalar(i as usize), width(i as usize)));
	msm::sum(table, section.steps, scalars, parts)
}

/// `a * b` on the coset; the quotient follows from it, as setup.rs says.
fn quotient(key: &ProvingKey, witness: &Witness) -> Vec<BigInt<4>> {
	let side = |int: fn(&(i64, i64)) -> i64, field: fn(&(Fr, Fr)) -> Fr, public: [Fr; PUBLIC_ROWS]| {
		let mut values = Vec::with_capacity(key.domain.size);
		values.extend(witness.int_rows.iter().map(|row| Fr::from(int(row))));
		values.extend(witness.field_rows.iter().map(field));
		values.extend(public);
		values.resize(key.domain.size, Fr::ZERO);
		key.domain.to_coset(&mut values);
		Zeroizing::new(values)
	};
	let [input, output] = witness.commitments;
	let (a, b) = rayon::join(
		|| side(|row| row.0, |row| row.0, [Fr::from(1), input, output]),
		|| side(|row| row.1, |row| row.1, [Fr::ZERO; PUBLIC_ROWS]),
	);
	a.iter().zip(b.iter()).map(|(a, b)| (*a * b).into_bigint()).collect()
}
