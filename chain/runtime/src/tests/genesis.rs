//! What the presets trust and whom they fund.

use frame_support::traits::Currency;
use polkadot_sdk::*;
use proofward_primitives::Level;
use sp_core::H256;
use sp_io::{hashing::sha2_256, TestExternalities};
use sp_runtime::BuildStorage;

use crate::{
	config::UNIT,
	genesis::{preset, CONSORTIUM, DEVELOPMENT, LOCAL, PRESETS},
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

/// A chain with this genesis.
pub fn chain(config: RuntimeGenesisConfig) -> TestExternalities {
	TestExternalities::new(config.build_storage().unwrap())
}

fn json(name: &str) -> serde_json::Value {
	serde_json::from_slice(&preset(&name.into()).unwrap()).unwrap()
}

/// A preset as it is.
pub fn of(name: &str) -> RuntimeGenesisConfig {
	serde_json::from_value(json(name)).unwrap()
}

fn development() -> RuntimeGenesisConfig {
	of(DEVELOPMENT)
}

/// A consortium of as many members as one likes, with keys of their own.
fn consortium(members: u8) -> serde_json::Value {
	use sp_core::{ed25519, sr25519, Pair};
	let seed = |kind: u8, member: u8| [[kind; 16], [member; 16]].concat();
	let mut config = json(CONSORTIUM);
	for member in 0..members {
		let account = AccountId::from(sr25519::Pair::from_seed_slice(&seed(1, member)).unwrap().public());
		let aura = sr25519::Pair::from_seed_slice(&seed(2, member)).unwrap().public();
		let grandpa = ed25519::Pair::from_seed_slice(&seed(3, member)).unwrap().public();
		let push = |list: &mut serde_json::Value, entry| list.as_array_mut().unwrap().push(entry);
		push(
			&mut config["consortium"]["members"],
			serde_json::json!({"account": account, "legal_name": H256::zero(), "endpoint": "/dns/a"}),
		);
		let keys = crate::consensus::SessionKeys { aura: aura.into(), grandpa: grandpa.into() };
		push(&mut config["session"]["keys"], serde_json::json!([account, account, keys]));
	}
	config
}

/// What the runtime says to a genesis.
fn built(config: serde_json::Value) -> Result<(), String> {
	TestExternalities::default().execute_with(|| {
		let bytes = serde_json::to_vec(&config).unwrap();
		frame_support::genesis_builder_helper::build_state::<RuntimeGenesisConfig>(bytes)?;
		crate::genesis::check()
	})
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

#[test]
fn a_consortium_is_its_members() {
	use proofward_primitives::ContractCode;
	assert_eq!(built(consortium(4)), Ok(()));
	let config: RuntimeGenesisConfig = serde_json::from_value(consortium(5)).unwrap();
	chain(config).execute_with(|| {
		assert_eq!(crate::Session::validators().len(), 5);
		assert_eq!(pallet_sudo::Key::<Runtime>::get(), None);
		assert_eq!(pallet_attestation::Roots::<Runtime>::count(), 1);
		assert_eq!(crate::Aura::slot_duration(), 2_000);
		assert!(crate::verifier::Contracts::code_hash(&crate::genesis::GROTH16_ADDRESS).is_some());
	});
}

#[test]
fn a_test_does_not_pass_for_a_consortium() {
	use serde_json::json;
	let alice = sp_keyring::Sr25519Keyring::Alice;
	let account = json!(alice.to_account_id());
	let with = |path: &str, value: serde_json::Value| {
		let mut config = consortium(4);
		*config.pointer_mut(path).unwrap() = value;
		config
	};
	let aura = json!(alice.public());
	let grandpa = json!(sp_keyring::Ed25519Keyring::Bob.public());
	let mut stranger = consortium(4);
	stranger["consortium"]["members"].as_array_mut().unwrap().pop();
	stranger["consortium"]["members"]
		.as_array_mut()
		.unwrap()
		.push(json!({"account": AccountId::from([9; 32]), "legal_name": H256::zero(), "endpoint": "/dns/a"}));
	let mut outsider = consortium(5);
	outsider["consortium"]["members"].as_array_mut().unwrap().pop();
	let mut funded = consortium(4);
	funded["balances"]["balances"].as_array_mut().unwrap().push(json!([account, 10_000_000_000u64]));
	let simulated = self::json(DEVELOPMENT)["attestation"]["roots"].clone();
	let table = [
		("three members", consortium(3), "fewer members"),
		("nobody", self::json(CONSORTIUM), "fewer members"),
		("a lower floor", with("/consortium/settings/least_validators", json!(3)), "least_validators"),
		(
			"blocks on demand",
			with("/consortium/settings/several_blocks_per_slot", json!(true)),
			"development only",
		),
		("no notice", with("/consortium/settings/notice_blocks", json!(0)), "notice_blocks"),
		("no sessions", with("/consortium/settings/session_blocks", json!(0)), "session_blocks"),
		("hasty slots", with("/consortium/settings/slot_milliseconds", json!(10)), "slot_milliseconds"),
		("sudo", with("/sudo/key", account.clone()), "sudo"),
		("a simulated root", with("/attestation/roots", simulated), "simulated root"),
		("a published Aura key", with("/session/keys/0/2/aura", aura), "published key"),
		("a published GRANDPA key", with("/session/keys/0/2/grandpa", grandpa), "published key"),
		("a member without keys", stranger, "no session keys"),
		("keys of no member", outsider, "no member"),
		("money on a published key", funded, "has money"),
	];
	for (name, config, says) in table {
		let refusal = built(config).expect_err(name);
		assert!(refusal.contains(says), "{name}: {refusal}");
	}
	// What calls itself a test may be one.
	for name in [DEVELOPMENT, LOCAL] {
		assert_eq!(built(self::json(name)), Ok(()));
	}
	assert_eq!(PRESETS, [DEVELOPMENT, LOCAL, CONSORTIUM]);
}

/// `runtime_poc.rs`: an author in every genesis whose secret is published.
#[test]
fn poc_the_author_is_alice_in_every_genesis() {
	let alice = sp_keyring::Sr25519Keyring::Alice;
	let config = serde_json::from_value(consortium(4)).unwrap();
	chain(config).execute_with(|| {
		let authors = pallet_aura::Authorities::<Runtime>::get();
		assert_eq!(authors.len(), 4);
		assert!(authors.iter().all(|author| *author != alice.public().into()));
		assert_eq!(pallet_sudo::Key::<Runtime>::get(), None);
	});
	let mut config = consortium(4);
	config["session"]["keys"][0][2]["aura"] = serde_json::json!(alice.to_account_id());
	assert!(built(config).unwrap_err().contains("a published key"));
}
