//! The models, as other pallets see them.

use alloc::vec::Vec;

use polkadot_sdk::{frame_support::traits::fungible::InspectHold, sp_core::H256, sp_runtime::Permill};
use proofward_primitives::{Balance, ModelRegistry, ModelView, Setup, TrustList};

use crate::{types::Model, Config, Event, HoldReason, Keys, Models, Pallet, Verifiers};

impl<T: Config> ModelRegistry<T::AccountId> for Pallet<T> {
	fn model(id: &H256) -> Option<ModelView<T::AccountId>> {
		let model = Models::<T>::get(id)?;
		let verifier = Verifiers::<T>::get(model.lane);
		Some(ModelView {
			weights_digest: model.weights_digest,
			lane: model.lane,
			setup: Self::setup(&model),
			verdict_limit: Self::verdict_limit(id, verifier.as_ref()),
			verifier,
			price: model.terms.price,
			share: Permill::from_parts(model.terms.share),
			bond: model.terms.bond,
			claim_blocks: model.terms.claim_blocks,
			retired: model.retired_at.is_some(),
			publisher: model.publisher,
		})
	}

	fn verifying_key(id: &H256) -> Vec<u8> {
		Keys::<T>::get(id).map(|key| key.into_inner()).unwrap_or_default()
	}

	fn faulted(id: &H256) {
		if let Some(model) = Models::<T>::get(id).filter(|model| model.retired_at.is_none()) {
			Self::take_off(*id, model);
			Self::deposit_event(Event::Faulted { model: *id });
		}
	}
}

impl<T: Config> Pallet<T> {
	/// What a model's setup is worth today: an attested one is worth nothing more than `Dev` once its root, its
	/// measurement or its platform is struck off.
	fn setup(model: &Model<T::AccountId>) -> Setup {
		match model.grounds {
			Some(grounds)
				if !T::Trust::trusted(&grounds.root, &grounds.measurement)
					|| T::Trust::platform_banned(&grounds.platform) =>
			{
				Setup::Dev
			}
			_ => model.setup,
		}
	}
}

/// What is held from `who` for its models.
pub(crate) fn on_hold<T: Config>(who: &T::AccountId) -> Balance {
	T::Currency::balance_on_hold(&HoldReason::Model.into(), who)
}
