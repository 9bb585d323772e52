//! Federated studies: hospitals learn one model together, and the chain holds each to its word.
//!
//! ```text
//! create -> invite -> join (each site's word) -> open (noise committed) -> commit (each site) -> publish: the exact sum
//!                        withdraw                 |  the study pays rho     |  the site pays      fail: no sum, rho is gone
//!                                                 +-------- next round <----+----------------------------+
//! ```
//!
//! - Who is in a study both its researcher and the site say: strangers fill no study, and nobody is in one unasked.
//! - A study's budget and every site's are in nano-rho of zCDP, computed from clip and variance; a round that one of
//!   them does not pay for is refused.
//! - A sum is the sum of exactly the commitments that it names, and of noise that was committed to before them. Up to
//!   [`types::MAX_OPENED`] parameters the chain opens it; beyond, it keeps what anybody needs to.
//! - What a site asks for binds its commitments: one that asks for more sites, or for more noise, than the study has
//!   commits to no round, and what it asks for after it committed takes no sum from the others.
//! - A study's id is one study's for ever, so that signatures, budgets and answers of two never meet.
//! - Which patients agree is a site's tree of consents; a commitment names the tree, and it must be the one that counts.
//! - What a call does grows with the study's members and parameters, which are bounded, and with nothing else.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod commitments;
mod holds;
mod rounds;
mod sites;
mod studies;
pub mod types;
pub mod weights;

#[cfg(test)]
mod tests;

use polkadot_sdk::{frame_support, sp_core};
use sp_core::H256;

pub use pallet::*;
pub use types::{Plan, Round, Rules, Site, Study};
pub use weights::WeightInfo;

/// The pallet.
// A call's arguments are its wire format: bundling them would only hide them.
#[allow(clippy::too_many_arguments)]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::types::*;
	use alloc::collections::BTreeMap;
	use frame_support::{pallet_prelude::*, traits::fungible};
	use polkadot_sdk::frame_system::pallet_prelude::*;
	use polkadot_sdk::sp_runtime::{traits::BlockNumberProvider, TryRuntimeError};
	use proofward_primitives::{Balance, WorkerRegistry};

	/// The pallet's type.
	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	/// Of this pallet's storage; a migration raises it.
	pub const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	/// What the runtime fixes.
	#[pallet::config]
	pub trait Config:
		polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>, Hash = H256>
	{
		/// The runtime's.
		type RuntimeHoldReason: From<HoldReason>;
		/// Balances.
		type Currency: fungible::MutateHold<
			Self::AccountId,
			Balance = Balance,
			Reason = Self::RuntimeHoldReason,
		>;
		/// The chain's height.
		type BlockNumberProvider: BlockNumberProvider<BlockNumber = u32>;
		/// The workers pallet: an aggregator is a worker, attested as any other.
		type Workers: WorkerRegistry<Self::AccountId>;
		/// How far ahead a study's end may be, in blocks.
		#[pallet::constant]
		type MaxLength: Get<u32>;
		/// Blocks of a year, after which a site's budget is whole again.
		#[pallet::constant]
		type Year: Get<u32>;
		/// Held for a site's entry.
		#[pallet::constant]
		type SiteDeposit: Get<Balance>;
		/// Held for a study's entry.
		#[pallet::constant]
		type StudyDeposit: Get<Balance>;
		/// Held besides for each round that a study may have.
		#[pallet::constant]
		type RoundDeposit: Get<Balance>;
		/// Held besides for a study's id, which the chain remembers: for good.
		#[pallet::constant]
		type IdDeposit: Get<Balance>;
		/// What calls cost.
		type WeightInfo: WeightInfo;
	}

	/// Why an amount is held.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// For entries in state.
		Deposit,
	}

	/// Hospitals.
	#[pallet::storage]
	pub type Sites<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Site, OptionQuery>;

	/// Studies, by their id (`crate::commitments::study_id`).
	#[pallet::storage]
	pub type Studies<T: Config> = StorageMap<_, Blake2_128Concat, H256, Study<T::AccountId>, OptionQuery>;

	/// The rounds of each study, by number.
	#[pallet::storage]
	pub type Rounds<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, H256, Twox64Concat, u32, Round<T::AccountId>, OptionQuery>;

	/// Ids of studies that ended, with whose they were and what is held for the entry.
	#[pallet::storage]
	pub type Closed<T: Config> = StorageMap<_, Blake2_128Concat, H256, (T::AccountId, Balance), OptionQuery>;

	/// What happened.
	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	#[allow(missing_docs)]
	pub enum Event<T: Config> {
		/// A site registered, or changed its rules.
		SiteRegistered { site: T::AccountId, rules: Rules },
		/// A site is no more.
		SiteLeft { site: T::AccountId },
		/// A site posted the tree of its live consents.
		ConsentsSet { site: T::AccountId, root: H256, live: u32 },
		/// A study was announced; each of its rounds costs `rho`.
		Created { study: H256, researcher: T::AccountId, plan: Plan, rho: u64 },
		/// A site may take part.
		Invited { study: H256, site: T::AccountId },
		/// A site takes part.
		Joined { study: H256, site: T::AccountId, budget: u64 },
		/// A site takes part no more.
		Withdrew { study: H256, site: T::AccountId },
		/// A round began.
		Opened { study: H256, number: u32, noise: Commitment, until: u32 },
		/// A site committed to its update.
		Committed { study: H256, number: u32, site: T::AccountId, commitment: Commitment, consents: H256 },
		/// A round ended with a sum, which the chain opened, or whose hash it keeps.
		Published {
			study: H256,
			number: u32,
			values: H256,
			opened: bool,
			absent: BoundedVec<u32, ConstU32<MAX_MEMBERS>>,
		},
		/// A round ended without a sum.
		Failed { study: H256, number: u32 },
		/// A study ended.
		Closed { study: H256, rounds: u32, spent: u64 },
	}

	/// Why a call is refused.
	#[pallet::error]
	pub enum Error<T> {
		/// No site has this account.
		UnknownSite,
		/// No study has this id, or it ended.
		UnknownStudy,
		/// The study has no such open round.
		UnknownRound,
		/// The researcher used this nonce for a study that goes on: draw another.
		DuplicateStudy,
		/// Budgets, cohort or purposes of the site are outside their bounds.
		BadRules,
		/// Dimension, clip, noise, cohort, rounds, purpose or window of the study are outside their bounds.
		BadPlan,
		/// The study's end has passed, or is too far ahead.
		BadEnd,
		/// The study's end has passed.
		EndPassed,
		/// The aggregator is not registered as a worker, or retired, banned or expired.
		AggregatorInactive,
		/// Only the study's aggregator may do this.
		NotAggregator,
		/// Only the study's researcher may do this before its end.
		NotResearcher,
		/// The site is no member of the study, or left it.
		NotMember,
		/// The site is a member of a study that goes on.
		StillMember,
		/// The site spent some of this year's budget.
		SpentThisYear,
		/// The study takes no more sites.
		StudyFull,
		/// The researcher has not invited the site.
		NotInvited,
		/// The researcher has invited the site.
		InvitedAlready,
		/// The site takes no part for this purpose.
		PurposeForbidden,
		/// There are fewer sites than the study, or one of them, asks for.
		CohortTooSmall,
		/// A round costs more than the site's floor under the noise lets it.
		TooLittleNoise,
		/// The round would spend more than the study's budget.
		StudyOverspends,
		/// The round would spend more than the site's budget, for this study or for this year.
		SiteOverspends,
		/// A round waits for its sum.
		RoundOpen,
		/// The study had all its rounds.
		NoRoundsLeft,
		/// The block is none of the last 256.
		BadBlock,
		/// The bytes are no commitment, or somebody else's.
		BadCommitment,
		/// The site committed in this round.
		CommittedAlready,
		/// The consents are not those that count now.
		StaleConsents,
		/// The enclave did not sign this.
		BadSignature,
		/// Sites may still commit.
		TooEarly,
		/// The time for it is over.
		TooLate,
		/// Who is left out is named by places in the round, each once, in order.
		BadAbsent,
		/// The sum has another number of parameters than the study.
		BadDimension,
		/// The values are not the sum of what was committed to.
		WrongSum,
		/// The researcher used this nonce for a study that ended: draw another.
		StudyClosed,
	}

	#[pallet::extra_constants]
	impl<T: Config> Pallet<T> {
		/// Most sites of a study.
		fn max_members() -> u32 {
			MAX_MEMBERS
		}
		/// Most rounds of a study.
		fn max_rounds() -> u32 {
			MAX_ROUNDS
		}
		/// Most parameters whose sum the chain opens itself.
		fn max_opened() -> u32 {
			MAX_OPENED
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Registers the caller as a site, or sets its rules anew.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::register_site())]
		pub fn register_site(origin: OriginFor<T>, rules: Rules) -> DispatchResult {
			sites::register::<T>(ensure_signed(origin)?, rules)
		}

		/// Forgets the caller's site. Not while it is in a study, nor in a year in which it spent.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::leave())]
		pub fn leave(origin: OriginFor<T>) -> DispatchResult {
			sites::leave::<T>(ensure_signed(origin)?)
		}

		/// Posts the root over the caller's live consents; it counts from the next block on.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::set_consents())]
		pub fn set_consents(origin: OriginFor<T>, root: H256, live: u32) -> DispatchResult {
			sites::set_consents::<T>(ensure_signed(origin)?, root, live)
		}

		/// Announces a study whose sums `aggregator`'s enclave makes, and holds a deposit for it and its rounds.
		#[pallet::call_index(3)]
		// The measurement knows nothing of the ids of studies that ended.
		#[pallet::weight(T::WeightInfo::create().saturating_add(T::DbWeight::get().reads(1)))]
		pub fn create(
			origin: OriginFor<T>,
			nonce: H256,
			aggregator: T::AccountId,
			plan: Plan,
		) -> DispatchResult {
			studies::create::<T>(ensure_signed(origin)?, nonce, aggregator, plan)
		}

		/// Takes part as a site in a study that invited it, for at most `budget` (nano-rho); or changes that.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::join())]
		pub fn join(origin: OriginFor<T>, study: H256, budget: u64) -> DispatchResult {
			studies::join::<T>(ensure_signed(origin)?, study, budget)
		}

		/// Takes part no more.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::withdraw())]
		pub fn withdraw(origin: OriginFor<T>, study: H256) -> DispatchResult {
			studies::withdraw::<T>(ensure_signed(origin)?, study)
		}

		/// Begins a round with a commitment to the enclave's noise, signed by the enclave over a block of the last 256.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::open())]
		pub fn open(
			origin: OriginFor<T>,
			study: H256,
			at: u32,
			noise: Commitment,
			signature: Signature,
		) -> DispatchResult {
			rounds::open::<T>(ensure_signed(origin)?, study, at, noise, signature)
		}

		/// Commits the calling site to its update, made of records whose consents are in the tree `consents`.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::commit())]
		pub fn commit(
			origin: OriginFor<T>,
			study: H256,
			number: u32,
			commitment: Commitment,
			consents: H256,
		) -> DispatchResult {
			rounds::commit::<T>(ensure_signed(origin)?, study, number, commitment, consents)
		}

		/// Ends a round with its sum, once all members committed or their time is over.
		///
		/// - `absent`: places of the commitments that are not in it, in order.
		/// - `values`: the sum, noise included.
		/// - `blinding`: opens the sum's commitment, with them.
		/// - `signature`: the enclave's, by the key that it opened the round with.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::publish(match values {
			Values::Whole(values) => values.len() as u32,
			Values::Hash(_) => 0,
		}))]
		pub fn publish(
			origin: OriginFor<T>,
			study: H256,
			number: u32,
			absent: BoundedVec<u32, ConstU32<MAX_MEMBERS>>,
			values: Values,
			blinding: [u8; 32],
			signature: Signature,
		) -> DispatchResult {
			let absent = absent.into_inner();
			rounds::publish::<T>(ensure_signed(origin)?, study, number, absent, values, blinding, signature)
		}

		/// Gives a round up. For the aggregator; for anybody when its sum is long overdue.
		#[pallet::call_index(9)]
		#[pallet::weight(T::WeightInfo::fail())]
		pub fn fail(origin: OriginFor<T>, study: H256, number: u32) -> DispatchResult {
			rounds::fail::<T>(ensure_signed(origin)?, study, number)
		}

		/// Ends a study: for its researcher, or for anybody after its end; while a round waits for its sum, not before that
		/// is long overdue. The deposit goes back, but for what stays for the study's id.
		#[pallet::call_index(10)]
		// Likewise.
		#[pallet::weight(T::WeightInfo::close().saturating_add(T::DbWeight::get().writes(1)))]
		pub fn close(origin: OriginFor<T>, study: H256) -> DispatchResult {
			studies::close::<T>(ensure_signed(origin)?, study)
		}

		/// Lets a site take part in the caller's study. It is in it once it joins.
		#[pallet::call_index(11)]
		#[pallet::weight(T::WeightInfo::invite())]
		pub fn invite(origin: OriginFor<T>, study: H256, site: T::AccountId) -> DispatchResult {
			studies::invite::<T>(ensure_signed(origin)?, study, site)
		}
	}

	impl<T: Config> Pallet<T> {
		pub(crate) fn now() -> u32 {
			T::BlockNumberProvider::current_block_number()
		}

		pub(crate) fn year() -> u32 {
			Self::now() / T::Year::get().max(1)
		}

		pub(crate) fn genesis() -> H256 {
			polkadot_sdk::frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::default())
		}

		/// The hash of one of the last [`MAX_BLOCK_AGE`] blocks.
		pub(crate) fn recent(number: u32) -> Option<H256> {
			let hash = polkadot_sdk::frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(number));
			let age = Self::now().checked_sub(number)?;
			((1..=MAX_BLOCK_AGE).contains(&age) && !hash.is_zero()).then_some(hash)
		}

		/// What holds between any two calls: budgets are kept, rounds are a study's, deposits are held.
		pub fn do_try_state() -> Result<(), TryRuntimeError> {
			let mut held = BTreeMap::<T::AccountId, Balance>::new();
			let mut memberships = BTreeMap::<T::AccountId, u32>::new();
			let mut rounds = 0;
			for (id, study) in Studies::<T>::iter() {
				ensure!(study.spent <= study.plan.budget, "a study overspent");
				ensure!(study.spent == study.rho * u64::from(study.next), "a round was not paid for");
				*held.entry(study.researcher.clone()).or_default() += study.deposit;
				let mut paid = BTreeMap::<T::AccountId, u64>::new();
				for number in 0..study.next {
					let round = Rounds::<T>::get(id, number).ok_or("a round is missing")?;
					let last = number + 1 == study.next;
					ensure!(
						round.ending.is_none() == (study.open && last),
						"a round waits that is not the last"
					);
					for one in &round.committed {
						*paid.entry(one.site.clone()).or_default() += study.rho;
					}
					rounds += 1;
				}
				for member in &study.members {
					ensure!(member.spent <= member.budget, "a site overspent");
					let due = paid.remove(&member.site).unwrap_or_default();
					ensure!(member.spent == due, "a commitment was not paid for");
					ensure!(member.joined() || !member.active, "a site is in a study unasked");
					if member.joined() {
						*memberships.entry(member.site.clone()).or_default() += 1;
					}
				}
				ensure!(paid.is_empty(), "a stranger committed");
			}
			ensure!(Rounds::<T>::iter().count() == rounds, "a round has no study");
			for (id, (researcher, deposit)) in Closed::<T>::iter() {
				ensure!(!Studies::<T>::contains_key(id), "a study that ended goes on");
				*held.entry(researcher).or_default() += deposit;
			}
			for (who, site) in Sites::<T>::iter() {
				ensure!(
					site.studies == memberships.remove(&who).unwrap_or_default(),
					"a site's studies are miscounted"
				);
				*held.entry(who).or_default() += site.deposit;
			}
			ensure!(memberships.is_empty(), "a member is no site");
			for (who, amount) in held {
				ensure!(holds::on_hold::<T>(&who) == amount, "a deposit is not what is held");
			}
			Ok(())
		}
	}
}
