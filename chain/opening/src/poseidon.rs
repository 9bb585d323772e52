//! Poseidon over BN254's scalar field, the instance of circomlib: x^5, 8 full rounds, widths 2 to 17, the first lane as
//! the digest. The capacity says what is hashed. Constants come from the Grain LFSR of the Poseidon paper (eprint
//! 2019/458, appendix F); they are made when they are needed, because all of them would be a third of the runtime.

use alloc::{collections::BTreeMap, vec::Vec};

use ark_bn254::Fr;
use ark_ff::{BigInt, Field, PrimeField, Zero};

/// Most elements of a hash.
pub const MAX_ARITY: usize = 16;
const FULL: usize = 8;
/// Partial rounds by width, from 2 (circomlib's N_ROUNDS_P).
const PARTIAL: [usize; MAX_ARITY] = [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68];

/// The hash, with the constants of the widths that were asked for.
#[derive(Default)]
pub struct Poseidon(BTreeMap<usize, Parameters>);

impl Poseidon {
	/// Of 1 to 16 elements; of more than 16 only the first, of none as of a zero.
	pub fn hash(&mut self, domain: &[u8], elements: &[Fr]) -> Fr {
		let width = elements.len().clamp(1, MAX_ARITY) + 1;
		let parameters = self.0.entry(width).or_insert_with(|| Parameters::new(width));
		let mut state = Vec::with_capacity(width);
		state.push(Fr::from_be_bytes_mod_order(domain));
		state.extend(elements.iter().take(MAX_ARITY));
		state.resize(width, Fr::zero());
		parameters.permute(state)[0]
	}
}

struct Parameters {
	width: usize,
	partial: usize,
	/// For each round, for each lane.
	constants: Vec<Fr>,
	/// Row by row.
	mds: Vec<Fr>,
}

impl Parameters {
	fn new(width: usize) -> Self {
		let partial = PARTIAL[width - 2];
		let mut grain = Grain::new(width, partial);
		let constants = (0..(FULL + partial) * width).map(|_| grain.below_modulus()).collect();
		// A Cauchy matrix: 1 / (x_i + y_j). circomlib's instances have no zero sum, which the tests show of every width.
		let points: Vec<Fr> = (0..2 * width).map(|_| grain.modulo_modulus()).collect();
		let entry = |n: usize| (points[n / width] + points[width + n % width]).inverse().unwrap_or_default();
		let mds = (0..width * width).map(entry).collect();
		Self { width, partial, constants, mds }
	}

	fn permute(&self, mut state: Vec<Fr>) -> Vec<Fr> {
		for (round, constants) in self.constants.chunks(self.width).enumerate() {
			state.iter_mut().zip(constants).for_each(|(lane, constant)| *lane += constant);
			let full = round < FULL / 2 || round >= FULL / 2 + self.partial;
			let boxes = if full { self.width } else { 1 };
			for lane in &mut state[..boxes] {
				*lane *= lane.square().square();
			}
			let mix = |row: &[Fr]| row.iter().zip(&state).map(|(factor, lane)| *factor * lane).sum();
			state = self.mds.chunks(self.width).map(mix).collect();
		}
		state
	}
}

/// The self-shrinking 80-bit Grain LFSR. Bit 0 of the state is the oldest.
struct Grain(u128);

impl Grain {
	fn new(width: usize, partial: usize) -> Self {
		// Prime field (2 bits), S-box x^alpha (4), field size (12), width (12), full rounds (10), partial rounds (10),
		// then ones; the highest bit of each first.
		let seed = [(1, 2), (0, 4), (254, 12), (width, 12), (FULL, 10), (partial, 10)];
		let mut state = u128::MAX >> 48;
		let mut at = 0;
		for (value, bits) in seed {
			for bit in (0..bits).rev() {
				state = state & !(1 << at) | ((value as u128 >> bit & 1) << at);
				at += 1;
			}
		}
		let mut grain = Self(state);
		(0..160).for_each(|_| {
			grain.step();
		});
		grain
	}

	fn step(&mut self) -> bool {
		let state = self.0;
		let bit = (state >> 62 ^ state >> 51 ^ state >> 38 ^ state >> 23 ^ state >> 13 ^ state) & 1;
		self.0 = state >> 1 | bit << 79;
		bit == 1
	}

	/// The next bit whose predecessor was 1.
	fn bit(&mut self) -> bool {
		while !self.step() {
			self.step();
		}
		self.step()
	}

	fn bits(&mut self) -> BigInt<4> {
		let mut limbs = [0u64; 4];
		for at in (0..254).rev() {
			limbs[at / 64] |= u64::from(self.bit()) << (at % 64);
		}
		BigInt(limbs)
	}

	fn below_modulus(&mut self) -> Fr {
		loop {
			if let Some(element) = Fr::from_bigint(self.bits()) {
				return element;
			}
		}
	}

	fn modulo_modulus(&mut self) -> Fr {
		let bytes: Vec<u8> = self.bits().0.iter().flat_map(|limb| limb.to_le_bytes()).collect();
		Fr::from_le_bytes_mod_order(&bytes)
	}
}
