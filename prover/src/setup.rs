//! Groth16 key generation (Groth 2016, eprint 2016/260), over the domain and with the two changes to the
//! prover's half that docs/proving.md proves harmless:
//!
//! - The quotient h is given by its values on the coset g * domain with g^m = -1. There Z = -2, so
//!   h = (c - a*b) / 2; the sum over a*b uses points `H[j] = -1/2 * L'[j](tau) * Z(tau) / delta` (L' the
//!   coset's Lagrange polynomials), and
//! - the sum over c, being linear in the witness, joins
//!   `L[i] = (beta*A[i] + alpha*B[i] + C[i] + C[i]*Z(tau)/2) / delta`.
//!
//! The verifying key is the textbook's.

use ark_bn254::{Fr, G1Projective, G2Projective};
use ark_ec::scalar_mul::{BatchMulPreprocessing, ScalarMul};
use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{AdditiveGroup, Field, PrimeField, Zero};
use ark_groth16::VerifyingKey;
use rayon::prelude::*;
use std::path::Path;
use zeroize::Zeroizing;

use crate::circuit::Circuit;
use crate::domain::Domain;
use crate::error::Result;
use crate::keys::{self, rows, Points};
use crate::layout::{Layout, Section};
use crate::matrices::{Matrices, Sparse};
use crate::msm;
use crate::points;
use crate::secrets::{self, nonzero};

/// Scalars that a thread multiplies at a time.
const CHUNK: usize = 256;

/// What nobody may keep. Erased when dropped.
struct Toxic {
	alpha: Zeroizing<Fr>,
	beta: Zeroizing<Fr>,
	gamma: Zeroizing<Fr>,
	delta: Zeroizing<Fr>,
	tau: Zeroizing<Fr>,
}

impl Toxic {
	/// From the operating system's randomness; tau lies neither on the domain nor on its coset.
	fn random(size: usize) -> Toxic {
		let tau = loop {
			let tau = nonzero();
			if tau.pow([2 * size as u64]) != Fr::ONE {
				break tau;
			}
		};
		Toxic { alpha: nonzero(), beta: nonzero(), gamma: nonzero(), delta: nonzero(), tau }
	}
}

/// Make keys for a circuit: write the proving key to `path`; the verifying key's bytes and the file's
/// SHA-256. Refuses io.
///
/// What the keys are made from is erased from the heap and the stacks. Registers, swapped pages and what the
/// operating system copied remain: run it in a process that ends.
pub fn setup(circuit: &Circuit, path: &Path) -> Result<(Vec<u8>, [u8; 32])> {
	let made = make(circuit, Toxic::random);
	secrets::wipe_stacks();
	let points = made?;
	let sha256 = keys::write(path, &circuit.digest, &points)?;
	Ok((points::verifying_key_to_bytes(&points.verifying_key), sha256))
}

#[inline(never)]
fn make(circuit: &Circuit, toxic: impl FnOnce(usize) -> Toxic) -> Result<Points> {
	let layout = &*circuit.layout;
	let matrices = rows(circuit)?;
	let domain = Domain::new(layout.domain);
	let toxic = toxic(domain.size);
	let columns = Columns::evaluate(&matrices, layout, &domain, &toxic);
	drop(matrices);
	let largest = layout.domain.max(layout.widths.len());
	let g1 = BatchMulPreprocessing::new(G1Projective::generator(), largest);
	let g2 = BatchMulPreprocessing::new(G2Projective::generator(), layout.b.variables.len().max(32));

	let gamma_inverse = Zeroizing::new(toxic.gamma.inverse().expect("gamma is not 0"));
	let public = layout.public().map(|i| columns.combined(i, &toxic) * *gamma_inverse);
	let own = multiply(&g1, &Zeroizing::new(vec![*toxic.alpha, *toxic.beta, *toxic.delta]));
	let tau_m = toxic.tau.pow([domain.size as u64]);
	let twisted = [*toxic.beta, *toxic.gamma, *toxic.delta, *toxic.tau, tau_m];
	let twisted = multiply(&g2, &Zeroizing::new(twisted.to_vec()));
	let of = |section: &Section, scalars: &[Fr]| {
		Zeroizing::new(section.variables.iter().map(|&i| scalars[i as usize]).collect::<Vec<Fr>>())
	};
	Ok(Points {
		verifying_key: VerifyingKey {
			alpha_g1: own[0],
			beta_g2: twisted[0],
			gamma_g2: twisted[1],
			delta_g2: twisted[2],
			gamma_abc_g1: multiply(&g1, &Zeroizing::new(public.to_vec())),
		},
		beta_g1: own[1],
		delta_g1: own[2],
		a: multiply(&g1, &of(&layout.a, &columns.a)),
		b1: multiply(&g1, &of(&layout.b, &columns.b)),
		l: multiply(&g1, &of(&layout.l, &columns.private(&toxic))),
		h: multiply(&g1, &quotient_scalars(&domain, &toxic)),
		b2: multiply(&g2, &of(&layout.b, &columns.b)),
		powers: multiply(&g1, &powers(&toxic.tau, domain.size)),
		tau_g2: twisted[3],
		tau_m_g2: twisted[4],
	})
}

/// Every variable's polynomials at tau. Integers come first, then field variables.
struct Columns {
	a: Zeroizing<Vec<Fr>>,
	b: Zeroizing<Vec<Fr>>,
	c: Zeroizing<Vec<Fr>>,
	/// Z(tau) = tau^m - 1.
	vanishing: Zeroizing<Fr>,
}

impl Columns {
	fn evaluate(matrices: &Matrices, layout: &Layout, domain: &Domain, toxic: &Toxic) -> Columns {
		let lagrange = domain.lagrange(Fr::ONE, *toxic.tau);
		let [mut a, mut b, mut c] = [(); 3].map(|()| Zeroizing::new(vec![Fr::ZERO; layout.widths.len()]));
		let mut rows = lagrange.iter();
		let mut next = || rows.next().expect("the domain has a point for each row");
		fn add<C: Copy>(column: &mut [Fr], side: &Sparse<C>, at: &Fr, layout: &Layout)
		where
			Fr: From<C>,
		{
			side.iter().for_each(|&(var, x)| column[layout.place(var)] += Fr::from(x) * at);
		}
		for row in &matrices.int_rows {
			let at = next();
			add(&mut a, &row.a, at, layout);
			add(&mut b, &row.b, at, layout);
			row.c.iter().for_each(|&var| c[layout.place(var)] += at);
		}
		for row in &matrices.field_rows {
			let at = next();
			add(&mut a, &row.a, at, layout);
			add(&mut b, &row.b, at, layout);
			row.c.iter().for_each(|&var| c[layout.place(var)] += at);
		}
		for i in layout.public() {
			a[i] += next();
			assert!(c[i].is_zero(), "a public input is never a product");
		}
		let vanishing = Zeroizing::new(toxic.tau.pow([domain.size as u64]) - Fr::ONE);
		Columns { a, b, c, vanishing }
	}

	fn combined(&self, i: usize, toxic: &Toxic) -> Fr {
		*toxic.beta * self.a[i] + *toxic.alpha * self.b[i] + self.c[i]
	}

	/// Scalars of L.
	fn private(&self, toxic: &Toxic) -> Zeroizing<Vec<Fr>> {
		let delta_inverse = Zeroizing::new(toxic.delta.inverse().expect("delta is not 0"));
		let half_vanishing = Zeroizing::new(*self.vanishing / Fr::from(2));
		let scalar = |i: usize| (self.combined(i, toxic) + self.c[i] * *half_vanishing) * *delta_inverse;
		Zeroizing::new((0..self.a.len()).map(scalar).collect())
	}
}

/// Scalars of H.
fn quotient_scalars(domain: &Domain, toxic: &Toxic) -> Zeroizing<Vec<Fr>> {
	let vanishing = Zeroizing::new(toxic.tau.pow([domain.size as u64]) - Fr::ONE);
	let factor = Zeroizing::new(-*vanishing / (Fr::from(2) * *toxic.delta));
	let mut scalars = domain.lagrange(domain.half_step(), *toxic.tau);
	scalars.iter_mut().for_each(|x| *x *= *factor);
	scalars
}

/// `base^0 .. base^(n - 1)`.
pub fn powers(base: &Fr, n: usize) -> Zeroizing<Vec<Fr>> {
	let mut powers = Zeroizing::new(Vec::with_capacity(n));
	let mut power = Zeroizing::new(Fr::ONE);
	for _ in 0..n {
		powers.push(*power);
		*power *= base;
	}
	powers
}

/// The generator times each scalar. (arkworks' own leaves the scalars' bits in freed memory.)
pub fn multiply<P: SWCurveConfig<ScalarField = Fr>>(
	table: &BatchMulPreprocessing<Projective<P>>,
	scalars: &[Fr],
) -> Vec<Affine<P>>
where
	Projective<P>: ScalarMul<MulBase = Affine<P>, ScalarField = Fr>,
{
	let one = |scalar: &Fr| {
		let scalar = Zeroizing::new(scalar.into_bigint());
		let digit = |i: usize| msm::bits_at(&scalar, i * table.window, table.window as u8) as usize;
		let mut sum = Projective::<P>::ZERO;
		for (i, multiples) in table.table.iter().enumerate() {
			sum += multiples[digit(i)];
		}
		sum
	};
	scalars
		.par_chunks(CHUNK)
		.flat_map_iter(|part| Projective::normalize_batch(&part.iter().map(one).collect::<Vec<_>>()))
		.collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
	use super::*;
	use crate::secrets::search;

	fn seeded(_: usize) -> Toxic {
		let [alpha, beta, gamma, delta, tau] = search::seeded(0x70f1c);
		Toxic { alpha, beta, gamma, delta, tau }
	}

	#[test]
	fn h_tau_no_secret_is_left_in_memory() {
		let _alone = search::alone();
		let circuit = search::circuit();
		let made = make(&circuit, seeded);
		secrets::wipe_stacks();
		let planted = Box::new(Fr::from(0x1234_5678_9abc_u64).inverse().expect("not 0"));
		let memory = search::snapshot();
		assert!(search::found(&memory, &planted), "the search finds what is there");

		let points = made.expect("keys");
		let toxic = seeded(0);
		let (matrices, domain) = (rows(&circuit).expect("rows"), Domain::new(circuit.layout.domain));
		let columns = Columns::evaluate(&matrices, &circuit.layout, &domain, &toxic);
		assert_eq!(points.powers[1], G1Projective::generator() * *toxic.tau, "these were the secrets");
		let named = [
			("alpha", *toxic.alpha),
			("beta", *toxic.beta),
			("gamma", *toxic.gamma),
			("delta", *toxic.delta),
			("tau", *toxic.tau),
			("tau squared", toxic.tau.square()),
			("1 / gamma", toxic.gamma.inverse().expect("not 0")),
			("1 / delta", toxic.delta.inverse().expect("not 0")),
			("Z(tau)", *columns.vanishing),
			("1 / (tau - 1)", (*toxic.tau - Fr::ONE).inverse().expect("not 0")),
			("tau - 1", *toxic.tau - Fr::ONE),
			("L_0(tau)", domain.lagrange(Fr::ONE, *toxic.tau)[0]),
			("the last power of tau", *powers(&toxic.tau, domain.size).last().expect("some")),
			("the first of A", columns.a[0]),
			("the last of B", *columns.b.last().expect("some")),
			("the last of L", *columns.private(&toxic).last().expect("some")),
			("the first of H", quotient_scalars(&domain, &toxic)[0]),
		];
		for (name, secret) in named {
			assert!(secret.is_zero() || !search::found(&memory, &secret), "{name} was left in memory");
		}
	}
}
