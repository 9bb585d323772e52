//! How a lane's contract is asked about keys and proofs: hostile until proven `true`.

use alloc::vec::Vec;
use frame_support::{
	storage::{with_transaction, TransactionOutcome},
	weights::Weight,
};
use pallet_revive::{AccountInfo, ExecConfig, TransactionLimits};
use polkadot_sdk::*;
use proofward_primitives::{
	ContractCode, Decision, Lane, ProofVerifier, RejectReason, Statement, Verdict, VerifierContract,
};
use sp_core::{H160, H256};
use sp_runtime::DispatchError;

use crate::{AccountId, Revive, Runtime, RuntimeOrigin};

/// The most that a verdict may use. Generated ezkl verifiers take some 50 ms of reference time.
pub const VERDICT_LIMIT: Weight = Weight::from_parts(400_000_000_000, 3 * 1024 * 1024);

/// keccak-256 of `verify(bytes,bytes32,bytes32,bytes)`, first four bytes.
const VERIFY: [u8; 4] = [0x1a, 0x36, 0xed, 0x75];
/// keccak-256 of `verifyMany(bytes,bytes32[],bytes32[],bytes[])`, first four bytes.
const VERIFY_MANY: [u8; 4] = [0x63, 0xbe, 0x84, 0x53];
/// keccak-256 of `wellFormed(bytes)`, first four bytes.
const WELL_FORMED: [u8; 4] = [0x85, 0x32, 0x26, 0x5b];
const WORD: usize = 32;
/// A proof of the groth16 lane's form: G1's generator, G2's with the imaginary parts first, G1's.
const GENERATORS: [u8; 8 * WORD] = hex_literal::hex!(
	"0000000000000000000000000000000000000000000000000000000000000001"
	"0000000000000000000000000000000000000000000000000000000000000002"
	"198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2"
	"1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed"
	"090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b"
	"12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa"
	"0000000000000000000000000000000000000000000000000000000000000001"
	"0000000000000000000000000000000000000000000000000000000000000002"
);

/// Who calls: an address that nobody has the key of and that owns nothing, so the contract gains nothing by it.
fn caller() -> AccountId {
	let mut account = [0xEE; 32];
	account[..20].copy_from_slice(b"proofward/verdict/v1");
	account.into()
}

fn word(number: usize) -> [u8; WORD] {
	let mut word = [0; WORD];
	word[WORD - 8..].copy_from_slice(&(number as u64).to_be_bytes());
	word
}

fn push_bytes(data: &mut Vec<u8>, bytes: &[u8]) {
	data.extend_from_slice(&word(bytes.len()));
	data.extend_from_slice(bytes);
	data.resize(4 + (data.len() - 4).next_multiple_of(WORD), 0);
}

/// `verify(bytes,bytes32,bytes32,bytes)` by the contract ABI (Solidity documentation, "Contract ABI Specification").
fn verify_call(key: &[u8], input_commitment: &H256, output_commitment: &H256, proof: &[u8]) -> Vec<u8> {
	let mut data = Vec::with_capacity(4 + 8 * WORD + key.len() + proof.len());
	data.extend_from_slice(&VERIFY);
	data.extend_from_slice(&word(4 * WORD));
	data.extend_from_slice(input_commitment.as_bytes());
	data.extend_from_slice(output_commitment.as_bytes());
	data.extend_from_slice(&word(5 * WORD + key.len().next_multiple_of(WORD)));
	push_bytes(&mut data, key);
	push_bytes(&mut data, proof);
	data
}

/// `verifyMany(bytes,bytes32[],bytes32[],bytes[])`, likewise.
fn verify_many_call(key: &[u8], statements: &[Statement]) -> Vec<u8> {
	let count = statements.len();
	let inputs = 4 * WORD + WORD + key.len().next_multiple_of(WORD);
	let outputs = inputs + WORD + WORD * count;
	let proofs = outputs + WORD + WORD * count;
	let mut data = Vec::with_capacity(4 + proofs + WORD + count * 12 * WORD);
	data.extend_from_slice(&VERIFY_MANY);
	[4 * WORD, inputs, outputs, proofs].iter().for_each(|at| data.extend_from_slice(&word(*at)));
	push_bytes(&mut data, key);
	data.extend_from_slice(&word(count));
	statements.iter().for_each(|one| data.extend_from_slice(one.input_commitment.as_bytes()));
	data.extend_from_slice(&word(count));
	statements.iter().for_each(|one| data.extend_from_slice(one.output_commitment.as_bytes()));
	data.extend_from_slice(&word(count));
	let mut at = WORD * count;
	for one in statements {
		data.extend_from_slice(&word(at));
		at += WORD + one.proof.len().next_multiple_of(WORD);
	}
	statements.iter().for_each(|one| push_bytes(&mut data, &one.proof));
	data
}

/// `wellFormed(bytes)`, likewise.
fn well_formed_call(key: &[u8]) -> Vec<u8> {
	let mut data = Vec::with_capacity(4 + 3 * WORD + key.len());
	data.extend_from_slice(&WELL_FORMED);
	data.extend_from_slice(&word(WORD));
	push_bytes(&mut data, key);
	data
}

/// Only the two exact encodings of a boolean mean anything.
fn decide(answer: &[u8]) -> Decision {
	if answer == word(1) {
		Decision::Accepted
	} else if answer == word(0) {
		Decision::Rejected(RejectReason::ProofInvalid)
	} else {
		Decision::Rejected(RejectReason::MalformedAnswer)
	}
}

/// The lanes' contracts, asked in the runtime's own EVM.
pub struct Contracts;

impl ContractCode for Contracts {
	fn code_hash(address: &H160) -> Option<H256> {
		AccountInfo::<Runtime>::load_contract(address).map(|contract| contract.code_hash)
	}
}

impl Contracts {
	/// Calls a contract with `data` and at most `limit`, if its code is the code on the allow-list.
	fn ask(contract: &VerifierContract, data: Vec<u8>, limit: Weight) -> Verdict {
		let rejected = |reason, weight| Verdict { decision: Decision::Rejected(reason), weight };
		if Self::code_hash(&contract.address) != Some(contract.code_hash) {
			return rejected(RejectReason::CodeChanged, Weight::zero());
		}
		let call = || {
			let result = Revive::bare_call(
				RuntimeOrigin::signed(caller()),
				contract.address,
				0u32.into(),
				TransactionLimits::WeightAndDeposit { weight_limit: limit, deposit_limit: 0 },
				data,
				&ExecConfig::new_substrate_tx_without_bump(),
			);
			// Whatever the contract did is undone, its events included: a verdict is a question.
			TransactionOutcome::Rollback(Ok::<_, DispatchError>(result))
		};
		let Ok(called) = with_transaction(call) else {
			return rejected(RejectReason::CallFailed, Weight::zero());
		};
		let weight = called.weight_consumed.min(limit);
		match called.result {
			Ok(answer) if answer.did_revert() => rejected(RejectReason::Reverted, weight),
			Ok(answer) => Verdict { decision: decide(&answer.data), weight },
			Err(_) => rejected(RejectReason::CallFailed, weight),
		}
	}
}

impl ProofVerifier for Contracts {
	fn well_formed(contract: &VerifierContract, key: &[u8]) -> Verdict {
		Self::ask(contract, well_formed_call(key), VERDICT_LIMIT)
	}

	fn verify(
		contract: &VerifierContract,
		key: &[u8],
		input_commitment: &H256,
		output_commitment: &H256,
		proof: &[u8],
		limit: Weight,
	) -> Verdict {
		Self::ask(contract, verify_call(key, input_commitment, output_commitment, proof), limit)
	}

	fn verify_many(
		contract: &VerifierContract,
		key: &[u8],
		statements: &[Statement],
		limit: Weight,
	) -> Verdict {
		Self::ask(contract, verify_many_call(key, statements), limit)
	}

	/// Groth16: the generators of G1, G2 and G1 (EIP-197), so that every point is one, the pairing is computed, and the
	/// equation does not hold. The ezkl lane has no contract; zeros are the shortest proof that its generator could take.
	fn probe(lane: Lane) -> Vec<u8> {
		match lane {
			Lane::Groth16 => GENERATORS.to_vec(),
			Lane::Ezkl => [0; WORD].to_vec(),
		}
	}

	fn max_weight() -> Weight {
		VERDICT_LIMIT
	}
}
