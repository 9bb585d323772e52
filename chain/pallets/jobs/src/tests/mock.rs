//! A runtime whose workers and models are tables, and whose proofs are hashes of the commitments.

use std::cell::{Cell, RefCell};

use codec::{Decode, Encode};
use polkadot_sdk::{
	frame_support::{
		self, derive_impl, parameter_types, storage::unhashed, storage_alias, traits::ConstU128,
		weights::Weight, Blake2_128Concat,
	},
	frame_system::{self, RawOrigin},
	pallet_balances,
	sp_core::{ed25519, Pair, H160, H256},
	sp_io::{
		hashing::{blake2_256, sha2_256},
		TestExternalities,
	},
	sp_runtime::{
		traits::{Convert, Dispatchable, IdentityLookup},
		AccountId32, BuildStorage, DispatchError, DispatchResult, Permill,
	},
};
use proofward_primitives::{
	ids, messages::Receipt, Balance, Decision, Ending, Equivocation, Lane, Level, ModelRegistry, ModelView,
	ProofVerifier, RejectReason, Setup, Statement, Verdict, VerifierContract, WorkerRegistry, WorkerView,
};

use crate::{self as pallet_jobs, Call, Jobs as Records};

pub type AccountId = AccountId32;
type Block = frame_system::mocking::MockBlockU32<Test>;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeFreezeReason,
		RuntimeHoldReason,
		RuntimeSlashReason,
		RuntimeLockId,
		RuntimeTask,
		RuntimeViewFunction
	)]
	pub struct Test;
	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(2)]
	pub type Jobs = pallet_jobs;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
	type AccountId = AccountId;
	type Lookup = IdentityLookup<AccountId>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

pub const EXISTENTIAL: Balance = 10;

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<EXISTENTIAL>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
}

parameter_types! {
	pub const MaxDeadline: u32 = 1_000;
	pub const DepositBase: Balance = 100;
	pub const DepositPerByte: Balance = 1;
	pub const RecordDeposit: Balance = 30;
	pub const Retention: u32 = 500;
	pub const MinPrice: Balance = 400;
	pub const FreeBlocks: u32 = 3;
	pub const ContestWindow: u32 = 200;
}

/// Two thousand, and a millionth of the verdict's time.
pub struct EndingReserve;
impl Convert<Weight, Balance> for EndingReserve {
	fn convert(verdict: Weight) -> Balance {
		2_000 + Balance::from(verdict.ref_time() / 1_000_000)
	}
}

impl pallet_jobs::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Models = Models;
	type Workers = Workers;
	type Evidence = Workers;
	type Verifier = Verifier;
	type MaxDeadline = MaxDeadline;
	type DepositBase = DepositBase;
	type DepositPerByte = DepositPerByte;
	type RecordDeposit = RecordDeposit;
	type Retention = Retention;
	type MinPrice = MinPrice;
	type FreeBlocks = FreeBlocks;
	type ContestWindow = ContestWindow;
	type EndingReserve = EndingReserve;
	type WeightInfo = ();
}

/// What the workers pallet would know. In storage, so that it is rolled back with everything else.
#[derive(Clone, Encode, Decode)]
pub struct Entry {
	pub level: Level,
	pub epoch: u32,
	pub has_previous: bool,
	pub expired: bool,
	pub open_claims: u32,
	pub suspended: bool,
	/// Its least price for every model; `None`: it serves none.
	pub least: Option<Balance>,
	/// What it was punished for, and what its client was owed.
	pub undelivered: Vec<(H256, Balance)>,
	/// How its claims ended, and how often it declined.
	pub endings: [u32; 5],
}

#[storage_alias]
pub type Registered = StorageMap<Registry, Blake2_128Concat, AccountId, Entry>;

pub struct Workers;
impl WorkerRegistry<AccountId> for Workers {
	fn active(worker: &AccountId) -> Option<WorkerView> {
		let entry = Registered::get(worker).filter(|entry| !entry.expired)?;
		Some(WorkerView {
			level: entry.level,
			epoch: entry.epoch,
			receipt_key: receipt_pair(worker, entry.epoch).public().0,
			previous_receipt_key: entry
				.has_previous
				.then(|| receipt_pair(worker, entry.epoch - 1).public().0),
			expires_at: 0,
			suspended: entry.suspended,
		})
	}
	fn serves(worker: &AccountId, _: &H256) -> Option<Balance> {
		Registered::get(worker).and_then(|entry| entry.least)
	}
	fn claim_opened(worker: &AccountId) -> DispatchResult {
		Registered::try_mutate(worker, |entry| {
			entry.as_mut().ok_or(DispatchError::Other("NotRegistered"))?.open_claims += 1;
			Ok(())
		})
	}
	fn claim_closed(worker: &AccountId, ending: Ending) {
		Registered::mutate(worker, |entry| {
			if let Some(entry) = entry {
				entry.open_claims = entry.open_claims.checked_sub(1).expect("closed more often than opened");
				entry.endings[ending as usize] += 1;
			}
		});
	}
	fn declined(worker: &AccountId) {
		Registered::mutate(worker, |entry| {
			if let Some(entry) = entry {
				entry.endings[4] += 1;
			}
		});
	}
}

/// What the workers pallet takes.
pub const SLASHED: Balance = 5_000;

impl Equivocation<AccountId> for Workers {
	fn holder(_: &[u8; 32]) -> Option<AccountId> {
		unreachable!("the jobs pallet knows the worker")
	}
	fn punish(_: &AccountId, _: &AccountId, _: H256) -> Result<Balance, DispatchError> {
		unreachable!("jobs show no two statements")
	}
	fn undelivered(
		worker: &AccountId,
		_: &AccountId,
		job: H256,
		owed: Balance,
	) -> Result<Balance, DispatchError> {
		Registered::try_mutate(worker, |entry| {
			let entry = entry.as_mut().ok_or(DispatchError::Other("NoEvidence"))?;
			entry.undelivered.push((job, owed));
			Ok(SLASHED)
		})
	}
}

/// Changes what the workers pallet would know.
pub fn amend(worker: &AccountId, change: impl FnOnce(&mut Entry)) {
	Registered::mutate(worker, |entry| change(entry.as_mut().expect("registered")));
}

/// A renewal: one epoch on, the key before still counts.
pub fn renew(worker: &AccountId) {
	amend(worker, |entry| {
		entry.epoch += 1;
		entry.has_previous = true;
	});
}

pub fn receipt_pair(worker: &AccountId, epoch: u32) -> ed25519::Pair {
	ed25519::Pair::from_seed(&blake2_256(&(b"receipt key", worker, epoch).encode()))
}

thread_local! {
	static MODELS: RefCell<Vec<(H256, ModelView<AccountId>)>> = const { RefCell::new(Vec::new()) };
	static ANSWER: Cell<Option<Decision>> = const { Cell::new(None) };
	static HOSTILE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
	static ASKED: Cell<u32> = const { Cell::new(0) };
}

pub struct Models;
impl ModelRegistry<AccountId> for Models {
	fn verifying_key(id: &H256) -> Vec<u8> {
		id.as_bytes().to_vec()
	}
	fn faulted(id: &H256) {
		let retire = |(_, view): &mut (H256, ModelView<AccountId>)| view.retired = true;
		MODELS.with_borrow_mut(|models| models.iter_mut().filter(|(known, _)| known == id).for_each(retire));
	}
	fn model(id: &H256) -> Option<ModelView<AccountId>> {
		MODELS
			.with_borrow(|models| models.iter().find(|(known, _)| known == id).map(|(_, view)| view.clone()))
	}
}

/// Changes what the models pallet would know of [`MODEL`].
pub fn amend_model(change: impl FnOnce(&mut ModelView<AccountId>)) {
	MODELS.with_borrow_mut(|models| change(&mut models[0].1));
}

/// One more model, on [`MODEL`]'s terms.
pub fn publish(id: H256, lane: Lane) {
	MODELS.with_borrow_mut(|models| {
		let view = ModelView { lane, ..models[0].1.clone() };
		models.push((id, view));
	});
}

/// What a verdict costs, and the most that it could.
pub const VERDICT_WEIGHT: Weight = Weight::from_parts(70_000_000, 7_000);
pub const MAX_VERDICT_WEIGHT: Weight = Weight::from_parts(900_000_000, 90_000);
/// What the models pallet measured.
pub const VERDICT_LIMIT: Weight = Weight::from_parts(140_000_000, 14_000);
/// Where the mock contract leaves a trace, which must not survive.
pub const TRACE: &[u8] = b"trace of a verdict";

/// Accepts [`proof_of`] its commitments; leaves a trace in state; does what [`hostile`] says on the way.
pub struct Verifier;
impl ProofVerifier for Verifier {
	fn well_formed(_: &VerifierContract, _: &[u8]) -> Verdict {
		unreachable!("the jobs pallet publishes nothing")
	}
	fn verify(
		contract: &VerifierContract,
		key: &[u8],
		input: &H256,
		output: &H256,
		proof: &[u8],
		limit: Weight,
	) -> Verdict {
		assert_eq!((*contract, limit), (CONTRACT, VERDICT_LIMIT));
		let known =
			|key: &[u8]| MODELS.with_borrow(|models| models.iter().any(|(id, _)| id.as_bytes() == key));
		assert!(known(key), "the model's own key");
		ASKED.set(ASKED.get() + 1);
		unhashed::put(TRACE, &1u8);
		HOSTILE.with_borrow(|hook| hook.as_ref().map(|hook| hook()));
		let honest = if proof == proof_of(input, output) {
			Decision::Accepted
		} else {
			Decision::Rejected(RejectReason::ProofInvalid)
		};
		let faulty = (proof.first() == Some(&FAULTY)).then_some(Decision::Rejected(RejectReason::CallFailed));
		Verdict { decision: ANSWER.get().or(faulty).unwrap_or(honest), weight: VERDICT_WEIGHT }
	}
	fn verify_many(_: &VerifierContract, _: &[u8], _: &[Statement], _: Weight) -> Verdict {
		unreachable!("only sessions ask about many")
	}
	fn probe(_: Lane) -> Vec<u8> {
		vec![0; 32]
	}
	fn max_weight() -> Weight {
		MAX_VERDICT_WEIGHT
	}
}

/// What a proof begins with on which the mock contract fails.
pub const FAULTY: u8 = 0xfa;

pub fn proof_of(input: &H256, output: &H256) -> Vec<u8> {
	blake2_256(&(input, output).encode()).to_vec()
}

/// What every verdict is from now on, whatever the proof.
pub fn answer(decision: Decision) {
	ANSWER.set(Some(decision));
}

/// Verdicts are the proof's own again.
pub fn answer_honestly() {
	ANSWER.set(None);
}

/// What the contract does before it answers.
pub fn hostile(hook: impl Fn() + 'static) {
	HOSTILE.with_borrow_mut(|slot| *slot = Some(Box::new(hook)));
}

/// How often a contract was asked.
pub fn asked() -> u32 {
	ASKED.get()
}

pub const MODEL: H256 = H256::repeat_byte(0xa1);
pub const OTHER_MODEL: H256 = H256::repeat_byte(0xa2);
pub const CONTRACT: VerifierContract =
	VerifierContract { address: H160::repeat_byte(0xc0), code_hash: H256::repeat_byte(0xcd) };
pub const GENESIS: H256 = H256::repeat_byte(0x9e);
pub const PRICE: Balance = 1_000;
/// The publisher's tenth of it, and the worker's rest.
pub const ROYALTY: Balance = PRICE / 10;
pub const PAY: Balance = PRICE - ROYALTY;
/// What the model asks of a worker, whatever the price.
pub const BOND: Balance = 100;
pub const PUBLISHER: AccountId = AccountId::new([0x70; 32]);
pub const CLAIM_BLOCKS: u32 = 20;
/// What every account has in the beginning.
pub const ENDOWMENT: Balance = 1_000_000;

pub fn client(n: u8) -> AccountId {
	AccountId::new([0x10 + n; 32])
}

pub fn worker(n: u8) -> AccountId {
	AccountId::new([0x40 + n; 32])
}

/// Clients 0 to 2 and workers 0 to 3, all funded, the workers registered at level `Hardware`. Block 1.
pub fn new_test_ext() -> TestExternalities {
	ANSWER.set(None);
	ASKED.set(0);
	HOSTILE.with_borrow_mut(|hook| *hook = None);
	let view = |tag| ModelView {
		weights_digest: H256::repeat_byte(tag),
		lane: Lane::Groth16,
		setup: Setup::Dev,
		publisher: PUBLISHER,
		verifier: Some(CONTRACT),
		verdict_limit: VERDICT_LIMIT,
		price: PRICE,
		share: Permill::from_percent(10),
		bond: BOND,
		claim_blocks: CLAIM_BLOCKS,
		retired: false,
	};
	MODELS.with_borrow_mut(|models| *models = vec![(MODEL, view(0x31)), (OTHER_MODEL, view(0x32))]);

	let accounts = (0..3).map(client).chain((0..4).map(worker)).chain([PUBLISHER]);
	let balances = accounts.map(|account| (account, ENDOWMENT)).collect();
	let storage = RuntimeGenesisConfig {
		balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
		..Default::default()
	}
	.build_storage()
	.expect("a valid genesis");
	let mut ext = TestExternalities::new(storage);
	ext.execute_with(|| {
		System::initialize(&1, &GENESIS, &Default::default());
		(0..4).map(worker).for_each(|account| {
			let entry = Entry {
				level: Level::Hardware,
				epoch: 1,
				has_previous: false,
				expired: false,
				open_claims: 0,
				suspended: false,
				least: Some(0),
				undelivered: vec![],
				endings: [0; 5],
			};
			Registered::insert(account, entry);
		});
	});
	ext
}

/// Dispatches as a block would.
pub fn dispatch(who: &AccountId, call: Call<Test>) -> DispatchResult {
	RuntimeCall::Jobs(call)
		.dispatch(RawOrigin::Signed(who.clone()).into())
		.map(|_| ())
		.map_err(|error| error.error)
}

pub fn claim(who: &AccountId, job: H256) -> DispatchResult {
	dispatch(who, Call::claim { job, max_bond: BOND })
}

pub fn decline(who: &AccountId, job: H256) -> DispatchResult {
	dispatch(who, Call::decline { job })
}

pub fn cancel(who: &AccountId, job: H256) -> DispatchResult {
	dispatch(who, Call::cancel { job })
}

pub fn forget(who: &AccountId, job: H256) -> DispatchResult {
	dispatch(who, Call::forget { job })
}

pub fn release(who: &AccountId, job: H256) -> DispatchResult {
	dispatch(who, Call::release { job })
}

pub fn lapse(who: &AccountId, job: H256) -> DispatchResult {
	dispatch(who, Call::lapse { job })
}

pub fn expire(who: &AccountId, job: H256) -> DispatchResult {
	dispatch(who, Call::expire { job })
}

/// The arguments of `submit`; a test changes the one that it is about.
#[derive(Clone)]
pub struct Order {
	pub client: AccountId,
	pub model: H256,
	pub nonce: H256,
	pub sealed: Vec<u8>,
	pub recipients: Vec<AccountId>,
	pub price: Balance,
	pub deadline: u32,
	pub min_level: Level,
	pub allow_dev_setup: bool,
}

impl Default for Order {
	fn default() -> Self {
		Self {
			client: client(0),
			model: MODEL,
			nonce: H256::repeat_byte(1),
			sealed: b"ciphertext".to_vec(),
			recipients: vec![worker(0), worker(1)],
			price: PRICE,
			deadline: 101,
			min_level: Level::Hardware,
			allow_dev_setup: true,
		}
	}
}

pub const INPUT: H256 = H256::repeat_byte(0x51);
pub const OUTPUT: H256 = H256::repeat_byte(0x52);

impl Order {
	pub fn numbered(n: u8) -> Self {
		Self { nonce: H256::repeat_byte(n), ..Self::default() }
	}

	pub fn id(&self) -> H256 {
		ids::job_id(&self.client, &self.nonce)
	}

	pub fn call(&self) -> Call<Test> {
		Call::submit {
			model: self.model,
			nonce: self.nonce,
			sealed: self.sealed.clone().try_into().expect("short"),
			input_commitment: INPUT,
			recipients: self.recipients.clone().try_into().expect("few"),
			price: self.price,
			deadline: self.deadline,
			min_level: self.min_level,
			allow_dev_setup: self.allow_dev_setup,
		}
	}

	pub fn submit(&self) -> DispatchResult {
		dispatch(&self.client, self.call())
	}

	/// Submits and returns the id.
	pub fn placed(&self) -> H256 {
		self.submit().expect("a good order");
		self.id()
	}

	/// Submits, lets `who` claim, and returns the id.
	pub fn claimed_by(&self, who: &AccountId) -> H256 {
		let job = self.placed();
		claim(who, job).expect("a good claim");
		job
	}
}

/// The arguments of `complete` and the receipt's fields; a test changes the one that it is about.
#[derive(Clone)]
pub struct Outcome {
	pub worker: AccountId,
	pub job: H256,
	pub sealed_output: Vec<u8>,
	pub output_commitment: H256,
	pub proof: Vec<u8>,
	pub signer: ed25519::Pair,
	pub receipt: Receipt<AccountId>,
}

impl Outcome {
	/// An honest result for a job as the chain sees it now.
	pub fn honest(worker: &AccountId, job: H256) -> Self {
		let record = Records::<Test>::get(job).expect("submitted");
		let model = Models::model(&record.model).expect("published");
		let entry = Registered::get(worker).expect("registered");
		let (sealed_output, proof) = (b"sealed output".to_vec(), proof_of(&INPUT, &OUTPUT));
		let receipt = Receipt {
			genesis: GENESIS,
			job,
			model: record.model,
			worker: worker.clone(),
			weights_digest: model.weights_digest,
			input_commitment: record.input_commitment,
			output_commitment: OUTPUT,
			sealed_output_hash: sha2_256(&sealed_output).into(),
			proof_hash: sha2_256(&proof).into(),
			level: entry.level,
			setup: model.setup,
			block: System::block_number(),
		};
		let signer = receipt_pair(worker, entry.epoch);
		Self { worker: worker.clone(), job, sealed_output, output_commitment: OUTPUT, proof, signer, receipt }
	}

	/// With a proof that the contract will not accept, honestly signed.
	pub fn with_bad_proof(worker: &AccountId, job: H256) -> Self {
		let mut outcome = Self::honest(worker, job);
		outcome.proof[0] ^= 1;
		outcome.receipt.proof_hash = sha2_256(&outcome.proof).into();
		outcome
	}

	pub fn call(&self) -> Call<Test> {
		Call::complete {
			job: self.job,
			sealed_output: self.sealed_output.clone().try_into().expect("short"),
			output_commitment: self.output_commitment,
			proof: self.proof.clone().try_into().expect("short"),
			receipt_block: self.receipt.block,
			receipt_signature: self.signer.sign(&self.receipt.message()).0,
		}
	}

	pub fn deliver(&self) -> DispatchResult {
		dispatch(&self.worker, self.call())
	}
}

/// Jumps to a block.
pub fn at(block: u32) {
	System::set_block_number(block);
}
