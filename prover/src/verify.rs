//! Verifying: one proof, or many at once.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::pairing::{MillerLoopOutput, Pairing, PairingOutput};
use ark_ec::scalar_mul::BatchMulPreprocessing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::AdditiveGroup;
use ark_groth16::{prepare_verifying_key, PreparedVerifyingKey, Proof, VerifyingKey};
use rand::rngs::OsRng;
use rand::RngCore;
use rayon::prelude::*;

use crate::points::Bn254;

type TargetField = <Bn254 as Pairing>::TargetField;

/// Scalars that a table is laid out for: windows of four bits, 64 KB.
const TABLE_FOR: usize = 64;

/// What is verified: the commitments to input and output, and the proof that they belong together.
pub type Claim = ([Fr; 2], Proof<Bn254>);

/// A verifying key made ready: what does not depend on the proof is computed once.
pub struct Verifier {
	key: PreparedVerifyingKey<Bn254>,
	/// Multiples of the points that the two commitments are multiplied with.
	tables: [BatchMulPreprocessing<G1Projective>; 2],
}

impl Verifier {
	/// Make a key ready.
	pub fn new(key: &VerifyingKey<Bn254>) -> Verifier {
		let table = |i: usize| BatchMulPreprocessing::new(key.gamma_abc_g1[i].into_group(), TABLE_FOR);
		Verifier { key: prepare_verifying_key(key), tables: [table(1), table(2)] }
	}

	/// Whether e(A, B) = e(alpha, beta) e(I, gamma) e(C, delta), with I the commitments' point.
	pub fn verify(&self, commitments: &[Fr; 2], proof: &Proof<Bn254>) -> bool {
		// On one thread: to wake another takes longer than its share of the work.
		let loops = Bn254::multi_miller_loop(
			[proof.a, self.input(commitments), proof.c],
			[proof.b.into(), self.key.gamma_g2_neg_pc.clone(), self.key.delta_g2_neg_pc.clone()],
		);
		Bn254::final_exponentiation(loops).is_some_and(|output| output.0 == self.key.alpha_g1_beta_g2)
	}

	fn input(&self, commitments: &[Fr; 2]) -> G1Affine {
		let terms: [G1Affine; 2] = [0, 1].map(|i| self.tables[i].batch_mul(&[commitments[i]])[0]);
		(terms[0] + terms[1] + self.key.vk.gamma_abc_g1[0]).into_affine()
	}

	/// Whether all verify, and there are some: a random combination of their equations, wrong with probability 2^-128 at most.
	pub fn batch_verify(&self, items: &[Claim]) -> bool {
		if items.is_empty() {
			return false;
		}
		// sum of z * (e(A, B) - e(alpha, beta) - e(I, gamma) - e(C, delta)) = 0, with each z of 128 random bits.
		let weights: Vec<Fr> = items.iter().map(|_| random_weight()).collect();
		let total: Fr = weights.iter().sum();
		let inputs: [Fr; 2] = [0, 1].map(|i| items.iter().zip(&weights).map(|((c, _), z)| c[i] * z).sum());
		let points = &self.key.vk.gamma_abc_g1;
		let input = points[0] * total + points[1] * inputs[0] + points[2] * inputs[1];
		let c: Vec<_> = items.iter().map(|(_, proof)| proof.c).collect();
		let c = G1Projective::msm(&c, &weights).expect("as many weights as points");

		let share = items.len().div_ceil(rayon::current_num_threads()).max(1);
		let left: TargetField = items
			.par_chunks(share)
			.zip(weights.par_chunks(share))
			.map(|(items, weights)| {
				let a: Vec<_> = items.iter().zip(weights).map(|((_, proof), z)| proof.a * z).collect();
				let a = G1Projective::normalize_batch(&a);
				Bn254::multi_miller_loop(a, items.iter().map(|(_, proof)| proof.b)).0
			})
			.product();
		let right = Bn254::multi_miller_loop(
			[input.into_affine(), c.into_affine(), (self.key.vk.alpha_g1 * -total).into_affine()],
			[self.key.gamma_g2_neg_pc.clone(), self.key.delta_g2_neg_pc.clone(), self.key.vk.beta_g2.into()],
		);
		let product = MillerLoopOutput::<Bn254>(left * right.0);
		Bn254::final_exponentiation(product).is_some_and(|output| output == PairingOutput::ZERO)
	}
}

fn random_weight() -> Fr {
	let mut bytes = [0u8; 16];
	OsRng.fill_bytes(&mut bytes);
	Fr::from(u128::from_le_bytes(bytes))
}
