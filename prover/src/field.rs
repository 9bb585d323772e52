//! Conversions between integers, bytes and field elements.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField};

use crate::error::{refuse, Refusal, Result};

/// `sum(value << shift)`; the values do not overlap and end below bit 253.
pub fn pack(parts: impl Iterator<Item = (u64, u32)>) -> Fr {
	let mut limbs = [0u64; 5];
	for (value, shift) in parts {
		let wide = u128::from(value) << (shift % 64);
		limbs[(shift / 64) as usize] |= wide as u64;
		limbs[(shift / 64) as usize + 1] |= (wide >> 64) as u64;
	}
	assert!(limbs[4] == 0, "packed values exceed a field element");
	Fr::from_bigint(BigInt([limbs[0], limbs[1], limbs[2], limbs[3]])).expect("253 bits are below the modulus")
}

/// 2^n.
pub fn power_of_two(n: u32) -> Fr {
	Fr::ONE.double_n(n)
}

trait DoubleN {
	fn double_n(self, n: u32) -> Self;
}

impl DoubleN for Fr {
	fn double_n(mut self, n: u32) -> Fr {
		for _ in 0..n {
			self.double_in_place();
		}
		self
	}
}

/// 32 bytes, big-endian.
pub fn to_bytes(x: &Fr) -> [u8; 32] {
	let bytes = x.into_bigint().to_bytes_be();
	bytes.try_into().expect("a field element has 32 bytes")
}

/// Refuses what is not below the modulus.
pub fn from_bytes<F: PrimeField<BigInt = BigInt<4>>>(refusal: Refusal, bytes: &[u8; 32]) -> Result<F> {
	let limb = |i: usize| u64::from_be_bytes(bytes[8 * i..8 * i + 8].try_into().expect("8 bytes"));
	match F::from_bigint(BigInt([limb(3), limb(2), limb(1), limb(0)])) {
		Some(x) => Ok(x),
		None => refuse(refusal, "a coordinate or scalar is not below the modulus"),
	}
}
