//! Poseidon over BN254's scalar field, the instance of circomlib: x^5, 8 full rounds, `PARTIAL` partial
//! rounds, width 2..17, the first lane as the digest. The
//! capacity (circomlib's `initialState`) says what is hashed; plain Poseidon has 0 there. Constants come from the Grain LFSR of the
//! Poseidon paper (eprint 2019/458, appendix F), so no table has to be trusted.

use std::sync::OnceLock;

use ark_bn254::Fr;
use ark_ff::{BigInt, Field, PrimeField};

use crate::backend::FieldBackend;

/// The most elements that one hash takes.
pub const MAX_ARITY: usize = 16;
/// Full rounds.
pub const FULL: usize = 8;
/// Partial rounds by width, from 2 (circomlib's N_ROUNDS_P).
const PARTIAL: [usize; MAX_ARITY] = [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68];

/// Rows of a hash of `n` elements.
pub fn rows(n: usize) -> usize {
	3 * (FULL * (n + 1) + PARTIAL[n - 1] - 1)
}

/// Hash of 1 to 16 field elements. On a recording backend: three rows an S-box, less one S-box because the
/// capacity is constant.
pub fn hash<B: FieldBackend>(cs: &mut B, capacity: Fr, inputs: &[B::Field]) -> B::Field {
	if let Some(digest) = cs.digest(capacity, inputs) {
		return digest;
	}
	let parameters = parameters(inputs.len() + 1);
	let width = parameters.width;
	let first = cs.constant(capacity);
	let mut state: Vec<B::Field> = std::iter::once(first).chain(inputs.iter().cloned()).collect();
	for round in 0..parameters.rounds() {
		let constants = &parameters.constants[round * width..(round + 1) * width];
		let full = round < FULL / 2 || round >= FULL / 2 + parameters.partial;
		for (lane, x) in state.iter_mut().enumerate() {
			*x = match (round, lane) {
				// The capacity is a constant, so its first S-box is one.
				(0, 0) => cs.constant((capacity + constants[0]).pow([5])),
				_ => {
					let x = cs.combine(constants[lane], &[(Fr::from(1), x)]);
					if full || lane == 0 {
						power_of_five(cs, &x)
					} else {
						x
					}
				}
			};
		}
		state = (0..width)
			.map(|row| {
				let terms: Vec<(Fr, &B::Field)> =
					(0..width).map(|column| (parameters.mds[row * width + column], &state[column])).collect();
				cs.combine(Fr::from(0), &terms)
			})
			.collect();
	}
	state.swap_remove(0)
}

/// `x^2 * x^3`: each variable stands on one side of a product only, which keeps the prover's sums short.
fn power_of_five<B: FieldBackend>(cs: &mut B, x: &B::Field) -> B::Field {
	let square = cs.multiply(x, x);
	let cube = cs.multiply(&square, x);
	cs.multiply(&square, &cube)
}

/// An instance's constants.
pub struct Parameters {
	/// Lanes.
	pub width: usize,
	/// Partial rounds.
	pub partial: usize,
	/// `rounds * width`
	pub constants: Vec<Fr>,
	/// `width * width`, row by row.
	pub mds: Vec<Fr>,
}

impl Parameters {
	fn rounds(&self) -> usize {
		FULL + self.partial
	}
}

/// The instance of so many lanes, 2 to 17.
pub fn parameters(width: usize) -> &'static Parameters {
	static CACHE: [OnceLock<Parameters>; MAX_ARITY] = [const { OnceLock::new() }; MAX_ARITY];
	assert!((2..=MAX_ARITY + 1).contains(&width), "Poseidon takes 1 to 16 inputs");
	CACHE[width - 2].get_or_init(|| {
		let partial = PARTIAL[width - 2];
		let mut grain = Grain::new(width, partial);
		let constants = (0..(FULL + partial) * width).map(|_| grain.below_modulus()).collect();
		// A Cauchy matrix: 1 / (x_i + y_j).
		let points: Vec<Fr> = (0..2 * width).map(|_| grain.modulo_modulus()).collect();
		let entry = |i: usize, j: usize| (points[i] + points[width + j]).inverse();
		let mds = (0..width * width)
			.map(|n| entry(n / width, n % width).expect("circomlib's instances have no zero sum"))
			.collect();
		Parameters { width, partial, constants, mds }
	})
}

/// The self-shrinking 80-bit Grain LFSR.
struct Grain {
	state: [bool; 80],
	at: usize,
}

impl Grain {
	fn new(width: usize, partial: usize) -> Grain {
		let mut state = [true; 80];
		// Prime field (2 bits), S-box x^alpha (4), field size (12), width (12), full rounds (10), partial
		// rounds (10), then ones.
		let seed = [(1, 2), (0, 4), (254, 12), (width, 12), (FULL, 10), (partial, 10)];
		let mut i = 0;
		for (value, bits) in seed {
			for bit in (0..bits).rev() {
				state[i] = value >> bit & 1 == 1;
				i += 1;
			}
		}
		let mut grain = Grain { state, at: 0 };
		for _ in 0..160 {
			grain.step();
		}
		grain
	}

	fn step(&mut self) -> bool {
		let tap = |i: usize| self.state[(self.at + i) % 80];
		let bit = tap(62) ^ tap(51) ^ tap(38) ^ tap(23) ^ tap(13) ^ tap(0);
		self.state[self.at] = bit;
		self.at = (self.at + 1) % 80;
		bit
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
		for i in (0..254).rev() {
			limbs[i / 64] |= u64::from(self.bit()) << (i % 64);
		}
		BigInt(limbs)
	}

	fn below_modulus(&mut self) -> Fr {
		loop {
			if let Some(x) = Fr::from_bigint(self.bits()) {
				return x;
			}
		}
	}

	fn modulo_modulus(&mut self) -> Fr {
		let bytes: Vec<u8> = self.bits().0.iter().flat_map(|limb| limb.to_le_bytes()).collect();
		Fr::from_le_bytes_mod_order(&bytes)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::backend::Native;

	/// Hashes of 1, of 1 2, .. and of 1 2 .. 16 by circomlibjs 0.1.7 (`buildPoseidonReference`).
	const CIRCOMLIB: [&str; MAX_ARITY] = [
		"18586133768512220936620570745912940619677854269274689475585506675881198879027",
		"7853200120776062878684798364095072458815029376092732009249414926327459813530",
		"6542985608222806190361240322586112750744169038454362455181422643027100751666",
		"18821383157269793795438455681495246036402687001665670618754263018637548127333",
		"6183221330272524995739186171720101788151706631170188140075976616310159254464",
		"20400040500897583745843009878988256314335038853985262692600694741116813247201",
		"12748163991115452309045839028154629052133952896122405799815156419278439301912",
		"18604317144381847857886385684060986177838410221561136253933256952257712543953",
		"13589767895268936107593642967621470491511464502761040466226072462545218539640",
		"3657500514307717306974218405144578736633140001277925127187636780142269815841",
		"3572015662710076994097916907865950486270383304442561406230608893458731714472",
		"2501997477381648492950318384533644783248002172679259592360114615426357826485",
		"7041832639553862712666971417715061873827921493498355005117622707743491651590",
		"8354478399926161176778659061636406690034081872658507739535256090879947077494",
		"4203130618016961831408770638653325366880478848856764494148034853759773445968",
		"9989051620750914585850546081941653841776809718687451684622678807385399211877",
	];

	#[test]
	fn agrees_with_circomlib() {
		for (n, expected) in (1..).zip(CIRCOMLIB) {
			let inputs: Vec<Fr> = (1..=n).map(Fr::from).collect();
			assert_eq!(hash(&mut Native, Fr::from(0), &inputs).to_string(), expected, "{n} inputs");
		}
	}
}
