//! # Attestation
//!
//! Decides what a TDX quote is worth: which root it ends in (and so its level), whether the platform's trusted
//! computing base is good enough, and whether the software it measures is on the allow-list.
//!
//! Collateral (Intel's signed statements about a family of platforms) lives on the chain, so that a verdict depends
//! on nothing outside it. Anyone may refresh it with a quote of that family; it never becomes older.
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
		frame_support::{pallet_prelude::*, traits::Time},
		frame_system::pallet_prelude::*,
		sp_core::H256,
		sp_io::hashing::sha2_256,
	};
	use proofward_primitives::{
		traits::TrustList, Level, Moment, QuoteVerifier as QuoteVerifierTrait, Verified,
	};

	use crate::{
		quotes::{self, ParsedQuote, Refusal},
		types::*,
		WeightInfo,
	};

	/// Intel's SGX Root CA, which signs TDX platforms too. In every genesis, whatever the preset says.
	const INTEL_ROOT: &str = include_str!("../../../roots/intel_sgx_root.hex");

	#[pallet::pallet]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// The chain's clock, in milliseconds since the Unix epoch.
		type Time: Time<Moment = Moment>;
		type WeightInfo: WeightInfo;
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
		CountedStorageMap<_, Blake2_128Concat, (H256, [u8; 6], PckAuthority), StoredCollateral>;

	#[pallet::genesis_config]
	pub struct GenesisConfig<T: Config> {
		/// Roots besides Intel's.
		pub roots: Vec<GenesisRoot>,
		pub measurements: Vec<GenesisMeasurement>,
		pub policy: TcbPolicy,
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
		/// No room for another root.
		TooManyRoots,
		/// No room for another measurement.
		TooManyMeasurements,
		/// No room for another family of platforms.
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
				Refusal::NotTdx => Self::NotTdx,
				Refusal::DebugTd => Self::DebugTd,
				Refusal::QuoteRejected => Self::QuoteRejected,
				Refusal::TcbNotAllowed => Self::TcbNotAllowed,
			}
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Trust quotes whose chain ends in this certificate (X.509, DER), at this level. Root origin.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::add_root())]
		pub fn add_root(origin: OriginFor<T>, der: RootDer, level: Level) -> DispatchResult {
			ensure_root(origin)?;
			let root = H256(sha2_256(&der));
			ensure!(!Roots::<T>::contains_key(root), Error::<T>::RootExists);
			ensure!(Roots::<T>::count() < MAX_ROOTS, Error::<T>::TooManyRoots);
			Roots::<T>::insert(root, Root { level, der });
			Self::deposit_event(Event::RootAdded { root, level });
			Ok(())
		}

		/// Trust this root no more; workers that registered under it stop counting at once. Root origin.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::remove_root())]
		pub fn remove_root(origin: OriginFor<T>, root: H256) -> DispatchResult {
			ensure_root(origin)?;
			ensure!(Roots::<T>::take(root).is_some(), Error::<T>::NoSuchRoot);
			Self::deposit_event(Event::RootRemoved { root });
			Ok(())
		}

		/// Let software with this measurement work. Root origin.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::allow_measurement())]
		pub fn allow_measurement(origin: OriginFor<T>, measurement: H256, label: Label) -> DispatchResult {
			ensure_root(origin)?;
			let room = Measurements::<T>::count() < MAX_MEASUREMENTS;
			ensure!(room || Measurements::<T>::contains_key(measurement), Error::<T>::TooManyMeasurements);
			Measurements::<T>::insert(measurement, &label);
			Self::deposit_event(Event::MeasurementAllowed { measurement, label });
			Ok(())
		}

		/// Let software with this measurement work no more; its workers stop counting at once. Root origin.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::disallow_measurement())]
		pub fn disallow_measurement(origin: OriginFor<T>, measurement: H256) -> DispatchResult {
			ensure_root(origin)?;
			ensure!(Measurements::<T>::take(measurement).is_some(), Error::<T>::NoSuchMeasurement);
			Self::deposit_event(Event::MeasurementDisallowed { measurement });
			Ok(())
		}

		/// Set the demands on platforms; they apply from the next quote on. Root origin.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::set_policy())]
		pub fn set_policy(origin: OriginFor<T>, policy: TcbPolicy) -> DispatchResult {
			ensure_root(origin)?;
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
			ensure_signed(origin)?;
			let quote = ParsedQuote::parse(&quote).map_err(Error::<T>::from)?;
			let root = Roots::<T>::get(quote.claimed_root).ok_or(Error::<T>::UnknownRoot)?;
			let decoded = quotes::decode_collateral(&collateral).map_err(Error::<T>::from)?;
			let claims = quote.verify(&root, &decoded, Self::seconds()).map_err(Error::<T>::from)?;
			let freshness = quotes::freshness(&decoded, &claims).map_err(Error::<T>::from)?;

			let key = (quote.claimed_root, quote.fmspc, quote.authority);
			match Collateral::<T>::get(key) {
				Some(stored) => {
					ensure!(!freshness.older_than(&stored.freshness), Error::<T>::CollateralOlder)
				}
				None => ensure!(Collateral::<T>::count() < MAX_PLATFORMS, Error::<T>::TooManyPlatforms),
			}
			let encoded = CollateralBytes::try_from(quotes::encode_collateral(&decoded))
				.map_err(|_| Error::<T>::MalformedCollateral)?;
			let expires_at = claims.earliest_expiration_date.saturating_mul(1_000);
			Collateral::<T>::insert(key, StoredCollateral { encoded, freshness, expires_at });
			Self::deposit_event(Event::CollateralRefreshed {
				root: quote.claimed_root,
				fmspc: quote.fmspc,
				authority: quote.authority,
				expires_at,
			});
			Ok(())
		}
	}

	impl<T: Config> Pallet<T> {
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
	}
}
