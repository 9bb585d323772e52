//! Every call, on the state that makes it dearest.

use polkadot_sdk::{
	frame_support::{assert_ok, traits::ConstU32, BoundedVec},
	sp_core::{ed25519, Pair, H160, H256},
	sp_io::hashing::sha2_256,
	sp_runtime::{AccountId32, DispatchResult},
};
use proofward_fixtures as fixtures;
use proofward_primitives::{messages::Receipt, traits::QuoteVerifier, Lane, Level, Setup};

use crate::{
	chain::*,
	measure::{cost, hashing, Cost},
};

const NONCE: H256 = H256([5; 32]);
const INPUT: H256 = H256([6; 32]);
const OUTPUT: H256 = H256([7; 32]);
const PRICE: u128 = 1_000;

/// How a call's cost depends on its arguments.
pub enum Shape {
	Fixed(Cost),
	/// Argument names with the greatest length of each; cost at length zero, and at each greatest length alone.
	Linear {
		least: Cost,
		arguments: Vec<(&'static str, u32, Cost)>,
	},
}

pub struct Call {
	pub name: &'static str,
	pub doc: &'static [&'static str],
	pub shape: Shape,
}

pub struct Pallet {
	pub name: &'static str,
	pub calls: Vec<Call>,
}

fn fixed(name: &'static str, cost: Cost) -> Call {
	Call { name, doc: &[], shape: Shape::Fixed(cost) }
}

fn documented(name: &'static str, doc: &'static [&'static str], cost: Cost) -> Call {
	Call { name, doc, shape: Shape::Fixed(cost) }
}

pub fn all() -> [Pallet; 4] {
	[attestation(), workers(), models(), jobs()]
}

fn bytes<const N: u32>(length: u32) -> BoundedVec<u8, ConstU32<N>> {
	vec![0xa5; length as usize].try_into().expect("within the bound")
}

fn bounded<const N: u32>(bytes: Vec<u8>) -> BoundedVec<u8, ConstU32<N>> {
	bytes.try_into().expect("within the bound")
}

fn alice() -> RuntimeOrigin {
	RuntimeOrigin::signed(ALICE)
}

fn client() -> RuntimeOrigin {
	RuntimeOrigin::signed(CLIENT)
}

fn root() -> RuntimeOrigin {
	RuntimeOrigin::root()
}

/// What the development quotes measure.
fn measurement() -> H256 {
	let zero = [0; 48];
	proofward_primitives::ids::measurement(&proofward_primitives::ids::TdRegisters {
		mrtd: &[0x11; 48],
		rtmr: [&zero; 4],
		mr_config_id: &zero,
		mr_owner: &zero,
		mr_owner_config: &zero,
	})
}

fn refresh() -> DispatchResult {
	let (quote, collateral) = (fixtures::quote("alice"), fixtures::collateral("up_to_date"));
	Attestation::refresh_collateral(alice(), bounded(quote), bounded(collateral))
}

fn quotes_verify() {
	assert_ok!(refresh());
	assert_ok!(Attestation::allow_measurement(root(), measurement(), Default::default()));
}

fn attestation() -> Pallet {
	use pallet_attestation::types::{TcbPolicy, TcbStatus, MAX_LABEL, MAX_ROOT};
	let policy = TcbPolicy {
		also_accepted: vec![TcbStatus::OutOfDate; 8].try_into().expect("eight fit"),
		..Default::default()
	};
	let dev_root = H256(sha2_256(&fixtures::DEV_ROOT));
	let verify = || Attestation::verify_quote(&fixtures::quote("alice_v5")).map(|_| ());
	Pallet {
		name: "attestation",
		calls: vec![
			fixed(
				"add_root",
				cost(|| (), || Attestation::add_root(root(), bytes(MAX_ROOT), Level::Hardware)),
			),
			fixed("remove_root", cost(|| (), || Attestation::remove_root(root(), dev_root))),
			fixed(
				"allow_measurement",
				cost(|| (), || Attestation::allow_measurement(root(), H256::zero(), bytes(MAX_LABEL))),
			),
			fixed(
				"disallow_measurement",
				cost(quotes_verify, || Attestation::disallow_measurement(root(), measurement())),
			),
			fixed("set_policy", cost(|| (), || Attestation::set_policy(root(), policy.clone()))),
			fixed("refresh_collateral", cost(quotes_verify, refresh)),
			documented(
				"verify_quote",
				&["What `QuoteVerifier::verify_quote` uses, for the calls of other pallets."],
				cost(quotes_verify, verify),
			),
		],
	}
}

fn register() -> DispatchResult {
	let quote = bounded(fixtures::quote("alice"));
	Workers::register(alice(), quote, bounded(vec![0x77; 32]), [0x51; 32], 1, 5, bytes(128))
}

fn renew() -> DispatchResult {
	let quote = bounded(fixtures::quote("alice_epoch_2"));
	Workers::renew(alice(), quote, bounded(vec![0x77; 32]), [0x52; 32], 2, 5, bytes(128))
}

fn registered() {
	quotes_verify();
	assert_ok!(register());
}

/// What a call costs beyond the verification of its quote, which it charges by the attestation pallet's weight.
fn beyond_the_quote(whole: Cost) -> Cost {
	let quote = cost(quotes_verify, || Attestation::verify_quote(&fixtures::quote("alice")).map(|_| ()));
	Cost {
		nanoseconds: whole.nanoseconds.saturating_sub(quote.nanoseconds).max(MIN_NANOSECONDS),
		reads: whole.reads - quote.reads,
		writes: whole.writes - quote.writes,
		proof: whole.proof - quote.proof,
	}
}

/// Two measurements of milliseconds differ by more than the rest of a call takes; this covers the rest.
const MIN_NANOSECONDS: u64 = 50_000;

fn workers() -> Pallet {
	Pallet {
		name: "workers",
		calls: vec![
			documented(
				"register",
				&["Without the verification of the quote, which the attestation pallet charges."],
				beyond_the_quote(cost(quotes_verify, register)),
			),
			documented(
				"renew",
				&["Without the verification of the quote, which the attestation pallet charges."],
				beyond_the_quote(cost(registered, renew)),
			),
			fixed("retire", cost(registered, || Workers::retire(alice()))),
		],
	}
}

fn publish() -> DispatchResult {
	Models::publish(
		alice(),
		bounded(vec![b'm'; 64]),
		H256([1; 32]),
		H256([2; 32]),
		vec![2, 2, 2, 2].try_into().expect("four dimensions"),
		1,
		Lane::Groth16,
		H256([3; 32]),
		H256([4; 32]),
		H160([8; 20]),
		CODE_HASH,
		PRICE,
		60,
		pallet_models::SetupEvidence::Dev,
	)
}

fn model() -> H256 {
	let (weights, manifest, vk) = (H256([1; 32]), H256([2; 32]), H256([3; 32]));
	let verifier = H160([8; 20]);
	proofward_primitives::ids::model_id(
		&ALICE,
		&weights,
		&manifest,
		Lane::Groth16,
		&vk,
		&verifier,
		&CODE_HASH,
	)
}

fn published() {
	assert_ok!(publish());
}

fn models() -> Pallet {
	// Beyond its verification a quote is only hashed.
	let plain = cost(|| (), publish);
	let quote = hashed("quote", pallet_models::types::MAX_QUOTE, &plain, plain);
	Pallet {
		name: "models",
		calls: vec![
			Call {
				name: "publish",
				doc: &[
					"Without the verification of a quote, which the attestation pallet charges.",
					"`quote`: length of the setup's quote in bytes, 0 without one.",
				],
				shape: Shape::Linear { least: plain, arguments: vec![quote] },
			},
			fixed("retire", cost(published, || Models::retire(alice(), model()))),
			fixed("certify_ceremony", cost(published, || Models::certify_ceremony(root(), model(), INPUT))),
		],
	}
}

fn job() -> H256 {
	proofward_primitives::ids::job_id(&CLIENT, &NONCE)
}

fn submit(nonce: H256, sealed: u32) -> DispatchResult {
	let others = (2..9u8).map(|byte| AccountId32::new([byte; 32]));
	let recipients: Vec<_> = others.chain([ALICE]).collect();
	let recipients = recipients.try_into().expect("eight fit");
	let sealed = bytes(sealed);
	Jobs::submit(client(), model(), nonce, sealed, INPUT, recipients, PRICE, 1_000, Level::Simulated, true)
}

fn receipt_pair() -> ed25519::Pair {
	ed25519::Pair::from_seed(&[0x51; 32])
}

/// Three jobs wait, ours in the middle; the worker's receipt key is one that signs.
fn queued() {
	registered();
	pallet_workers::Workers::<Chain>::mutate(ALICE, |worker| {
		let worker = worker.as_mut().expect("registered");
		// The newest key is tried first: the dearer receipt is under the key before.
		worker.previous =
			Some(pallet_workers::types::PreviousEpoch { epoch: 0, receipt_key: receipt_pair().public().0 });
	});
	published();
	for nonce in [H256([4; 32]), NONCE, H256([6; 32])] {
		assert_ok!(submit(nonce, 65_536));
	}
}

fn claimed() {
	queued();
	assert_ok!(Jobs::claim(alice(), job()));
}

fn lapsed() {
	claimed();
	System::set_block_number(10 + 61);
}

/// A `complete` whose arguments, receipt and signature were made before: they are the worker's work.
fn complete(sealed_output: u32, proof: u32) -> impl Fn() -> DispatchResult {
	let (sealed_output, proof) = (bytes(sealed_output), bytes(proof));
	let (worker, genesis) = (ALICE, H256(fixtures::GENESIS));
	let receipt = Receipt {
		genesis,
		job: job(),
		model: model(),
		worker,
		weights_digest: H256([1; 32]),
		input_commitment: INPUT,
		output_commitment: OUTPUT,
		sealed_output_hash: sha2_256(&sealed_output).into(),
		proof_hash: sha2_256(&proof).into(),
		level: Level::Simulated,
		setup: Setup::Dev,
		block: 10,
	};
	let signature = receipt_pair().sign(&receipt.message()).0;
	move || {
		Jobs::complete(alice(), job(), sealed_output.clone(), OUTPUT, proof.clone(), 10, signature)
			.map(|_| ())
			.map_err(|error| error.error)
	}
}

/// An argument that is hashed: two measurements may differ by more than the hashing takes, so no less than that.
fn hashed(name: &'static str, length: u32, least: &Cost, most: Cost) -> (&'static str, u32, Cost) {
	let floor = least.nanoseconds + hashing(length);
	(name, length, Cost { nanoseconds: most.nanoseconds.max(floor), ..most })
}

fn jobs() -> Pallet {
	use pallet_jobs::types::{MAX_PROOF, MAX_SEALED};
	let other = H256([9; 32]);
	let submit_least = cost(queued, || submit(other, 0));
	let submit_most = cost(queued, || submit(other, MAX_SEALED));
	let least = cost(claimed, complete(0, 0));
	let sealed_output = cost(claimed, complete(MAX_SEALED, 0));
	let proof = cost(claimed, complete(0, MAX_PROOF));
	Pallet {
		name: "jobs",
		calls: vec![
			Call {
				name: "submit",
				doc: &["`sealed`: length of the sealed input in bytes. Recipients: the most there may be."],
				shape: Shape::Linear {
					least: submit_least,
					arguments: vec![hashed("sealed", MAX_SEALED, &submit_least, submit_most)],
				},
			},
			documented(
				"claim",
				&["A claim over a lapsed one, the costlier kind."],
				cost(lapsed_by_another, || Jobs::claim(alice(), job())),
			),
			fixed("release", cost(claimed, || Jobs::release(alice(), job()))),
			fixed("lapse", cost(lapsed, || Jobs::lapse(client(), job()))),
			Call {
				name: "complete",
				doc: &["Everything but the contract's verdict. `sealed_output`, `proof`: lengths in bytes."],
				shape: Shape::Linear {
					least,
					arguments: vec![
						hashed("sealed_output", MAX_SEALED, &least, sealed_output),
						hashed("proof", MAX_PROOF, &least, proof),
					],
				},
			},
			documented(
				"expire",
				&["Of a claimed job, the costlier kind."],
				cost(expired, || Jobs::expire(client(), job())),
			),
		],
	}
}

/// The lapsed claim is another worker's, so that two workers' records and balances are touched.
fn lapsed_by_another() {
	const OTHER: AccountId32 = AccountId32::new([2; 32]);
	queued();
	let worker = pallet_workers::Workers::<Chain>::get(ALICE).expect("registered");
	pallet_workers::Workers::<Chain>::insert(&OTHER, worker);
	let funds =
		<Balances as polkadot_sdk::frame_support::traits::Currency<_>>::deposit_creating(&OTHER, 1_000_000);
	drop(funds);
	assert_ok!(Jobs::claim(RuntimeOrigin::signed(OTHER), job()));
	System::set_block_number(10 + 61);
}

fn expired() {
	claimed();
	System::set_block_number(1_001);
}
