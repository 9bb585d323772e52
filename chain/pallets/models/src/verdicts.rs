//! What a verdict on a model's proofs costs: measured at publishing, by a false proof of the lane's form.

use polkadot_sdk::{frame_support::weights::Weight, frame_system, sp_core::H256};
use proofward_primitives::{Decision, Lane, ProofVerifier, RejectReason, Verdict, VerifierContract, PROBED};

use crate::{types::Measured, Config, Pallet, VerdictWeights};

impl<T: Config> Pallet<T> {
	/// What the contract makes of the probe under this key, given all that any verdict may use.
	pub(crate) fn probe(contract: &VerifierContract, lane: Lane, key: &[u8]) -> Verdict {
		let proof = T::Contracts::probe(lane);
		T::Contracts::verify(contract, key, &PROBED, &PROBED, &proof, T::Contracts::max_weight())
	}

	/// Keeps what the probe cost.
	pub(crate) fn keep(model: H256, contract: &VerifierContract, weight: Weight) {
		let (code_hash, spec_version) = (contract.code_hash, spec_version::<T>());
		VerdictWeights::<T>::insert(model, Measured { code_hash, spec_version, weight });
	}

	/// The most that a verdict on the model's proofs may use: twice what the probe used, and never more than any
	/// verdict. A measurement under other code, or by another version of the runtime, says nothing.
	pub(crate) fn verdict_limit(model: &H256, contract: Option<&VerifierContract>) -> Weight {
		let most = T::Contracts::max_weight();
		VerdictWeights::<T>::get(model)
			.filter(|measured| Some(measured.code_hash) == contract.map(|contract| contract.code_hash))
			.filter(|measured| measured.spec_version == spec_version::<T>())
			.map_or(most, |measured| measured.weight.saturating_mul(2).min(most))
	}
}

/// Whether the contract knew the probe for what it is.
pub fn judged(verdict: &Verdict) -> bool {
	verdict.decision == Decision::Rejected(RejectReason::ProofInvalid)
}

fn spec_version<T: Config>() -> u32 {
	frame_system::Pallet::<T>::runtime_version().spec_version
}
