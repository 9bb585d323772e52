//! People and things of the market, and the calls that they make.
//!
//! Proofs are judged by the lane's own contract in the runtime's own EVM. So that the simulation can make true and false
//! ones at no cost, every model has one verifying key whose secrets are known: with every point a generator, the proof
//! `(5 G1, G2, G1)` is true of exactly those commitments whose sum is 2.
//!
//! Registrations are written as `register` writes them: quotes have their own tests, and no part in the economics.

use codec::Encode;
use pallet_models::{types::Terms, SetupEvidence};
use pallet_workers::types::Worker;
use polkadot_sdk::{
	frame_support::traits::fungible::MutateHold,
	sp_core::{ed25519, Pair, H256, U256},
	sp_io::hashing::{blake2_256, sha2_256},
	*,
};
use proofward_primitives::{
	ids, messages::Receipt, Lane, Level, ModelRegistry, ProofVerifier, Setup, WorkerRegistry,
};
use proofward_runtime::{
	config::WorkerStake, verifier::Contracts, AccountId, Attestation, Balance, Balances, Models, Runtime,
	RuntimeCall, RuntimeHoldReason, RuntimeOrigin, System, Workers,
};

/// Order of BN254's scalar field (EIP-196).
const SCALAR: &str = "21888242871839275222246405745257275088548364400416034343698204186575808495617";
/// Five times the generator of G1 (EIP-196).
const FIVE: [u8; 64] = {
	let mut point = [0; 64];
	let x = hex32(b"17c139df0efee0f766bc0204762b774362e4ded88953a39ce849a8a7fa163fa9");
	let y = hex32(b"01e0559bacb160664764a357af8a9fe70baa9258e0b959273ffc5718c6d4cc7c");
	let mut i = 0;
	while i < 32 {
		point[i] = x[i];
		point[32 + i] = y[i];
		i += 1;
	}
	point
};

const fn hex32(text: &[u8; 64]) -> [u8; 32] {
	const fn digit(digit: u8) -> u8 {
		if digit <= b'9' {
			digit - b'0'
		} else {
			digit - b'a' + 10
		}
	}
	let mut bytes = [0; 32];
	let mut i = 0;
	while i < 32 {
		bytes[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
		i += 1;
	}
	bytes
}

/// An account by its role and number.
pub fn account(role: &str, number: usize) -> AccountId {
	blake2_256(&(role, number as u64).encode()).into()
}

/// The enclave software that everybody runs.
pub fn measurement() -> H256 {
	H256::repeat_byte(0x11)
}

/// Puts the software on the allow-list. In block 1.
pub fn allow_software() {
	Attestation::allow_measurement(RuntimeOrigin::root(), measurement(), Default::default())
		.expect("root allows");
}

pub fn receipt_pair(worker: &AccountId) -> ed25519::Pair {
	ed25519::Pair::from_seed(&blake2_256(&(b"receipt key", worker).encode()))
}

/// Registers `who` with its stake on a machine of its own.
pub fn register(who: &AccountId) {
	let root = pallet_attestation::Roots::<Runtime>::iter()
		.find(|(_, root)| root.level == Level::Simulated)
		.expect("the development root")
		.0;
	let platform = H256(blake2_256(&(b"machine", who).encode()));
	let receipt_key = receipt_pair(who).public().0;
	let reason = RuntimeHoldReason::Workers(pallet_workers::HoldReason::Stake);
	Balances::hold(&reason, who, WorkerStake::get()).expect("a worker has its stake");
	let worker = Worker {
		level: Level::Simulated,
		root,
		measurement: measurement(),
		platform,
		hpke_key: vec![7; 32].try_into().expect("short"),
		receipt_key,
		epoch: 1,
		previous: None,
		past_keys: Default::default(),
		endpoint: Default::default(),
		quote_hash: H256::zero(),
		registered_at: System::block_number(),
		expires_at: pallet_timestamp::Now::<Runtime>::get() + 365 * 24 * 60 * 60 * 1_000,
		stake: WorkerStake::get(),
		open_claims: 0,
		served: 0,
		tally: Default::default(),
		retired_at: None,
		banned: false,
	};
	pallet_workers::ReceiptKeys::<Runtime>::insert(receipt_key, who);
	pallet_workers::Epochs::<Runtime>::insert(who, 1);
	pallet_workers::Platforms::<Runtime>::insert(platform, 1);
	pallet_workers::Workers::<Runtime>::insert(who, worker);
}

/// The one verifying key.
pub fn key() -> Vec<u8> {
	let probe = Contracts::probe(Lane::Groth16);
	let (g1, g2) = (&probe[..64], &probe[64..192]);
	[g1.to_vec(), g2.repeat(3), g1.repeat(3)].concat()
}

/// A model's entry: what makes it another one is its manifest.
#[derive(Clone)]
pub struct Entry {
	pub publisher: AccountId,
	pub manifest: H256,
	pub terms: Terms,
}

impl Entry {
	pub fn id(&self) -> H256 {
		let key_hash = H256(sha2_256(&key()));
		let [weights, vk] = [H256::repeat_byte(2), H256::repeat_byte(3)];
		ids::model_id(&self.publisher, &weights, &self.manifest, Lane::Groth16, &vk, &key_hash)
	}

	pub fn publish(&self) -> RuntimeCall {
		RuntimeCall::Models(pallet_models::Call::publish {
			name: b"simulated".to_vec().try_into().expect("short"),
			weights_digest: H256::repeat_byte(2),
			manifest_hash: self.manifest,
			input_shape: vec![30].try_into().expect("short"),
			batch: 1,
			lane: Lane::Groth16,
			vk_hash: H256::repeat_byte(3),
			key: key().try_into().expect("short"),
			circuit_digest: H256::repeat_byte(4),
			terms: self.terms,
			evidence: SetupEvidence::Dev,
		})
	}
}

pub fn serve(model: H256, min_price: Balance) -> RuntimeCall {
	RuntimeCall::Workers(pallet_workers::Call::serve { model, min_price })
}

/// What a client asks for.
#[derive(Clone)]
pub struct Order {
	pub client: AccountId,
	pub model: H256,
	pub nonce: H256,
	pub sealed: usize,
	pub recipients: Vec<AccountId>,
	pub price: Balance,
	/// The last block in which a result counts.
	pub deadline: u32,
}

impl Order {
	pub fn id(&self) -> H256 {
		ids::job_id(&self.client, &self.nonce)
	}

	/// The commitment of the job's input: any number of the field.
	pub fn input(&self) -> H256 {
		let number = U256::from_big_endian(&blake2_256(&self.nonce.0)) % scalar();
		H256(number.to_big_endian())
	}

	pub fn submit(&self) -> RuntimeCall {
		RuntimeCall::Jobs(pallet_jobs::Call::submit {
			model: self.model,
			nonce: self.nonce,
			sealed: vec![0xee; self.sealed].try_into().expect("short"),
			input_commitment: self.input(),
			recipients: self.recipients.clone().try_into().expect("few"),
			price: self.price,
			deadline: self.deadline,
			min_level: Level::Simulated,
			allow_dev_setup: true,
		})
	}
}

fn scalar() -> U256 {
	U256::from_dec_str(SCALAR).expect("a number")
}

/// The output whose commitment makes the one proof true.
fn output(input: &H256) -> H256 {
	let input = U256::from_big_endian(&input.0);
	H256(((scalar() + 2u32 - input) % scalar()).to_big_endian())
}

pub fn claim(job: H256, max_bond: Balance) -> RuntimeCall {
	RuntimeCall::Jobs(pallet_jobs::Call::claim { job, max_bond })
}

pub fn release(job: H256) -> RuntimeCall {
	RuntimeCall::Jobs(pallet_jobs::Call::release { job })
}

pub fn lapse(job: H256) -> RuntimeCall {
	RuntimeCall::Jobs(pallet_jobs::Call::lapse { job })
}

pub fn expire(job: H256) -> RuntimeCall {
	RuntimeCall::Jobs(pallet_jobs::Call::expire { job })
}

pub fn decline(job: H256) -> RuntimeCall {
	RuntimeCall::Jobs(pallet_jobs::Call::decline { job })
}

pub fn cancel(job: H256) -> RuntimeCall {
	RuntimeCall::Jobs(pallet_jobs::Call::cancel { job })
}

pub fn forget(job: H256) -> RuntimeCall {
	RuntimeCall::Jobs(pallet_jobs::Call::forget { job })
}

/// A receipt of `worker`'s for a job of the chain's, about this output, with its signature.
pub fn receipt(worker: &AccountId, job: H256, output: H256, proof: &[u8]) -> (Receipt<AccountId>, [u8; 64]) {
	let record = pallet_jobs::Jobs::<Runtime>::get(job).expect("an open job");
	let receipt = Receipt {
		genesis: frame_system::BlockHash::<Runtime>::get(0),
		job,
		model: record.model,
		worker: worker.clone(),
		weights_digest: H256::repeat_byte(2),
		input_commitment: record.input_commitment,
		output_commitment: output,
		sealed_output_hash: sha2_256(&SEALED_OUTPUT).into(),
		proof_hash: sha2_256(proof).into(),
		level: Level::Simulated,
		setup: Setup::Dev,
		block: System::block_number(),
	};
	let signature = receipt_pair(worker).sign(&receipt.message()).0;
	(receipt, signature)
}

const SEALED_OUTPUT: [u8; 300] = [0xaa; 300];

/// A result for a job, with a true proof or a false one; signed in the present block.
pub fn complete(worker: &AccountId, job: H256, honest: bool) -> RuntimeCall {
	let input = pallet_jobs::Jobs::<Runtime>::get(job).expect("an open job").input_commitment;
	let mut proof = Contracts::probe(Lane::Groth16);
	if honest {
		proof[..64].copy_from_slice(&FIVE);
	}
	let output_commitment = output(&input);
	let (receipt, receipt_signature) = receipt(worker, job, output_commitment, &proof);
	RuntimeCall::Jobs(pallet_jobs::Call::complete {
		job,
		sealed_output: SEALED_OUTPUT.to_vec().try_into().expect("short"),
		output_commitment,
		proof: proof.try_into().expect("short"),
		receipt_block: receipt.block,
		receipt_signature,
	})
}

/// A result of the largest size that no enclave signed.
pub fn crowding(job: H256) -> RuntimeCall {
	use pallet_jobs::types::{MAX_PROOF, MAX_SEALED};
	RuntimeCall::Jobs(pallet_jobs::Call::complete {
		job,
		sealed_output: vec![0; MAX_SEALED as usize].try_into().expect("as long as may be"),
		output_commitment: H256::zero(),
		proof: vec![0; MAX_PROOF as usize].try_into().expect("as long as may be"),
		receipt_block: System::block_number(),
		receipt_signature: [0; 64],
	})
}

/// Two different results of one job under one key.
pub fn equivocation(worker: &AccountId, job: H256) -> RuntimeCall {
	let (first, first_signature) = receipt(worker, job, H256::repeat_byte(1), &[1]);
	let (second, second_signature) = receipt(worker, job, H256::repeat_byte(2), &[2]);
	RuntimeCall::Workers(pallet_workers::Call::report_equivocation {
		receipt_key: receipt_pair(worker).public().0,
		first,
		first_signature,
		second,
		second_signature,
	})
}

/// A block of bytes.
pub fn stuffing(length: usize) -> RuntimeCall {
	RuntimeCall::System(frame_system::Call::remark { remark: vec![0; length] })
}

/// What somebody's worker record says of it: how likely its next claim is to end well.
pub fn reputation(worker: &AccountId) -> Option<u64> {
	<Workers as WorkerRegistry<AccountId>>::active(worker).filter(|view| !view.suspended)?;
	let record = pallet_workers::Workers::<Runtime>::get(worker)?;
	let tally = record.tally;
	let bad = u64::from(tally.rejected) + u64::from(tally.lapsed) + u64::from(tally.released);
	let good = u64::from(tally.accepted) + 1;
	Some((good * 1_000_000) / (good + 4 * bad))
}

/// The present weight of a model's verdict, as the chain measured it.
pub fn verdict_limit(model: &H256) -> Option<frame_support::weights::Weight> {
	<Models as ModelRegistry<AccountId>>::model(model).map(|model| model.verdict_limit)
}
