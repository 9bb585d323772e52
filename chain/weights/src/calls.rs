//! Every call, on the state that makes it dearest.

use pallet_workers::types::MAX_ANSWER_RECEIPT;
use polkadot_sdk::{
	frame_support::{assert_ok, traits::ConstU32, BoundedVec},
	sp_core::{ed25519, Pair, H256},
	sp_io::hashing::sha2_256,
	sp_runtime::{AccountId32, DispatchResult},
};
use proofward_fixtures as fixtures;
use proofward_primitives::{messages::Receipt, traits::QuoteVerifier, Lane, Level, Setup};

use crate::{
	chain::*,
	consortium::consortium,
	contest::contest,
	drand::drand,
	federation::federation,
	measure::{cost, hashing, Cost},
	sessions::sessions,
	FIELD_FACTOR, WASM_FACTOR,
};

pub const NONCE: H256 = H256([5; 32]);
pub const INPUT: H256 = H256([6; 32]);
pub const OUTPUT: H256 = H256([7; 32]);
const PRICE: u128 = 1_000;

/// How a call's cost depends on its arguments.
#[allow(clippy::large_enum_variant)]
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
	/// How much slower wasm is, at most.
	pub factor: u64,
}

pub struct Pallet {
	pub name: &'static str,
	pub calls: Vec<Call>,
}

pub fn fixed(name: &'static str, cost: Cost) -> Call {
	documented(name, &[], cost)
}

pub fn documented(name: &'static str, doc: &'static [&'static str], cost: Cost) -> Call {
	Call { name, doc, shape: Shape::Fixed(cost), factor: WASM_FACTOR }
}

/// A call whose time is spent on arithmetic of fields of 255 bits.
pub fn arithmetic(call: Call) -> Call {
	Call { factor: FIELD_FACTOR, ..call }
}

pub fn linear(
	name: &'static str,
	doc: &'static [&'static str],
	least: Cost,
	arguments: Vec<(&'static str, u32, Cost)>,
) -> Call {
	Call { name, doc, shape: Shape::Linear { least, arguments }, factor: WASM_FACTOR }
}

/// A pallet's name, and what measures it.
type Measure = (&'static str, fn() -> Pallet);

/// Each pallet's calls, under its name.
pub const ALL: [Measure; 8] = [
	("attestation", attestation),
	("workers", workers),
	("models", models),
	("jobs", jobs),
	("sessions", sessions),
	("federation", federation),
	("consortium", consortium),
	("drand", drand),
];

pub fn bytes<const N: u32>(length: u32) -> BoundedVec<u8, ConstU32<N>> {
	vec![0xa5; length as usize].try_into().expect("within the bound")
}

pub fn bounded<const N: u32>(bytes: Vec<u8>) -> BoundedVec<u8, ConstU32<N>> {
	bytes.try_into().expect("within the bound")
}

pub fn alice() -> RuntimeOrigin {
	RuntimeOrigin::signed(ALICE)
}

pub fn client() -> RuntimeOrigin {
	RuntimeOrigin::signed(CLIENT)
}

pub fn root() -> RuntimeOrigin {
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

const FMSPC: [u8; 6] = [0xde, 0x50, 0xc0, 0xff, 0xee, 0x00];

fn drop_collateral(root: H256) -> DispatchResult {
	let authority = pallet_attestation::types::PckAuthority::Platform;
	Attestation::drop_collateral(alice(), root, FMSPC, authority)
}

fn reset_collateral(dev_root: H256) -> DispatchResult {
	let authority = pallet_attestation::types::PckAuthority::Platform;
	Attestation::reset_collateral(root(), dev_root, FMSPC, authority)
}

fn untrusted() {
	quotes_verify();
	assert_ok!(Attestation::remove_root(root(), H256(sha2_256(&fixtures::DEV_ROOT))));
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
			fixed("drop_collateral", cost(untrusted, || drop_collateral(dev_root))),
			fixed("reset_collateral", cost(quotes_verify, || reset_collateral(dev_root))),
			fixed("ban_platform", cost(|| (), || Attestation::ban_platform(root(), INPUT, true))),
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

/// The receipt key of that secret key, as the fixtures' quotes bind it.
pub fn receipt_pair(seed: u8) -> ed25519::Pair {
	ed25519::Pair::from_seed(&[seed; 32])
}

/// What the key signs to be registered for an epoch of Alice's.
fn possession(seed: u8, epoch: u32) -> [u8; 64] {
	use proofward_primitives::messages::{possession, worker_report_data};
	let (genesis, block) = (H256(fixtures::GENESIS), H256(fixtures::block_hash(5)));
	let key = receipt_pair(seed).public().0;
	let data = worker_report_data(&genesis, &ALICE, &[0x77; 32], &key, epoch, &block);
	receipt_pair(seed).sign(&possession(&data)).0
}

fn register() -> DispatchResult {
	let (quote, key) = (bounded(fixtures::quote("alice")), receipt_pair(0x51).public().0);
	Workers::register(alice(), quote, bounded(vec![0x77; 32]), key, possession(0x51, 1), 1, 5, bytes(128))
}

fn renew() -> DispatchResult {
	let (quote, key) = (bounded(fixtures::quote("alice_epoch_2")), receipt_pair(0x52).public().0);
	let block = UNBONDED - 5;
	Workers::renew(alice(), quote, bounded(vec![0x77; 32]), key, possession(0x52, 2), 2, block, bytes(128))
}

/// A block in which all keys of block 10 are forgotten.
const UNBONDED: u32 = 10 + 604_801;

/// As many past keys as a worker may have, all of them too old for evidence.
fn renewable() {
	registered();
	past_keys();
	System::set_block_number(UNBONDED);
	polkadot_sdk::frame_system::BlockHash::<Chain>::insert(UNBONDED - 5, H256(fixtures::block_hash(5)));
}

pub fn registered() {
	quotes_verify();
	assert_ok!(register());
}

pub fn published_and_registered() {
	registered();
	published();
}

pub fn serving() {
	published_and_registered();
	assert_ok!(Workers::serve(alice(), model(), 1));
}

fn serving_all() {
	registered();
	for n in 0..pallet_workers::types::MAX_SERVED as u8 {
		assert_ok!(publish_as(n));
		assert_ok!(Workers::serve(alice(), model_as(n), 1));
	}
}

fn past_keys() {
	use pallet_workers::types::{PastKey, MAX_KEYS};
	pallet_workers::Workers::<Chain>::mutate(ALICE, |worker| {
		let worker = worker.as_mut().expect("registered");
		for n in 0..MAX_KEYS as u8 {
			let past = PastKey { receipt_key: [n; 32], superseded_at: 10 };
			worker.past_keys.try_push(past).expect("there is room");
			pallet_workers::ReceiptKeys::<Chain>::insert([n; 32], ALICE);
		}
	});
}

fn withdrawable() {
	registered();
	past_keys();
	assert_ok!(Workers::retire(alice()));
	System::set_block_number(10 + 604_800);
}

fn report_equivocation() -> DispatchResult {
	let receipt = |output| Receipt { output_commitment: output, ..receipt(&[], &[]) };
	let (first, second) = (receipt(INPUT), receipt(OUTPUT));
	let sign = |receipt: &Receipt<_>| receipt_pair(0x51).sign(&receipt.message()).0;
	let signatures = (sign(&first), sign(&second));
	let key = receipt_pair(0x51).public().0;
	Workers::report_equivocation(client(), key, first, signatures.0, second, signatures.1)
}

/// The longest receipts of an answer that there are, both under Alice's key.
fn report_two_receipts() -> impl Fn() -> DispatchResult {
	let receipt = |model: &str| {
		let digest = "0".repeat(64);
		let begin = r#"{"api_version":"aci/1","chat_id":null,"model":""#;
		let end =
			format!(r#"","receipt_id":"rcpt-0","served_at":1,"workload_keyset_digest":"sha256:{digest}"}}"#);
		let room = MAX_ANSWER_RECEIPT as usize - begin.len() - end.len();
		[begin, &model.repeat(room), &end].concat().into_bytes()
	};
	let [first, second] = ["a", "b"].map(receipt);
	let key = receipt_pair(0x51);
	let signatures = (key.sign(&first).0, key.sign(&second).0);
	move || {
		let (first, second) = (bounded(first.clone()), bounded(second.clone()));
		Workers::report_two_receipts(client(), key.public().0, first, signatures.0, second, signatures.1)
	}
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
	let renewal = beyond_the_quote(cost(renewable, renew));
	// Lost between two measurements of milliseconds; a renewal does all that a registration does, and forgets a key.
	let registration = beyond_the_quote(cost(quotes_verify, register));
	let registration =
		Cost { nanoseconds: registration.nanoseconds.max(renewal.nanoseconds), ..registration };
	Pallet {
		name: "workers",
		calls: vec![
			documented(
				"register",
				&["Without the verification of the quote, which the attestation pallet charges."],
				registration,
			),
			documented(
				"renew",
				&["Without the verification of the quote, which the attestation pallet charges."],
				renewal,
			),
			documented(
				"retire",
				&["Of a worker that serves as many models as it may."],
				cost(serving_all, || Workers::retire(alice())),
			),
			documented(
				"withdraw",
				&["Of a worker with as many past keys as it may have."],
				cost(withdrawable, || Workers::withdraw(alice())),
			),
			fixed("serve", cost(published_and_registered, || Workers::serve(alice(), model(), 1))),
			fixed("unserve", cost(serving, || Workers::unserve(alice(), model()))),
			fixed("report_equivocation", cost(registered, report_equivocation)),
			fixed("ban", cost(registered, || Workers::ban(root(), ALICE, true))),
			fixed("top_up", cost(registered, || Workers::top_up(alice()))),
			fixed("report_two_receipts", cost(registered, report_two_receipts())),
		],
	}
}

fn publish() -> DispatchResult {
	publish_as(2)
}

fn publish_as(manifest: u8) -> DispatchResult {
	publish_with(manifest, KEY_LENGTH)
}

/// Length of the groth16 lane's keys.
const KEY_LENGTH: u32 = 640;

fn publish_with(manifest: u8, key: u32) -> DispatchResult {
	Models::publish(
		alice(),
		bounded(vec![b'm'; 64]),
		H256([1; 32]),
		H256([manifest; 32]),
		vec![2, 2, 2, 2].try_into().expect("four dimensions"),
		1,
		Lane::Groth16,
		H256([3; 32]),
		bytes(key),
		H256([4; 32]),
		pallet_models::Terms { price: PRICE, share: 100_000, bond: 100, claim_blocks: 60 },
		pallet_models::SetupEvidence::Dev,
	)
	.map(|_| ())
	.map_err(|error| error.error)
}

pub fn model() -> H256 {
	model_as(2)
}

fn model_as(manifest: u8) -> H256 {
	let (weights, manifest, vk) = (H256([1; 32]), H256([manifest; 32]), H256([3; 32]));
	let key = H256(sha2_256(&bytes::<4_096>(KEY_LENGTH)));
	proofward_primitives::ids::model_id(&ALICE, &weights, &manifest, Lane::Groth16, &vk, &key)
}

pub fn published() {
	assert_ok!(publish());
}

/// What its verdict weighs was measured under another runtime.
fn published_for_another_runtime() {
	published();
	pallet_models::VerdictWeights::<Chain>::mutate(model(), |measured| {
		measured.as_mut().expect("measured").spec_version += 1;
	});
}

fn removable() {
	published();
	assert_ok!(Models::retire(alice(), model()));
	System::set_block_number(10 + 28_801);
}

fn models() -> Pallet {
	// Beyond its verification a quote is only hashed.
	use pallet_models::types::{MAX_KEY, MAX_QUOTE};
	let plain = cost(|| (), || publish_with(2, 0));
	let quote = hashed("quote", MAX_QUOTE, &plain, plain);
	let key = hashed("key", MAX_KEY, &plain, cost(|| (), || publish_with(2, MAX_KEY)));
	Pallet {
		name: "models",
		calls: vec![
			linear(
				"publish",
				&[
					"Without the verification of a quote, which the attestation pallet charges.",
					"`key`: length of the verifying key in bytes. `quote`: length of the setup's quote, 0 without one.",
				],
				plain,
				vec![key, quote],
			),
			fixed("retire", cost(published, || Models::retire(alice(), model()))),
			fixed("set_price", cost(published, || Models::set_price(alice(), model(), 2 * PRICE))),
			fixed("remove", cost(removable, || Models::remove(client(), model()))),
			fixed("strike_off", cost(published, || Models::strike_off(root(), model()))),
			fixed("withdraw_setup", cost(published, || Models::withdraw_setup(root(), model()))),
			fixed(
				"set_verifier",
				cost(|| (), || Models::set_verifier(root(), Lane::Ezkl, Some(CONTRACT))),
			),
			fixed("certify_ceremony", cost(published, || Models::certify_ceremony(root(), model(), INPUT))),
			documented(
				"measure",
				&["Without the contract's verdict on the probe."],
				cost(published_for_another_runtime, || {
					Models::measure(client(), model()).map(drop).map_err(|error| error.error)
				}),
			),
		],
	}
}

pub fn job() -> H256 {
	proofward_primitives::ids::job_id(&CLIENT, &NONCE)
}

fn submit(nonce: H256, sealed: u32) -> DispatchResult {
	let others = (2..9u8).map(|byte| AccountId32::new([byte; 32]));
	let recipients: Vec<_> = others.chain([ALICE]).collect();
	let recipients = recipients.try_into().expect("eight fit");
	let sealed = bytes(sealed);
	Jobs::submit(client(), model(), nonce, sealed, INPUT, recipients, PRICE, 1_000, Level::Simulated, true)
}

/// Three jobs wait, ours in the middle; the worker's receipt key is one that signs.
pub fn queued() {
	registered();
	pallet_workers::Workers::<Chain>::mutate(ALICE, |worker| {
		let worker = worker.as_mut().expect("registered");
		// The newest key is tried first: the dearer receipt is under the key before.
		let receipt_key = receipt_pair(0x53).public().0;
		worker.previous = Some(pallet_workers::types::PreviousEpoch { epoch: 0, receipt_key });
	});
	published();
	assert_ok!(Workers::serve(alice(), model(), 1));
	// The other recipients are workers as good.
	let worker = pallet_workers::Workers::<Chain>::get(ALICE).expect("registered");
	let roots = pallet_attestation::Roots::<Chain>::iter_values().collect::<Vec<_>>();
	for byte in 2..9u8 {
		// On machines of their own, with software of their own: nothing is read for two of them at once.
		let [root, measurement, platform] = [0x20, 0x40, 0x60].map(|kind| H256([kind + byte; 32]));
		pallet_attestation::Roots::<Chain>::insert(root, &roots[0]);
		assert_ok!(Attestation::allow_measurement(self::root(), measurement, Default::default()));
		let other = AccountId32::new([byte; 32]);
		let worker = pallet_workers::types::Worker { root, measurement, platform, ..worker.clone() };
		pallet_workers::Workers::<Chain>::insert(&other, &worker);
		pallet_workers::Served::<Chain>::insert(model(), &other, 1);
	}
	for nonce in [H256([4; 32]), NONCE, H256([6; 32])] {
		assert_ok!(submit(nonce, 65_536));
	}
}

pub fn claimed() {
	queued();
	assert_ok!(Jobs::claim(alice(), job(), 1_000));
}

fn claimed_of_a_broken_contract() {
	claimed();
	BROKEN.set(true);
}

fn lapsed() {
	claimed();
	careless(&ALICE);
	System::set_block_number(10 + 61);
}

/// The next claim that it lets run out costs a worker a part of its stake.
fn careless(who: &AccountId32) {
	let record = pallet_workers::types::Reliability { since: 10, ended: 4, lapsed: 4 };
	pallet_workers::Reliability::<Chain>::insert(who, record);
}

pub fn receipt(sealed_output: &[u8], proof: &[u8]) -> Receipt<AccountId32> {
	Receipt {
		genesis: H256(fixtures::GENESIS),
		job: job(),
		model: model(),
		worker: ALICE,
		weights_digest: H256([1; 32]),
		input_commitment: INPUT,
		output_commitment: OUTPUT,
		sealed_output_hash: sha2_256(sealed_output).into(),
		proof_hash: sha2_256(proof).into(),
		level: Level::Simulated,
		setup: Setup::Dev,
		block: 10,
	}
}

/// A `complete` whose arguments, receipt and signature were made before: they are the worker's work.
fn complete(sealed_output: u32, proof: u32) -> impl Fn() -> DispatchResult {
	complete_with(sealed_output, bytes(proof))
}

fn complete_with(
	sealed_output: u32,
	proof: BoundedVec<u8, ConstU32<{ pallet_jobs::types::MAX_PROOF }>>,
) -> impl Fn() -> DispatchResult {
	let sealed_output = bytes(sealed_output);
	let signature = receipt_pair(0x53).sign(&receipt(&sealed_output, &proof).message()).0;
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
	// Paid; called false; given no verdict, by its own fault or the contract's.
	let with = |proof: Vec<u8>| complete_with(0, bounded(proof));
	let faulty = cost(claimed, with(FAULTY.to_vec()));
	let broken = cost(claimed_of_a_broken_contract, with(PROBE.to_vec()));
	BROKEN.set(false);
	let least = cost(claimed, complete(0, 0)).or(cost(claimed, with(PROBE.to_vec()))).or(faulty).or(broken);
	let sealed_output = cost(claimed, complete(MAX_SEALED, 0));
	let proof = cost(claimed, complete(0, MAX_PROOF));
	Pallet {
		name: "jobs",
		calls: vec![
			linear(
				"submit",
				&["`sealed`: length of the sealed input in bytes. Recipients: the most there may be."],
				submit_least,
				vec![hashed("sealed", MAX_SEALED, &submit_least, submit_most)],
			),
			documented(
				"claim",
				&["A claim over a lapsed one, the costlier kind."],
				cost(lapsed_by_another, || Jobs::claim(alice(), job(), 1_000)),
			),
			fixed("release", cost(claimed, || Jobs::release(alice(), job()))),
			fixed("lapse", cost(lapsed, || Jobs::lapse(client(), job()))),
			linear(
				"complete",
				&["Everything but the contract's verdict. `sealed_output`, `proof`: lengths in bytes."],
				least,
				vec![
					hashed("sealed_output", MAX_SEALED, &least, sealed_output),
					hashed("proof", MAX_PROOF, &least, proof),
				],
			),
			documented(
				"decline",
				&["By the last recipient, which ends the job."],
				cost(almost_declined, || {
					Jobs::decline(alice(), job()).map(drop).map_err(|error| error.error)
				}),
			),
			fixed("cancel", cost(queued, || Jobs::cancel(client(), job()))),
			fixed("forget", cost(forgettable, || Jobs::forget(alice(), job()))),
			documented(
				"expire",
				&["Of a claimed job, the costlier kind."],
				cost(expired, || Jobs::expire(client(), job())),
			),
			contest(),
		],
	}
}

/// The lapsed claim is another worker's, which loses a part of its stake, so that two workers' records and balances are
/// touched; and the worker let go of the job before, so that it is looked at whether any of the others would take it.
fn lapsed_by_another() {
	use polkadot_sdk::frame_support::traits::fungible::MutateHold;
	const OTHER: AccountId32 = AccountId32::new([2; 32]);
	queued();
	let funds =
		<Balances as polkadot_sdk::frame_support::traits::Currency<_>>::deposit_creating(&OTHER, 1_000_000);
	drop(funds);
	let reason = RuntimeHoldReason::Workers(pallet_workers::HoldReason::Stake);
	assert_ok!(Balances::hold(&reason, &OTHER, 100));
	assert_ok!(Jobs::claim(alice(), job(), 1_000));
	assert_ok!(Jobs::release(alice(), job()));
	assert_ok!(Jobs::claim(RuntimeOrigin::signed(OTHER), job(), 1_000));
	careless(&OTHER);
	for other in (2..9u8).map(|byte| AccountId32::new([byte; 32])) {
		pallet_workers::SuspendedUntil::<Chain>::insert(other, 1_000_000);
	}
	System::set_block_number(10 + 61);
}

fn almost_declined() {
	queued();
	for other in (2..9u8).map(|byte| AccountId32::new([byte; 32])) {
		assert_ok!(Jobs::decline(RuntimeOrigin::signed(other), job()));
	}
}

fn forgettable() {
	queued();
	assert_ok!(Jobs::cancel(client(), job()));
	System::set_block_number(10 + 691_201);
}

fn expired() {
	claimed();
	careless(&ALICE);
	System::set_block_number(1_001);
}
