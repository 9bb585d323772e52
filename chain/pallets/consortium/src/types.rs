//! What the consortium keeps.

use alloc::{string::String, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{
	frame_support::{traits::ConstU32, BoundedVec},
	sp_core::H256,
};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Bytes of an endpoint at most.
pub const MAX_ENDPOINT: u32 = 256;
/// Where a member's node is met: printable ASCII, as its operators write it (a multiaddress or a URL).
pub type Endpoint = BoundedVec<u8, ConstU32<MAX_ENDPOINT>>;

/// What a chain is for. It is in the genesis, so that nobody takes a test's word for a consortium's.
#[derive(
	Clone,
	Copy,
	Debug,
	Default,
	PartialEq,
	Eq,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
	/// One machine, one published key.
	#[codec(index = 0)]
	Development,
	/// Several validators with published keys.
	#[codec(index = 1)]
	Local,
	/// Keys that only their members hold.
	#[default]
	#[codec(index = 2)]
	Consortium,
}

/// The chain's pace and floor, fixed by its genesis.
#[derive(
	Clone,
	Copy,
	Debug,
	PartialEq,
	Eq,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Settings {
	/// What the chain is for.
	pub kind: Kind,
	/// Milliseconds of a slot.
	pub slot_milliseconds: u64,
	/// Whether a slot may have several blocks, for a chain that makes blocks on demand.
	pub several_blocks_per_slot: bool,
	/// Blocks of a session: validators change between sessions. 0 for a chain whose validators never change.
	pub session_blocks: u32,
	/// Blocks between a decision and its effect.
	pub notice_blocks: u32,
	/// Validators below which no vote may bring the chain: four tolerate one that is gone.
	pub least_validators: u32,
}

impl Default for Settings {
	/// Two-second slots, sessions of twenty minutes, a day's notice.
	fn default() -> Self {
		Self {
			kind: Kind::Consortium,
			slot_milliseconds: 2_000,
			several_blocks_per_slot: false,
			session_blocks: 600,
			notice_blocks: 43_200,
			least_validators: 4,
		}
	}
}

/// Whether a member takes part.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Standing {
	/// It validates and votes.
	#[codec(index = 0)]
	Validating,
	/// It did what only a broken or dishonest validator does, in this session or before: it neither validates nor votes
	/// until the others take it back.
	#[codec(index = 1)]
	Out {
		/// The session in which that was shown.
		session: u32,
	},
}

/// A member: a hospital, say.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Member {
	/// SHA-256 of the legal name as it stands in the register that the members agreed on, UTF-8.
	pub legal_name: H256,
	/// Where its node is met.
	pub endpoint: Endpoint,
	/// Whether it takes part.
	pub standing: Standing,
}

/// What more than two thirds decided, or a member about itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
// A variant's sentence says what its fields are.
#[allow(missing_docs)]
pub enum Change<AccountId> {
	/// The account becomes a member, if it has set its session keys by then.
	#[codec(index = 0)]
	Admit { account: AccountId, legal_name: H256, endpoint: Endpoint },
	/// The same member under another account, with that account's session keys.
	#[codec(index = 1)]
	Replace { member: AccountId, successor: AccountId },
	/// The account is no member any more.
	#[codec(index = 2)]
	Remove { member: AccountId },
	/// A member that was put out takes part again.
	#[codec(index = 3)]
	Reinstate { member: AccountId },
	/// A call of this hash (BLAKE2b-256 of its encoding) may be made with root's rights, such as a runtime upgrade's.
	#[codec(index = 4)]
	Enact { call: H256 },
}

impl<AccountId> Change<AccountId> {
	/// Who would become a member by it.
	pub fn candidate(&self) -> Option<&AccountId> {
		match self {
			Self::Admit { account, .. } => Some(account),
			Self::Replace { successor, .. } => Some(successor),
			_ => None,
		}
	}
}

/// A change and the block from which it holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Notice<AccountId, BlockNumber> {
	/// What was decided.
	pub change: Change<AccountId>,
	/// The block from which it holds.
	pub due: BlockNumber,
}

/// Which slots a session had, and how many validators. It has the slots behind `begins`, up to and with that in which
/// the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Past {
	/// The slot in which it began, which is the session's before.
	pub begins: u64,
	/// How many validated.
	pub validators: u32,
}

/// That a key was a validator's in a session: the chain remembers whose, so nothing else needs to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Ownership {
	/// The session.
	pub session: u32,
	/// How many validated in it.
	pub validators: u32,
}

/// A member as a genesis names it. Its session keys are the session pallet's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisMember<AccountId> {
	/// What it signs with.
	pub account: AccountId,
	/// See [`Member::legal_name`].
	pub legal_name: H256,
	/// See [`Endpoint`].
	pub endpoint: String,
}

/// The endpoint, unless it is empty, too long or not printable ASCII.
pub fn endpoint(bytes: Vec<u8>) -> Option<Endpoint> {
	let printable = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
	printable.then(|| bytes.try_into().ok()).flatten()
}
