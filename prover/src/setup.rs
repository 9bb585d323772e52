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
use ark_ec::short_weierstrass::{Projective, SWCurveConfig};
use ark_ec::PrimeGroup;
use ark_ff::{batch_inversion, AdditiveGroup, Field, UniformRand, Zero};
use ark_groth16::VerifyingKey;
use rand::rngs::OsRng;
use rayon::prelude::*;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

use crate::circuit::{record, Circuit};
use crate::domain::Domain;
use crate::error::Result;
use crate::keys::Writer;
use crate::matrices::{Matrices, Sparse, Var};
use crate::msm::{best_window, coordinates, windows, Point, FULL_WIDTH};
use crate::points::{self, Coordinate};

/// Points whose multiples are computed together.
const CHUNK: usize = 256;

/// What nobody may keep.
struct Toxic {
	alpha: Fr,
	beta: Fr,
	gamma: Fr,
	delta: Fr,
	tau: Fr,
}

impl Toxic {
	/// From the operating system's randomness.
	fn random() -> Toxic {
		let nonzero = || loop {
			let x = Fr::rand(&mut OsRng);
			if !x.is_zero() {
				return x;
			}
		};
		Toxic { alpha: nonzero(), beta: nonzero(), gamma: nonzero(), delta: nonzero(), tau: nonzero() }
	}
}

impl Drop for Toxic {
	fn drop(&mut self) {
		for secret in [&mut self.alpha, &mut self.beta, &mut self.gamma, &mut self.delta, &mut self.tau] {
			secret.zeroize();
		}
	}
}

/// Make keys for a circuit: write the proving key to `path`; the verifying key's bytes and the file's
/// SHA-256.
pub fn setup(circuit: &Circuit, path: &Path) -> Result<(Vec<u8>, [u8; 32])> {
	let matrices = record(&circuit.program, circuit.batch)?;
	let domain = Domain::new(circuit.domain_size()?);
	let toxic = Toxic::random();
	let columns = Columns::evaluate(&matrices, &domain, &toxic);
	let (g1, g2) = (G1Projective::generator(), G2Projective::generator());
	let gamma_inverse = toxic.gamma.inverse().expect("gamma is not 0");
	let public = columns.public.map(|i| g1 * (columns.combined(i, &toxic) * gamma_inverse));
	let verifying_key = VerifyingKey {
		alpha_g1: (g1 * toxic.alpha).into(),
		beta_g2: (g2 * toxic.beta).into(),
		gamma_g2: (g2 * toxic.gamma).into(),
		delta_g2: (g2 * toxic.delta).into(),
		gamma_abc_g1: public.map(Into::into).to_vec(),
	};
	let verifying_key = points::verifying_key_to_bytes(&verifying_key);

	let mut own = Vec::new();
	for secret in [toxic.beta, toxic.delta] {
		let p = coordinates(&(g1 * secret).into()).expect("a secret is not 0");
		points::write_point(&p, &mut own);
	}
	let sizes = [domain.size, matrices.widths.len(), matrices.fields as usize];
	let mut writer = Writer::new(path)?;
	writer.header(&circuit.digest, &verifying_key, &own, sizes, &matrices.widths)?;

	let mut widths = matrices.widths.clone();
	widths.resize(columns.a.len(), FULL_WIDTH);
	section(&mut writer, g1, &widths, &columns.a)?;
	section(&mut writer, g1, &widths, &columns.b)?;
	section(&mut writer, g1, &widths, &columns.private(&toxic))?;
	section(&mut writer, g2, &widths, &columns.b)?;
	section(&mut writer, g1, &vec![FULL_WIDTH; domain.size], &quotient_scalars(&domain, &toxic))?;
	Ok((verifying_key, writer.finish()?))
}

/// Every variable's polynomials at tau. Integers come first, then field variables.
struct Columns {
	a: Zeroizing<Vec<Fr>>,
	b: Zeroizing<Vec<Fr>>,
	c: Zeroizing<Vec<Fr>>,
	/// The constant 1 and the two commitments.
	public: [usize; 3],
	/// Z(tau) = tau^m - 1.
	vanishing: Fr,
}

impl Columns {
	fn evaluate(matrices: &Matrices, domain: &Domain, toxic: &Toxic) -> Columns {
		let lagrange = Zeroizing::new(domain.lagrange(Fr::ONE, toxic.tau));
		let ints = matrices.widths.len();
		let total = ints + matrices.fields as usize;
		let place = |var: Var| match var {
			Var::Int(i) => i as usize,
			Var::Field(i) => ints + i as usize,
		};
		let [mut a, mut b, mut c] = [(); 3].map(|()| Zeroizing::new(vec![Fr::ZERO; total]));
		let mut rows = lagrange.iter();
		let mut next = || rows.next().expect("the domain has a point for each row");
		fn add<C: Copy>(column: &mut [Fr], side: &Sparse<C>, at: &Fr, place: impl Fn(Var) -> usize)
		where
			Fr: From<C>,
		{
			side.iter().for_each(|&(var, x)| column[place(var)] += Fr::from(x) * at);
		}
		for row in &matrices.int_rows {
			let at = next();
			add(&mut a, &row.a, at, place);
			add(&mut b, &row.b, at, place);
			row.c.iter().for_each(|&var| c[place(var)] += at);
		}
		for row in &matrices.field_rows {
			let at = next();
			add(&mut a, &row.a, at, place);
			add(&mut b, &row.b, at, place);
			row.c.iter().for_each(|&var| c[place(var)] += at);
		}
		let public = [0, ints, ints + 1];
		for i in public {
			a[i] += next();
			assert!(c[i].is_zero(), "a public input is never a product");
		}
		let vanishing = toxic.tau.pow([domain.size as u64]) - Fr::ONE;
		Columns { a, b, c, public, vanishing }
	}

	fn combined(&self, i: usize, toxic: &Toxic) -> Fr {
		toxic.beta * self.a[i] + toxic.alpha * self.b[i] + self.c[i]
	}

	/// Scalars of L; 0 for the public inputs.
	fn private(&self, toxic: &Toxic) -> Zeroizing<Vec<Fr>> {
		let delta_inverse = toxic.delta.inverse().expect("delta is not 0");
		let half_vanishing = self.vanishing / Fr::from(2);
		let scalar = |i: usize| (self.combined(i, toxic) + self.c[i] * half_vanishing) * delta_inverse;
		let mut scalars: Vec<Fr> = (0..self.a.len()).map(scalar).collect();
		self.public.iter().for_each(|&i| scalars[i] = Fr::ZERO);
		Zeroizing::new(scalars)
	}
}

/// Scalars of H.
fn quotient_scalars(domain: &Domain, toxic: &Toxic) -> Zeroizing<Vec<Fr>> {
	let vanishing = toxic.tau.pow([domain.size as u64]) - Fr::ONE;
	let factor = -vanishing / (Fr::from(2) * toxic.delta);
	let mut scalars = domain.lagrange(domain.half_step(), toxic.tau);
	scalars.iter_mut().for_each(|x| *x *= factor);
	Zeroizing::new(scalars)
}

/// Write the table of all variables whose scalar is not 0.
fn section<P: SWCurveConfig<ScalarField = Fr>>(
	writer: &mut Writer,
	base: Projective<P>,
	widths: &[u8],
	scalars: &[Fr],
) -> Result<()>
where
	P::BaseField: Coordinate,
	Projective<P>: ScalarMul<MulBase = ark_ec::short_weierstrass::Affine<P>, ScalarField = Fr>,
{
	let variables: Vec<u32> = (0..scalars.len() as u32).filter(|&i| !scalars[i as usize].is_zero()).collect();
	let window = best_window(variables.iter().map(|&i| widths[i as usize]));
	writer.section_header(window, &variables)?;
	let fixed = BatchMulPreprocessing::new(base, variables.len().max(32));
	for many in variables.chunks(64 * CHUNK) {
		let parts: Vec<Vec<u8>> = many
			.par_chunks(CHUNK)
			.map(|part| {
				let own = Zeroizing::new(part.iter().map(|&i| scalars[i as usize]).collect::<Vec<Fr>>());
				let counts: Vec<usize> = part.iter().map(|&i| windows(widths[i as usize], window)).collect();
				let bases = fixed.batch_mul(&own);
				let bases = bases.iter().map(|p| coordinates(p).expect("the scalar is not 0")).collect();
				let mut bytes = Vec::new();
				for table in multiples::<P::BaseField>(bases, &counts, window) {
					table.iter().for_each(|p| points::write_point(p, &mut bytes));
				}
				bytes
			})
			.collect();
		parts.iter().try_for_each(|bytes| writer.put(bytes))?;
	}
	writer.pad()
}

/// For each point as many multiples by 2^(window * i) as its count says. Affine doublings of all points
/// together share an inversion.
fn multiples<F: Field>(mut points: Vec<Point<F>>, counts: &[usize], window: u8) -> Vec<Vec<Point<F>>> {
	let mut tables: Vec<Vec<Point<F>>> = points.iter().map(|&p| vec![p]).collect();
	let mut active: Vec<usize> = (0..points.len()).collect();
	loop {
		active.retain(|&i| tables[i].len() < counts[i]);
		if active.is_empty() {
			return tables;
		}
		for _ in 0..window {
			// No point of prime order has y = 0.
			let mut inverses: Vec<F> = active.iter().map(|&i| points[i].y.double()).collect();
			batch_inversion(&mut inverses);
			for (&i, inverse) in active.iter().zip(inverses) {
				let p = points[i];
				let square = p.x.square();
				let slope = (square.double() + square) * inverse;
				let x = slope.square() - p.x.double();
				let y = slope * (p.x - x) - p.y;
				points[i] = Point { x, y };
			}
		}
		active.iter().for_each(|&i| tables[i].push(points[i]));
	}
}
