//! # Workers
//!
//! Who may work. A registration rests on a quote whose `report_data` binds this chain, this account, this enclave's
//! two keys, their epoch and a recent block: nobody else's quote, no other chain's and no old one fits. The level
//! (`simulated` or `hardware`) is that of the root that verified the quote. The receipt key signs its own
//! registration, so nobody registers another's.
//!
//! A worker declares which models it serves and for how much. Its stake stays for an unbonding time after it retired,
//! within which its keys are remembered: two different results of one job under one key cost half of it. Claims that run
//! out beyond a rate cost a small part of it and a pause.
//!
//! A gateway to language models registers as a worker does, with the key that signs its answers' receipts, and serves
//! no model here: two receipts of one id cost it the same.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod answers;
mod evidence;
mod registry;
pub mod reliability;
pub mod types;
pub mod weights;

#[cfg(test)]
mod tests;

pub use pallet::*;
pub use weights::WeightInfo;

// A call's arguments are its wire format: bundling them would only hide them.
#[allow(clippy::too_many_arguments, clippy::large_enum_variant)]
#[polkadot_sdk::frame_support::pallet]
pub mod pallet {
	use polkadot_sdk::{
		frame_support::{
			pallet_prelude::*,
			traits::{
				fungible::{Inspect, MutateHold},
				tokens::Precision,
				Time,
			},
		},
		frame_system::pallet_prelude::*,
		sp_core::H256,
		sp_io::hashing::sha2_256,
		sp_runtime::{traits::SaturatedConversion, Permill, TryRuntimeError},
		*,
	};
	use proofward_primitives::{
		messages::{possesses, worker_report_data, Receipt},
		traits::TrustList,
		Balance, Level, ModelRegistry, Moment, QuoteVerifier, Verified,
	};

	use crate::{types::*, WeightInfo};

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	/// Of this pallet's storage; a migration raises it.
	pub const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	#[pallet::config]
	pub trait Config:
		polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>, Hash = H256>
	{
		/// The runtime's reasons to hold money, this pallet's among them.
		type RuntimeHoldReason: From<HoldReason>;
		/// What is held, and paid.
		type Currency: Inspect<Self::AccountId, Balance = u128>
			+ MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;
		/// Verifies quotes.
		type Quotes: QuoteVerifier;
		/// The roots, measurements and platforms that count.
		type Trust: TrustList;
		/// The models that are published.
		type Models: ModelRegistry<Self::AccountId>;
		/// Who may ban.
		type Governance: EnsureOrigin<Self::RuntimeOrigin>;
		/// The chain's clock, in milliseconds since the Unix epoch.
		type Time: Time<Moment = Moment>;
		/// The account that slashed stakes go to.
		type Pot: Get<Self::AccountId>;
		/// Held from every worker while it is registered.
		#[pallet::constant]
		type Stake: Get<u128>;
		/// What stays of it on hold for as long as the chain remembers the account's last epoch: for good.
		#[pallet::constant]
		type EpochDeposit: Get<u128>;
		/// Milliseconds that a registration lasts, if its collateral lasts as long.
		#[pallet::constant]
		type Lifetime: Get<Moment>;
		/// Blocks for which a stake stays after `retire`, and keys are remembered after a renewal.
		#[pallet::constant]
		type Unbonding: Get<u32>;
		/// What two results of one job cost, as a part of the stake.
		#[pallet::constant]
		type SlashShare: Get<Permill>;
		/// What of that goes to whoever brought the evidence.
		#[pallet::constant]
		type ReporterShare: Get<Permill>;
		/// The most of it that goes back to a client whom the worker owes a price, besides.
		#[pallet::constant]
		type RestitutionShare: Get<Permill>;
		/// Blocks over which missed claims are counted.
		#[pallet::constant]
		type ReliabilityWindow: Get<u32>;
		/// Blocks for which a worker that missed too many takes no new work.
		#[pallet::constant]
		type Suspension: Get<u32>;
		/// What that costs, as a part of the stake.
		#[pallet::constant]
		type MissShare: Get<Permill>;
		/// Workers that one machine may carry at each level. Simulated machines are nobody's, so theirs is large.
		type PlatformRoom: sp_runtime::traits::Convert<Level, u32>;
		/// What each call weighs.
		type WeightInfo: WeightInfo;
	}

	/// Why this pallet holds money.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// A worker's stake.
		Stake,
	}

	#[pallet::storage]
	pub type Workers<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Worker>;

	/// Which account a receipt key belongs to, for as long as evidence may name it.
	#[pallet::storage]
	pub type ReceiptKeys<T: Config> = StorageMap<_, Blake2_128Concat, [u8; 32], T::AccountId>;

	/// The last epoch of every account that ever was a worker: it only grows, through retirement too.
	#[pallet::storage]
	pub type Epochs<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32>;

	/// Workers by the model that they serve, with their least price.
	#[pallet::storage]
	pub type Served<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, H256, Blake2_128Concat, T::AccountId, Balance>;

	/// The same by worker.
	#[pallet::storage]
	pub type Serving<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, H256, ()>;

	/// How many registrations rest on each machine.
	#[pallet::storage]
	pub type Platforms<T: Config> = StorageMap<_, Blake2_128Concat, H256, u32, ValueQuery>;

	/// What a worker was punished for: jobs, and receipts of answers (`answers::about`). One of each, one punishment.
	#[pallet::storage]
	pub type Punished<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, H256, ()>;

	/// How each worker's latest claims ended.
	#[pallet::storage]
	pub type Reliability<T: Config> =
		StorageMap<_, Blake2_128Concat, T::AccountId, crate::types::Reliability, ValueQuery>;

	/// Workers that missed too many claims, and the block from which they may take work again.
	#[pallet::storage]
	pub type SuspendedUntil<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32>;

	/// Workers whose last call that could have ended something did not, and until which block their calls have no
	/// place before others'.
	#[pallet::storage]
	pub type LastUntil<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	// A variant's sentence says what its fields are.
	#[allow(missing_docs)]
	pub enum Event<T: Config> {
		/// A worker may take jobs.
		Registered { worker: T::AccountId, level: Level, measurement: H256, epoch: u32, expires_at: Moment },
		/// A worker has new keys, on the strength of a new quote.
		Renewed { worker: T::AccountId, level: Level, measurement: H256, epoch: u32, expires_at: Moment },
		/// A worker takes no more jobs; its stake is free from block `free_at` on.
		Retired { worker: T::AccountId, free_at: u32 },
		/// A retired worker has its stake back and is forgotten, but for its epoch.
		Withdrawn { worker: T::AccountId },
		/// A worker does jobs of this model from now on, at this price or above.
		Serves { worker: T::AccountId, model: H256, min_price: Balance },
		/// A worker no longer does jobs of this model.
		ServesNoMore { worker: T::AccountId, model: H256 },
		/// A worker signed two results of one job under one key; it lost `slashed` and works no more.
		Equivocated { worker: T::AccountId, job: H256, slashed: Balance },
		/// Governance stopped a worker, or let it work again.
		Banned { worker: T::AccountId, banned: bool },
		/// A worker let too many claims run out: it lost `slashed` to the pot and takes no new work before block `until`.
		Suspended { worker: T::AccountId, until: u32, slashed: Balance },
		/// A worker's stake is whole again.
		ToppedUp { worker: T::AccountId, stake: Balance },
		/// A worker was paid for an output that does not open; it lost `slashed` and works no more.
		Undelivered { worker: T::AccountId, job: H256, slashed: Balance },
		/// A gateway signed two receipts of one id under one key; it lost `slashed` and is trusted no more.
		Contradicted { worker: T::AccountId, receipt_key: [u8; 32], receipt: ReceiptId, slashed: Balance },
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The quote does not bind this chain, account, keys, epoch and block.
		ReportDataMismatch,
		/// The block that the quote names is not one of the last 256.
		BlockTooOld,
		/// The block that the quote names is not an ancestor of this one.
		UnknownBlock,
		/// The receipt key belongs to another worker, or was this one's before.
		ReceiptKeyTaken,
		/// The receipt key did not sign its own registration.
		NoPossession,
		/// The account is not a worker.
		NotRegistered,
		/// The account is a worker already: renew instead.
		AlreadyRegistered,
		/// The epoch is not greater than the account's last one.
		StaleEpoch,
		/// The worker holds claims: finish, release or let them lapse first.
		OpenClaims,
		/// An HPKE key has 32 bytes (X25519) or 1,216 (ML-KEM-768 with X25519).
		BadHpkeKey,
		/// The machine carries as many workers as it may.
		PlatformFull,
		/// The machine is banned.
		PlatformBanned,
		/// The worker retired.
		AlreadyRetired,
		/// The worker has not retired, or its unbonding time is not over.
		StillBonded,
		/// The worker is banned: what is left of its stake is for governance to free.
		Banned,
		/// So many renewals within one unbonding time are not remembered: wait.
		TooManyRenewals,
		/// No model has this id, or it takes no new jobs.
		UnknownModel,
		/// A worker serves at most 32 models.
		TooManyModels,
		/// The worker does not serve this model.
		NotServing,
		/// The receipts are not two results of one job of this chain, nor two of one answer, signed under one key of
		/// this worker.
		NoEvidence,
		/// The worker was punished for this job, or this answer, before.
		AlreadyPunished,
		/// The epoch is so far ahead of the account's last one that few could follow.
		EpochAhead,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(T::EpochDeposit::get() <= T::Stake::get(), "the deposit is what stays of the stake");
			let back = T::ReporterShare::get().deconstruct() + T::RestitutionShare::get().deconstruct();
			assert!(back < 500_000, "a stake could be saved by reporting oneself");
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Register the calling account as a worker, by a quote of its enclave. Holds the stake.
		///
		/// `possession`: the receipt key's signature over what the quote binds
		/// (`proofward_primitives::messages::possession`).
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::register().saturating_add(T::Quotes::verify_quote_weight()))]
		pub fn register(
			origin: OriginFor<T>,
			quote: Quote,
			hpke_key: HpkeKey,
			receipt_key: [u8; 32],
			possession: [u8; 64],
			epoch: u32,
			block: u32,
			endpoint: Endpoint,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(!Workers::<T>::contains_key(&who), Error::<T>::AlreadyRegistered);
			let verified = Self::verify(&who, &quote, &hpke_key, &receipt_key, &possession, epoch, block)?;
			Self::enter(&verified)?;

			// What stayed on hold for the account's epoch is part of the new stake.
			let stake = T::Stake::get();
			let held = crate::registry::on_hold::<T>(&who);
			T::Currency::hold(&HoldReason::Stake.into(), &who, stake.saturating_sub(held))?;
			let worker = Worker {
				level: verified.level,
				root: verified.root,
				measurement: verified.measurement,
				platform: verified.platform,
				hpke_key,
				receipt_key,
				epoch,
				previous: None,
				past_keys: Default::default(),
				endpoint,
				quote_hash: sha2_256(&quote).into(),
				registered_at: Self::now(),
				expires_at: Self::expiry(&verified),
				stake: stake.max(held),
				open_claims: 0,
				served: 0,
				tally: Default::default(),
				retired_at: None,
				banned: false,
			};
			let (level, measurement, expires_at) = (worker.level, worker.measurement, worker.expires_at);
			ReceiptKeys::<T>::insert(receipt_key, &who);
			Epochs::<T>::insert(&who, epoch);
			Workers::<T>::insert(&who, worker);
			Self::deposit_event(Event::Registered { worker: who, level, measurement, epoch, expires_at });
			Ok(())
		}

		/// Change to the keys of a greater epoch, by a new quote. The last epoch's receipts still count, unless the
		/// level or the software changed: an enclave vouches only for what it is itself.
		#[pallet::call_index(1)]
		#[pallet::weight((
			T::WeightInfo::renew().saturating_add(T::Quotes::verify_quote_weight()),
			DispatchClass::Operational,
		))]
		pub fn renew(
			origin: OriginFor<T>,
			quote: Quote,
			hpke_key: HpkeKey,
			receipt_key: [u8; 32],
			possession: [u8; 64],
			epoch: u32,
			block: u32,
			endpoint: Endpoint,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let old = Workers::<T>::get(&who).ok_or(Error::<T>::NotRegistered)?;
			ensure!(old.retired_at.is_none(), Error::<T>::AlreadyRetired);
			let verified = Self::verify(&who, &quote, &hpke_key, &receipt_key, &possession, epoch, block)?;
			if verified.platform != old.platform {
				Self::enter(&verified)?;
				Self::leave(&old.platform);
			}

			let same = (old.level, old.root, old.measurement)
				== (verified.level, verified.root, verified.measurement);
			let previous = PreviousEpoch { epoch: old.epoch, receipt_key: old.receipt_key };
			let mut past_keys = old.past_keys;
			Self::forget_old(&mut past_keys);
			past_keys
				.try_push(PastKey { receipt_key: old.receipt_key, superseded_at: Self::now() })
				.map_err(|_| Error::<T>::TooManyRenewals)?;
			let worker = Worker {
				level: verified.level,
				root: verified.root,
				measurement: verified.measurement,
				platform: verified.platform,
				hpke_key,
				receipt_key,
				epoch,
				previous: same.then_some(previous),
				past_keys,
				endpoint,
				quote_hash: sha2_256(&quote).into(),
				registered_at: Self::now(),
				expires_at: Self::expiry(&verified),
				..old
			};
			let (level, measurement, expires_at) = (worker.level, worker.measurement, worker.expires_at);
			ReceiptKeys::<T>::insert(receipt_key, &who);
			Epochs::<T>::insert(&who, epoch);
			Workers::<T>::insert(&who, worker);
			Self::deposit_event(Event::Renewed { worker: who, level, measurement, epoch, expires_at });
			Ok(())
		}

		/// Leave. Not while claims are open. The stake stays for the unbonding time: see `withdraw`.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::retire())]
		pub fn retire(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let mut worker = Workers::<T>::get(&who).ok_or(Error::<T>::NotRegistered)?;
			ensure!(worker.retired_at.is_none(), Error::<T>::AlreadyRetired);
			ensure!(worker.open_claims == 0, Error::<T>::OpenClaims);
			let now = Self::now();
			worker.retired_at = Some(now);
			for (model, ()) in Serving::<T>::drain_prefix(&who) {
				Served::<T>::remove(model, &who);
			}
			worker.served = 0;
			Workers::<T>::insert(&who, worker);
			let free_at = now.saturating_add(T::Unbonding::get());
			Self::deposit_event(Event::Retired { worker: who, free_at });
			Ok(())
		}

		/// Take the stake back once the unbonding time is over. A small part of it stays on hold for as long as the
		/// chain remembers the account's epoch.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::withdraw())]
		pub fn withdraw(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let worker = Workers::<T>::get(&who).ok_or(Error::<T>::NotRegistered)?;
			let over = |retired: u32| Self::now() >= retired.saturating_add(T::Unbonding::get());
			ensure!(worker.retired_at.is_some_and(over), Error::<T>::StillBonded);
			ensure!(!worker.banned, Error::<T>::Banned);
			let back = worker.stake.saturating_sub(T::EpochDeposit::get());
			T::Currency::release(&HoldReason::Stake.into(), &who, back, Precision::BestEffort)?;
			ReceiptKeys::<T>::remove(worker.receipt_key);
			worker.past_keys.iter().for_each(|past| ReceiptKeys::<T>::remove(past.receipt_key));
			Self::leave(&worker.platform);
			Workers::<T>::remove(&who);
			Reliability::<T>::remove(&who);
			SuspendedUntil::<T>::remove(&who);
			LastUntil::<T>::remove(&who);
			// Each took a part of the stake, so they are few.
			let _ = Punished::<T>::clear_prefix(&who, u32::MAX, None);
			Self::deposit_event(Event::Withdrawn { worker: who });
			Ok(())
		}

		/// Declare that the caller does jobs of this model, at this price or above. Again: change the price.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::serve())]
		pub fn serve(origin: OriginFor<T>, model: H256, min_price: Balance) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let mut worker = Workers::<T>::get(&who).ok_or(Error::<T>::NotRegistered)?;
			ensure!(worker.retired_at.is_none(), Error::<T>::AlreadyRetired);
			let live = T::Models::model(&model).is_some_and(|model| !model.retired);
			ensure!(live, Error::<T>::UnknownModel);
			if !Served::<T>::contains_key(model, &who) {
				ensure!(worker.served < MAX_SERVED, Error::<T>::TooManyModels);
				worker.served += 1;
				Workers::<T>::insert(&who, worker);
				Serving::<T>::insert(&who, model, ());
			}
			Served::<T>::insert(model, &who, min_price);
			Self::deposit_event(Event::Serves { worker: who, model, min_price });
			Ok(())
		}

		/// Take a declaration back. Jobs that were submitted for the caller stay its to do or to decline.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::unserve())]
		pub fn unserve(origin: OriginFor<T>, model: H256) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(Served::<T>::take(model, &who).is_some(), Error::<T>::NotServing);
			Serving::<T>::remove(&who, model);
			Workers::<T>::mutate_extant(&who, |worker| worker.served = worker.served.saturating_sub(1));
			Self::deposit_event(Event::ServesNoMore { worker: who, model });
			Ok(())
		}

		/// Shows that a worker signed two different results of one job under one key. It loses a part of its stake, of
		/// which the caller gets a part and the pot the rest, and works no more until governance lets it.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::report_equivocation())]
		pub fn report_equivocation(
			origin: OriginFor<T>,
			receipt_key: [u8; 32],
			first: Receipt<T::AccountId>,
			first_signature: [u8; 64],
			second: Receipt<T::AccountId>,
			second_signature: [u8; 64],
		) -> DispatchResult {
			let reporter = ensure_signed(origin)?;
			crate::evidence::equivocation::<T>(
				reporter,
				receipt_key,
				(first, first_signature),
				(second, second_signature),
			)
		}

		/// Stop a worker at once, or let it work again. Governance.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::ban())]
		pub fn ban(origin: OriginFor<T>, worker: T::AccountId, banned: bool) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			Workers::<T>::try_mutate(&worker, |record| -> DispatchResult {
				record.as_mut().ok_or(Error::<T>::NotRegistered)?.banned = banned;
				Ok(())
			})?;
			Self::deposit_event(Event::Banned { worker, banned });
			Ok(())
		}

		/// Make the stake whole again after a part of it was lost. With less than half of it a worker takes no jobs.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::top_up())]
		pub fn top_up(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let mut worker = Workers::<T>::get(&who).ok_or(Error::<T>::NotRegistered)?;
			ensure!(worker.retired_at.is_none(), Error::<T>::AlreadyRetired);
			let stake = T::Stake::get().max(worker.stake);
			T::Currency::hold(&HoldReason::Stake.into(), &who, stake - worker.stake)?;
			worker.stake = stake;
			Workers::<T>::insert(&who, worker);
			Self::deposit_event(Event::ToppedUp { worker: who, stake });
			Ok(())
		}

		/// Shows that a gateway signed two different receipts of one id under one key: one of the two callers that hold
		/// them was lied to. It costs what two results of one job cost.
		///
		/// `first` and `second` are the bytes that were signed: receipts of `aci/1` in their canonical form (RFC 8785),
		/// without `signature`.
		#[pallet::call_index(9)]
		#[pallet::weight(T::WeightInfo::report_two_receipts())]
		pub fn report_two_receipts(
			origin: OriginFor<T>,
			receipt_key: [u8; 32],
			first: AnswerReceipt,
			first_signature: [u8; 64],
			second: AnswerReceipt,
			second_signature: [u8; 64],
		) -> DispatchResult {
			let reporter = ensure_signed(origin)?;
			crate::answers::contradiction::<T>(
				reporter,
				receipt_key,
				(&first, first_signature),
				(&second, second_signature),
			)
		}
	}

	impl<T: Config> Pallet<T> {
		pub(crate) fn now() -> u32 {
			frame_system::Pallet::<T>::block_number().saturated_into()
		}

		pub(crate) fn genesis() -> H256 {
			frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::default())
		}

		/// Everything that must hold before anything is written. The cheap checks come first.
		fn verify(
			who: &T::AccountId,
			quote: &[u8],
			hpke_key: &[u8],
			receipt_key: &[u8; 32],
			possession: &[u8; 64],
			epoch: u32,
			block: u32,
		) -> Result<Verified, DispatchError> {
			ensure!([X25519_KEY, HYBRID_KEY].contains(&hpke_key.len()), Error::<T>::BadHpkeKey);
			let last = Epochs::<T>::get(who);
			ensure!(last.is_none_or(|last| epoch > last), Error::<T>::StaleEpoch);
			let jump = epoch.saturating_sub(last.unwrap_or_default());
			ensure!(jump <= MAX_EPOCH_JUMP, Error::<T>::EpochAhead);
			ensure!(!ReceiptKeys::<T>::contains_key(receipt_key), Error::<T>::ReceiptKeyTaken);
			let block_hash = Self::recent_block(block)?;
			let expected =
				worker_report_data(&Self::genesis(), who, hpke_key, receipt_key, epoch, &block_hash);
			ensure!(possesses(receipt_key, &expected, possession), Error::<T>::NoPossession);

			let verified = T::Quotes::verify_quote(quote)?;
			ensure!(verified.report_data == expected, Error::<T>::ReportDataMismatch);
			ensure!(!T::Trust::platform_banned(&verified.platform), Error::<T>::PlatformBanned);
			Ok(verified)
		}

		/// Counts one more worker on a machine, if there is room.
		fn enter(verified: &Verified) -> DispatchResult {
			use sp_runtime::traits::Convert;
			Platforms::<T>::try_mutate(verified.platform, |workers| {
				ensure!(*workers < T::PlatformRoom::convert(verified.level), Error::<T>::PlatformFull);
				*workers += 1;
				Ok(())
			})
		}

		fn leave(platform: &H256) {
			Platforms::<T>::mutate_exists(platform, |workers| {
				*workers = workers.and_then(|workers| workers.checked_sub(1)).filter(|left| *left > 0);
			});
		}

		/// Lets go of keys that no evidence may name any more.
		fn forget_old(past_keys: &mut BoundedVec<PastKey, ConstU32<MAX_KEYS>>) {
			let now = Self::now();
			past_keys.retain(|past| {
				let kept = now < past.superseded_at.saturating_add(T::Unbonding::get());
				if !kept {
					ReceiptKeys::<T>::remove(past.receipt_key);
				}
				kept
			});
		}

		/// The hash of one of the last 256 blocks.
		fn recent_block(block: u32) -> Result<H256, Error<T>> {
			let now = Self::now();
			ensure!(block < now, Error::<T>::UnknownBlock);
			ensure!(now - block <= MAX_BLOCK_AGE, Error::<T>::BlockTooOld);
			let hash = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(block));
			ensure!(hash != H256::default(), Error::<T>::UnknownBlock);
			Ok(hash)
		}

		fn expiry(verified: &Verified) -> Moment {
			T::Time::now().saturating_add(T::Lifetime::get()).min(verified.collateral_expires_at)
		}

		/// What holds between any two calls: stakes are held, keys lead to their workers, machines carry whom they
		/// are said to carry, declarations stand in both indices, epochs never lag.
		pub fn do_try_state() -> Result<(), TryRuntimeError> {
			let mut platforms = alloc::collections::BTreeMap::<H256, u32>::new();
			let mut keys = 0;
			for (who, worker) in Workers::<T>::iter() {
				ensure!(crate::registry::on_hold::<T>(&who) == worker.stake, "a stake is not what is held");
				ensure!(Epochs::<T>::get(&who) == Some(worker.epoch), "an epoch is not the last one");
				let own = worker.past_keys.iter().map(|past| past.receipt_key).chain([worker.receipt_key]);
				for key in own {
					keys += 1;
					ensure!(ReceiptKeys::<T>::get(key).as_ref() == Some(&who), "a key leads elsewhere");
				}
				let served = Serving::<T>::iter_key_prefix(&who).count();
				ensure!(served == worker.served as usize, "a worker serves another number of models");
				for model in Serving::<T>::iter_key_prefix(&who) {
					ensure!(Served::<T>::contains_key(model, &who), "a declaration stands in one index only");
				}
				*platforms.entry(worker.platform).or_default() += 1;
			}
			ensure!(ReceiptKeys::<T>::iter().count() == keys, "a key has no worker");
			ensure!(
				Served::<T>::iter_keys().all(|(model, who)| Serving::<T>::contains_key(who, model)),
				"a declaration stands in one index only"
			);
			let known = |who: &T::AccountId| Workers::<T>::contains_key(who);
			ensure!(Reliability::<T>::iter_keys().all(|who| known(&who)), "a record of claims has no worker");
			ensure!(SuspendedUntil::<T>::iter_keys().all(|who| known(&who)), "nobody is suspended");
			ensure!(platforms == Platforms::<T>::iter().collect(), "machines carry other numbers of workers");
			Ok(())
		}
	}
}
