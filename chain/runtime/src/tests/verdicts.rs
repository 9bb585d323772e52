//! Contracts that answer, and contracts that attack. Each is a few EVM instructions, written out.

use pallet_revive::{Code, ExecConfig, TransactionLimits};
use polkadot_sdk::*;
use proofward_primitives::{
	ContractCode, Decision, ProofVerifier, RejectReason::*, Statement, Verdict, VerifierContract,
};
use sp_core::{H160, H256};
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring;
use sp_runtime::BuildStorage;

use crate::{
	config::UNIT,
	genesis::{preset, DEVELOPMENT},
	verifier::{Contracts, VERDICT_LIMIT},
	Balances, BalancesConfig, Revive, RuntimeGenesisConfig, RuntimeOrigin, System,
};

/// Stores 1 at memory 0 and returns 32 bytes: `PUSH1 1, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN`.
const YES: &str = "60015f5260205ff3";

fn chain() -> TestExternalities {
	let balances = vec![(Sr25519Keyring::Alice.to_account_id(), 1_000 * UNIT)];
	let config = RuntimeGenesisConfig {
		balances: BalancesConfig { balances, ..Default::default() },
		..Default::default()
	};
	let mut chain = TestExternalities::new(config.build_storage().unwrap());
	chain.execute_with(|| System::set_block_number(1));
	chain
}

/// The development preset's chain, with the lane's contract.
fn development() -> TestExternalities {
	let patch = serde_json::from_slice(&preset(&DEVELOPMENT.into()).unwrap()).unwrap();
	let config: RuntimeGenesisConfig = serde_json::from_value(patch).unwrap();
	let mut chain = TestExternalities::new(config.build_storage().unwrap());
	chain.execute_with(|| System::set_block_number(1));
	chain
}

/// Deploys runtime code by an init code that copies it: `PUSH2 n, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN`.
fn deploy(code: &str) -> VerifierContract {
	let code = hex::decode(code).unwrap();
	let length = (code.len() as u16).to_be_bytes();
	let init = [&[0x61, length[0], length[1], 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3][..], &code].concat();
	let deployed = Revive::bare_instantiate(
		RuntimeOrigin::signed(Sr25519Keyring::Alice.to_account_id()),
		0u32.into(),
		TransactionLimits::WeightAndDeposit { weight_limit: VERDICT_LIMIT, deposit_limit: UNIT * 100 },
		Code::Upload(init.clone()),
		vec![],
		Some(sp_io::hashing::keccak_256(&init)),
		&ExecConfig::new_substrate_tx(),
	);
	let address = deployed.result.expect("the contract deploys").addr;
	VerifierContract { address, code_hash: Contracts::code_hash(&address).expect("it has code") }
}

fn ask(contract: &VerifierContract) -> Verdict {
	Contracts::verify(
		contract,
		&[4; 40],
		&H256::repeat_byte(1),
		&H256::repeat_byte(2),
		&[3; 33],
		VERDICT_LIMIT,
	)
}

#[test]
fn the_code_hash_is_keccak_of_the_runtime_code() {
	chain().execute_with(|| {
		let contract = deploy(YES);
		assert_eq!(contract.code_hash.0, sp_io::hashing::keccak_256(&hex::decode(YES).unwrap()));
		assert_eq!(Contracts::code_hash(&H160::repeat_byte(9)), None, "nothing there");
		assert_eq!(
			Contracts::code_hash(&H160::from_low_u64_be(1)),
			None,
			"a precompile is no model's contract"
		);
	});
}

#[test]
fn only_an_exact_true_accepts() {
	let table: [(&str, &str, Decision); 14] = [
		("says yes", YES, Decision::Accepted),
		("says no", "5f5f5260205ff3", Decision::Rejected(ProofInvalid)),
		("says two", "60025f5260205ff3", Decision::Rejected(MalformedAnswer)),
		("says 2**256 - 1", "5f195f5260205ff3", Decision::Rejected(MalformedAnswer)),
		("says yes in 31 bytes", "60015f52601f5ff3", Decision::Rejected(MalformedAnswer)),
		("says yes in 64 bytes", "60015f5260405ff3", Decision::Rejected(MalformedAnswer)),
		("says nothing", "00", Decision::Rejected(MalformedAnswer)),
		("reverts", "5f5ffd", Decision::Rejected(Reverted)),
		("reverts with a yes", "60015f5260205ffd", Decision::Rejected(Reverted)),
		("burns all gas", "5b5f56", Decision::Rejected(CallFailed)),
		("invalid instruction", "fe", Decision::Rejected(CallFailed)),
		("writes, then says yes", "60015f5560015f5260205ff3", Decision::Rejected(CallFailed)),
		("returns 64 KiB", "60015f52620100005ff3", Decision::Rejected(MalformedAnswer)),
		("returns a megabyte", "60015f52621000005ff3", Decision::Rejected(CallFailed)),
	];
	chain().execute_with(|| {
		for (contract, code, expected) in table {
			let contract_at = deploy(code);
			let before = (Balances::total_issuance(), System::event_count());
			let verdict = ask(&contract_at);
			assert_eq!(verdict.decision, expected, "{contract}");
			assert!(verdict.weight.all_lte(VERDICT_LIMIT), "{contract}");
			assert_eq!((Balances::total_issuance(), System::event_count()), before, "{contract}");
		}
	});
}

#[test]
fn the_contract_is_asked_about_many_by_the_abi() {
	// Likewise.
	let expected = "9deb74b05d7d887ace7b631b8808b1f6b9e454d1339dd53623a1d4a40b162966";
	let code = format!("365f5f37365f207f{expected}145f5260205ff3");
	chain().execute_with(|| {
		let contract = deploy(&code);
		let about = |input: u8, output: u8, proof: Vec<u8>| Statement {
			input_commitment: H256::repeat_byte(input),
			output_commitment: H256::repeat_byte(output),
			proof,
		};
		let both = [about(1, 2, vec![3; 33]), about(2, 1, vec![5; 64])];
		let decide =
			|some: &[Statement]| Contracts::verify_many(&contract, &[4; 40], some, VERDICT_LIMIT).decision;
		assert_eq!(decide(&both), Decision::Accepted);
		assert_eq!(decide(&both[..1]), Decision::Rejected(ProofInvalid));
	});
}

#[test]
fn the_contract_is_asked_by_the_abi() {
	// Returns whether keccak-256 of the calldata is that of eth_abi's encoding of the same arguments.
	let expected = "ded0b5982c06c592dfdd43f522dfafbc66017008cfbfbf8fcdad3b1ac30c64c4";
	let code = format!("365f5f37365f207f{expected}145f5260205ff3");
	chain().execute_with(|| {
		let contract = deploy(&code);
		assert_eq!(ask(&contract).decision, Decision::Accepted);
		let other = Contracts::verify(
			&contract,
			&[4; 40],
			&H256::repeat_byte(1),
			&H256::repeat_byte(2),
			&[3; 32],
			VERDICT_LIMIT,
		);
		assert_eq!(other.decision, Decision::Rejected(ProofInvalid));
	});
}

#[test]
fn keys_are_asked_about_by_the_abi() {
	let expected = "3fee2b54af2a8f277b9ba073a59a7763135fa6423f206c6255a605cfd4900e70";
	let code = format!("365f5f37365f207f{expected}145f5260205ff3");
	chain().execute_with(|| {
		let contract = deploy(&code);
		let says_yes = |contract: &VerifierContract, key: &[u8]| {
			Contracts::well_formed(contract, key).decision == Decision::Accepted
		};
		assert!(says_yes(&contract, &[4; 40]));
		assert!(!says_yes(&contract, &[4; 41]));
		let elsewhere = VerifierContract { code_hash: H256::zero(), ..contract };
		assert!(!says_yes(&elsewhere, &[4; 40]));
	});
}

#[test]
fn code_that_is_not_the_named_code_is_not_asked() {
	chain().execute_with(|| {
		let contract = deploy(YES);
		let table: [(&str, VerifierContract); 2] = [
			("another hash", VerifierContract { code_hash: H256::zero(), ..contract }),
			("no contract", VerifierContract { address: H160::repeat_byte(9), ..contract }),
		];
		for (fault, contract) in table {
			let expected = Decision::Rejected(CodeChanged);
			assert_eq!(ask(&contract).decision, expected, "{fault}");
		}
	});
}

#[test]
fn whatever_a_contract_does_is_undone() {
	chain().execute_with(|| {
		// `PUSH0, PUSH0, LOG0`, then yes.
		let logs = deploy("5f5fa060015f5260205ff3");
		let events = System::event_count();
		let root = sp_io::storage::root(sp_runtime::StateVersion::V1);
		assert_eq!(ask(&logs).decision, Decision::Accepted);
		assert_eq!(System::event_count(), events, "its log is gone");
		assert_eq!(sp_io::storage::root(sp_runtime::StateVersion::V1), root, "state is as before");
	});
}

/// Rule 1, on the lane's own contract: the probe costs what a verdict does, and at the limit that follows from it every
/// fault of a proof is still told from a fault of the contract. The last two proofs make the pairing take all the gas
/// that it is given.
#[test]
fn the_probe_measures_a_verdict_of_the_groth16_lane() {
	use proofward_primitives::{Lane, PROBED};
	let proof: Vec<u8> = Contracts::probe(Lane::Groth16);
	let generator = |count: usize| proof[64..192].repeat(count);
	// alpha, beta, gamma, delta, IC0 to IC2: generators all.
	let key = [proof[..64].to_vec(), generator(3), proof[..64].repeat(3)].concat();
	development().execute_with(|| {
		let contract = pallet_models::Verifiers::<crate::Runtime>::get(Lane::Groth16).unwrap();
		assert_eq!(Contracts::well_formed(&contract, &key).decision, Decision::Accepted);
		let ask = |proof: &[u8], limit| Contracts::verify(&contract, &key, &PROBED, &PROBED, proof, limit);
		let probed = ask(&proof, VERDICT_LIMIT);
		assert_eq!(probed.decision, Decision::Rejected(ProofInvalid));
		assert!(probed.weight.saturating_mul(2).all_lt(VERDICT_LIMIT), "{:?}", probed.weight);

		let limit = probed.weight.saturating_mul(2);
		let (mut off_curve, mut off_twist) = (proof.clone(), proof.clone());
		off_curve[63] = 3;
		off_twist[191] ^= 1;
		for (fault, proof) in [("A off its curve", off_curve), ("B off its curve", off_twist)] {
			let verdict = ask(&proof, limit);
			assert_eq!(verdict.decision, Decision::Rejected(ProofInvalid), "{fault}");
			assert!(verdict.weight.all_lte(limit), "{fault}");
		}
		// e(-A, B) e(alpha, beta) e(IC0 + IC1 + IC2, gamma) e(C, delta) with A = 5 G1 (EIP-196) is one: 1 + 3 + 1 = 5.
		let five = "17c139df0efee0f766bc0204762b774362e4ded88953a39ce849a8a7fa163fa9\
			01e0559bacb160664764a357af8a9fe70baa9258e0b959273ffc5718c6d4cc7c";
		let five = hex::decode(five.replace(char::is_whitespace, "")).unwrap();
		let verdict = ask(&[&five[..], &proof[64..]].concat(), limit);
		assert_eq!(verdict.decision, Decision::Accepted, "a true proof fits");
		assert!(
			verdict.weight.all_lte(probed.weight.saturating_add(probed.weight / 10)),
			"and costs no more"
		);
		assert_eq!(
			ask(&proof, probed.weight / 2).decision,
			Decision::Rejected(CallFailed),
			"less is too little"
		);
	});
}

/// Why no call is inside too many others: without layers of storage a contract that works fails, and the model with it.
#[test]
fn a_contract_without_layers_of_storage_fails() {
	use crate::governance::Shallow;
	use frame_support::storage::{
		transactional::{Layer, TRANSACTIONAL_LIMIT, TRANSACTION_LEVEL_KEY},
		unhashed,
	};
	chain().execute_with(|| {
		let contract = deploy(YES);
		let inside = |layers: Layer| {
			unhashed::put(TRANSACTION_LEVEL_KEY, &layers);
			let verdict = ask(&contract);
			unhashed::kill(TRANSACTION_LEVEL_KEY);
			verdict
		};
		let verdict = inside(0);
		assert_eq!(verdict.decision, Decision::Accepted);
		// The deepest call's own layer, and the pallet's that is rolled back.
		assert_eq!(inside(Shallow::MOST + 2), verdict);
		assert_eq!(inside(TRANSACTIONAL_LIMIT - 1).decision, Decision::Rejected(CallFailed));
	});
}
