//! Published models: what a verifying key proves, which contract checks it, and whom its setup asks you to trust.
//!
//! A model names its verifier contract *and the hash of the contract's code*. The pallet compares the two at
//! publication, the jobs pallet before every verdict, so the code cannot change under a model. Whether that code is an
//! honest verifier for the named weights is for clients and auditors to rebuild; the chain cannot know it.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod checks;
pub mod types;
pub mod weights;

#[cfg(test)]
mod tests;

use polkadot_sdk::{frame_support, sp_core};
use proofward_primitives::{ModelRegistry, ModelView};
use sp_core::H256;

pub use pallet::*;
pub use types::{Model, SetupEvidence};
pub use weights::WeightInfo;

// A call's arguments are its wire format: bundling them would only hide them.
#[allow(clippy::too_many_arguments, clippy::large_enum_variant)]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::types::*;
	use frame_support::pallet_prelude::*;
	use polkadot_sdk::frame_system::pallet_prelude::*;
	use polkadot_sdk::sp_runtime::traits::BlockNumberProvider;
	use proofward_primitives::{ids, Balance, ContractCode, Lane, QuoteVerifier, Setup};
	use sp_core::H160;

	#[pallet::pallet]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Where verifier contracts live.
		type Contracts: ContractCode;
		/// Verifies the quotes of attested setups.
		type Quotes: QuoteVerifier;
		type BlockNumberProvider: BlockNumberProvider<BlockNumber = u32>;
		type WeightInfo: WeightInfo;
	}

	/// Every model ever published, by its id (`proofward_primitives::ids::model_id`).
	#[pallet::storage]
	pub type Models<T: Config> = StorageMap<_, Blake2_128Concat, H256, Model<T::AccountId>, OptionQuery>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A model takes jobs from now on.
		Published { model: H256, publisher: T::AccountId, lane: Lane, setup: Setup, verifier: H160 },
		/// A model takes no new jobs.
		Retired { model: H256 },
		/// Governance certified the ceremony that made a model's proving key.
		CeremonyCertified { model: H256, transcript_hash: H256 },
	}

	#[pallet::error]
	pub enum Error<T> {
		/// There is no contract at the verifier's address: deploy it first.
		NoContract,
		/// The code at the verifier's address is not the code whose hash the publisher named.
		CodeHashMismatch,
		/// The same publisher published the same model with the same verifier before.
		DuplicateModel,
		/// No model has this id.
		UnknownModel,
		/// Only a model's publisher may retire it.
		NotPublisher,
		/// The model was retired before.
		AlreadyRetired,
		/// The name is empty, is not UTF-8 or has control characters.
		BadName,
		/// The input shape is empty, has a zero dimension or holds more numbers than an envelope carries.
		BadShape,
		/// A job of this model would carry no record, more than 32, or more numbers than an envelope carries.
		BadBatch,
		/// A claim must last between 5 and 600 blocks.
		BadClaimBlocks,
		/// The quote is genuine but binds another circuit or another verifying key.
		SetupQuoteMismatch,
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
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Publishes a model under the caller's name. The contract must exist and have the named code.
		///
		/// `evidence`: where the proving key comes from. A quote is verified here like a worker's and must bind
		/// `circuit_digest` and `vk_hash`; the model is then marked as attested, at the level of the quote's root.
		#[pallet::call_index(0)]
		#[pallet::weight(Pallet::<T>::publish_weight(evidence))]
		pub fn publish(
			origin: OriginFor<T>,
			name: Name,
			weights_digest: H256,
			manifest_hash: H256,
			input_shape: InputShape,
			batch: u32,
			lane: Lane,
			vk_hash: H256,
			circuit_digest: H256,
			verifier: H160,
			code_hash: H256,
			price: Balance,
			claim_blocks: u32,
			evidence: SetupEvidence,
		) -> DispatchResult {
			let publisher = ensure_signed(origin)?;
			ensure!(checks::name(&name), Error::<T>::BadName);
			let features = checks::features(&input_shape).ok_or(Error::<T>::BadShape)?;
			ensure!(checks::batch(batch, features), Error::<T>::BadBatch);
			ensure!(CLAIM_BLOCKS.contains(&claim_blocks), Error::<T>::BadClaimBlocks);

			let id = ids::model_id(
				&publisher,
				&weights_digest,
				&manifest_hash,
				lane,
				&vk_hash,
				&verifier,
				&code_hash,
			);
			ensure!(!Models::<T>::contains_key(id), Error::<T>::DuplicateModel);
			let code = T::Contracts::code_hash(&verifier).ok_or(Error::<T>::NoContract)?;
			ensure!(code == code_hash, Error::<T>::CodeHashMismatch);

			let (setup, evidence_hash) = Self::weigh(&evidence, &circuit_digest, &vk_hash)?;
			Models::<T>::insert(
				id,
				Model {
					publisher: publisher.clone(),
					name,
					weights_digest,
					manifest_hash,
					input_shape,
					batch,
					lane,
					vk_hash,
					circuit_digest,
					verifier,
					code_hash,
					price,
					claim_blocks,
					setup,
					evidence_hash,
					published_at: T::BlockNumberProvider::current_block_number(),
					retired: false,
				},
			);
			Self::deposit_event(Event::Published { model: id, publisher, lane, setup, verifier });
			Ok(())
		}

		/// Ends a model: no new jobs. Jobs in its queue may still be done, or run into their deadline.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::retire())]
		pub fn retire(origin: OriginFor<T>, model: H256) -> DispatchResult {
			let caller = ensure_signed(origin)?;
			Models::<T>::try_mutate(model, |record| {
				let record = record.as_mut().ok_or(Error::<T>::UnknownModel)?;
				ensure!(record.publisher == caller, Error::<T>::NotPublisher);
				ensure!(!record.retired, Error::<T>::AlreadyRetired);
				record.retired = true;
				Self::deposit_event(Event::Retired { model });
				Ok(())
			})
		}

		/// Marks a model's key as made by a ceremony, named by the hash of its transcript. Root only.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::certify_ceremony())]
		pub fn certify_ceremony(origin: OriginFor<T>, model: H256, transcript_hash: H256) -> DispatchResult {
			ensure_root(origin)?;
			Models::<T>::try_mutate(model, |record| {
				let record = record.as_mut().ok_or(Error::<T>::UnknownModel)?;
				record.setup = Setup::Ceremony;
				record.evidence_hash = Some(transcript_hash);
				Self::deposit_event(Event::CeremonyCertified { model, transcript_hash });
				Ok(())
			})
		}
	}

	impl<T: Config> Pallet<T> {
		fn publish_weight(evidence: &SetupEvidence) -> Weight {
			let own = T::WeightInfo::publish(evidence.quote_len());
			match evidence {
				SetupEvidence::Dev => own,
				SetupEvidence::Attested(_) => own.saturating_add(T::Quotes::verify_quote_weight()),
			}
		}

		/// What the evidence is worth, and its hash.
		fn weigh(
			evidence: &SetupEvidence,
			circuit_digest: &H256,
			vk_hash: &H256,
		) -> Result<(Setup, Option<H256>), DispatchError> {
			match evidence {
				SetupEvidence::Dev => Ok((Setup::Dev, None)),
				SetupEvidence::Attested(quote) => {
					let verified = T::Quotes::verify_quote(quote)?;
					let bound = proofward_primitives::messages::setup_report_data(circuit_digest, vk_hash);
					ensure!(verified.report_data == bound, Error::<T>::SetupQuoteMismatch);
					Ok((
						Setup::Attested(verified.level),
						Some(polkadot_sdk::sp_io::hashing::sha2_256(quote).into()),
					))
				}
			}
		}
	}
}

impl<T: Config> ModelRegistry for Pallet<T> {
	fn model(id: &H256) -> Option<ModelView> {
		Models::<T>::get(id).map(|model| model.view())
	}
}
