//! What this process verified when it proved it. Verifying is a function of key, commitments and proof alone, so
//! the same bytes need no second pairing; any other bytes have another hash, and are verified.

use std::collections::VecDeque;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

/// Proofs that are remembered.
const LATEST: usize = 64;

/// The latest claims that were verified, by their SHA-256.
pub struct Made(Mutex<VecDeque<[u8; 32]>>);

impl Made {
	/// None yet.
	#[allow(clippy::new_without_default)]
	pub const fn new() -> Made {
		Made(Mutex::new(VecDeque::new()))
	}

	/// Remember a claim that was verified: key, both commitments and the proof, as bytes.
	pub fn note(&self, claim: [&[u8]; 4]) {
		let mut latest = self.0.lock().unwrap_or_else(|e| e.into_inner());
		if latest.len() == LATEST {
			latest.pop_front();
		}
		latest.push_back(digest(claim));
	}

	/// Whether exactly this claim was verified of late.
	pub fn holds(&self, claim: [&[u8]; 4]) -> bool {
		self.0.lock().unwrap_or_else(|e| e.into_inner()).contains(&digest(claim))
	}
}

fn digest(claim: [&[u8]; 4]) -> [u8; 32] {
	let mut hasher = Sha256::new();
	for part in claim {
		hasher.update((part.len() as u64).to_le_bytes());
		hasher.update(part);
	}
	hasher.finalize().into()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn only_the_same_bytes_are_remembered() {
		let made = Made::new();
		let claim: [&[u8]; 4] = [b"key", b"in", b"out", b"proof"];
		assert!(!made.holds(claim));
		made.note(claim);
		assert!(made.holds(claim));
		let others: [[&[u8]; 4]; 6] = [
			[b"kez", b"in", b"out", b"proof"],
			[b"key", b"im", b"out", b"proof"],
			[b"key", b"in", b"ouT", b"proof"],
			[b"key", b"in", b"out", b"proog"],
			[b"key", b"out", b"in", b"proof"],
			[b"ke", b"yin", b"out", b"proof"],
		];
		assert!(others.iter().all(|other| !made.holds(*other)));
		for i in 0..LATEST {
			made.note([b"key", b"in", b"out", &i.to_le_bytes()]);
		}
		assert!(!made.holds(claim), "what is long ago is verified again");
	}
}
