//! What the pallet keeps.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use hex_literal::hex;
use polkadot_sdk::sp_core::H256;
use scale_info::TypeInfo;

use crate::signature;

/// A point of G2, compressed.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct PublicKey(pub [u8; 96]);

/// A point of G1, compressed.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Signature(pub [u8; 48]);

/// Rounds whose pulses are kept: three and a half hours at a pulse each three seconds.
pub const KEPT: u64 = 4_096;
/// How far behind a commitment its round begins, in milliseconds: more than the chain's clock, which its authors keep,
/// is behind the world's, where a pulse is known as soon as it is made.
pub const MARGIN: u64 = 30_000;

/// The League of Entropy's network of a pulse each three seconds, "quicknet".
pub const QUICKNET: Network = Network {
	key: PublicKey(hex!(
		"83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
	)),
	genesis: 1_692_803_367_000,
	period: 3_000,
};

/// A network of one whose secret key is one: tests sign its pulses, and so can anybody.
pub const LOCAL: Network = Network {
	// The group's generator.
	key: PublicKey(hex!(
		"93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
	)),
	..QUICKNET
};

/// A network of drand: whose pulses count, and when each is made.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Network {
	/// Signs all its pulses.
	pub key: PublicKey,
	/// When round 1 is made, in Unix milliseconds.
	pub genesis: u64,
	/// Milliseconds from one round to the next.
	pub period: u64,
}

impl Network {
	/// Whether its key is one and its pulses may be waited for.
	pub fn good(&self) -> bool {
		self.period > 0 && signature::key(&self.key).is_some()
	}

	/// When a round is made, in Unix milliseconds. Rounds are counted from 1.
	pub fn time_of(&self, round: u64) -> u64 {
		self.genesis.saturating_add(round.saturating_sub(1).saturating_mul(self.period))
	}

	/// The first round that is made [`MARGIN`] after a moment or later.
	pub fn round_after(&self, moment: u64) -> u64 {
		let since = moment.saturating_add(MARGIN).saturating_sub(self.genesis);
		since.div_ceil(self.period.max(1)).saturating_add(1)
	}
}

/// A pulse as it is kept.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Pulse {
	/// Which of the networks that the chain has had made it.
	pub network: u32,
	/// Its round.
	pub round: u64,
	/// The SHA-256 of its signature.
	pub randomness: H256,
}
