//! Groth16 key generation (Groth 2016, eprint 2016/260), over the domain and with the two changes to the prover's half that docs/proving.md proves harmless:
//!
//! - The quotient h is given by its values on the coset g * domain with g^m = -1. There Z = -2, so h = (c - a*b) / 2; the sum over a*b uses points
//!   `H[j] = -1/2 * L'[j](tau) * Z(tau) / delta` (L' the coset's Lagrange polynomials), and
//! - the sum over c, being linear in the witness, joins `L[i] = (beta*A[i] + alpha*B[i] + C[i] + C[i]*Z(tau)/2) / delta`.
//!
//! The verifying key is the textbook's.

use ark_bn254::{Fr, G1Projective, G2Projective};
use ark_ec::scalar_mul::{BatchMulPreprocessing, ScalarMul};
use ark_ec::short_weierstrass::{Projective, SWCurveConfig};
use ark_ec::PrimeGroup;
use ark_ff::{AdditiveGroup, Field, UniformRand, Zero};
use ark_groth16::VerifyingKey;
use rand::rngs::OsRng;
use rayon::prelude::*;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

use crate::circuit::{record, Circuit};
use crate::domain::Domain;
use crate::encoding::{self, Coordinate};
use crate::error::Result;
use crate::field::power_of_two;
use crate::keys::Writer;
use crate::matrices::{Matrices, Sparse, Var};
use crate::msm::{best_window, coordinates, windows, FULL_WIDTH};

/// Scalars whose multiples are computed before they are written.
const CHUNK: usize = 1 << 14;

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
        Toxic {
            alpha: nonzero(),
            beta: nonzero(),
            gamma: nonzero(),
            delta: nonzero(),
            tau: nonzero(),
        }
    }
}

impl Drop for Toxic {
    fn drop(&mut self) {
        for secret in [&mut self.alpha, &mut self.beta, &mut self.gamma, &mut self.delta, &mut self.tau] {
            secret.zeroize();
        }
    }
}

/// Make keys for a circuit: write the proving key to `path`; the verifying key's bytes and the file's SHA-256.
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
    let verifying_key = encoding::verifying_key_to_bytes(&verifying_key);

    let mut own = Vec::new();
    for secret in [toxic.beta, toxic.delta] {
        let p = coordinates(&(g1 * secret).into()).expect("a secret is not 0");
        encoding::write_point(&p, &mut own);
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
        fn add<C: Copy>(column: &mut [Fr], side: &Sparse<C>, at: &Fr, place: impl Fn(Var) -> usize) where Fr: From<C> {
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
fn section<P: SWCurveConfig<ScalarField = Fr>>(writer: &mut Writer, base: Projective<P>, widths: &[u8], scalars: &[Fr]) -> Result<()>
where
    P::BaseField: Coordinate,
    Projective<P>: ScalarMul<MulBase = ark_ec::short_weierstrass::Affine<P>, ScalarField = Fr>,
{
    let variables: Vec<u32> = (0..scalars.len() as u32).filter(|&i| !scalars[i as usize].is_zero()).collect();
    let window = best_window(variables.iter().map(|&i| widths[i as usize]));
    writer.section_header(window, &variables)?;
    let step = power_of_two(u32::from(window));
    let mut multiples = Zeroizing::new(Vec::new());
    for &i in &variables {
        let mut scalar = scalars[i as usize];
        for _ in 0..windows(widths[i as usize], window) {
            multiples.push(scalar);
            scalar *= step;
        }
    }
    let fixed = BatchMulPreprocessing::new(base, multiples.len().min(CHUNK));
    for chunk in multiples.chunks(CHUNK) {
        let parts: Vec<Vec<u8>> = chunk
            .par_chunks(CHUNK / 8)
            .map(|part| {
                let mut bytes = Vec::new();
                for p in fixed.batch_mul(part) {
                    encoding::write_point(&coordinates(&p).expect("the scalar is not 0"), &mut bytes);
                }
                bytes
            })
            .collect();
        parts.iter().try_for_each(|bytes| writer.put(bytes))?;
    }
    writer.pad()
}
