//! What the two ends of a session sign, and how its pages are put in a tree. Layouts: `docs/sessions.md`.

use alloc::vec::Vec;
use codec::Encode;
use polkadot_sdk::{
	sp_core::{ed25519, H256},
	sp_io::{
		crypto::ed25519_verify,
		hashing::{blake2_256, sha2_256},
	},
};

const SESSION: &[u8] = b"proofward/session/v1";
const LEAF: &[u8] = b"proofward/page/v1";
const PAGE: &[u8] = b"proofward/page-receipt/v1";
const CHECKPOINT: &[u8] = b"proofward/checkpoint/v1";
const VOUCHER: &[u8] = b"proofward/voucher/v1";
const SAMPLE: &[u8] = b"proofward/sample/v1";

/// blake2-256 of the client's account and the nonce that the client drew at random.
pub fn session_id<AccountId: Encode>(client: &AccountId, nonce: &H256) -> H256 {
	blake2_256(&[SESSION, &(client, nonce).encode()].concat()).into()
}

/// What a page is in its checkpoint's tree, and what its enclave signs for.
pub fn leaf(session: &H256, page: u32, input_commitment: &H256, output_commitment: &H256) -> H256 {
	let fields = (session, page, input_commitment, output_commitment).encode();
	sha2_256(&[&[0], LEAF, &fields].concat()).into()
}

/// The root of a tree that holds `leaf` at `position`, by the siblings on its way up, lowest first. Trees have as many
/// places as a power of two; the ones left over hold zeros.
pub fn root(leaf: H256, position: u32, path: &[H256]) -> H256 {
	path.iter().enumerate().fold(leaf, |node, (level, sibling)| {
		let right = position >> level & 1 == 1;
		let (left, right) = if right { (sibling, &node) } else { (&node, sibling) };
		let mut bytes = [1u8; 65];
		bytes[1..33].copy_from_slice(left.as_bytes());
		bytes[33..].copy_from_slice(right.as_bytes());
		sha2_256(&bytes).into()
	})
}

/// Levels of a tree of so many leaves, 0 for one.
pub fn depth(pages: u32) -> u32 {
	pages.max(1).next_power_of_two().trailing_zeros()
}

/// What an enclave signs for each page: there is one of each number in a session.
pub fn page_message(genesis: &H256, session: &H256, page: u32, leaf: &H256) -> Vec<u8> {
	[PAGE, &(genesis, session, page, leaf).encode()].concat()
}

/// The state of a session that both ends sign, the enclave first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub struct Checkpoint {
	/// Hash of the chain's first block.
	pub genesis: H256,
	/// See [`session_id`].
	pub session: H256,
	/// 0 for a session's first.
	pub number: u32,
	/// Of the tree of the pages since the checkpoint before.
	pub root: H256,
	/// Of the whole session up to here.
	pub pages: u32,
	/// Likewise.
	pub records: u64,
}

impl Checkpoint {
	/// What the enclave signs by the receipt key.
	pub fn enclave_message(&self) -> Vec<u8> {
		[CHECKPOINT, &self.encode()].concat()
	}

	/// What the client signs by the session's voucher key, when its own records are in it.
	pub fn voucher_message(&self) -> Vec<u8> {
		[VOUCHER, &self.encode()].concat()
	}
}

/// Whether `signature` (Ed25519) is `key`'s over `message`.
pub fn signed(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
	ed25519_verify(&ed25519::Signature::from_raw(*signature), message, &ed25519::Public::from_raw(*key))
}

/// How many of `pages` are sampled at `rate` millionths: rounded up, one at least, `most` at most.
pub fn sampled(pages: u32, rate: u32, most: u32) -> u32 {
	let wanted = (u64::from(pages) * u64::from(rate)).div_ceil(1_000_000);
	(wanted.max(1) as u32).min(pages).min(most)
}

/// `count` different positions below `pages`, each set of them as likely as any other (Floyd's algorithm: Bentley and
/// Floyd 1987, "A sample of brilliance"); a word of 64 bits for each, so the bias is below 2^-32.
pub fn sample(value: &H256, session: &H256, number: u32, pages: u32, count: u32) -> Vec<u32> {
	let seed = blake2_256(&[SAMPLE, &(value, session, number).encode()].concat());
	let count = count.min(pages);
	let mut chosen = Vec::with_capacity(count as usize);
	for last in pages - count..pages {
		let word = blake2_256(&(seed, last).encode());
		let word = u64::from_le_bytes(word[..8].try_into().expect("a hash has 32 bytes; qed"));
		let one = (word % (u64::from(last) + 1)) as u32;
		chosen.push(if chosen.contains(&one) { last } else { one });
	}
	chosen
}
