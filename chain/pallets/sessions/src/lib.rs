//! Sessions: a client orders inferences of one worker by the thousand, directly; the chain sees pages of them.
//!
//! ```text
//! open -> Running --checkpoint--> a window opens --the beacon is known, its time is over--> finish: paid, or not
//!            |  ^                        |
//!            |  +--top_up                +--a page unproved, or proved falsely--> Failed: bond to the client
//!            +--close, or its end--settle--> everybody has back what is left
//! ```
//!
//! - A window is signed for by both ends: the enclave (`signature`) and the client (`voucher`), so nobody pays for
//!   what it did not order, and nobody works for long without the other's word.
//! - Which pages are proved is the beacon's to say, after the checkpoint; the client may name a few more.
//! - Every amount is a hold on its owner's account (see [`escrow`]); a session that ended holds nothing and leaves no
//!   record but its client's last nonce, so that no id comes again.
//! - What a call does never grows with what others have in state. A session has at most [`types::MAX_WINDOWS`] windows.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod ending;
pub mod escrow;
mod evidence;
pub mod offers;
mod opening;
mod proving;
pub mod types;
pub mod weights;
mod windows;

#[cfg(test)]
mod tests;

use polkadot_sdk::{frame_support, sp_core};
use sp_core::H256;

pub use pallet::*;
pub use types::{Offer, Session, Terms, Window};
pub use weights::WeightInfo;

/// The pallet.
// A call's arguments are its wire format: bundling them would only hide them.
#[allow(clippy::too_many_arguments)]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::{opening::Order, types::*, windows::Posted};
	use frame_support::{
		pallet_prelude::*,
		traits::{fungible, UnixTime},
	};
	use polkadot_sdk::frame_system::pallet_prelude::*;
	use polkadot_sdk::sp_runtime::{traits::BlockNumberProvider, TryRuntimeError};
	use proofward_primitives::{
		Balance, Beacon, Equivocation, Level, ModelRegistry, ProofVerifier, RejectReason, WorkerRegistry,
	};

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
		/// The chain's clock.
		type Time: UnixTime;
		/// The models pallet.
		type Models: ModelRegistry<Self::AccountId>;
		/// The workers pallet.
		type Workers: WorkerRegistry<Self::AccountId>;
		/// The workers pallet, as a judge of signatures.
		type Evidence: Equivocation<Self::AccountId>;
		/// The lanes' contracts.
		type Verifier: ProofVerifier;
		/// What picks pages.
		type Beacon: Beacon<u32>;
		/// How far ahead a session's end may be, in blocks.
		#[pallet::constant]
		type MaxLength: Get<u32>;
		/// Blocks after a session's end in which its worker may still post a checkpoint.
		#[pallet::constant]
		type Grace: Get<u32>;
		/// The least that a client puts down, so that slots are not taken for nothing.
		#[pallet::constant]
		type MinEscrow: Get<Balance>;
		/// The least bond.
		#[pallet::constant]
		type MinBond: Get<Balance>;
		/// What a client puts down for each page that it wants proved; the worker's, when it is.
		#[pallet::constant]
		type ForceFee: Get<Balance>;
		/// Held from the client while a session is in state, for its record and its windows.
		#[pallet::constant]
		type SessionDeposit: Get<Balance>;
		/// Held for an offer, for a publisher's floor, and for a client's last nonce.
		#[pallet::constant]
		type EntryDeposit: Get<Balance>;
		/// What calls cost.
		type WeightInfo: WeightInfo;
	}

	/// Why an amount is held.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// What a client put down for inferences and for pages that it wants proved.
		Escrow,
		/// For entries in state.
		Deposit,
		/// A worker's bonds, for its sessions and for those that it offers.
		Bond,
	}

	/// The least price of an inference of each model in a session: the publisher's word.
	#[pallet::storage]
	pub type Floors<T: Config> = StorageMap<_, Blake2_128Concat, H256, Floor<T::AccountId>, OptionQuery>;

	/// Who offers sessions of each model.
	#[pallet::storage]
	pub type Offers<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, H256, Blake2_128Concat, T::AccountId, Offer, OptionQuery>;

	/// Sessions that run, by their id (`proofward_primitives::sessions::session_id`).
	#[pallet::storage]
	pub type Sessions<T: Config> = StorageMap<_, Blake2_128Concat, H256, Session<T::AccountId>, OptionQuery>;

	/// The sessions that each worker serves.
	#[pallet::storage]
	pub type SessionsOf<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, H256, (), OptionQuery>;

	/// The open windows of each session, by number.
	#[pallet::storage]
	pub type Windows<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, H256, Twox64Concat, u32, Window, OptionQuery>;

	/// The last nonce of each client and what is held for it, for ever: an id that came back would meet signatures of the
	/// session before.
	#[pallet::storage]
	pub type Nonces<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, (H256, Balance), OptionQuery>;

	/// Present only while a contract is asked, in a layer that is rolled back: never in a block's state.
	#[pallet::storage]
	pub type Judging<T: Config> = StorageValue<_, (), OptionQuery>;

	/// What happened.
	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	#[allow(missing_docs)]
	pub enum Event<T: Config> {
		/// The publisher set the least price of an inference, or none: no new sessions.
		Allowed { model: H256, floor: Option<Balance> },
		/// A worker takes sessions of a model on these terms.
		Offered { worker: T::AccountId, model: H256, terms: Terms },
		/// A worker takes no new sessions of a model.
		Withdrawn { worker: T::AccountId, model: H256 },
		/// A session began.
		Opened { session: H256, client: T::AccountId, worker: T::AccountId, model: H256 },
		/// The client put more into escrow.
		ToppedUp { session: H256, amount: Balance },
		/// Serving ends with this block.
		Closed { session: H256, end: u32 },
		/// A window opened: so many pages and inferences, signed for by both ends.
		Checkpointed { session: H256, number: u32, pages: u32, records: u64 },
		/// The beacon's word for a window: how many pages it picks, and among how many values an author could choose.
		Drawn { session: H256, number: u32, value: H256, choices: u32, pages: u32 },
		/// The client wants this page proved.
		Forced { session: H256, number: u32, page: u32 },
		/// These pages were proved.
		Proved { session: H256, number: u32, pages: BoundedVec<u32, ConstU32<MAX_PROVED>> },
		/// No verdict could be had, for a reason that is not the worker's: the window is not paid, nobody loses.
		NoVerdict { session: H256, number: u32, reason: RejectReason },
		/// A window ended: for so many inferences the worker was paid `paid`, the publisher `royalty`.
		Finished { session: H256, number: u32, records: u64, paid: Balance, royalty: Balance },
		/// A page of a window was not proved, or falsely: the bond is the client's, nothing that waited is paid.
		Failed { session: H256, number: u32, bond: Balance, refunded: Balance },
		/// The worker lost what it would have proved with: nothing that waited is paid.
		Waived { session: H256, refunded: Balance },
		/// A session ended well, after so many paid inferences.
		Settled { session: H256, paid: u64, refunded: Balance },
		/// A worker signed two different pages of one number, and lost a part of its stake.
		Equivocated { session: H256, page: u32, worker: T::AccountId, slashed: Balance },
	}

	/// Why a call is refused.
	#[pallet::error]
	pub enum Error<T> {
		/// No session has this id, or it ended.
		UnknownSession,
		/// No model has this id.
		UnknownModel,
		/// The session has no such open window.
		UnknownWindow,
		/// The window has no such page.
		UnknownPage,
		/// Only the model's publisher may do this.
		NotPublisher,
		/// The publisher did not set a price for sessions of this model.
		NotForSessions,
		/// Capacity, rate, window, price or bond is outside its bounds, or outside the worker's terms.
		BadTerms,
		/// The price is below the publisher's floor.
		PriceTooLow,
		/// The worker asks for more than the client will pay.
		PriceTooHigh,
		/// The account is not registered as a worker, retired, banned or expired.
		WorkerInactive,
		/// The worker missed too much and takes no new work for a while.
		WorkerSuspended,
		/// The worker does not serve the model.
		DoesNotServe,
		/// The worker offers no sessions of this model.
		NoOffer,
		/// All of the worker's sessions are taken.
		NoCapacity,
		/// The client used this nonce for a session that runs.
		DuplicateSession,
		/// The client used this nonce, or a greater one, before.
		StaleNonce,
		/// A session with oneself shows nothing.
		OwnSession,
		/// The session's end has passed.
		EndPassed,
		/// The end is further ahead than `MaxLength`.
		EndTooFar,
		/// The model takes no new work.
		ModelRetired,
		/// The lane has no contract.
		LaneClosed,
		/// The model's keys were made by one party, and the client does not accept that.
		DevSetupRefused,
		/// The worker's level is below the least that the client takes.
		LevelTooLow,
		/// The worker's keys are of another epoch than the session's.
		OtherEpoch,
		/// The escrow is below `MinEscrow`.
		EscrowTooSmall,
		/// The escrow does not pay for this.
		EscrowExhausted,
		/// Only the session's client may do this.
		NotClient,
		/// Only the session's worker may do this.
		NotWorker,
		/// Only client and worker may do this.
		NotParty,
		/// Checkpoints come in their order.
		WrongNumber,
		/// Too many windows wait for their end: finish the oldest.
		TooManyWindows,
		/// Pages and inferences only grow, by a window's worth at most.
		BadCounts,
		/// The enclave did not sign this checkpoint.
		BadSignature,
		/// The client did not sign this checkpoint.
		BadVoucher,
		/// The beacon has spoken for this window.
		AlreadyDrawn,
		/// The beacon does not know yet, or has forgotten.
		BeaconUnknown,
		/// The time for it is over.
		TooLate,
		/// The time for it has not come.
		TooEarly,
		/// A proof of this page was asked for already.
		AlreadyAsked,
		/// The client asked for as many pages of this window as it may.
		TooManyForced,
		/// No proof of this page is owed.
		NotAsked,
		/// The page is not in the window's tree.
		NotInTree,
		/// The contract gives no verdict on this proof, and does on others.
		FaultyProof,
		/// Windows are open.
		OpenWindows,
		/// The signatures are no evidence.
		NoEvidence,
		/// A contract that is asked for a verdict tried to call back.
		Reentered,
		/// The nonce's time is more than a day ahead of the chain's clock.
		NonceAhead,
	}

	#[pallet::extra_constants]
	impl<T: Config> Pallet<T> {
		/// Most open windows of a session.
		fn max_windows() -> u32 {
			MAX_WINDOWS
		}
		/// Most pages of a window.
		fn max_pages() -> u32 {
			MAX_PAGES
		}
		/// Most pages that the beacon picks of a window.
		fn max_sampled() -> u32 {
			MAX_SAMPLED
		}
		/// Most pages that one `prove` takes.
		fn max_proved() -> u32 {
			MAX_PROVED
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Opens the caller's model to sessions at `floor` for an inference at least, or closes it to new ones.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::allow())]
		pub fn allow(origin: OriginFor<T>, model: H256, floor: Option<Balance>) -> DispatchResult {
			offers::allow::<T>(Self::caller(origin)?, model, floor)
		}

		/// Offers sessions of a model that the caller serves, in place of what it offered before. The bonds of all that
		/// it can take are held at once.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::offer())]
		pub fn offer(origin: OriginFor<T>, model: H256, terms: Terms) -> DispatchResult {
			offers::offer::<T>(Self::caller(origin)?, model, terms)
		}

		/// Takes no new sessions of a model. Those that run go on.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::withdraw())]
		pub fn withdraw(origin: OriginFor<T>, model: H256) -> DispatchResult {
			offers::withdraw::<T>(Self::caller(origin)?, model)
		}

		/// Opens a session with a worker that offers it and holds `escrow` and a deposit from the caller.
		///
		/// - `nonce`: with the caller's account it makes the session's id; greater, byte by byte, than all before, so that
		///   no id comes again. Its first eight bytes, big-endian, are a time in nanoseconds, at most a day ahead of the
		///   chain's clock, so that there is always a greater one.
		/// - `voucher_key`: Ed25519; whoever holds it agrees to checkpoints.
		/// - `epoch`: of the worker's keys, which the session's key will be sealed to.
		/// - `max_price`: the most for an inference; the offer's price is what is paid.
		/// - `sample`: pages that the beacon picks, in millionths, rounded up.
		/// - `window`: blocks for proofs, from the beacon's word on.
		/// - `end`: the last block of serving.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::open())]
		pub fn open(
			origin: OriginFor<T>,
			worker: T::AccountId,
			model: H256,
			nonce: H256,
			voucher_key: [u8; 32],
			epoch: u32,
			max_price: Balance,
			escrow: Balance,
			sample: u32,
			window: u32,
			end: u32,
			min_level: Level,
			allow_dev_setup: bool,
		) -> DispatchResult {
			let client = Self::caller(origin)?;
			opening::open::<T>(
				client,
				Order {
					worker,
					model,
					nonce,
					voucher_key,
					epoch,
					max_price,
					escrow,
					sample,
					window,
					end,
					min_level,
					allow_dev_setup,
				},
			)
		}

		/// Puts more into the escrow of the caller's session.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::top_up())]
		pub fn top_up(origin: OriginFor<T>, session: H256, amount: Balance) -> DispatchResult {
			opening::top_up::<T>(Self::caller(origin)?, session, amount)
		}

		/// Ends the serving of a session now. For its client or its worker.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::close())]
		pub fn close(origin: OriginFor<T>, session: H256) -> DispatchResult {
			opening::close::<T>(Self::caller(origin)?, session)
		}

		/// Posts what was served since the checkpoint before: the tree's root, and the session's counts up to here.
		///
		/// - `signature`: the enclave's, by the receipt key of the session's epoch.
		/// - `voucher`: the client's, by the session's voucher key.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::checkpoint())]
		pub fn checkpoint(
			origin: OriginFor<T>,
			session: H256,
			number: u32,
			root: H256,
			pages: u32,
			records: u64,
			signature: [u8; 64],
			voucher: [u8; 64],
		) -> DispatchResult {
			let posted = Posted { number, root, pages, records, signature, voucher };
			windows::checkpoint::<T>(Self::caller(origin)?, session, posted)
		}

		/// Has the beacon pick a window's pages, once it is known. For anyone to call.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::draw())]
		pub fn draw(origin: OriginFor<T>, session: H256, number: u32) -> DispatchResult {
			Self::caller(origin)?;
			windows::draw_now::<T>(session, number)
		}

		/// Has one more page of a window proved, for a fee: the worker's when the proof comes, else the caller's again.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::force())]
		pub fn force(origin: OriginFor<T>, session: H256, number: u32, page: u32) -> DispatchResult {
			windows::force::<T>(Self::caller(origin)?, session, number, page)
		}

		/// Hands in proofs of pages that are owed, up to eight of one window. A false one ends the session, and the
		/// bond is the client's; then the call is `Ok` as well, and the event says which.
		#[pallet::call_index(9)]
		#[pallet::weight((
			T::WeightInfo::prove(pages.len() as u32)
				.saturating_add(proving::most_weight::<T>(session, pages.len() as u32)),
			DispatchClass::Operational,
		))]
		pub fn prove(
			origin: OriginFor<T>,
			session: H256,
			number: u32,
			pages: Pages,
		) -> DispatchResultWithPostInfo {
			proving::prove::<T>(Self::caller(origin)?, session, number, pages)
		}

		/// Ends the oldest window of a session whose time is over: its inferences are paid when every page that was
		/// asked for is proved; else the session ends and the bond is the client's. For anyone to call.
		#[pallet::call_index(10)]
		#[pallet::weight(T::WeightInfo::finish())]
		pub fn finish(origin: OriginFor<T>, session: H256) -> DispatchResult {
			Self::caller(origin)?;
			ending::finish::<T>(session)
		}

		/// Ends a session of the caller's whose pages it lost: nothing that waits is paid, and it counts as a missed
		/// claim. Only while nothing is overdue.
		#[pallet::call_index(11)]
		#[pallet::weight(T::WeightInfo::waive())]
		pub fn waive(origin: OriginFor<T>, session: H256) -> DispatchResult {
			ending::waive::<T>(Self::caller(origin)?, session)
		}

		/// Ends a session after its time, when no window is open, and gives everybody back what is left. For anyone to
		/// call.
		#[pallet::call_index(12)]
		#[pallet::weight(T::WeightInfo::settle())]
		pub fn settle(origin: OriginFor<T>, session: H256) -> DispatchResult {
			ending::settle::<T>(Self::caller(origin)?, session)
		}

		/// Shows that a worker's enclave signed two different pages of one number. It loses a part of its stake, of which
		/// the caller gets a part and the pot the rest, and works no more until governance lets it.
		#[pallet::call_index(13)]
		#[pallet::weight(T::WeightInfo::report())]
		pub fn report(
			origin: OriginFor<T>,
			receipt_key: [u8; 32],
			session: H256,
			page: u32,
			first: H256,
			first_signature: [u8; 64],
			second: H256,
			second_signature: [u8; 64],
		) -> DispatchResult {
			evidence::report::<T>(
				Self::caller(origin)?,
				receipt_key,
				session,
				page,
				(first, first_signature),
				(second, second_signature),
			)
		}
	}

	impl<T: Config> Pallet<T> {
		/// Who signed, unless a contract on trial is calling back.
		fn caller(origin: OriginFor<T>) -> Result<T::AccountId, DispatchError> {
			ensure!(!Judging::<T>::exists(), Error::<T>::Reentered);
			Ok(ensure_signed(origin)?)
		}

		pub(crate) fn now() -> u32 {
			T::BlockNumberProvider::current_block_number()
		}

		pub(crate) fn genesis() -> H256 {
			polkadot_sdk::frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::default())
		}

		/// Whether these pages of the worker's session owe proofs, or may, before the beacon's word was asked for.
		pub fn awaits(worker: &T::AccountId, session: H256, number: u32, pages: &[u32]) -> bool {
			proving::awaits::<T>(worker, session, number, pages)
		}

		pub(crate) fn session(id: H256) -> Result<Session<T::AccountId>, DispatchError> {
			Sessions::<T>::get(id).ok_or_else(|| Error::<T>::UnknownSession.into())
		}

		/// What holds between any two calls: amounts are held, windows are a session's, indices agree.
		pub fn do_try_state() -> Result<(), TryRuntimeError> {
			use alloc::collections::BTreeMap;
			let mut held = BTreeMap::<(u8, T::AccountId), Balance>::new();
			let mut add = |kind: u8, who: &T::AccountId, amount: Balance| {
				*held.entry((kind, who.clone())).or_default() += amount;
			};
			let mut windows = 0;
			for (id, session) in Sessions::<T>::iter() {
				ensure!(session.owed <= session.escrow, "more is owed than there is");
				ensure!(session.next - session.oldest <= MAX_WINDOWS, "too many windows");
				ensure!(SessionsOf::<T>::contains_key(&session.worker, id), "a session is not its worker's");
				add(0, &session.client, session.escrow);
				add(1, &session.client, session.deposit);
				add(2, &session.worker, session.bond);
				let mut owed = 0;
				for number in session.oldest..session.next {
					let window = Windows::<T>::get(id, number).ok_or("a window is missing")?;
					owed += window.value;
					windows += 1;
					let fees = window.asked.iter().filter(|asked| !asked.proved).map(|asked| asked.fee).sum();
					add(0, &session.client, fees);
				}
				ensure!(owed == session.owed, "windows claim another amount");
			}
			ensure!(Windows::<T>::iter().count() == windows, "a window has no session");
			ensure!(SessionsOf::<T>::iter().count() == Sessions::<T>::iter().count(), "an index lags");
			for (_, who, offer) in Offers::<T>::iter() {
				ensure!(offer.free <= offer.terms.capacity, "an offer is larger than itself");
				add(2, &who, offers::free_bonds(&offer));
				add(1, &who, offer.deposit);
			}
			for floor in Floors::<T>::iter_values() {
				add(1, &floor.publisher, floor.deposit);
			}
			for (client, (_, deposit)) in Nonces::<T>::iter() {
				add(1, &client, deposit);
			}
			for ((kind, who), amount) in held {
				let reason = [HoldReason::Escrow, HoldReason::Deposit, HoldReason::Bond][kind as usize];
				ensure!(escrow::on_hold::<T>(reason, &who) == amount, "an amount is not what is held");
			}
			Ok(())
		}
	}
}
