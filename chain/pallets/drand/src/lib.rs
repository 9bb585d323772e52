//! drand's pulses: randomness that no author of a block can bend.
//!
//! A network of drand signs a number, the round, every few seconds; no one of its members can make the signature alone,
//! and there is one valid signature for each round. Anyone posts it here, the chain checks it, and what is drawn is its
//! hash. Which round counts for a commitment is fixed before that round is made: [`types::Network::round_after`].
//!
//! - An author can keep a pulse out of its own block and choose no other, so `choices` of a draw is 1.
//! - The last [`types::KEPT`] rounds are kept, each in the place of an older one: state does not grow.
//! - The members of drand's network, more than half of them together, know pulses before they are made.
//! - [`types::LOCAL`]'s secret is known to everybody. A consortium's chain refuses it.
#![cfg_attr(not(feature = "std"), no_std)]

pub mod signature;
pub mod types;
pub mod weights;

#[cfg(test)]
mod tests;

use polkadot_sdk::{frame_support, sp_core};
use sp_core::H256;

pub use pallet::*;
pub use weights::WeightInfo;

/// The pallet.
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::types::*;
	use frame_support::{pallet_prelude::*, traits::UnixTime};
	use polkadot_sdk::frame_system::pallet_prelude::*;
	use proofward_primitives::{Beacon, Draw};

	/// The pallet's type.
	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	/// Of this pallet's storage; a migration raises it.
	pub const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	/// What the runtime fixes.
	#[pallet::config]
	pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Who names the network.
		type Governance: EnsureOrigin<Self::RuntimeOrigin>;
		/// The chain's clock.
		type Time: UnixTime;
		/// Whether pulses that anybody can make may count.
		type LocalAllowed: Get<bool>;
		/// What calls cost.
		type WeightInfo: WeightInfo;
	}

	/// The network whose pulses count.
	#[pallet::storage]
	pub type NetworkOf<T: Config> = StorageValue<_, Network, OptionQuery>;

	/// How many networks there were before it: pulses of those count no more.
	#[pallet::storage]
	pub type Before<T: Config> = StorageValue<_, u32, ValueQuery>;

	/// The last pulses, by the remainder of their rounds.
	#[pallet::storage]
	pub type Pulses<T: Config> = StorageMap<_, Twox64Concat, u64, Pulse, OptionQuery>;

	/// The network of the genesis.
	#[pallet::genesis_config]
	pub struct GenesisConfig<T: Config> {
		/// Whether the network is [`LOCAL`], not [`QUICKNET`].
		pub local: bool,
		/// Nothing.
		#[serde(skip)]
		pub _config: core::marker::PhantomData<T>,
	}

	impl<T: Config> Default for GenesisConfig<T> {
		fn default() -> Self {
			Self { local: false, _config: Default::default() }
		}
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			NetworkOf::<T>::put(if self.local { LOCAL } else { QUICKNET });
		}
	}

	/// What happened.
	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	#[allow(missing_docs)]
	pub enum Event<T: Config> {
		/// The pulses of another network count from now on, or of none.
		NetworkSet { network: Option<Network> },
		/// A pulse was posted.
		Posted { round: u64, randomness: H256, local: bool },
	}

	/// Why a call is refused.
	#[pallet::error]
	pub enum Error<T> {
		/// The chain has no network of drand.
		NoNetwork,
		/// The key is none, or the period is zero.
		BadNetwork,
		/// Everybody knows this network's secret key.
		LocalNetwork,
		/// The round is not made yet, by the chain's clock.
		TooEarly,
		/// The round is forgotten already.
		TooLate,
		/// This pulse was posted.
		PostedAlready,
		/// The network has not signed this.
		BadSignature,
	}

	#[pallet::extra_constants]
	impl<T: Config> Pallet<T> {
		/// Rounds whose pulses are kept.
		fn kept() -> u64 {
			KEPT
		}
		/// Milliseconds from a commitment to the first round that may count for it.
		fn margin() -> u64 {
			MARGIN
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Posts the pulse of a round. Anyone may; the first pays, and later ones are refused.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::post())]
		pub fn post(origin: OriginFor<T>, round: u64, signature: Signature) -> DispatchResult {
			ensure_signed(origin)?;
			let network = NetworkOf::<T>::get().ok_or(Error::<T>::NoNetwork)?;
			let now = Self::now();
			ensure!(round > 0 && network.time_of(round) <= now, Error::<T>::TooEarly);
			ensure!(now < Self::forgotten(&network, round), Error::<T>::TooLate);
			ensure!(Self::pulse(round).is_none(), Error::<T>::PostedAlready);
			ensure!(signature::signed(&network.key, round, &signature), Error::<T>::BadSignature);
			let randomness = H256(signature::randomness(&signature));
			let pulse = Pulse { network: Before::<T>::get(), round, randomness };
			Pulses::<T>::insert(round % KEPT, pulse);
			Self::deposit_event(Event::Posted { round, randomness, local: network.key == LOCAL.key });
			Ok(())
		}

		/// Names the network whose pulses count; those of the one before count no more.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::set_network())]
		pub fn set_network(origin: OriginFor<T>, network: Option<Network>) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			if let Some(network) = &network {
				ensure!(network.good(), Error::<T>::BadNetwork);
				ensure!(network.key != LOCAL.key || T::LocalAllowed::get(), Error::<T>::LocalNetwork);
			}
			NetworkOf::<T>::set(network);
			Before::<T>::mutate(|count| *count = count.saturating_add(1));
			Self::deposit_event(Event::NetworkSet { network });
			Ok(())
		}
	}

	impl<T: Config> Pallet<T> {
		/// The randomness of a round of the present network, if its pulse is kept.
		pub fn pulse(round: u64) -> Option<H256> {
			let current = Before::<T>::get();
			let pulse = Pulses::<T>::get(round % KEPT)?;
			(pulse.network == current && pulse.round == round).then_some(pulse.randomness)
		}

		fn now() -> u64 {
			T::Time::now().as_millis() as u64
		}

		/// When a round's place may be another's, in Unix milliseconds.
		fn forgotten(network: &Network, round: u64) -> u64 {
			network.time_of(round.saturating_add(KEPT))
		}
	}

	/// Moments are Unix milliseconds of the chain's clock. With no network they never come.
	impl<T: Config> Beacon<u64> for Pallet<T> {
		fn draw(after: u64) -> Option<Draw> {
			let network = NetworkOf::<T>::get()?;
			let now = Self::now();
			if now < Self::known_at(after) || now >= Self::forgotten_at(after) {
				return None;
			}
			let value = Self::pulse(network.round_after(after))?;
			Some(Draw { value, choices: 1 })
		}

		fn known_at(after: u64) -> u64 {
			NetworkOf::<T>::get().map_or(u64::MAX, |network| network.time_of(network.round_after(after)))
		}

		fn forgotten_at(after: u64) -> u64 {
			NetworkOf::<T>::get()
				.map_or(u64::MAX, |network| Self::forgotten(&network, network.round_after(after)))
		}
	}
}
