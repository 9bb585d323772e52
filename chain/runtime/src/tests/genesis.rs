//! What the presets trust and whom they fund.

use frame_support::traits::Currency;
use polkadot_sdk::*;
use proofward_primitives::Level;
use sp_core::H256;
use sp_io::{hashing::sha2_256, TestExternalities};
use sp_runtime::BuildStorage;

use crate::{
	config::UNIT,
	genesis::{preset, DEVELOPMENT},
	AccountId, Balances, Runtime, RuntimeGenesisConfig,
};

const INTEL_ROOT: &str = include_str!("../../../roots/intel_sgx_root.hex");
const DEV_ROOT: &str = include_str!("../../../roots/dev_root.hex");

fn hash(root: &str) -> H256 {
	sha2_256(&hex::decode(root.trim()).unwrap()).into()
}

fn level(root: &str) -> Option<Level> {
	pallet_attestation::Roots::<Runtime>::get(hash(root)).map(|root| root.level)
}

fn chain(config: RuntimeGenesisConfig) -> TestExternalities {
	TestExternalities::new(config.build_storage().unwrap())
}

fn development() -> RuntimeGenesisConfig {
	let patch: serde_json::Value = serde_json::from_slice(&preset(&DEVELOPMENT.into()).unwrap()).unwrap();
	serde_json::from_value(patch).unwrap()
}

#[test]
fn intels_root_is_in_every_genesis_and_the_simulators_in_development_only() {
	chain(RuntimeGenesisConfig::default()).execute_with(|| {
		assert_eq!(level(INTEL_ROOT), Some(Level::Hardware));
		assert_eq!(level(DEV_ROOT), None);
		// The contracts' own account, and nobody else's.
		assert_eq!(Balances::total_issuance(), Balances::minimum_balance());
		assert_eq!(pallet_sudo::Key::<Runtime>::get(), None);
	});
	chain(development()).execute_with(|| {
		assert_eq!(level(INTEL_ROOT), Some(Level::Hardware));
		assert_eq!(level(DEV_ROOT), Some(Level::Simulated));
		assert_eq!(pallet_attestation::Roots::<Runtime>::count(), 2);
	});
	assert_eq!(preset(&"anything else".into()), None);
}

#[test]
fn development_funds_the_published_keys() {
	chain(development()).execute_with(|| {
		let alith = "f24ff3a9cf04c71dbc94d0b566f7a27b94566caceeeeeeeeeeeeeeeeeeeeeeee";
		let alice = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
		for account in [alith, alice] {
			let bytes: [u8; 32] = hex::decode(account).unwrap().try_into().unwrap();
			assert_eq!(Balances::free_balance(AccountId::from(bytes)), 1_000_000 * UNIT);
		}
	});
}

#[test]
fn the_lanes_contract_stands_in_the_development_genesis_and_is_the_repositorys() {
	use proofward_primitives::{ContractCode, Decision, Lane, ModelRegistry, ProofVerifier, RejectReason};
	let artefact: serde_json::Value =
		serde_json::from_str(include_str!("../../../../proofward/zkml/contracts/Groth16Verifier.json"))
			.unwrap();
	chain(development()).execute_with(|| {
		let contract = pallet_models::Verifiers::<Runtime>::get(Lane::Groth16).unwrap();
		let code_hash = crate::verifier::Contracts::code_hash(&contract.address).unwrap();
		assert_eq!(contract.code_hash, code_hash);
		assert_eq!(artefact["code_hash"], hex::encode(code_hash), "make contracts gives another one");
		assert_eq!(pallet_models::Verifiers::<Runtime>::get(Lane::Ezkl), None);
		assert_eq!(crate::Models::model(&H256::zero()), None);
		// It answers; to bytes that are no key, with no.
		for key in [&[][..], &[0; 640], &[0xff; 640]] {
			let answer = crate::verifier::Contracts::well_formed(&contract, key).decision;
			assert_eq!(answer, Decision::Rejected(RejectReason::ProofInvalid));
		}
		let zero = H256::zero();
		let limit = crate::verifier::VERDICT_LIMIT;
		let verdict =
			crate::verifier::Contracts::verify(&contract, &[1; 640], &zero, &zero, &[0; 256], limit);
		assert_eq!(verdict.decision, Decision::Rejected(RejectReason::ProofInvalid));
		assert!(verdict.weight.all_lt(crate::verifier::VERDICT_LIMIT));
	});
	chain(RuntimeGenesisConfig::default()).execute_with(|| {
		assert_eq!(pallet_models::Verifiers::<Runtime>::iter().count(), 0);
	});
}

#[test]
fn hashes_that_a_quote_may_name_are_remembered() {
	use frame_support::traits::Get;
	let remembered = <<Runtime as frame_system::Config>::BlockHashCount as Get<u32>>::get();
	assert!(remembered >= pallet_workers::types::MAX_BLOCK_AGE);
	assert!(remembered >= pallet_models::types::MAX_SETUP_AGE);
}

#[test]
fn a_verdict_fits_in_a_block() {
	use frame_support::dispatch::DispatchClass;
	let weights = <<Runtime as frame_system::Config>::BlockWeights as frame_support::traits::Get<_>>::get();
	let weights: frame_system::limits::BlockWeights = weights;
	let most = weights.get(DispatchClass::Normal).max_extrinsic.unwrap();
	let complete =
		<<Runtime as pallet_jobs::Config>::WeightInfo as pallet_jobs::WeightInfo>::complete(65_536, 16_384);
	// And a probe, when none can be had.
	let contract = crate::verifier::VERDICT_LIMIT.saturating_mul(2);
	assert!(contract.saturating_add(complete).all_lt(most));
	let publish =
		<<Runtime as pallet_models::Config>::WeightInfo as pallet_models::WeightInfo>::publish(4_096, 16_384);
	let quote = <crate::Attestation as proofward_primitives::QuoteVerifier>::verify_quote_weight();
	assert!(contract.saturating_add(publish).saturating_add(quote).all_lt(most));
}
