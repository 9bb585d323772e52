//! What the pallet stores.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{pallet_prelude::ConstU32, BoundedVec},
	sp_core::H256,
};
use proofward_primitives::Balance;
use scale_info::TypeInfo;

/// Most sites of a study.
pub const MAX_MEMBERS: u32 = 16;
/// Most rounds of a study.
pub const MAX_ROUNDS: u32 = 256;
/// Most parameters of a study.
pub const MAX_DIMENSION: u32 = 1 << 17;
/// Most parameters whose sum the chain opens itself.
pub const MAX_OPENED: u32 = 1_024;
/// The block that an opening names is one of so many before the present one: the noise is no older.
pub const MAX_BLOCK_AGE: u32 = 256;
/// Blocks that sites have to commit, at least and at most.
pub const WINDOW_BLOCKS: core::ops::RangeInclusive<u32> = 2..=14_400;

/// Ed25519.
pub type Signature = [u8; 64];
/// A vector commitment (`crate::commitments`).
pub type Commitment = [u8; 32];

/// What a site lets a study do, in numbers that the chain can hold it to.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Rules {
	/// SHA-256 of the site's policy file, which says more than this.
	pub policy: H256,
	/// The most that the site spends in a year, in nano-rho.
	pub yearly: u64,
	/// The most that it spends in a round: its floor under the noise.
	pub round: u64,
	/// The fewest sites whose sum it goes into.
	pub cohort: u32,
	/// The purposes that it takes part in, one bit each.
	pub purposes: u32,
}

/// Which patients agree: the root of a tree of live consents.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Consents {
	/// SHA-256 tree, as that of a session's pages.
	pub root: H256,
	/// Leaves.
	pub live: u32,
	/// When it was posted; it counts from the next block on.
	pub at: u32,
}

/// A hospital.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Site {
	/// What it lets a study do.
	pub rules: Rules,
	/// What was spent in `year`, in nano-rho.
	pub spent: u64,
	/// The year that `spent` is of, counted from the genesis.
	pub year: u32,
	/// Which patients agree.
	pub consents: Option<Consents>,
	/// Studies that it is a member of.
	pub studies: u32,
	/// Held for this entry.
	pub deposit: Balance,
}

/// A site that may take part in a study, and whether it does.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Member<AccountId> {
	/// Whose.
	pub site: AccountId,
	/// What the site gives this study, in nano-rho; 0 until it joins.
	pub budget: u64,
	/// What of it is spent.
	pub spent: u64,
	/// False until it joins, and from the block on in which it leaves.
	pub active: bool,
}

impl<AccountId> Member<AccountId> {
	/// Invited, and nothing more.
	pub fn invited(site: AccountId) -> Self {
		Self { site, budget: 0, spent: 0, active: false }
	}

	/// Whether it ever agreed: the least budget that it may give is a round's, which is no less than 1.
	pub fn joined(&self) -> bool {
		self.budget > 0
	}
}

/// The terms of a study.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Plan {
	/// SHA-256 of the study's document: model, rule of training, columns.
	pub rule: H256,
	/// Parameters of the sum.
	pub dimension: u32,
	/// The most that one record adds to the sum's length, in its units.
	pub clip: u64,
	/// Of the noise, in squared units.
	pub variance: u128,
	/// The most that the study spends, in nano-rho.
	pub budget: u64,
	/// The fewest sites of a round.
	pub cohort: u32,
	/// The most rounds.
	pub rounds: u32,
	/// What it is for: one bit.
	pub purpose: u32,
	/// Blocks that sites have to commit.
	pub window: u32,
	/// The last block in which a round may begin.
	pub end: u32,
}

/// A study.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Study<AccountId> {
	/// Who asked for it.
	pub researcher: AccountId,
	/// The worker whose enclave sums.
	pub aggregator: AccountId,
	/// Its terms.
	pub plan: Plan,
	/// What a round costs, in nano-rho.
	pub rho: u64,
	/// What is spent, in nano-rho.
	pub spent: u64,
	/// Who was invited.
	pub members: BoundedVec<Member<AccountId>, ConstU32<MAX_MEMBERS>>,
	/// Rounds that were begun.
	pub next: u32,
	/// Whether the last of them waits for its sum.
	pub open: bool,
	/// Held for this entry and all rounds.
	pub deposit: Balance,
}

/// A site's word in a round.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Committed<AccountId> {
	/// Whose.
	pub site: AccountId,
	/// To its update.
	pub commitment: Commitment,
	/// The tree of consents under which the update was made.
	pub consents: H256,
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Ending {
	/// Its sum is known.
	Published {
		/// SHA-256 of its values.
		values: H256,
		/// What opens `sum`, with them.
		blinding: [u8; 32],
		/// The sum of the commitments of who is in it, and of the noise's.
		sum: Commitment,
		/// Whether the chain opened it itself.
		opened: bool,
		/// Places of the commitments that are not in it.
		absent: BoundedVec<u32, ConstU32<MAX_MEMBERS>>,
	},
	/// There is no sum, and will be none.
	Failed,
}

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Round<AccountId> {
	/// The aggregator's noise, committed to before any update.
	pub noise: Commitment,
	/// The enclave's receipt key that signed for it; the sum is signed by the same.
	pub receipt_key: [u8; 32],
	/// The last block for commitments.
	pub until: u32,
	/// In their order.
	pub committed: BoundedVec<Committed<AccountId>, ConstU32<MAX_MEMBERS>>,
	/// `None` while it waits.
	pub ending: Option<Ending>,
}

/// The values of a sum, when the chain opens it; or their hash.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Values {
	/// Of a study of at most `MAX_OPENED` parameters.
	Whole(BoundedVec<i64, ConstU32<MAX_OPENED>>),
	/// Of a larger one: whoever has the values opens the round's `sum`.
	Hash(H256),
}
