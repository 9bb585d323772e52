//! Published models: what a verifying key proves, on what terms it is run, and whom its setup asks you to trust.
//!
//! A model is judged by its lane's contract, one for all models of the lane, on an allow-list that governance keeps;
//! the publisher brings the verifying key as data. So nobody's money depends on code that a publisher chose, and
//! clients and auditors compare one known hash. Whether the key is that of the named weights is for them to rebuild.
//!
//! Every entry holds a deposit from its publisher for its bytes, and can be removed when no job can be open any more.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod checks;
mod registry;
pub mod types;
mod verdicts;
pub mod weights;

#[cfg(test)]
mod tests;

use polkadot_sdk::{frame_support, sp_core};
use sp_core::H256;

pub use pallet::*;
pub use types::{Model, SetupEvidence, Terms};
pub use weights::WeightInfo;

// A call's arguments are its wire format: bundling them would only hide them.
#[allow(clippy::too_many_arguments, clippy::large_enum_variant)]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::types::*;
	use alloc::vec::Vec;
	use frame_support::{
		pallet_prelude::*,
		traits::{
			fungible::{Inspect, MutateHold},
			tokens::{Fortitude, Precision, Restriction},
		},
	};
	use polkadot_sdk::frame_system::{self, pallet_prelude::*};
	use polkadot_sdk::sp_io::hashing::sha2_256;
	use polkadot_sdk::sp_runtime::{traits::BlockNumberProvider, Permill, TryRuntimeError};
	use proofward_primitives::{
		ids, messages::setup_report_data, Balance, ContractCode, Decision, Lane, ProofVerifier,
		QuoteVerifier, Setup, TrustList, VerifierContract,
	};

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
		type Currency: Inspect<Self::AccountId, Balance = Balance>
			+ MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;
		/// Where verifier contracts live, and what they say.
		type Contracts: ContractCode + ProofVerifier;
		/// Verifies the quotes of attested setups.
		type Quotes: QuoteVerifier;
		/// What attested setups may rest on today.
		type Trust: TrustList;
		/// Who keeps the allow-list, certifies ceremonies and takes entries off.
		type Governance: EnsureOrigin<Self::RuntimeOrigin>;
		/// Counts the blocks of deadlines and waiting times.
		type BlockNumberProvider: BlockNumberProvider<BlockNumber = u32>;
		/// The account that slashed deposits go to.
		type Pot: Get<Self::AccountId>;
		/// The least price: what a worker pays in fees for a claim and a result.
		#[pallet::constant]
		type MinPrice: Get<Balance>;
		/// The least and the greatest bond that a model may ask of a worker.
		#[pallet::constant]
		type MinBond: Get<Balance>;
		/// The greatest bond that a model may ask of a worker.
		#[pallet::constant]
		type MaxBond: Get<Balance>;
		/// Held for an entry, whatever its size.
		#[pallet::constant]
		type DepositBase: Get<Balance>;
		/// Held for each byte of an entry and its key.
		#[pallet::constant]
		type DepositPerByte: Get<Balance>;
		/// Blocks after which a retired model has no open job: the furthest deadline.
		#[pallet::constant]
		type MaxDeadline: Get<u32>;
		/// What each call weighs.
		type WeightInfo: WeightInfo;
	}

	/// Why this pallet holds money.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// A publisher's deposit for its entries.
		Model,
	}

	/// Published models, by their id (`proofward_primitives::ids::model_id`).
	#[pallet::storage]
	pub type Models<T: Config> = StorageMap<_, Blake2_128Concat, H256, Model<T::AccountId>, OptionQuery>;

	/// Their verifying keys.
	#[pallet::storage]
	pub type Keys<T: Config> = StorageMap<_, Blake2_128Concat, H256, Key, OptionQuery>;

	/// The one live entry of a publisher for a manifest.
	#[pallet::storage]
	pub type Live<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, H256, H256, OptionQuery>;

	/// The allow-list: each lane's contract.
	#[pallet::storage]
	pub type Verifiers<T: Config> = StorageMap<_, Twox64Concat, Lane, VerifierContract, OptionQuery>;

	/// What a verdict on each model's proofs costs.
	#[pallet::storage]
	pub type VerdictWeights<T: Config> = StorageMap<_, Blake2_128Concat, H256, Measured, OptionQuery>;

	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// The lanes' contracts.
		pub verifiers: Vec<GenesisVerifier>,
		/// Ties the type to a runtime; holds nothing.
		#[serde(skip)]
		pub _marker: PhantomData<T>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			for GenesisVerifier { lane, contract } in &self.verifiers {
				let code = T::Contracts::code_hash(&contract.address);
				assert_eq!(code, Some(contract.code_hash), "the genesis names a verifier that is not there");
				Verifiers::<T>::insert(lane, contract);
			}
		}
	}

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	// A variant's sentence says what its fields are.
	#[allow(missing_docs)]
	pub enum Event<T: Config> {
		/// A model takes jobs from now on.
		Published { model: H256, publisher: T::AccountId, lane: Lane, setup: Setup },
		/// A model's least price changed; jobs that were submitted keep theirs.
		PriceSet { model: H256, price: Balance },
		/// A model takes no new jobs.
		Retired { model: H256 },
		/// A retired model left state; its publisher has the deposit back.
		Removed { model: H256 },
		/// Governance took a model off; its publisher's deposit goes to the pot.
		StruckOff { model: H256, slashed: Balance },
		/// Governance certified the ceremony that made a model's proving key.
		CeremonyCertified { model: H256, transcript_hash: H256 },
		/// Governance no longer vouches for a model's setup, whatever it was: it counts as made by one party.
		SetupWithdrawn { model: H256 },
		/// Proofs of a lane are judged by this contract, or by none.
		VerifierSet { lane: Lane, contract: Option<VerifierContract> },
		/// A verdict on a model's proofs uses this much.
		Measured { model: H256, weight: Weight },
		/// The lane's contract cannot judge a model's proofs: it takes no new jobs. Its publisher's deposit comes back by
		/// `remove`, for the key was good when it was published.
		Faulted { model: H256 },
	}

	#[pallet::error]
	pub enum Error<T> {
		/// There is no contract at this address, or it has other code.
		NoSuchCode,
		/// The lane has no verifier contract on this chain.
		LaneClosed,
		/// The lane's contract does not take these bytes for a verifying key, or cannot judge a proof under it.
		BadKey,
		/// The same publisher published the same model before.
		DuplicateModel,
		/// The publisher has a live entry for this manifest: change its price, or retire it.
		LiveEntry,
		/// No model has this id.
		UnknownModel,
		/// Only a model's publisher may do this.
		NotPublisher,
		/// The model was retired before.
		AlreadyRetired,
		/// The model is live, or jobs of it may be open still: retire it, and wait for the furthest deadline.
		NotRemovable,
		/// The name is empty, is not UTF-8 or has control characters.
		BadName,
		/// The input shape is empty, has a zero dimension or holds more numbers than an envelope carries.
		BadShape,
		/// A job of this model would carry no record, more than 32, or more numbers than an envelope carries.
		BadBatch,
		/// A claim must last between 5 and 600 blocks.
		BadClaimBlocks,
		/// The price is below the chain's least.
		PriceTooLow,
		/// The bond is below the chain's least or above its greatest.
		BadBond,
		/// The publisher's share is above nine tenths.
		BadShare,
		/// The quote is genuine but binds another chain, publisher, manifest, circuit, verifying key or block.
		SetupQuoteMismatch,
		/// The block that dates the setup's quote lies more than 256 blocks back: make the setup again.
		SetupQuoteTooOld,
		/// The block that is to date the setup's quote does not exist yet, or is forgotten.
		UnknownBlock,
	}

	#[pallet::extra_constants]
	impl<T: Config> Pallet<T> {
		/// Longest name in bytes.
		fn max_name() -> u32 {
			MAX_NAME
		}
		/// Most numbers in one job's input, over all its records.
		fn max_features() -> u32 {
			MAX_FEATURES
		}
		/// Most records in one job.
		fn max_batch() -> u32 {
			MAX_BATCH
		}
		/// Longest verifying key, in bytes.
		fn max_key() -> u32 {
			MAX_KEY
		}
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(T::MinBond::get() <= T::MaxBond::get(), "no bond would be right");
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Publishes a model under the caller's name and holds a deposit for its bytes.
		///
		/// - `vk_hash`: SHA-256 of the verifying key's file in the artefact; `key`: the same key as the lane's contract
		///   takes it, which is asked here whether it is one.
		/// - `terms`: price, publisher's share, worker's bond, life of a claim; all but the price for good.
		/// - `evidence`: where the proving key comes from. A quote is verified here like a worker's and must bind
		///   this chain, the caller, `manifest_hash`, `circuit_digest`, `vk_hash` and one of the last 256 blocks; the
		///   model is then attested, at the level of the quote's root, for as long as root, measurement and platform
		///   are trusted.
		#[pallet::call_index(0)]
		#[pallet::weight(
			Pallet::<T>::publish_weight(key, evidence)
				.saturating_add(T::Contracts::max_weight().saturating_mul(2))
		)]
		pub fn publish(
			origin: OriginFor<T>,
			name: Name,
			weights_digest: H256,
			manifest_hash: H256,
			input_shape: InputShape,
			batch: u32,
			lane: Lane,
			vk_hash: H256,
			key: Key,
			circuit_digest: H256,
			terms: Terms,
			evidence: SetupEvidence,
		) -> DispatchResultWithPostInfo {
			let publisher = ensure_signed(origin)?;
			ensure!(checks::name(&name), Error::<T>::BadName);
			let features = checks::features(&input_shape).ok_or(Error::<T>::BadShape)?;
			ensure!(checks::batch(batch, features), Error::<T>::BadBatch);
			Self::check_terms(&terms)?;

			let key_hash = H256(sha2_256(&key));
			let id = ids::model_id(&publisher, &weights_digest, &manifest_hash, lane, &vk_hash, &key_hash);
			ensure!(!Models::<T>::contains_key(id), Error::<T>::DuplicateModel);
			ensure!(!Live::<T>::contains_key(&publisher, manifest_hash), Error::<T>::LiveEntry);
			let contract = Verifiers::<T>::get(lane).ok_or(Error::<T>::LaneClosed)?;
			let answered = T::Contracts::well_formed(&contract, &key);
			ensure!(answered.decision == Decision::Accepted, Error::<T>::BadKey);
			let probed = Self::probe(&contract, lane, &key);
			ensure!(verdicts::judged(&probed), Error::<T>::BadKey);
			let (setup, grounds, evidence_hash) = Self::weigh(&evidence, |genesis, block_hash| {
				setup_report_data(genesis, &publisher, &manifest_hash, &circuit_digest, &vk_hash, block_hash)
			})?;

			let weight = Self::publish_weight(&key, &evidence)
				.saturating_add(answered.weight)
				.saturating_add(probed.weight);
			let deposit = Self::deposit(key.len() as u32);
			T::Currency::hold(&HoldReason::Model.into(), &publisher, deposit)?;
			let model = Model {
				publisher: publisher.clone(),
				name,
				weights_digest,
				manifest_hash,
				input_shape,
				batch,
				lane,
				vk_hash,
				key_hash,
				circuit_digest,
				terms,
				setup,
				grounds,
				evidence_hash,
				published_at: T::BlockNumberProvider::current_block_number(),
				retired_at: None,
				deposit,
			};
			Models::<T>::insert(id, model);
			Keys::<T>::insert(id, key);
			Self::keep(id, &contract, probed.weight);
			Live::<T>::insert(&publisher, manifest_hash, id);
			Self::deposit_event(Event::Published { model: id, publisher, lane, setup });
			Ok(Some(weight).into())
		}

		/// Ends a model: no new jobs. Jobs in its queue may still be done, or run into their deadline.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::retire())]
		pub fn retire(origin: OriginFor<T>, model: H256) -> DispatchResult {
			let record = Self::own(origin, model)?;
			ensure!(record.retired_at.is_none(), Error::<T>::AlreadyRetired);
			Self::take_off(model, record);
			Ok(())
		}

		/// Marks a model's key as made by a ceremony, named by the hash of its transcript. Governance.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::certify_ceremony())]
		pub fn certify_ceremony(origin: OriginFor<T>, model: H256, transcript_hash: H256) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			Self::change(model, |record| {
				record.setup = Setup::Ceremony;
				record.grounds = None;
				record.evidence_hash = Some(transcript_hash);
				Ok(())
			})?;
			Self::deposit_event(Event::CeremonyCertified { model, transcript_hash });
			Ok(())
		}

		/// Changes a live model's least price; jobs that were submitted keep theirs.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::set_price())]
		pub fn set_price(origin: OriginFor<T>, model: H256, price: Balance) -> DispatchResult {
			let mut record = Self::own(origin, model)?;
			ensure!(record.retired_at.is_none(), Error::<T>::AlreadyRetired);
			ensure!(price >= T::MinPrice::get(), Error::<T>::PriceTooLow);
			record.terms.price = price;
			Models::<T>::insert(model, record);
			Self::deposit_event(Event::PriceSet { model, price });
			Ok(())
		}

		/// Takes a retired model out of state once none of its jobs can be open, and gives its publisher the deposit
		/// back. For anyone to call.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::remove())]
		pub fn remove(origin: OriginFor<T>, model: H256) -> DispatchResult {
			ensure_signed(origin)?;
			let record = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
			let now = T::BlockNumberProvider::current_block_number();
			let over = |retired: u32| now > retired.saturating_add(T::MaxDeadline::get());
			ensure!(record.retired_at.is_some_and(over), Error::<T>::NotRemovable);
			T::Currency::release(
				&HoldReason::Model.into(),
				&record.publisher,
				record.deposit,
				Precision::BestEffort,
			)?;
			Models::<T>::remove(model);
			Keys::<T>::remove(model);
			VerdictWeights::<T>::remove(model);
			Self::deposit_event(Event::Removed { model });
			Ok(())
		}

		/// Retires a model against its publisher's will and sends its deposit to the pot: its contract call faults, its
		/// artefact is a trap. Governance.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::strike_off())]
		pub fn strike_off(origin: OriginFor<T>, model: H256) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			let mut record = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
			let slashed = T::Currency::transfer_on_hold(
				&HoldReason::Model.into(),
				&record.publisher,
				&T::Pot::get(),
				record.deposit,
				Precision::BestEffort,
				Restriction::Free,
				Fortitude::Force,
			)?;
			record.deposit = 0;
			if record.retired_at.is_none() {
				Self::take_off(model, record);
			} else {
				Models::<T>::insert(model, record);
			}
			Self::deposit_event(Event::StruckOff { model, slashed });
			Ok(())
		}

		/// Takes back whatever vouched for a model's setup, a certificate or a quote. Governance.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::withdraw_setup())]
		pub fn withdraw_setup(origin: OriginFor<T>, model: H256) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			Self::change(model, |record| {
				record.setup = Setup::Dev;
				record.grounds = None;
				record.evidence_hash = None;
				Ok(())
			})?;
			Self::deposit_event(Event::SetupWithdrawn { model });
			Ok(())
		}

		/// Puts a contract on the allow-list as its lane's only one, or closes the lane. Governance.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::set_verifier())]
		pub fn set_verifier(
			origin: OriginFor<T>,
			lane: Lane,
			contract: Option<VerifierContract>,
		) -> DispatchResult {
			T::Governance::ensure_origin(origin)?;
			match contract {
				Some(contract) => {
					let code = T::Contracts::code_hash(&contract.address);
					ensure!(code == Some(contract.code_hash), Error::<T>::NoSuchCode);
					Verifiers::<T>::insert(lane, contract);
				}
				None => Verifiers::<T>::remove(lane),
			}
			Self::deposit_event(Event::VerifierSet { lane, contract });
			Ok(())
		}

		/// Measures anew what a verdict on a live model's proofs costs: after its lane's contract or the runtime changed,
		/// verdicts on it are as dear as any may be until then. If the contract cannot judge it, the model is retired. For
		/// anyone to call.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::measure().saturating_add(T::Contracts::max_weight()))]
		pub fn measure(origin: OriginFor<T>, model: H256) -> DispatchResultWithPostInfo {
			ensure_signed(origin)?;
			let record = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
			ensure!(record.retired_at.is_none(), Error::<T>::AlreadyRetired);
			// A lane that governance closed says nothing about its models.
			let contract = Verifiers::<T>::get(record.lane).ok_or(Error::<T>::LaneClosed)?;
			let present = T::Contracts::code_hash(&contract.address) == Some(contract.code_hash);
			ensure!(present, Error::<T>::NoSuchCode);
			let key = Keys::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
			let probed = Self::probe(&contract, record.lane, &key);
			if verdicts::judged(&probed) {
				Self::keep(model, &contract, probed.weight);
				Self::deposit_event(Event::Measured { model, weight: probed.weight });
			} else {
				Self::take_off(model, record);
				Self::deposit_event(Event::Faulted { model });
			}
			Ok(Some(T::WeightInfo::measure().saturating_add(probed.weight)).into())
		}
	}

	impl<T: Config> Pallet<T> {
		/// Without what the lane's contract uses to look at the key and to judge the probe.
		fn publish_weight(key: &Key, evidence: &SetupEvidence) -> Weight {
			let own = T::WeightInfo::publish(key.len() as u32, evidence.quote_len());
			match evidence {
				SetupEvidence::Dev => own,
				SetupEvidence::Attested { .. } => own.saturating_add(T::Quotes::verify_quote_weight()),
			}
		}

		/// What is held for an entry whose key has this many bytes.
		pub fn deposit(key: u32) -> Balance {
			let bytes = (Model::<T::AccountId>::max_encoded_len() as u32).saturating_add(key);
			T::DepositBase::get().saturating_add(T::DepositPerByte::get().saturating_mul(bytes.into()))
		}

		fn check_terms(terms: &Terms) -> DispatchResult {
			ensure!(CLAIM_BLOCKS.contains(&terms.claim_blocks), Error::<T>::BadClaimBlocks);
			ensure!(terms.price >= T::MinPrice::get(), Error::<T>::PriceTooLow);
			let bonds = T::MinBond::get()..=T::MaxBond::get();
			ensure!(bonds.contains(&terms.bond), Error::<T>::BadBond);
			ensure!(terms.share <= MAX_SHARE.deconstruct(), Error::<T>::BadShare);
			Ok(())
		}

		fn own(origin: OriginFor<T>, model: H256) -> Result<Model<T::AccountId>, DispatchError> {
			let caller = ensure_signed(origin)?;
			let record = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
			ensure!(record.publisher == caller, Error::<T>::NotPublisher);
			Ok(record)
		}

		fn change(
			model: H256,
			change: impl FnOnce(&mut Model<T::AccountId>) -> DispatchResult,
		) -> DispatchResult {
			Models::<T>::try_mutate(model, |record| change(record.as_mut().ok_or(Error::<T>::UnknownModel)?))
		}

		pub(crate) fn take_off(model: H256, mut record: Model<T::AccountId>) {
			Live::<T>::remove(&record.publisher, record.manifest_hash);
			record.retired_at = Some(T::BlockNumberProvider::current_block_number());
			Models::<T>::insert(model, record);
			Self::deposit_event(Event::Retired { model });
		}

		/// The hash of one of the last 256 blocks.
		fn recent_block(block: u32) -> Result<H256, Error<T>> {
			let now = T::BlockNumberProvider::current_block_number();
			ensure!(block < now, Error::<T>::UnknownBlock);
			ensure!(now - block <= MAX_SETUP_AGE, Error::<T>::SetupQuoteTooOld);
			let hash = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(block));
			ensure!(hash != H256::default(), Error::<T>::UnknownBlock);
			Ok(hash)
		}

		/// What the evidence is worth, what it rests on, and its hash. `binding` gives report_data by genesis and the
		/// block's hash.
		#[allow(clippy::type_complexity)]
		fn weigh(
			evidence: &SetupEvidence,
			binding: impl Fn(&H256, &H256) -> [u8; 64],
		) -> Result<(Setup, Option<Grounds>, Option<H256>), DispatchError> {
			match evidence {
				SetupEvidence::Dev => Ok((Setup::Dev, None, None)),
				SetupEvidence::Attested { quote, block } => {
					let block_hash = Self::recent_block(*block)?;
					let verified = T::Quotes::verify_quote(quote)?;
					let genesis = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::default());
					let bound = binding(&genesis, &block_hash);
					ensure!(verified.report_data == bound, Error::<T>::SetupQuoteMismatch);
					let (root, measurement, platform) =
						(verified.root, verified.measurement, verified.platform);
					Ok((
						Setup::Attested(verified.level),
						Some(Grounds { root, measurement, platform }),
						Some(sha2_256(quote).into()),
					))
				}
			}
		}

		/// What holds between any two calls: keys are those of entries, live entries are found by publisher and
		/// manifest, deposits are held.
		pub fn do_try_state() -> Result<(), TryRuntimeError> {
			let mut owed = alloc::collections::BTreeMap::<T::AccountId, Balance>::new();
			for (id, model) in Models::<T>::iter() {
				let key = Keys::<T>::get(id).ok_or("a model has no key")?;
				ensure!(H256(sha2_256(&key)) == model.key_hash, "a model has another key");
				let live = Live::<T>::get(&model.publisher, model.manifest_hash) == Some(id);
				ensure!(
					live == model.retired_at.is_none(),
					"a model is live and is not found, or the reverse"
				);
				let attested = matches!(model.setup, Setup::Attested(_));
				ensure!(attested == model.grounds.is_some(), "an attested setup has grounds, no other has");
				ensure!(Permill::from_parts(model.terms.share) <= MAX_SHARE, "a share above the greatest");
				*owed.entry(model.publisher).or_default() += model.deposit;
			}
			ensure!(Keys::<T>::iter_keys().all(Models::<T>::contains_key), "a key has no model");
			ensure!(Live::<T>::iter_values().all(Models::<T>::contains_key), "a live entry has no model");
			ensure!(
				VerdictWeights::<T>::iter_keys().all(Models::<T>::contains_key),
				"a measurement has no model"
			);
			for (publisher, deposit) in owed {
				let held = crate::registry::on_hold::<T>(&publisher);
				ensure!(held == deposit, "a publisher's deposits are not what is held");
			}
			Ok(())
		}
	}
}
