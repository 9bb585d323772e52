//! A beacon of one bit a block.
//!
//! A block's hash is its author's to choose, by hashing until it pleases. So each block gives a single bit of its hash,
//! and 32 blocks in a row give a value. The last author knows all bits but its own: it chooses between two values, or
//! leaves its slot and takes what the next author's bit makes, three in all. For its earlier blocks it chooses before
//! the others' later bits are there, which gains it less each time. Not counted: authors who act together and follow
//! each other at the end (each doubles the choice), and a block left behind by a fork.

use codec::Encode;
use polkadot_sdk::*;
use sp_core::H256;
use sp_io::hashing::blake2_256;

use proofward_primitives::{Beacon, Draw};

use crate::{BlockNumber, Runtime, System};

/// Blocks whose bits make a value.
pub const BLOCKS: BlockNumber = 32;
/// The two values of the last bit, and the one that an empty slot leaves to the next author.
pub const CHOICES: u32 = 3;
const DOMAIN: &[u8] = b"proofward/beacon/v1";

/// Bits of the hashes of the blocks behind a given one, hashed with its number.
pub struct BlockBits;

impl Beacon<BlockNumber> for BlockBits {
	fn draw(after: BlockNumber) -> Option<Draw> {
		let now = System::block_number();
		if now < Self::known_at(after) || now >= Self::forgotten_at(after) {
			return None;
		}
		let bits: u32 = (1..=BLOCKS).fold(0, |bits, step| {
			let hash = System::block_hash(after.saturating_add(step));
			bits << 1 | u32::from(hash.as_bytes()[31] & 1)
		});
		let value = H256(blake2_256(&[DOMAIN, &(after, bits).encode()].concat()));
		Some(Draw { value, choices: CHOICES })
	}

	fn known_at(after: BlockNumber) -> BlockNumber {
		// A block's hash is known to the next one.
		after.saturating_add(BLOCKS).saturating_add(1)
	}

	fn forgotten_at(after: BlockNumber) -> BlockNumber {
		let kept: BlockNumber = <Runtime as frame_system::Config>::BlockHashCount::get();
		after.saturating_add(kept).saturating_add(1)
	}
}
