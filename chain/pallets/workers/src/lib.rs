//! # Workers
//!
//! Who may work. A registration rests on a quote whose `report_data` binds this chain, this account, this enclave's
//! two keys, their epoch and a recent block: nobody else's quote, no other chain's and no old one fits. The level
//! (`simulated` or `hardware`) is that of the root that verified the quote.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod registry;
pub mod types;
pub mod weights;

#[cfg(test)]
mod tests;

pub use pallet::*;
pub use weights::WeightInfo;

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
		sp_runtime::traits::SaturatedConversion,
		*,
	};
	use proofward_primitives::{
		messages::worker_report_data, traits::TrustList, Level, Moment, QuoteVerifier, Verified,
	};

	use crate::{types::*, WeightInfo};

	#[pallet::pallet]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config:
		polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>, Hash = H256>
	{
		type RuntimeHoldReason: From<HoldReason>;
		type Currency: Inspect<Self::AccountId, Balance = u128>
			+ MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;
		type Quotes: QuoteVerifier;
		type Trust: TrustList;
		/// The chain's clock, in milliseconds since the Unix epoch.
		type Time: Time<Moment = Moment>;
		/// Held from every worker while it is registered.
		#[pallet::constant]
		type Stake: Get<u128>;
		/// Milliseconds that a registration lasts, if its collateral lasts as long.
		#[pallet::constant]
		type Lifetime: Get<Moment>;
		type WeightInfo: WeightInfo;
	}

	#[pallet::composite_enum]
	pub enum HoldReason {
		/// A worker's stake.
		Stake,
	}

	#[pallet::storage]
	pub type Workers<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Worker>;

	/// Which account a receipt key belongs to, for ever: a key once used is never free for another.
	#[pallet::storage]
	pub type ReceiptKeys<T: Config> = StorageMap<_, Blake2_128Concat, [u8; 32], T::AccountId>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A worker may take jobs.
		Registered { worker: T::AccountId, level: Level, measurement: H256, epoch: u32, expires_at: Moment },
		/// A worker has new keys, on the strength of a new quote.
		Renewed { worker: T::AccountId, level: Level, measurement: H256, epoch: u32, expires_at: Moment },
		/// A worker left and has its stake back.
		Retired { worker: T::AccountId },
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The quote does not bind this chain, account, keys, epoch and block.
		ReportDataMismatch,
		/// The block that the quote names is not one of the last 256.
		BlockTooOld,
		/// The block that the quote names is not an ancestor of this one.
		UnknownBlock,
		/// The receipt key belongs to another worker.
		ReceiptKeyTaken,
		/// The account is not a worker.
		NotRegistered,
		/// The account is a worker already: renew instead.
		AlreadyRegistered,
		/// The epoch is not greater than the present one.
		StaleEpoch,
		/// The worker holds claims: finish, release or let them lapse first.
		OpenClaims,
		/// An HPKE key has 32 bytes (X25519) or 1,216 (ML-KEM-768 with X25519).
		BadHpkeKey,
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Register the calling account as a worker, by a quote of its enclave. Holds the stake.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::register().saturating_add(T::Quotes::verify_quote_weight()))]
		pub fn register(
			origin: OriginFor<T>,
			quote: Quote,
			hpke_key: HpkeKey,
			receipt_key: [u8; 32],
			epoch: u32,
			block: u32,
			endpoint: Endpoint,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(!Workers::<T>::contains_key(&who), Error::<T>::AlreadyRegistered);
			let verified = Self::verify(&who, &quote, &hpke_key, &receipt_key, epoch, block)?;

			let stake = T::Stake::get();
			T::Currency::hold(&HoldReason::Stake.into(), &who, stake)?;
			let worker = Worker {
				level: verified.level,
				root: verified.root,
				measurement: verified.measurement,
				hpke_key,
				receipt_key,
				epoch,
				previous: None,
				endpoint,
				quote_hash: sha2_256(&quote).into(),
				registered_at: Self::now(),
				expires_at: Self::expiry(&verified),
				stake,
				open_claims: 0,
			};
			let (level, measurement, expires_at) = (worker.level, worker.measurement, worker.expires_at);
			ReceiptKeys::<T>::insert(receipt_key, &who);
			Workers::<T>::insert(&who, worker);
			Self::deposit_event(Event::Registered { worker: who, level, measurement, epoch, expires_at });
			Ok(())
		}

		/// Change to the keys of a greater epoch, by a new quote. The last epoch's receipts still count, unless the
		/// level or the software changed: an enclave vouches only for what it is itself.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::renew().saturating_add(T::Quotes::verify_quote_weight()))]
		pub fn renew(
			origin: OriginFor<T>,
			quote: Quote,
			hpke_key: HpkeKey,
			receipt_key: [u8; 32],
			epoch: u32,
			block: u32,
			endpoint: Endpoint,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let old = Workers::<T>::get(&who).ok_or(Error::<T>::NotRegistered)?;
			ensure!(epoch > old.epoch, Error::<T>::StaleEpoch);
			let verified = Self::verify(&who, &quote, &hpke_key, &receipt_key, epoch, block)?;

			let same = (old.level, old.root, old.measurement)
				== (verified.level, verified.root, verified.measurement);
			let previous = PreviousEpoch { epoch: old.epoch, receipt_key: old.receipt_key };
			let worker = Worker {
				level: verified.level,
				root: verified.root,
				measurement: verified.measurement,
				hpke_key,
				receipt_key,
				epoch,
				previous: same.then_some(previous),
				endpoint,
				quote_hash: sha2_256(&quote).into(),
				registered_at: Self::now(),
				expires_at: Self::expiry(&verified),
				..old
			};
			let (level, measurement, expires_at) = (worker.level, worker.measurement, worker.expires_at);
			ReceiptKeys::<T>::insert(receipt_key, &who);
			Workers::<T>::insert(&who, worker);
			Self::deposit_event(Event::Renewed { worker: who, level, measurement, epoch, expires_at });
			Ok(())
		}

		/// Leave, and take the stake back. Not while claims are open.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::retire())]
		pub fn retire(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let worker = Workers::<T>::get(&who).ok_or(Error::<T>::NotRegistered)?;
			ensure!(worker.open_claims == 0, Error::<T>::OpenClaims);
			T::Currency::release(&HoldReason::Stake.into(), &who, worker.stake, Precision::BestEffort)?;
			Workers::<T>::remove(&who);
			Self::deposit_event(Event::Retired { worker: who });
			Ok(())
		}
	}

	impl<T: Config> Pallet<T> {
		pub(crate) fn now() -> u32 {
			frame_system::Pallet::<T>::block_number().saturated_into()
		}

		/// Everything that must hold before anything is written. The cheap checks come first.
		fn verify(
			who: &T::AccountId,
			quote: &[u8],
			hpke_key: &[u8],
			receipt_key: &[u8; 32],
			epoch: u32,
			block: u32,
		) -> Result<Verified, DispatchError> {
			ensure!([X25519_KEY, HYBRID_KEY].contains(&hpke_key.len()), Error::<T>::BadHpkeKey);
			let owner = ReceiptKeys::<T>::get(receipt_key);
			ensure!(owner.is_none_or(|owner| owner == *who), Error::<T>::ReceiptKeyTaken);
			let block_hash = Self::recent_block(block)?;

			let verified = T::Quotes::verify_quote(quote)?;
			let genesis = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::default());
			let expected = worker_report_data(&genesis, who, hpke_key, receipt_key, epoch, &block_hash);
			ensure!(verified.report_data == expected, Error::<T>::ReportDataMismatch);
			Ok(verified)
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
	}
}
