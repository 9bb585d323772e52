//! # Attestation
//!
//! Decides what a TDX quote is worth: which root it ends in (and so its level), whether the platform's trusted
//! computing base is good enough, and whether the software it measures is on the allow-list.
//!
//! Collateral (Intel's signed statements about a family of platforms) lives on the chain, so that a verdict depends
//! on nothing outside it. Anyone may refresh it with a quote of that family; it never becomes older, never leaps ahead,
//! and has one encoding, without a byte that nothing verifies. Each root has room for so many families.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod quotes;
pub mod types;
pub mod weights;

#[cfg(test)]
mod tests;

pub use pallet::*;
pub use weights::WeightInfo;

#[polkadot_sdk::frame_support::pallet]
pub mod pallet {
	use alloc::vec::Vec;
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
		sp_runtime::TryRuntimeError,
	};
	use proofward_primitives::{
		traits::TrustList, Balance, Level, Moment, QuoteVerifier as QuoteVerifierTrait, Verified,
	};

	use crate::{
		quotes::{self, ParsedQuote, Refusal},
		types::*,
		WeightInfo,
	};

	/// Intel's SGX Root CA, which signs TDX platforms too. In every genesis, whatever the preset says.
	const INTEL_ROOT: &str = include_str!("../../../roots/intel_sgx_root.hex");

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	/// Of this pallet's storage; a migration raises it.
	pub const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	#[pallet::config]
	pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// The runtime's reasons to hold money, this pallet's among them.
		type RuntimeHoldReason: From<HoldReason>;
		/// What is held, and paid.
		type Currency: Inspect<Self::AccountId, Balance = Balance>
			+ MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;
		/// Who decides what is trusted.
		type Governance: EnsureOrigin<Self::RuntimeOrigin>;
		/// Held from whoever brings the first collateral of a family of platforms, until it is dropped.
		#[pallet::constant]
		type CollateralDeposit: Get<Balance>;
		/// Most families of platforms with collateral on the chain, under one root.
		#[pallet::constant]
		type MaxFamilies: Get<u32>;
		/// The chain's clock, in milliseconds since the Unix epoch.
		type Time: Time<Moment = Moment>;
		/// What each call weighs.
		type WeightInfo: WeightInfo;
	}

	/// Why this pallet holds money.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// For a family of platforms whose collateral is on the chain.
		Collateral,
	}

	/// Trust roots by the SHA-256 of their DER.
	#[pallet::storage]
	pub type Roots<T: Config> = CountedStorageMap<_, Identity, H256, Root>;

	/// The allow-list: which software may work, with a label for readers.
	#[pallet::storage]
	pub type Measurements<T: Config> = CountedStorageMap<_, Identity, H256, Label>;

	/// Which platforms are good enough.
	#[pallet::storage]
	pub type Policy<T: Config> = StorageValue<_, TcbPolicy, ValueQuery>;

	/// Collateral by root, family of platforms (FMSPC) and certificate authority.
	#[pallet::storage]
	pub type Collateral<T: Config> =
		StorageMap<_, Blake2_128Concat, CollateralKey, StoredCollateral<T::AccountId>>;

	/// How many families of platforms have collateral under each root.
	#[pallet::storage]
	pub type Families<T: Config> = StorageMap<_, Identity, H256, u32, ValueQuery>;

	/// Machines whose quotes count for nothing, by the SHA-256 of their identifier.
	#[pallet::storage]
	pub type BannedPlatforms<T: Config> = StorageMap<_, Identity, H256, ()>;

	#[pallet::genesis_config]
	pub struct GenesisConfig<T: Config> {
		/// Roots besides Intel's.
		pub roots: Vec<GenesisRoot>,
		/// The allow-list that the chain begins with.
		pub measurements: Vec<GenesisMeasurement>,
		/// Which platforms are good enough at first.
		pub policy: TcbPolicy,
		/// Ties the type to a runtime; holds nothing.
		#[serde(skip)]
		pub _marker: PhantomData<T>,
	}

	impl<T: Config> Default for GenesisConfig<T> {
		fn default() -> Self {
			Self {
				roots: Vec::new(),
				measurements: Vec::new(),
				policy: TcbPolicy::default(),
				_marker: PhantomData,
			}
		}
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			let intel = (Level::Hardware, INTEL_ROOT.into());
			for (level, der) in core::iter::once(&intel).chain(&self.roots) {
				let der = hex::decode(der.trim()).expect("a root in the genesis file is not hexadecimal");
				let der = RootDer::try_from(der).expect("a root in the genesis file is too long");
				Roots::<T>::insert(H256(sha2_256(&der)), Root { level: *level, der });
			}
			for (measurement, label) in &self.measurements {
				let label = Label::try_from(label.clone()).expect("a label in the genesis file is too long");
				Measurements::<T>::insert(measurement, label);
			}
			Policy::<T>::put(&self.policy);
		}
	}

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	// A variant's sentence says what its fields are.
	#[allow(missing_docs)]
	pub enum Event<T: Config> {
		/// Quotes under this root now count, at this level.
		RootAdded { root: H256, level: Level },
		/// Quotes under this root no longer count, nor do workers that were registered by one.
		RootRemoved { root: H256 },
		/// Software with this measurement may work.
		MeasurementAllowed { measurement: H256, label: Label },
		/// Software with this measurement may no longer work, nor do workers that run it count.
		MeasurementDisallowed { measurement: H256 },
		/// The demands on platforms changed.
		PolicySet { policy: TcbPolicy },
		/// Newer (or the same) collateral is on the chain for a family of platforms.
		CollateralRefreshed { root: H256, fmspc: [u8; 6], authority: PckAuthority, expires_at: Moment },
		/// A family of platforms has no collateral any more; the deposit went back.
		CollateralDropped { root: H256, fmspc: [u8; 6], authority: PckAuthority },
		/// Governance struck a machine off, or took it back.
		PlatformBanned { platform: H256, banned: bool },
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The bytes are no quote with a certificate chain of the platform in it.
		MalformedQuote,
		/// The bytes are no collateral, or one of its documents cannot be read.
		MalformedCollateral,
		/// Only TDX quotes (versions 4 and 5) are taken.
		NotTdx,
		/// The trust domain is in debug mode: its host can read its memory.
		DebugTd,
		/// The quote's certificate chain ends in a root that this chain does not trust.
		UnknownRoot,
		/// No collateral for this family of platforms: call `refresh_collateral` first.
		NoCollateral,
		/// The stored collateral ran out: call `refresh_collateral` first.
		CollateralExpired,
		/// A signature, certificate, revocation list or validity period does not hold.
		QuoteRejected,
		/// The platform is genuine, but its trusted computing base is not what the policy demands.
		TcbNotAllowed,
		/// The software that the quote measures is not on the allow-list.
		MeasurementNotAllowed,
		/// Part of the collateral is older than what is stored.
		CollateralOlder,
		/// A number of the collateral is so far ahead of what is stored that no later one could follow.
		CollateralJump,
		/// The collateral holds more than what is verified: bytes behind a certificate or a revocation list.
		CollateralNotCanonical,
		/// There is no such collateral, or it is of use still.
		CollateralInUse,
		/// No room for another root.
		TooManyRoots,
		/// No room for another measurement.
		TooManyMeasurements,
		/// This root has no room for another family of platforms.
		TooManyPlatforms,
		/// There is no such root, or it is there already.
		RootExists,
		/// There is no such root.
		NoSuchRoot,
		/// There is no such measurement on the allow-list.
		NoSuchMeasurement,
	}

	impl<T> From<Refusal> for Error<T> {
		fn from(refusal: Refusal) -> Self {
			match refusal {
				Refusal::MalformedQuote => Self::MalformedQuote,
				Refusal::MalformedCollateral => Self::MalformedCollateral,
				Refusal::CollateralNotCanonical => Self::CollateralNotCanonical,
				Refusal::NotTdx => Self::NotTdx,
				Refusal::DebugTd => Self::DebugTd,
				Refusal::QuoteRejected => Self::QuoteRejected,
				Refusal::TcbNotAllowed => Self::TcbNotAllowed,
			}
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Trust quotes whose chain ends in this certificate (X.509, DER), at this level. Governance.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::add_root())]
		pub fn add_root(origin: OriginFor<T>, der: RootDer, level: Level) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			let root = H256(sha2_256(&der));
			ensure!(!Roots::<T>::contains_key(root), Error::<T>::RootExists);
			ensure!(Roots::<T>::count() < MAX_ROOTS, Error::<T>::TooManyRoots);
			Roots::<T>::insert(root, Root { level, der });
			Self::deposit_event(Event::RootAdded { root, level });
			Ok(())
		}

		/// Trust this root no more; workers that registered under it stop counting at once. Governance.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::remove_root())]
		pub fn remove_root(origin: OriginFor<T>, root: H256) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			ensure!(Roots::<T>::take(root).is_some(), Error::<T>::NoSuchRoot);
			Self::deposit_event(Event::RootRemoved { root });
			Ok(())
		}

		/// Let software with this measurement work. Governance.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::allow_measurement())]
		pub fn allow_measurement(origin: OriginFor<T>, measurement: H256, label: Label) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			let room = Measurements::<T>::count() < MAX_MEASUREMENTS;
			ensure!(room || Measurements::<T>::contains_key(measurement), Error::<T>::TooManyMeasurements);
			Measurements::<T>::insert(measurement, &label);
			Self::deposit_event(Event::MeasurementAllowed { measurement, label });
			Ok(())
		}

		/// Let software with this measurement work no more; its workers stop counting at once. Governance.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::disallow_measurement())]
		pub fn disallow_measurement(origin: OriginFor<T>, measurement: H256) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			ensure!(Measurements::<T>::take(measurement).is_some(), Error::<T>::NoSuchMeasurement);
			Self::deposit_event(Event::MeasurementDisallowed { measurement });
			Ok(())
		}

		/// Set the demands on platforms; they apply from the next quote on. Governance.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::set_policy())]
		pub fn set_policy(origin: OriginFor<T>, policy: TcbPolicy) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			Policy::<T>::put(&policy);
			Self::deposit_event(Event::PolicySet { policy });
			Ok(())
		}

		/// Store collateral for the family of platforms that `quote` comes from. Anyone may: it is verified as a
		/// whole against that quote, and no part of it may be older than what is stored.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::refresh_collateral())]
		pub fn refresh_collateral(
			origin: OriginFor<T>,
			quote: Quote,
			collateral: CollateralBytes,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let quote = ParsedQuote::parse(&quote).map_err(Error::<T>::from)?;
			let root = Roots::<T>::get(quote.claimed_root).ok_or(Error::<T>::UnknownRoot)?;
			let decoded = quotes::decode_collateral(&collateral).map_err(Error::<T>::from)?;
			let claims = quote.verify(&root, &decoded, Self::seconds()).map_err(Error::<T>::from)?;
			let freshness = quotes::freshness(&decoded, &claims).map_err(Error::<T>::from)?;

			let key = (quote.claimed_root, quote.fmspc, quote.authority);
			let depositor = match Collateral::<T>::get(key) {
				Some(stored) => {
					ensure!(!freshness.older_than(&stored.freshness), Error::<T>::CollateralOlder);
					ensure!(freshness.follows(&stored.freshness), Error::<T>::CollateralJump);
					stored.depositor
				}
				None => {
					ensure!(freshness.may_be_first(), Error::<T>::CollateralJump);
					let families = Families::<T>::get(quote.claimed_root);
					ensure!(families < T::MaxFamilies::get(), Error::<T>::TooManyPlatforms);
					Families::<T>::insert(quote.claimed_root, families + 1);
					T::Currency::hold(&HoldReason::Collateral.into(), &who, T::CollateralDeposit::get())?;
					Depositor { account: who, deposit: T::CollateralDeposit::get() }
				}
			};
			let encoded = CollateralBytes::try_from(quotes::encode_collateral(&decoded))
				.map_err(|_| Error::<T>::MalformedCollateral)?;
			let expires_at = claims.earliest_expiration_date.saturating_mul(1_000);
			Collateral::<T>::insert(key, StoredCollateral { encoded, freshness, expires_at, depositor });
			Self::deposit_event(Event::CollateralRefreshed {
				root: quote.claimed_root,
				fmspc: quote.fmspc,
				authority: quote.authority,
				expires_at,
			});
			Ok(())
		}

		/// Take collateral out of state that is of no use any more, because its root is not trusted or because it ran
		/// out a month ago, and give the deposit back. For anyone to call.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::drop_collateral())]
		pub fn drop_collateral(
			origin: OriginFor<T>,
			root: H256,
			fmspc: [u8; 6],
			authority: PckAuthority,
		) -> DispatchResult {
			ensure_signed(origin)?;
			let key = (root, fmspc, authority);
			let stored = Collateral::<T>::get(key).ok_or(Error::<T>::NoCollateral)?;
			let over = T::Time::now() > stored.expires_at.saturating_add(COLLATERAL_GRACE);
			ensure!(over || !Roots::<T>::contains_key(root), Error::<T>::CollateralInUse);
			Self::drop_entry(key, stored)
		}

		/// Take collateral out of state at once, whatever its numbers, so that the next one starts afresh. Governance.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::reset_collateral())]
		pub fn reset_collateral(
			origin: OriginFor<T>,
			root: H256,
			fmspc: [u8; 6],
			authority: PckAuthority,
		) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			let key = (root, fmspc, authority);
			let stored = Collateral::<T>::get(key).ok_or(Error::<T>::NoCollateral)?;
			Self::drop_entry(key, stored)
		}

		/// Strike one machine off, or take it back: its workers and its setups stop counting at once. Governance.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::ban_platform())]
		pub fn ban_platform(origin: OriginFor<T>, platform: H256, banned: bool) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			if banned {
				BannedPlatforms::<T>::insert(platform, ());
			} else {
				BannedPlatforms::<T>::remove(platform);
			}
			Self::deposit_event(Event::PlatformBanned { platform, banned });
			Ok(())
		}
	}

	impl<T: Config> Pallet<T> {
		fn drop_entry(key: CollateralKey, stored: StoredCollateral<T::AccountId>) -> DispatchResult {
			let (root, fmspc, authority) = key;
			let Depositor { account, deposit } = stored.depositor;
			T::Currency::release(&HoldReason::Collateral.into(), &account, deposit, Precision::BestEffort)?;
			Collateral::<T>::remove(key);
			Families::<T>::mutate_exists(root, |families| {
				*families = families.and_then(|count| count.checked_sub(1)).filter(|left| *left > 0);
			});
			Self::deposit_event(Event::CollateralDropped { root, fmspc, authority });
			Ok(())
		}

		/// What holds between any two calls: roots are filed under their hashes, families are counted, collateral is
		/// in its one encoding.
		pub fn do_try_state() -> Result<(), TryRuntimeError> {
			for (hash, root) in Roots::<T>::iter() {
				ensure!(H256(sha2_256(&root.der)) == hash, "a root is filed under another hash");
			}
			let mut families = alloc::collections::BTreeMap::<H256, u32>::new();
			for ((root, ..), stored) in Collateral::<T>::iter() {
				*families.entry(root).or_default() += 1;
				let decoded = quotes::decode_collateral(&stored.encoded)
					.map_err(|_| "stored collateral is not canonical")?;
				ensure!(quotes::encode_collateral(&decoded) == stored.encoded.to_vec(), "two encodings");
			}
			ensure!(families == Families::<T>::iter().collect(), "families are miscounted");
			ensure!(
				families.values().all(|count| *count <= T::MaxFamilies::get()),
				"a root has too many families"
			);
			Ok(())
		}

		fn seconds() -> u64 {
			T::Time::now() / 1_000
		}

		fn verify(bytes: &[u8]) -> Result<Verified, Error<T>> {
			ensure!(bytes.len() <= MAX_QUOTE as usize, Error::<T>::MalformedQuote);
			let quote = ParsedQuote::parse(bytes)?;
			let root = Roots::<T>::get(quote.claimed_root).ok_or(Error::<T>::UnknownRoot)?;
			let key = (quote.claimed_root, quote.fmspc, quote.authority);
			let stored = Collateral::<T>::get(key).ok_or(Error::<T>::NoCollateral)?;
			let now = T::Time::now();
			ensure!(stored.expires_at >= now, Error::<T>::CollateralExpired);

			let collateral = quotes::decode_collateral(&stored.encoded)?;
			let claims = quote.verify(&root, &collateral, now / 1_000)?;
			quotes::judge(&claims, &Policy::<T>::get(), now / 1_000)?;
			let (measurement, report_data) = quotes::identity(&claims)?;
			ensure!(Measurements::<T>::contains_key(measurement), Error::<T>::MeasurementNotAllowed);
			Ok(Verified {
				level: root.level,
				root: quote.claimed_root,
				measurement,
				platform: sha2_256(&claims.platform.pck.ppid).into(),
				report_data,
				collateral_expires_at: claims.earliest_expiration_date.saturating_mul(1_000),
			})
		}
	}

	impl<T: Config> QuoteVerifierTrait for Pallet<T> {
		fn verify_quote(quote: &[u8]) -> Result<Verified, DispatchError> {
			Self::verify(quote).map_err(Into::into)
		}

		fn verify_quote_weight() -> Weight {
			T::WeightInfo::verify_quote()
		}
	}

	impl<T: Config> TrustList for Pallet<T> {
		fn trusted(root: &H256, measurement: &H256) -> bool {
			Roots::<T>::contains_key(root) && Measurements::<T>::contains_key(measurement)
		}

		fn platform_banned(platform: &H256) -> bool {
			BannedPlatforms::<T>::contains_key(platform)
		}
	}
}
