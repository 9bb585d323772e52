//! Whether a proving key is well formed for a circuit and a verifying key: whether its points are what
//! `crate::setup` would have made of *some* tau, alpha, beta, gamma and delta. docs/keys.md has the argument
//! that a proof under such a key tells nothing about the witness, whoever made the key.
//!
//! Lists of points are compared by random combinations (weights of 128 bits), so that a list costs one sum
//! and an equation one pairing: a list with one wrong point passes with probability 2^-128.

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::pairing::Pairing;
use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};
use ark_ec::{AffineRepr, CurveConfig, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, Field, PrimeField, Zero};
use rand::rngs::OsRng;
use rand::RngCore;

use crate::circuit::Circuit;
use crate::domain::Domain;
use crate::error::{refuse, Refusal, Result};
use crate::keys::{rows, Points};
use crate::layout::Layout;
use crate::matrices::{Matrices, Sparse};
use crate::msm::{self, Point, Scalar, Table};
use crate::points::Bn254;

/// Bits of a weight.
const WEIGHT: u32 = 128;

/// Refuses malformed-key, naming the first part that is not well formed.
pub fn well_formed(circuit: &Circuit, key: &Points) -> Result<()> {
	let layout = &*circuit.layout;
	let domain = Domain::new(layout.domain);
	let weights = Weights::new(layout.widths.len().max(layout.domain));
	let columns = Columns::new(&rows(circuit)?, layout, &weights);
	let vk = &key.verifying_key;
	let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
	let h_weights = weights.of(0..layout.domain);

	// The other points of G2 are the verifying key's, which decoding checked, and B's, further down.
	let inside = [key.tau_g2, key.tau_m_g2].iter().all(|p| p.is_in_correct_subgroup_assuming_on_curve());
	require("tau in G2", inside)?;

	// tau^(i+1) in G1 is tau times tau^i: the powers are powers, beginning with the generator.
	let last = layout.domain - 1;
	let some = weights.of(0..last);
	let (below, above) =
		(combine(&key.powers[..last], &some, WEIGHT), combine(&key.powers[1..], &some, WEIGHT));
	require("the powers of tau", equal(&[(below, key.tau_g2)], &[(above, g2)]))?;
	let top = key.powers[last].into_group();
	require("tau to the size of the domain", equal(&[(top, key.tau_g2)], &[(g1.into(), key.tau_m_g2)]))?;
	require("beta", equal(&[(key.beta_g1.into(), g2)], &[(g1.into(), vk.beta_g2)]))?;
	require("delta", equal(&[(key.delta_g1.into(), g2)], &[(g1.into(), vk.delta_g2)]))?;

	// A and B are the circuit's polynomials at tau.
	let at_tau = |values: Vec<Fr>, shift: Fr| {
		let mut values = values;
		domain.interpolate(shift, &mut values);
		let scalars: Vec<BigInt<4>> = values.iter().map(|x| x.into_bigint()).collect();
		combine(&key.powers, &scalars, Fr::MODULUS_BIT_SIZE)
	};
	let a = combine(&key.a, &weights.of_variables(&layout.a.variables), WEIGHT);
	require("A", a == at_tau(columns.a, Fr::ONE))?;
	let b_weights = weights.of_variables(&layout.b.variables);
	let b = combine(&key.b1, &b_weights, WEIGHT);
	require("B in G1", b == at_tau(columns.b, Fr::ONE))?;
	let b2 = combine_g2(&key.b2, &b_weights)?;
	require("B in G2", equal(&[(b, g2)], &[(g1.into(), b2.into_affine())]))?;

	// L, and the verifying key's input points, are beta A + alpha B + C of their variables.
	let (mut a_public, mut b2_public) = (G1Projective::ZERO, G2Projective::ZERO);
	for i in layout.public() {
		let weight = Fr::from_bigint(weights.0[i]).expect("128 bits are below the modulus");
		if let Ok(at) = layout.a.variables.binary_search(&(i as u32)) {
			a_public += key.a[at] * weight;
		}
		if let Ok(at) = layout.b.variables.binary_search(&(i as u32)) {
			b2_public += key.b2[at] * weight;
		}
	}
	let input = combine(&vk.gamma_abc_g1, &weights.of(layout.public().into_iter()), WEIGHT);
	let public = [(a_public, vk.beta_g2), (vk.alpha_g1.into(), b2_public.into_affine())];
	require("the verifying key's input points", equal(&[(input, vk.gamma_g2)], &public))?;
	let l = combine(&key.l, &weights.of_variables(&layout.l.variables), WEIGHT);
	let vanishing = key.tau_m_g2.into_group() - g2;
	let half = Fr::from(2).inverse().expect("2 is not 0");
	let c_factor = (vanishing * half + g2).into_affine();
	let private = [
		(a - a_public, vk.beta_g2),
		(vk.alpha_g1.into(), (b2 - b2_public).into_affine()),
		(at_tau(columns.c, Fr::ONE), c_factor),
	];
	require("L", equal(&[(l, vk.delta_g2)], &private))?;

	// H is -1/2 L' Z at tau, over delta.
	let h = combine(&key.h, &h_weights, WEIGHT);
	let lagrange: Vec<Fr> =
		h_weights.iter().map(|&x| Fr::from_bigint(x).expect("below the modulus")).collect();
	let quotient = [(at_tau(lagrange, domain.half_step()), (vanishing * -half).into_affine())];
	require("H", equal(&[(h, vk.delta_g2)], &quotient))
}

fn require(what: &str, holds: bool) -> Result<()> {
	match holds {
		true => Ok(()),
		false => refuse(
			Refusal::MalformedKey,
			format!(
				"the proving key is not well formed for this circuit: {what} is not what a setup makes; \
				 do not prove with it, and ask the publisher for another"
			),
		),
	}
}

/// Whether the products of pairings are equal.
pub fn equal(left: &[(G1Projective, G2Affine)], right: &[(G1Projective, G2Affine)]) -> bool {
	let negated = right.iter().map(|&(p, q)| (-p, q));
	let (p, q): (Vec<G1Projective>, Vec<G2Affine>) = left.iter().copied().chain(negated).unzip();
	Bn254::multi_pairing(G1Projective::normalize_batch(&p), q).is_zero()
}

/// A weight for each variable, and for each point of the domain.
pub struct Weights(pub Vec<BigInt<4>>);

impl Weights {
	/// From the operating system's randomness.
	pub fn new(n: usize) -> Weights {
		let mut bytes = vec![0u8; 16 * n];
		OsRng.fill_bytes(&mut bytes);
		let limb = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
		Weights(bytes.chunks(16).map(|b| BigInt([limb(&b[..8]), limb(&b[8..]), 0, 0])).collect())
	}

	/// No weight at all.
	pub fn zero(n: usize) -> Weights {
		Weights(vec![BigInt::from(0u64); n])
	}

	fn of(&self, variables: impl Iterator<Item = usize>) -> Vec<BigInt<4>> {
		variables.map(|i| self.0[i]).collect()
	}

	fn of_variables(&self, variables: &[u32]) -> Vec<BigInt<4>> {
		self.of(variables.iter().map(|&i| i as usize))
	}
}

/// Values on the domain of the weighted sum of all variables' polynomials.
pub struct Columns {
	/// Left sides.
	pub a: Vec<Fr>,
	/// Right sides.
	pub b: Vec<Fr>,
	/// Products, without the public variables, which are never products.
	pub c: Vec<Fr>,
}

impl Columns {
	/// The rows' weighted sums, zeros after the last.
	pub fn new(matrices: &Matrices, layout: &Layout, weights: &Weights) -> Columns {
		let weights: Vec<Fr> =
			weights.0.iter().map(|&x| Fr::from_bigint(x).expect("below the modulus")).collect();
		let [mut a, mut b, mut c] = [(); 3].map(|()| Vec::with_capacity(layout.domain));
		fn side<C: Copy>(terms: &Sparse<C>, layout: &Layout, weights: &[Fr]) -> Fr
		where
			Fr: From<C>,
		{
			terms.iter().map(|&(var, x)| Fr::from(x) * weights[layout.place(var)]).sum()
		}
		let product = |c: Option<crate::matrices::Var>| c.map_or(Fr::ZERO, |var| weights[layout.place(var)]);
		for row in &matrices.int_rows {
			a.push(side(&row.a, layout, &weights));
			b.push(side(&row.b, layout, &weights));
			c.push(product(row.c));
		}
		for row in &matrices.field_rows {
			a.push(side(&row.a, layout, &weights));
			b.push(side(&row.b, layout, &weights));
			c.push(product(row.c));
		}
		a.extend(layout.public().map(|i| weights[i]));
		for values in [&mut a, &mut b, &mut c] {
			values.resize(layout.domain, Fr::ZERO);
		}
		Columns { a, b, c }
	}
}

struct Plain<'a, P: SWCurveConfig>(&'a [Affine<P>]);

impl<P: SWCurveConfig> Table for Plain<'_, P> {
	type Curve = P;

	fn get(&self, i: usize) -> Point<<P as CurveConfig>::BaseField> {
		Point { x: self.0[i].x, y: self.0[i].y }
	}
}

/// Bits of the digits that scalars are cut into: at most 13, for `combine_g2`'s sake.
fn digit_bits(points: usize) -> u32 {
	points.max(1).ilog2().saturating_sub(2).clamp(4, 13)
}

/// `sum(scalar[i] * point[i])`, and `each` is shown the sum of every digit. Scalars have `bits` bits.
fn sum_digits<P: SWCurveConfig>(
	points: &[Affine<P>],
	scalars: &[BigInt<4>],
	bits: u32,
	mut each: impl FnMut(&Projective<P>) -> bool,
) -> Option<Projective<P>> {
	let width = digit_bits(points.len());
	// A window of one bit more than the digits, so that every point has one.
	let steps = msm::Steps { window: width as u8 + 1, stride: 1 };
	let mut total = Projective::<P>::ZERO;
	for digit in (0..bits.div_ceil(width)).rev() {
		for _ in 0..width {
			total.double_in_place();
		}
		let at = (digit * width) as usize;
		let scalars = scalars.iter().map(|scalar| {
			let value = msm::bits_at(scalar, at, width as u8);
			(Scalar::from(value), width as u8)
		});
		let sum = msm::sum(&Plain(points), steps, scalars, rayon::current_num_threads());
		if !each(&sum) {
			return None;
		}
		total += sum;
	}
	Some(total)
}

/// `sum(scalar[i] * point[i])`.
pub fn combine<P: SWCurveConfig>(points: &[Affine<P>], scalars: &[BigInt<4>], bits: u32) -> Projective<P> {
	sum_digits(points, scalars, bits, |_| true).expect("nothing is turned away")
}

/// The same for weights, in G2, where a point of the curve may lie outside the subgroup. The curve's order is
/// r times a cofactor whose least prime is 10069. A digit of fewer than 14 bits is below it, so a random one
/// takes a point off the subgroup back into it with probability 2^-bits at most, and all digits of a weight do
/// so with 2^-128 together.
pub fn combine_g2(points: &[G2Affine], weights: &[BigInt<4>]) -> Result<G2Projective> {
	let inside = |sum: &G2Projective| {
		let sum = sum.into_affine();
		sum.is_zero() || sum.is_in_correct_subgroup_assuming_on_curve()
	};
	match sum_digits(points, weights, WEIGHT, inside) {
		Some(sum) => Ok(sum),
		None => refuse(Refusal::MalformedKey, "the proving key has points outside of the subgroup"),
	}
}
