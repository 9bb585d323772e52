//! What secret numbers need besides being erased where they lie: arithmetic that leaves no copies, and a
//! stack that is wiped.

use ark_bn254::Fr;
use ark_ff::{Field, UniformRand};
use rand::rngs::OsRng;
use zeroize::{Zeroize, Zeroizing};

/// A random number that is not 0, from the operating system.
pub fn nonzero() -> Zeroizing<Fr> {
	loop {
		let x = Zeroizing::new(Fr::rand(&mut OsRng));
		if *x != Fr::from(0) {
			return x;
		}
	}
}

/// Replace every number by its inverse. None is 0. (arkworks' own keeps its products in freed memory.)
pub fn invert_all(values: &mut [Fr]) {
	let mut products = Zeroizing::new(Vec::with_capacity(values.len()));
	let mut running = Zeroizing::new(Fr::from(1));
	for x in values.iter() {
		products.push(*running);
		*running *= x;
	}
	let mut inverse = Zeroizing::new(running.inverse().expect("no number is 0"));
	for (x, before) in values.iter_mut().zip(products.iter()).rev() {
		let next = Zeroizing::new(*inverse * *x);
		*x = *inverse * before;
		*inverse = *next;
	}
}

/// Bytes of the stack that a computation here may have used, with room to spare.
const STACK: usize = 192 << 10;

/// Overwrite the part of the stack that the calls before this one used, on this thread and on all of the
/// pool's: arithmetic leaves copies there that have no name to erase them by.
pub fn wipe_stacks() {
	rayon::broadcast(|_| wipe_stack());
	wipe_stack();
}

#[inline(never)]
fn wipe_stack() {
	let mut bytes = [0u8; STACK];
	bytes.zeroize();
	std::hint::black_box(&bytes);
}
