//! Who decides, and what can be stopped.

use alloc::vec::Vec;
use frame_support::{
	storage::{
		transactional::{Layer, TRANSACTION_LEVEL_KEY},
		unhashed,
	},
	traits::{Consideration, Contains, EitherOfDiverse, InstanceFilter, MaybeConsideration},
};
use frame_system::EnsureRoot;
use polkadot_sdk::*;
use sp_runtime::{traits::Convert, DispatchError};

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use proofward_primitives::Level;
use scale_info::TypeInfo;

use crate::{AccountId, Runtime, RuntimeCall};

/// The council of the consortium's members.
pub type CouncilCollective = pallet_collective::Instance1;
/// Root (sudo, in development only) or two thirds of the council.
pub type Governance = EitherOfDiverse<
	EnsureRoot<AccountId>,
	pallet_collective::EnsureProportionAtLeast<AccountId, CouncilCollective, 2, 3>,
>;

/// Root, or more than two thirds of the council: who may change who the members are, and announce what root does. What
/// fewer decide, four of six say, could be undone by the chain's own rule for finality.
pub type Members = EitherOfDiverse<
	EnsureRoot<AccountId>,
	pallet_collective::EnsureProportionMoreThan<AccountId, CouncilCollective, 2, 3>,
>;
/// Root, or a third of the council: enough that there are not more than two thirds without them.
pub type Objection = EitherOfDiverse<
	EnsureRoot<AccountId>,
	pallet_collective::EnsureProportionAtLeast<AccountId, CouncilCollective, 1, 3>,
>;

/// What a key may do for an account that made it its proxy.
#[derive(
	Copy,
	Clone,
	Eq,
	PartialEq,
	Ord,
	PartialOrd,
	Debug,
	Default,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub enum ProxyType {
	/// Everything.
	#[default]
	#[codec(index = 0)]
	Any,
	/// A worker's daily work and nothing that moves its stake: claim, complete, release, decline and renew; the pages of
	/// sessions; the rounds of studies that it aggregates. Not for which model and price: whoever stole it could have the
	/// worker's bonds by a model of his own.
	#[codec(index = 1)]
	Work,
	/// A publisher's: publish, set the price, retire.
	#[codec(index = 2)]
	Publish,
	/// A hospital's in studies that it joined: its consents and commitments, and to leave. Never what it lets them do.
	#[codec(index = 3)]
	Site,
}

impl InstanceFilter<RuntimeCall> for ProxyType {
	fn filter(&self, call: &RuntimeCall) -> bool {
		use pallet_federation::Call as Federation;
		use pallet_jobs::Call as Jobs;
		use pallet_models::Call as Models;
		use pallet_sessions::Call as Sessions;
		use pallet_workers::Call as Workers;
		match self {
			Self::Any => true,
			Self::Work => matches!(
				call,
				RuntimeCall::Jobs(
					Jobs::claim { .. } | Jobs::complete { .. } | Jobs::release { .. } | Jobs::decline { .. }
				) | RuntimeCall::Workers(Workers::renew { .. } | Workers::unserve { .. })
					| RuntimeCall::InferenceSessions(
						Sessions::checkpoint { .. }
							| Sessions::draw { .. }
							| Sessions::prove { .. }
							| Sessions::finish { .. }
							| Sessions::settle { .. }
							| Sessions::waive { .. }
							| Sessions::close { .. }
					) | RuntimeCall::Federation(
					Federation::open { .. } | Federation::publish { .. } | Federation::fail { .. }
				)
			),
			Self::Publish => matches!(
				call,
				RuntimeCall::Models(
					Models::publish { .. } | Models::set_price { .. } | Models::retire { .. }
				)
			),
			Self::Site => matches!(
				call,
				RuntimeCall::Federation(
					Federation::set_consents { .. } | Federation::commit { .. } | Federation::withdraw { .. }
				)
			),
		}
	}

	fn is_superset(&self, other: &Self) -> bool {
		self == other || *self == Self::Any
	}
}

/// Calls that governance cannot pause: those that end what was begun or keep it standing until then, show a wrong, give
/// people their money back, or take a consent back.
pub struct NeverPaused;

impl Contains<pallet_tx_pause::RuntimeCallNameOf<Runtime>> for NeverPaused {
	fn contains((pallet, call): &pallet_tx_pause::RuntimeCallNameOf<Runtime>) -> bool {
		let call = (Vec::from(pallet.as_slice()), Vec::from(call.as_slice()));
		let named = |pallet: &[u8], calls: &[&[u8]]| call.0 == pallet && calls.contains(&call.1.as_slice());
		let endings: &[&[u8]] =
			&[b"complete", b"release", b"lapse", b"expire", b"cancel", b"decline", b"forget", b"contest"];
		let sessions: &[&[u8]] = &[
			b"checkpoint",
			b"draw",
			b"force",
			b"prove",
			b"finish",
			b"waive",
			b"settle",
			b"close",
			b"withdraw",
			b"report",
		];
		let workers: &[&[u8]] =
			&[b"renew", b"top_up", b"retire", b"withdraw", b"report_equivocation", b"report_two_receipts"];
		named(b"Jobs", endings)
			|| named(b"InferenceSessions", sessions)
			|| named(b"Federation", &[b"set_consents", b"withdraw", b"leave", b"publish", b"fail", b"close"])
			|| named(b"Workers", workers)
			// What a proxy or several signatories end for an account is filtered by its own name inside.
			|| named(b"Proxy", &[b"proxy"])
			|| named(b"Multisig", &[b"as_multi", b"as_multi_threshold_1", b"approve_as_multi", b"cancel_as_multi"])
			|| named(b"Models", &[b"remove"])
			|| call.0 == b"Sudo"
			|| call.0 == b"Council"
			|| call.0 == b"Timestamp"
			|| call.0 == b"Consortium"
			|| call.0 == b"Session"
			|| call.0 == b"Grandpa"
	}
}

/// Session keys are replaced and never taken away: a validator without keys would leave the set without a word.
pub struct KeysStay;

impl Contains<RuntimeCall> for KeysStay {
	fn contains(call: &RuntimeCall) -> bool {
		!matches!(call, RuntimeCall::Session(pallet_session::Call::purge_keys {}))
	}
}

/// Most motions of the council at once.
pub const MOST_MOTIONS: u32 = 32;

/// A motion needs as many ayes as what it wants to do, and neither fewer nor more: nobody has the others' ayes wasted on
/// one that too few can close, and nobody makes one that everybody would have to agree to.
pub struct OwnMajority;

impl OwnMajority {
	/// The ayes of `seats` that a motion for `call` needs.
	pub fn of(call: &RuntimeCall, seats: u32) -> u32 {
		use pallet_consortium::Call as Consortium;
		match call {
			RuntimeCall::Consortium(Consortium::withdraw { .. }) => seats.div_ceil(3),
			// What is wrapped may hold any of them; more than two thirds are two thirds as well.
			RuntimeCall::Consortium(_) | RuntimeCall::Utility(_) => 2 * seats / 3 + 1,
			_ => (2 * seats).div_ceil(3),
		}
	}
}

impl Contains<RuntimeCall> for OwnMajority {
	fn contains(call: &RuntimeCall) -> bool {
		let RuntimeCall::Council(pallet_collective::Call::propose { threshold, proposal, .. }) = call else {
			return true;
		};
		let seats = pallet_collective::Members::<Runtime, CouncilCollective>::get().len() as u32;
		*threshold == Self::of(proposal, seats)
	}
}

/// Calls inside calls, this deep and no deeper. Each call takes one of the storage's 255 layers, and what finds none left
/// fails: a motion that anybody closed there would be gone without effect, and a contract that is asked there fails, by
/// which its model is taken off.
pub struct Shallow;

impl Shallow {
	/// Layers above any call but root's.
	pub const MOST: Layer = 32;
	/// Layers above one that has somebody else's call made, once: it leaves room for what that call has inside.
	pub const MOST_FOR_OTHERS: Layer = 4;
}

impl Contains<RuntimeCall> for Shallow {
	fn contains(call: &RuntimeCall) -> bool {
		let most = match call {
			RuntimeCall::Council(pallet_collective::Call::close { .. })
			| RuntimeCall::Consortium(pallet_consortium::Call::enact { .. })
			| RuntimeCall::Multisig(pallet_multisig::Call::as_multi { .. })
			| RuntimeCall::Proxy(pallet_proxy::Call::proxy_announced { .. }) => Self::MOST_FOR_OTHERS,
			_ => Self::MOST,
		};
		unhashed::get_or_default::<Layer>(TRANSACTION_LEVEL_KEY) < most
	}
}

/// A member's part of the council's desk: all motions, shared among the seats. What one member proposes takes no room
/// that another has. Who proposed what has ended is forgotten with the next motion.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Desk;

/// Who proposed each motion.
type Proposers = pallet_collective::CostOf<Runtime, CouncilCollective>;

impl Consideration<AccountId, u32> for Desk {
	fn new(who: &AccountId, _: u32) -> Result<Self, DispatchError> {
		let seats = pallet_collective::Members::<Runtime, CouncilCollective>::get().len() as u32;
		let mut open = pallet_collective::Proposals::<Runtime, CouncilCollective>::get().into_inner();
		// This one is among them, and its proposer not noted yet.
		open.pop();
		// Nobody else takes them out; there are no more than could stand at once, from one motion to the next.
		let over: Vec<_> = Proposers::iter_keys()
			.filter(|motion| !open.contains(motion))
			.take(MOST_MOTIONS as usize)
			.collect();
		over.into_iter().for_each(Proposers::remove);
		let own =
			open.iter().filter_map(Proposers::get).filter(|(proposer, _)| proposer == who).count() as u32;
		let room = (MOST_MOTIONS / seats.max(1)).max(1);
		if own < room {
			Ok(Self)
		} else {
			Err(pallet_collective::Error::<Runtime, CouncilCollective>::TooManyProposals.into())
		}
	}

	fn update(self, who: &AccountId, count: u32) -> Result<Self, DispatchError> {
		Self::new(who, count)
	}

	fn drop(self, _: &AccountId) -> Result<(), DispatchError> {
		Ok(())
	}
}

impl MaybeConsideration<AccountId, u32> for Desk {
	fn is_none(&self) -> bool {
		false
	}
}

/// Workers on one machine. A simulated machine is every developer's at once.
pub struct PlatformRoom;

impl Convert<Level, u32> for PlatformRoom {
	fn convert(level: Level) -> u32 {
		match level {
			Level::Hardware => 16,
			Level::Simulated => 4_096,
		}
	}
}
