//! # Consortium
//!
//! Who runs the chain. Members validate and vote: one list, from which both the validators of the next session and the
//! council's seats are taken. More than two thirds admit, replace, remove and take back a member, and announce a call
//! that is made with root's rights, such as an upgrade of the runtime; each after a notice in which a third of the
//! members can withdraw it. A member changes its session keys by itself.
//!
//! A validator that makes two blocks in a slot, or votes for two blocks in a round of GRANDPA, is out at the next
//! session. No vote brings the chain below the least number of validators; what offences do to it is told by events.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod api;
pub mod offences;
pub mod session;
pub mod types;
pub mod weights;

#[cfg(test)]
mod tests;

pub use offences::FirstOffence;
pub use pallet::*;
pub use session::{MayValidate, SessionBlocks, SeveralBlocks, SlotMilliseconds};
pub use weights::WeightInfo;

/// What brings finality back that more than a third of the validators took with them.
pub trait Finality<BlockNumber> {
	/// Begin a new set of voters with the next session, `delay` blocks behind its beginning, on top of `best_finalised`.
	fn note_stalled(delay: BlockNumber, best_finalised: BlockNumber);
}

#[polkadot_sdk::frame_support::pallet]
pub mod pallet {
	use alloc::{boxed::Box, vec::Vec};
	use codec::Encode;
	use polkadot_sdk::{
		frame_support::{
			dispatch::{GetDispatchInfo, PostDispatchInfo},
			pallet_prelude::*,
			traits::{ChangeMembers, InitializeMembers, KeyOwnerProofSystem},
		},
		frame_system::{pallet_prelude::*, RawOrigin},
		sp_consensus_aura::sr25519::AuthorityId,
		sp_core::{crypto::key_types::AURA, H256},
		sp_io::hashing::blake2_256,
		sp_runtime::{
			traits::{Dispatchable, Saturating, Zero},
			DispatchResult as Outcome, TryRuntimeError,
		},
		sp_staking::offence::ReportOffence,
		*,
	};

	use crate::{
		offences::{BlockEquivocation, TwoBlocks},
		types::{Change, Endpoint, GenesisMember, Member, Notice, Ownership, Past, Settings, Standing},
		Finality, WeightInfo,
	};

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	type Weights<T> = <T as Config>::WeightInfo;

	/// Of this pallet's storage; a migration raises it.
	pub const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	#[pallet::config]
	pub trait Config:
		polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>>
		+ pallet_session::Config<ValidatorId = <Self as frame_system::Config>::AccountId>
		+ pallet_aura::Config<AuthorityId = AuthorityId>
	{
		/// What a decision may have dispatched.
		type RootCall: Parameter
			+ Dispatchable<RuntimeOrigin = Self::RuntimeOrigin, PostInfo = PostDispatchInfo>
			+ GetDispatchInfo;
		/// More than two thirds of the members.
		type Vote: EnsureOrigin<Self::RuntimeOrigin>;
		/// A third of the members: without them a decision would not have been.
		type Objection: EnsureOrigin<Self::RuntimeOrigin>;
		/// Where members vote. Its seats are the members that take part, and nobody else sets them.
		type Council: ChangeMembers<Self::AccountId> + InitializeMembers<Self::AccountId>;
		/// Who hears of an offence, and tells this pallet.
		type Offences: ReportOffence<Self::AccountId, Self::AccountId, TwoBlocks<Self::AccountId>>;
		/// How finality is brought back.
		type Finality: Finality<BlockNumberFor<Self>>;
		/// Members at most.
		#[pallet::constant]
		type MaxMembers: Get<u32>;
		/// Notices at most.
		#[pallet::constant]
		type MaxNotices: Get<u32>;
		/// Blocks behind the day it is due within which an announced call must be made.
		#[pallet::constant]
		type Lapse: Get<BlockNumberFor<Self>>;
		/// Sessions for which the chain remembers whose keys were whose, so that evidence counts.
		#[pallet::constant]
		type Retained: Get<u32>;
		/// What the calls cost.
		type WeightInfo: WeightInfo;
	}

	/// The chain's pace and floor.
	#[pallet::storage]
	pub type SettingsOf<T: Config> = StorageValue<_, Settings, ValueQuery>;

	/// The members, taking part or not.
	#[pallet::storage]
	pub type Members<T: Config> = CountedStorageMap<_, Blake2_128Concat, T::AccountId, Member>;

	/// Accounts that a notice would make members. They may set session keys.
	#[pallet::storage]
	pub type Candidates<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, ()>;

	/// Decisions that do not hold yet.
	#[pallet::storage]
	pub type Notices<T: Config> =
		CountedStorageMap<_, Twox64Concat, u32, Notice<T::AccountId, BlockNumberFor<T>>>;

	/// The next notice's number.
	#[pallet::storage]
	pub type NextNotice<T: Config> = StorageValue<_, u32, ValueQuery>;

	/// The block in which something has to be done about a notice, if there is one.
	#[pallet::storage]
	pub type NextDue<T: Config> = StorageValue<_, BlockNumberFor<T>>;

	/// Sessions of late.
	#[pallet::storage]
	pub type Sessions<T: Config> = StorageMap<_, Twox64Concat, u32, Past>;

	/// Whose session key was whose, by session and BLAKE2b-256 of the key with its type.
	#[pallet::storage]
	pub type Owners<T: Config> = StorageDoubleMap<_, Twox64Concat, u32, Identity, H256, T::AccountId>;

	/// The members of the genesis. Their session keys are the session pallet's to name.
	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// The chain's pace and floor.
		pub settings: Settings,
		/// At most [`Config::MaxMembers`].
		pub members: Vec<GenesisMember<T::AccountId>>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			SettingsOf::<T>::put(self.settings);
			assert!(self.members.len() as u32 <= T::MaxMembers::get(), "consortium: too many members");
			for GenesisMember { account, legal_name, endpoint: text } in &self.members {
				let endpoint = crate::types::endpoint(text.as_bytes().to_vec())
					.expect("consortium: an endpoint is printable ASCII, of 1 to 256 bytes");
				assert!(!Members::<T>::contains_key(account), "consortium: a member stands there twice");
				let member = Member { legal_name: *legal_name, endpoint, standing: Standing::Validating };
				Members::<T>::insert(account, member);
			}
			T::Council::initialize_members(&Pallet::<T>::taking_part());
		}
	}

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	// A variant's sentence says what its fields are.
	#[allow(missing_docs)]
	pub enum Event<T: Config> {
		/// A change was decided; it holds from block `due` on, unless it is withdrawn.
		Noticed { notice: u32, change: Change<T::AccountId>, due: BlockNumberFor<T> },
		/// A third of the members objected.
		Withdrawn { notice: u32 },
		/// A change holds now. Its effect on the validators begins with the next session.
		Done { notice: u32, change: Change<T::AccountId> },
		/// A change that cannot be made any more was dropped.
		Dropped { notice: u32, error: DispatchError },
		/// An announced call was not made in time.
		Lapsed { notice: u32 },
		/// An announced call was made.
		Enacted { notice: u32, result: Outcome },
		/// A member says where it is met.
		Moved { member: T::AccountId, endpoint: Endpoint },
		/// A member was shown to have said two things at once. It votes no more, and validates no more from the next session
		/// on.
		PutOut { member: T::AccountId, session: u32 },
		/// The same, but no other validator is there.
		Kept { member: T::AccountId },
		/// From the next session on there are fewer validators than the chain should have.
		Fragile { validators: u32 },
		/// New voters begin on top of a block that members say is final.
		FinalityRestarted { delay: BlockNumberFor<T>, best_finalised: BlockNumberFor<T> },
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The account is no member.
		NotMember,
		/// The account is a member already, or about to be.
		AlreadyMember,
		/// The member takes part already.
		NotOut,
		/// The consortium is as large as it can be.
		TooManyMembers,
		/// As many notices stand as can: wait, or withdraw one.
		TooManyNotices,
		/// Too few validators would be left: admit another first.
		TooFewLeft,
		/// An endpoint is printable ASCII, of 1 to 256 bytes.
		BadEndpoint,
		/// The account has not set its session keys.
		NoSessionKeys,
		/// There is no such notice.
		UnknownNotice,
		/// The notice is not over.
		NotDue,
		/// The notice is not about this call.
		AnotherCall,
		/// The member leaves already.
		Leaving,
		/// The two blocks do not show what they should, or the chain does not remember whose key that was.
		InvalidEvidence,
		/// The member is out already.
		KnownOffence,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		/// Make the changes that are due.
		fn on_initialize(now: BlockNumberFor<T>) -> Weight {
			if NextDue::<T>::get().is_none_or(|due| due > now) {
				return T::DbWeight::get().reads(1);
			}
			Self::make_due(now);
			Weights::<T>::make_due()
		}

		fn integrity_test() {
			assert!(T::MaxNotices::get() > 0 && T::MaxMembers::get() > 0);
			assert!(T::MaxMembers::get() <= <T as pallet_aura::Config>::MaxAuthorities::get());
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Admit a member, after the notice. By then the account must have set its session keys.
		#[pallet::call_index(0)]
		#[pallet::weight(Weights::<T>::announce())]
		pub fn admit(
			origin: OriginFor<T>,
			account: T::AccountId,
			legal_name: H256,
			endpoint: Endpoint,
		) -> DispatchResult {
			T::Vote::ensure_origin(origin)?;
			Self::announce(Change::Admit { account, legal_name, endpoint })
		}

		/// Put a member's place on another account, after the notice: one whose key is lost, or in wrong hands.
		#[pallet::call_index(1)]
		#[pallet::weight(Weights::<T>::announce())]
		pub fn replace(
			origin: OriginFor<T>,
			member: T::AccountId,
			successor: T::AccountId,
		) -> DispatchResult {
			T::Vote::ensure_origin(origin)?;
			Self::announce(Change::Replace { member, successor })
		}

		/// Remove a member, after the notice.
		#[pallet::call_index(2)]
		#[pallet::weight(Weights::<T>::announce())]
		pub fn remove(origin: OriginFor<T>, member: T::AccountId) -> DispatchResult {
			T::Vote::ensure_origin(origin)?;
			Self::announce(Change::Remove { member })
		}

		/// Let a member that was put out take part again, after the notice.
		#[pallet::call_index(3)]
		#[pallet::weight(Weights::<T>::announce())]
		pub fn reinstate(origin: OriginFor<T>, member: T::AccountId) -> DispatchResult {
			T::Vote::ensure_origin(origin)?;
			Self::announce(Change::Reinstate { member })
		}

		/// A member leaves, after the notice.
		#[pallet::call_index(4)]
		#[pallet::weight(Weights::<T>::announce())]
		pub fn leave(origin: OriginFor<T>) -> DispatchResult {
			let member = ensure_signed(origin)?;
			Self::announce(Change::Remove { member })
		}

		/// A member says where its node is met.
		#[pallet::call_index(5)]
		#[pallet::weight(Weights::<T>::set_endpoint())]
		pub fn set_endpoint(origin: OriginFor<T>, endpoint: Endpoint) -> DispatchResult {
			let member = ensure_signed(origin)?;
			let endpoint = crate::types::endpoint(endpoint.into()).ok_or(Error::<T>::BadEndpoint)?;
			Members::<T>::try_mutate(&member, |entry| {
				entry.as_mut().ok_or(Error::<T>::NotMember)?.endpoint = endpoint.clone();
				Ok::<_, DispatchError>(())
			})?;
			Self::deposit_event(Event::Moved { member, endpoint });
			Ok(())
		}

		/// Announce a call, by BLAKE2b-256 of its encoding, that anybody may have made with root's rights after the notice:
		/// `System::authorize_upgrade`, say.
		#[pallet::call_index(6)]
		#[pallet::weight(Weights::<T>::announce())]
		pub fn announce_call(origin: OriginFor<T>, call: H256) -> DispatchResult {
			T::Vote::ensure_origin(origin)?;
			Self::announce(Change::Enact { call })
		}

		/// Have an announced call made, once.
		#[pallet::call_index(7)]
		#[pallet::weight({
			let info = call.get_dispatch_info();
			(Weights::<T>::enact().saturating_add(info.call_weight), info.class)
		})]
		pub fn enact(
			origin: OriginFor<T>,
			notice: u32,
			call: Box<<T as Config>::RootCall>,
		) -> DispatchResult {
			ensure_signed(origin)?;
			let Notice { change, due } = Notices::<T>::get(notice).ok_or(Error::<T>::UnknownNotice)?;
			let hash = H256(blake2_256(&call.encode()));
			ensure!(change == Change::Enact { call: hash }, Error::<T>::AnotherCall);
			ensure!(due <= frame_system::Pallet::<T>::block_number(), Error::<T>::NotDue);
			Self::forget(notice);
			let result = call.dispatch(RawOrigin::Root.into()).map(|_| ()).map_err(|failed| failed.error);
			Self::deposit_event(Event::Enacted { notice, result });
			Ok(())
		}

		/// Withdraw what was decided, while it does not hold yet.
		#[pallet::call_index(8)]
		#[pallet::weight(Weights::<T>::withdraw())]
		pub fn withdraw(origin: OriginFor<T>, notice: u32) -> DispatchResult {
			T::Objection::ensure_origin(origin)?;
			ensure!(Notices::<T>::contains_key(notice), Error::<T>::UnknownNotice);
			Self::forget(notice);
			Self::deposit_event(Event::Withdrawn { notice });
			Ok(())
		}

		/// Begin anew with finality that stands still because too many validators are gone: `best_finalised` is the highest
		/// block that any of the remaining ones has as final, and `delay` more blocks than may be undone. There is no notice:
		/// it changes no member and no rule.
		#[pallet::call_index(9)]
		#[pallet::weight(Weights::<T>::recover_finality())]
		pub fn recover_finality(
			origin: OriginFor<T>,
			delay: BlockNumberFor<T>,
			best_finalised: BlockNumberFor<T>,
		) -> DispatchResult {
			T::Vote::ensure_origin(origin)?;
			T::Finality::note_stalled(delay, best_finalised);
			Self::deposit_event(Event::FinalityRestarted { delay, best_finalised });
			Ok(())
		}

		/// Show that a validator made two blocks in one slot. Nodes of validators put it into their own blocks, unsigned.
		#[pallet::call_index(10)]
		#[pallet::weight((Weights::<T>::report_two_blocks(), DispatchClass::Operational))]
		pub fn report_two_blocks(
			origin: OriginFor<T>,
			proof: Box<BlockEquivocation<T>>,
			ownership: Ownership,
		) -> DispatchResultWithPostInfo {
			ensure_none(origin)?;
			let offence = Self::equivocator(&proof, &ownership).ok_or(Error::<T>::InvalidEvidence)?;
			T::Offences::report_offence(Vec::new(), offence).map_err(|_| Error::<T>::KnownOffence)?;
			Ok(Pays::No.into())
		}
	}

	#[pallet::validate_unsigned]
	#[allow(deprecated)]
	impl<T: Config> ValidateUnsigned for Pallet<T> {
		type Call = Call<T>;

		/// Evidence that this node found itself, or that is in a block: nobody fills others' pools with it.
		fn validate_unsigned(source: TransactionSource, call: &Self::Call) -> TransactionValidity {
			let Call::report_two_blocks { proof, .. } = call else {
				return InvalidTransaction::Call.into();
			};
			if !matches!(source, TransactionSource::Local | TransactionSource::InBlock) {
				return InvalidTransaction::Call.into();
			}
			Self::pre_dispatch(call)?;
			ValidTransaction::with_tag_prefix("AuraTwoBlocks")
				.priority(TransactionPriority::MAX)
				.and_provides((proof.offender.clone(), proof.slot))
				.longevity(256)
				.propagate(false)
				.build()
		}

		fn pre_dispatch(call: &Self::Call) -> Result<(), TransactionValidityError> {
			let Call::report_two_blocks { proof, ownership } = call else {
				return Err(InvalidTransaction::Call.into());
			};
			let offender = Self::check_proof((AURA, &proof.offender), ownership.clone())
				.ok_or(InvalidTransaction::BadProof)?;
			if T::Offences::is_known_offence(&[offender], &proof.slot) {
				return Err(InvalidTransaction::Stale.into());
			}
			Ok(())
		}
	}

	impl<T: Config> Pallet<T> {
		/// Note a change that could be made now.
		fn announce(change: Change<T::AccountId>) -> DispatchResult {
			ensure!(Notices::<T>::count() < T::MaxNotices::get(), Error::<T>::TooManyNotices);
			Self::check(&change)?;
			if let Some(candidate) = change.candidate() {
				ensure!(!Candidates::<T>::contains_key(candidate), Error::<T>::AlreadyMember);
				Candidates::<T>::insert(candidate, ());
			}
			if let Change::Remove { .. } = &change {
				ensure!(Notices::<T>::iter_values().all(|other| other.change != change), Error::<T>::Leaving);
			}
			let notice = NextNotice::<T>::mutate(|next| core::mem::replace(next, next.wrapping_add(1)));
			let wait = SettingsOf::<T>::get().notice_blocks;
			let due = frame_system::Pallet::<T>::block_number().saturating_add(wait.into());
			Notices::<T>::insert(notice, Notice { change: change.clone(), due });
			Self::look_again();
			Self::deposit_event(Event::Noticed { notice, change, due });
			Ok(())
		}

		/// Whether a change can be made, as things stand.
		fn check(change: &Change<T::AccountId>) -> DispatchResult {
			let stays = |leaving: &T::AccountId| {
				let left = Self::planned().iter().filter(|(member, _)| member != leaving).count() as u32;
				// Who does not validate takes nothing with it.
				let validates = Self::takes_part(leaving);
				!validates || left >= SettingsOf::<T>::get().least_validators
			};
			match change {
				Change::Admit { account, endpoint, .. } => {
					ensure!(!Members::<T>::contains_key(account), Error::<T>::AlreadyMember);
					ensure!(Members::<T>::count() < T::MaxMembers::get(), Error::<T>::TooManyMembers);
					let endpoint = crate::types::endpoint(endpoint.to_vec());
					ensure!(endpoint.is_some(), Error::<T>::BadEndpoint);
				}
				Change::Replace { member, successor } => {
					ensure!(Members::<T>::contains_key(member), Error::<T>::NotMember);
					ensure!(!Members::<T>::contains_key(successor), Error::<T>::AlreadyMember);
				}
				Change::Remove { member } => {
					ensure!(Members::<T>::contains_key(member), Error::<T>::NotMember);
					ensure!(stays(member), Error::<T>::TooFewLeft);
				}
				Change::Reinstate { member } => {
					ensure!(Members::<T>::contains_key(member), Error::<T>::NotMember);
					ensure!(!Self::takes_part(member), Error::<T>::NotOut);
				}
				Change::Enact { .. } => {}
			}
			Ok(())
		}

		/// Make a change that is due.
		fn make(change: Change<T::AccountId>) -> DispatchResult {
			Self::check(&change)?;
			let keyed = |account: &T::AccountId| {
				let keys = pallet_session::Pallet::<T>::load_keys(account);
				keys.map(|_| ()).ok_or(Error::<T>::NoSessionKeys)
			};
			let before = Self::taking_part();
			match change {
				Change::Admit { account, legal_name, endpoint } => {
					keyed(&account)?;
					let member = Member { legal_name, endpoint, standing: Standing::Validating };
					Members::<T>::insert(account, member);
				}
				Change::Replace { member, successor } => {
					keyed(&successor)?;
					let entry = Members::<T>::take(member).ok_or(Error::<T>::NotMember)?;
					Members::<T>::insert(successor, entry);
				}
				Change::Remove { member } => Members::<T>::remove(member),
				Change::Reinstate { member } => {
					keyed(&member)?;
					Members::<T>::mutate(member, |entry| {
						if let Some(entry) = entry {
							entry.standing = Standing::Validating;
						}
					});
				}
				Change::Enact { .. } => {}
			}
			Self::seats_changed(&before);
			Ok(())
		}

		/// Bring the council and the next session in line with the members.
		pub(crate) fn seats_changed(before: &[T::AccountId]) {
			let now = Self::taking_part();
			if now != before {
				T::Council::set_members_sorted(&now, before);
			}
			Self::plan_anew();
		}

		/// Every notice that is due, in the order of the decisions; calls wait for somebody to have them made.
		fn make_due(now: BlockNumberFor<T>) {
			let mut due: Vec<(u32, Notice<_, _>)> =
				Notices::<T>::iter().filter(|(_, notice)| notice.due <= now).collect();
			due.sort_by_key(|(notice, _)| *notice);
			for (notice, Notice { change, due }) in due {
				if let Change::Enact { .. } = change {
					if now > due.saturating_add(T::Lapse::get()) {
						Self::forget(notice);
						Self::deposit_event(Event::Lapsed { notice });
					}
					continue;
				}
				let event = match Self::make(change.clone()) {
					Ok(()) => Event::Done { notice, change },
					Err(error) => Event::Dropped { notice, error },
				};
				Self::forget(notice);
				Self::deposit_event(event);
			}
			Self::look_again();
		}

		fn forget(notice: u32) {
			if let Some(Notice { change, .. }) = Notices::<T>::take(notice) {
				if let Some(candidate) = change.candidate() {
					Candidates::<T>::remove(candidate);
				}
			}
		}

		/// When a notice wants something next. A call that is due wants nothing before it lapses.
		fn look_again() {
			let wants = |notice: Notice<T::AccountId, BlockNumberFor<T>>| match notice.change {
				Change::Enact { .. } => {
					notice.due.saturating_add(T::Lapse::get()).saturating_add(1u32.into())
				}
				_ => notice.due,
			};
			match Notices::<T>::iter_values().map(wants).min() {
				Some(next) if !next.is_zero() => NextDue::<T>::put(next),
				_ => NextDue::<T>::kill(),
			}
		}

		/// What holds between any two calls: the bounds are kept, who would become a member is a candidate and nobody
		/// else, and what is due is looked at.
		pub fn do_try_state() -> Result<(), TryRuntimeError> {
			ensure!(Members::<T>::count() <= T::MaxMembers::get(), "too many members");
			ensure!(Notices::<T>::count() <= T::MaxNotices::get(), "too many notices");
			let mut wanted = 0;
			for Notice { change, .. } in Notices::<T>::iter_values() {
				if let Some(candidate) = change.candidate() {
					ensure!(
						Candidates::<T>::contains_key(candidate),
						"who would be a member is no candidate"
					);
					wanted += 1;
				}
			}
			ensure!(Candidates::<T>::iter().count() == wanted, "a candidate has no notice");
			ensure!(Notices::<T>::count() == 0 || NextDue::<T>::exists(), "a notice is not looked at");
			Ok(())
		}

		/// The same, and that the council's seats are the members that take part.
		#[cfg(any(test, feature = "std"))]
		pub fn check_invariants(council: &[T::AccountId]) {
			assert_eq!(council, Self::taking_part());
			assert_eq!(Self::do_try_state(), Ok(()));
		}
	}
}
