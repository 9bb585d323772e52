//! When a draw is there, and what it depends on.

use polkadot_sdk::*;
use proofward_primitives::{Beacon, Draw};
use sp_core::H256;
use sp_runtime::BuildStorage;

use crate::{
	beacon::{BlockBits, BLOCKS, CHOICES},
	BlockNumber, Runtime, RuntimeGenesisConfig, System,
};

/// A chain whose block `n` has the hash that `hash` gives it, at block `height`: the last two are made as a node makes
/// them, which forgets old hashes.
fn at<R>(height: BlockNumber, hash: impl Fn(BlockNumber) -> H256, look: impl FnOnce() -> R) -> R {
	let mut chain: sp_io::TestExternalities = RuntimeGenesisConfig::default().build_storage().unwrap().into();
	chain.execute_with(|| {
		let kept: BlockNumber = <Runtime as frame_system::Config>::BlockHashCount::get();
		for known in height.saturating_sub(kept + 4)..height - 1 {
			frame_system::BlockHash::<Runtime>::insert(known, hash(known));
		}
		System::set_block_number(height.saturating_sub(2));
		for number in height - 1..=height {
			System::initialize(&number, &hash(number - 1), &Default::default());
			System::note_finished_initialize();
			System::finalize();
		}
		look()
	})
}

fn number(n: BlockNumber) -> H256 {
	H256(sp_io::hashing::blake2_256(&n.to_le_bytes()))
}

fn drawn(height: BlockNumber, after: BlockNumber) -> Option<Draw> {
	at(height, number, || BlockBits::draw(after))
}

#[test]
fn a_draw_is_not_known_until_its_last_block_has_a_hash() {
	assert_eq!(BlockBits::known_at(5), 5 + BLOCKS + 1);
	assert_eq!(drawn(5 + BLOCKS, 5), None);
	let draw = drawn(5 + BLOCKS + 1, 5).unwrap();
	assert_eq!(draw.choices, CHOICES);
	// And stays what it is.
	assert_eq!(drawn(5 + BLOCKS + 40, 5), Some(draw));
	assert_ne!(drawn(5 + BLOCKS + 40, 6).unwrap().value, draw.value);
}

#[test]
fn a_draw_is_gone_when_its_blocks_hashes_are() {
	let kept: BlockNumber = <Runtime as frame_system::Config>::BlockHashCount::get();
	let first = BlockBits::forgotten_at(1);
	assert!(drawn(first - 1, 1).is_some());
	// As long as it is given, every hash it needs is remembered.
	at(first - 1, number, || assert_ne!(System::block_hash(2), H256::zero()));
	assert_eq!(drawn(first, 1), None);
	assert!(kept > 8 * BLOCKS);
}

#[test]
fn a_block_author_has_one_bit_and_no_more() {
	let last = 5 + BLOCKS;
	// An author that tries sixty-four hashes for the last block sees two values.
	let values: std::collections::BTreeSet<H256> = (0..64u32)
		.map(|attempt| {
			let hash = |n| if n == last { number(1_000 + attempt) } else { number(n) };
			at(last + 1, hash, || BlockBits::draw(5).unwrap().value)
		})
		.collect();
	assert_eq!(values.len(), 2);
	// And each block of the window counts.
	for n in 6..=last {
		let mut other = number(n);
		other.0[31] ^= 1;
		let bent = at(last + 1, |m| if m == n { other } else { number(m) }, || BlockBits::draw(5));
		assert_ne!(bent, drawn(last + 1, 5), "block {n}");
	}
}

#[test]
fn a_draw_of_a_height_beyond_all_is_none() {
	at(100, number, || assert_eq!(BlockBits::draw(BlockNumber::MAX), None));
}
