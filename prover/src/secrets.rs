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

/// Searching this process's memory for secrets that it should no longer hold.
#[cfg(all(test, target_os = "linux"))]
pub mod search {
	use std::fs::{read_to_string, File};
	use std::io::{Read, Seek, SeekFrom};
	use std::sync::{Mutex, MutexGuard, PoisonError};

	use ark_ff::PrimeField;
	use rand::rngs::StdRng;
	use rand::{RngCore, SeedableRng};

	use super::*;
	use crate::circuit::Circuit;
	use crate::ir::{encode, Bounds, Node, Op};

	/// One search at a time: each would find, and copy, the other's copy of the memory.
	pub fn alone() -> MutexGuard<'static, ()> {
		static ALONE: Mutex<()> = Mutex::new(());
		ALONE.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// A small circuit with sums and bits.
	pub fn circuit() -> Circuit {
		let node = |op| Node { label: String::new(), op };
		let input = node(Op::Input(vec![Bounds { lo: 0, hi: 15 }; 4]));
		let shift = node(Op::Shift { s: 2, wires: vec![0, 1, 2, 3] });
		Circuit::new(&encode(&[input, shift, node(Op::Output(vec![4, 5, 6, 7]))]), 1)
			.expect("a small circuit")
	}

	/// The same secrets for a seed each time; nothing else in this process has them.
	#[inline(never)]
	pub fn seeded<const N: usize>(seed: u64) -> [Zeroizing<Fr>; N] {
		let mut rng = Box::new(StdRng::seed_from_u64(seed));
		let drawn = [(); N].map(|()| Zeroizing::new(Fr::rand(&mut *rng)));
		// The generator's buffer holds what it gave; so does the heap after it.
		*rng = StdRng::seed_from_u64(0);
		rng.next_u64();
		std::hint::black_box(&rng);
		drawn
	}

	/// All memory that this process may write to, as one file: searching it takes what must not be in it.
	pub fn snapshot() -> Vec<u8> {
		let mut memory = File::open("/proc/self/mem").expect("Linux");
		let maps = read_to_string("/proc/self/maps").expect("Linux");
		let mut all = Vec::with_capacity(512 << 20);
		for line in maps.lines() {
			let mut fields = line.split_whitespace();
			let (range, rights) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
			let (from, to) = range.split_once('-').expect("a range");
			let [from, to] = [from, to].map(|x| u64::from_str_radix(x, 16).expect("hexadecimal"));
			let own = (from..to).contains(&(all.as_ptr() as u64));
			if rights.starts_with("rw") && !own && memory.seek(SeekFrom::Start(from)).is_ok() {
				let before = all.len();
				assert!(before as u64 + (to - from) <= all.capacity() as u64, "a small process");
				all.resize(before + (to - from) as usize, 0);
				if memory.read_exact(&mut all[before..]).is_err() {
					all.truncate(before);
				}
			}
		}
		all
	}

	/// Whether a number is there, as it is or as arithmetic stores it.
	pub fn found(memory: &[u8], secret: &Fr) -> bool {
		let forms = [secret.0 .0, secret.into_bigint().0];
		let forms = forms.map(|limbs| limbs.map(u64::to_le_bytes).concat());
		memory.windows(32).step_by(8).any(|bytes| forms.iter().any(|form| bytes == form))
	}
}
