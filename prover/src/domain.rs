//! Multiplicative subgroups of BN254's scalar field of size 2^k, 9 * 2^k and 3 * 2^k, and Fourier transforms
//! on them. The finer grid of sizes keeps the prover's longest sum within 9/8 to 4/3 of the number of rows.

use ark_bn254::Fr;
use ark_ff::{FftField, Field};

use zeroize::Zeroizing;

use crate::error::{refuse, Refusal, Result};
use crate::secrets;

pub struct Domain {
	pub size: usize,
	/// `roots[i]` is the generator to the power i.
	roots: Vec<Fr>,
}

impl Domain {
	/// The least size for this many rows.
	pub fn size_for(rows: usize) -> Result<usize> {
		let candidates = [1usize, 9, 3].into_iter().flat_map(|odd| (3..=22).map(move |k| odd << k));
		match candidates.filter(|&size| size >= rows).min() {
			Some(size) => Ok(size),
			None => refuse(Refusal::OverLimit, format!("{rows} constraints are too many")),
		}
	}

	pub fn new(size: usize) -> Domain {
		let generator = root_of_unity(size);
		let mut roots = Vec::with_capacity(size);
		let mut power = Fr::ONE;
		for _ in 0..size {
			roots.push(power);
			power *= generator;
		}
		Domain { size, roots }
	}

	/// The generator to the power i.
	pub fn root(&self, i: usize) -> Fr {
		self.roots[i]
	}

	/// An element whose `size`-th power is -1.
	pub fn half_step(&self) -> Fr {
		root_of_unity(2 * self.size)
	}

	/// Values at every Lagrange polynomial of the coset `shift * domain` at `point`, which does not lie on it.
	/// Secret, like the point; erased when dropped.
	pub fn lagrange(&self, shift: Fr, point: Fr) -> Zeroizing<Vec<Fr>> {
		// L_j(x) = (x^m - 1) / m * w^j / (x - w^j), here at x = point / shift.
		let x = Zeroizing::new(point / shift);
		let scale = Zeroizing::new((x.pow([self.size as u64]) - Fr::ONE) / Fr::from(self.size as u64));
		let mut values = Zeroizing::new(self.roots.iter().map(|root| *x - root).collect::<Vec<Fr>>());
		secrets::invert_all(&mut values);
		values.iter_mut().zip(&self.roots).for_each(|(value, root)| *value *= *scale * root);
		values
	}

	/// From values on `shift * domain` to the coefficients of their polynomial.
	pub fn interpolate(&self, shift: Fr, values: &mut [Fr]) {
		let mut buffer = values.to_vec();
		self.transform(values, &mut buffer);
		values[1..].reverse();
		let step = shift.inverse().expect("a shift is not 0");
		let mut scale = Fr::from(self.size as u64).inverse().expect("the size is below the modulus");
		for x in values.iter_mut() {
			*x *= scale;
			scale *= step;
		}
	}

	/// From values on the domain to values on `half_step * domain`.
	pub fn to_coset(&self, values: &mut [Fr]) {
		let mut buffer = values.to_vec();
		self.transform(values, &mut buffer);
		// A transform's inverse is the transform read backwards, over the size; the powers of the shift join
		// in.
		let shift = self.half_step();
		let mut scale = Fr::from(self.size as u64).inverse().expect("the size is below the modulus");
		values[1..].reverse();
		for x in values.iter_mut() {
			*x *= scale;
			scale *= shift;
		}
		self.transform(values, &mut buffer);
		zeroize::Zeroize::zeroize(&mut buffer);
	}

	fn transform(&self, values: &mut [Fr], buffer: &mut [Fr]) {
		if self.size.is_multiple_of(3) {
			self.radix_3(values, buffer, 1);
		} else {
			self.radix_2(values, 1);
		}
	}

	/// Split by 3 while possible; `stride` takes `roots` to the roots of this length.
	fn radix_3(&self, values: &mut [Fr], buffer: &mut [Fr], stride: usize) {
		let n = values.len();
		if !n.is_multiple_of(3) {
			return self.radix_2(values, stride);
		}
		let third = n / 3;
		for (i, x) in values.iter().enumerate() {
			buffer[i % 3 * third + i / 3] = *x;
		}
		for (part, spare) in buffer.chunks_mut(third).zip(values.chunks_mut(third)) {
			self.radix_3(part, spare, 3 * stride);
		}
		let cube_root = self.roots[self.size / 3];
		for q in 0..third {
			let a = buffer[q];
			let b = buffer[third + q] * self.roots[q * stride];
			let c = buffer[2 * third + q] * self.roots[2 * q * stride];
			let turn = cube_root * (b - c);
			values[q] = a + b + c;
			values[third + q] = a - c + turn;
			values[2 * third + q] = a - b - turn;
		}
	}

	fn radix_2(&self, values: &mut [Fr], stride: usize) {
		let n = values.len();
		let bits = n.trailing_zeros();
		for i in 0..n {
			let j = i.reverse_bits() >> (usize::BITS - bits);
			if i < j {
				values.swap(i, j);
			}
		}
		let mut half = 1;
		while half < n {
			let step = stride * n / (2 * half);
			for block in values.chunks_mut(2 * half) {
				let (low, high) = block.split_at_mut(half);
				for (i, (x, y)) in low.iter_mut().zip(high).enumerate() {
					let turned = *y * self.roots[i * step];
					*y = *x - turned;
					*x += turned;
				}
			}
			half *= 2;
		}
	}
}

fn root_of_unity(size: usize) -> Fr {
	Fr::get_root_of_unity(size as u64).expect("2^28 * 9 divides the group order")
}

#[cfg(test)]
mod tests {
	use super::*;
	use ark_ff::AdditiveGroup;

	#[test]
	fn moves_a_polynomial_to_the_coset() {
		for size in [8, 24, 72, 64, 96, 144] {
			let domain = Domain::new(size);
			let at = |x: Fr| (0..size as u64).rev().fold(Fr::ZERO, |sum, i| sum * x + Fr::from(i * i + 3));
			let mut values: Vec<Fr> = domain.roots.iter().map(|&x| at(x)).collect();
			domain.to_coset(&mut values);
			let shift = domain.half_step();
			assert_eq!(shift.pow([size as u64]), -Fr::ONE);
			for (root, value) in domain.roots.iter().zip(&values) {
				assert_eq!(at(shift * root), *value);
			}
			domain.interpolate(shift, &mut values);
			let expected: Vec<Fr> = (0..size as u64).map(|i| Fr::from(i * i + 3)).collect();
			assert_eq!(values, expected);
			let (shift, point) = (Fr::from(7), Fr::from(123));
			let lagrange = domain.lagrange(shift, point);
			let sum = (0..size).fold(Fr::ZERO, |sum, j| sum + lagrange[j] * at(shift * domain.roots[j]));
			assert_eq!(sum, at(point));
		}
	}
}
