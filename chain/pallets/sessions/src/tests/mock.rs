//! A runtime whose workers and models are tables, whose beacon is a hash, and whose proofs are hashes of the
//! commitments.

use std::{
	cell::{Cell, RefCell},
	time::Duration,
};

use codec::{Decode, Encode};
use polkadot_sdk::{
	frame_support::{
		self, derive_impl, parameter_types,
		storage::unhashed,
		storage_alias,
		traits::{ConstU128, UnixTime},
		weights::Weight,
		Blake2_128Concat,
	},
	frame_system::{self, RawOrigin},
	pallet_balances,
	sp_core::{ed25519, Pair, H160, H256},
	sp_io::{
		hashing::{blake2_256, sha2_256},
		TestExternalities,
	},
	sp_runtime::{
		traits::{Dispatchable, IdentityLookup},
		AccountId32, BuildStorage, DispatchError, DispatchResult, Permill,
	},
};
use proofward_primitives::{
	sessions::{self, Checkpoint},
	Balance, Beacon, Decision, Draw, Ending, Equivocation, Lane, Level, ModelRegistry, ModelView,
	ProofVerifier, RejectReason, Setup, Statement, Verdict, VerifierContract, WorkerRegistry, WorkerView,
};

use crate::{
	self as pallet_sessions,
	types::{Pages, Proved, Terms, Window},
	Call,
};

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
	pub type Sessions = pallet_sessions;
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
	pub const MaxLength: u32 = 1_000;
	pub const Grace: u32 = 10;
	pub const MinEscrow: Balance = 100;
	pub const MinBond: Balance = 50;
	pub const ForceFee: Balance = 7;
	pub const SessionDeposit: Balance = 33;
	pub const EntryDeposit: Balance = 11;
}

impl pallet_sessions::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Time = Clock;
	type Models = Models;
	type Workers = Workers;
	type Evidence = Workers;
	type Verifier = Verifier;
	type Beacon = Lamp;
	type MaxLength = MaxLength;
	type Grace = Grace;
	type MinEscrow = MinEscrow;
	type MinBond = MinBond;
	type ForceFee = ForceFee;
	type SessionDeposit = SessionDeposit;
	type EntryDeposit = EntryDeposit;
	type WeightInfo = ();
}

/// Stands still.
pub struct Clock;
pub const NOW: Duration = Duration::from_secs(1_800_000_000);
impl UnixTime for Clock {
	fn now() -> Duration {
		NOW
	}
}

/// Known 33 blocks later, as the runtime's is; forgotten after 200.
pub struct Lamp;
pub const KNOWN: u32 = 33;
impl Beacon<u32> for Lamp {
	fn draw(after: u32) -> Option<Draw> {
		let now = System::block_number();
		let known = (Self::known_at(after)..Self::forgotten_at(after)).contains(&now);
		known.then(|| Draw { value: blake2_256(&(b"lamp", after).encode()).into(), choices: 3 })
	}
	fn known_at(after: u32) -> u32 {
		after + KNOWN
	}
	fn forgotten_at(after: u32) -> u32 {
		after + 200
	}
}

/// What the workers pallet would know. In storage, so that it is rolled back with everything else.
#[derive(Clone, Encode, Decode)]
pub struct Entry {
	pub level: Level,
	pub epoch: u32,
	pub active: bool,
	pub suspended: bool,
	pub serves: bool,
	pub open: u32,
	/// How its sessions ended.
	pub endings: [u32; 4],
	pub punished: Vec<H256>,
}

#[storage_alias]
pub type Registered = StorageMap<Registry, Blake2_128Concat, AccountId, Entry>;

pub struct Workers;
impl WorkerRegistry<AccountId> for Workers {
	fn active(worker: &AccountId) -> Option<WorkerView> {
		let entry = Registered::get(worker).filter(|entry| entry.active)?;
		Some(WorkerView {
			level: entry.level,
			epoch: entry.epoch,
			receipt_key: receipt_pair(worker, entry.epoch).public().0,
			previous_receipt_key: (entry.epoch > 1).then(|| receipt_pair(worker, entry.epoch - 1).public().0),
			expires_at: 0,
			suspended: entry.suspended,
		})
	}
	fn serves(worker: &AccountId, _: &H256) -> Option<Balance> {
		Registered::get(worker).filter(|entry| entry.serves).map(|_| 0)
	}
	fn claim_opened(worker: &AccountId) -> DispatchResult {
		Registered::try_mutate(worker, |entry| {
			entry.as_mut().ok_or(DispatchError::Other("NotRegistered"))?.open += 1;
			Ok(())
		})
	}
	fn claim_closed(worker: &AccountId, ending: Ending) {
		Registered::mutate(worker, |entry| {
			if let Some(entry) = entry {
				entry.open = entry.open.checked_sub(1).expect("closed more often than opened");
				entry.endings[ending as usize] += 1;
			}
		});
	}
	fn declined(_: &AccountId) {
		unreachable!("sessions are not declined")
	}
}

impl Equivocation<AccountId> for Workers {
	fn holder(receipt_key: &[u8; 32]) -> Option<AccountId> {
		Registered::iter()
			.find(|(who, entry)| receipt_pair(who, entry.epoch).public().0 == *receipt_key)
			.map(|(who, _)| who)
	}
	fn punish(worker: &AccountId, _: &AccountId, about: H256) -> Result<Balance, DispatchError> {
		Registered::try_mutate(worker, |entry| {
			let entry = entry.as_mut().expect("registered");
			if entry.punished.contains(&about) {
				return Err(DispatchError::Other("AlreadyPunished"));
			}
			entry.punished.push(about);
			entry.active = false;
			Ok(500)
		})
	}
	fn undelivered(_: &AccountId, _: &AccountId, _: H256, _: Balance) -> Result<Balance, DispatchError> {
		unreachable!("outputs of sessions go over their connection")
	}
}

/// Changes what the workers pallet would know.
pub fn amend(worker: &AccountId, change: impl FnOnce(&mut Entry)) {
	Registered::mutate(worker, |entry| change(entry.as_mut().expect("registered")));
}

pub fn entry(worker: &AccountId) -> Entry {
	Registered::get(worker).expect("registered")
}

pub fn receipt_pair(worker: &AccountId, epoch: u32) -> ed25519::Pair {
	ed25519::Pair::from_seed(&blake2_256(&(b"receipt key", worker, epoch).encode()))
}

pub fn voucher_pair(client: &AccountId) -> ed25519::Pair {
	ed25519::Pair::from_seed(&blake2_256(&(b"voucher key", client).encode()))
}

thread_local! {
	static MODEL_VIEW: RefCell<Option<ModelView<AccountId>>> = const { RefCell::new(None) };
	static ANSWER: Cell<Option<Decision>> = const { Cell::new(None) };
	static ASKED: Cell<u32> = const { Cell::new(0) };
}

pub struct Models;
impl ModelRegistry<AccountId> for Models {
	fn verifying_key(id: &H256) -> Vec<u8> {
		id.as_bytes().to_vec()
	}
	fn faulted(_: &H256) {
		amend_model(|model| model.retired = true);
	}
	fn model(id: &H256) -> Option<ModelView<AccountId>> {
		MODEL_VIEW.with_borrow(|view| view.clone()).filter(|_| *id == MODEL)
	}
}

pub fn amend_model(change: impl FnOnce(&mut ModelView<AccountId>)) {
	MODEL_VIEW.with_borrow_mut(|view| change(view.as_mut().expect("a model")));
}

pub fn forget_model() {
	MODEL_VIEW.with_borrow_mut(|view| *view = None);
}

pub const VERDICT_LIMIT: Weight = Weight::from_parts(140_000_000, 14_000);
pub const TRACE: &[u8] = b"trace of a verdict";
pub const PROBE: [u8; 32] = [0; 32];

/// Accepts [`proof_of`] its commitments; leaves a trace in state.
pub struct Verifier;
impl ProofVerifier for Verifier {
	fn well_formed(_: &VerifierContract, _: &[u8]) -> Verdict {
		unreachable!("the sessions pallet publishes nothing")
	}
	fn verify(
		contract: &VerifierContract,
		key: &[u8],
		input: &H256,
		output: &H256,
		proof: &[u8],
		limit: Weight,
	) -> Verdict {
		let about = Statement { input_commitment: *input, output_commitment: *output, proof: proof.to_vec() };
		Self::verify_many(contract, key, &[about], limit)
	}
	fn verify_many(_: &VerifierContract, key: &[u8], statements: &[Statement], limit: Weight) -> Verdict {
		assert_eq!(limit, VERDICT_LIMIT.saturating_mul(statements.len() as u64));
		assert_eq!(key, MODEL.as_bytes());
		ASKED.set(ASKED.get() + 1);
		unhashed::put(TRACE, &1u8);
		let good = |one: &Statement| one.proof == proof_of(&one.input_commitment, &one.output_commitment);
		let honest = if statements.iter().all(good) {
			Decision::Accepted
		} else {
			Decision::Rejected(RejectReason::ProofInvalid)
		};
		let faulty = statements.iter().any(|one| one.proof.first() == Some(&FAULTY));
		let faulty = faulty.then_some(Decision::Rejected(RejectReason::CallFailed));
		let decision = ANSWER.get().or(faulty).unwrap_or(honest);
		Verdict { decision, weight: Weight::from_parts(70_000_000, 7_000) }
	}
	fn probe(_: Lane) -> Vec<u8> {
		PROBE.to_vec()
	}
	fn max_weight() -> Weight {
		Weight::from_parts(900_000_000, 90_000)
	}
}

/// What a proof begins with on which the mock contract fails.
pub const FAULTY: u8 = 0xfa;

pub fn proof_of(input: &H256, output: &H256) -> Vec<u8> {
	let mut proof = blake2_256(&(input, output).encode()).to_vec();
	proof[0] = 1;
	proof
}

/// What every verdict is from now on, whatever the proof.
pub fn answer(decision: Option<Decision>) {
	ANSWER.set(decision);
}

pub const MODEL: H256 = H256::repeat_byte(0xa1);
pub const GENESIS: H256 = H256::repeat_byte(0x9e);
pub const PUBLISHER: AccountId = AccountId::new([0x70; 32]);
pub const PRICE: Balance = 10;
pub const BOND: Balance = 1_000;
pub const ENDOWMENT: Balance = 1_000_000;
pub const ESCROW: Balance = 10_000;
pub const WINDOW: u32 = 10;

pub fn client(n: u8) -> AccountId {
	AccountId::new([0x10 + n; 32])
}

pub fn worker(n: u8) -> AccountId {
	AccountId::new([0x40 + n; 32])
}

pub fn terms() -> Terms {
	Terms { price: PRICE, bond: BOND, capacity: 2, most_sampled: 500_000, least_window: 5 }
}

/// Clients 0 to 2 and workers 0 to 1, all funded; worker 0 offers sessions. Block 1.
pub fn new_test_ext() -> TestExternalities {
	ANSWER.set(None);
	MODEL_VIEW.with_borrow_mut(|view| {
		*view = Some(ModelView {
			publisher: PUBLISHER,
			weights_digest: H256::repeat_byte(0x31),
			lane: Lane::Groth16,
			setup: Setup::Dev,
			verifier: Some(VerifierContract {
				address: H160::repeat_byte(0xc0),
				code_hash: H256::repeat_byte(0xcd),
			}),
			verdict_limit: VERDICT_LIMIT,
			price: 1_000,
			share: Permill::from_percent(10),
			bond: 100,
			claim_blocks: 20,
			retired: false,
		})
	});
	let accounts = (0..3).map(client).chain((0..2).map(worker)).chain([PUBLISHER]);
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
		(0..2).map(worker).for_each(|account| {
			let entry = Entry {
				level: Level::Hardware,
				epoch: 1,
				active: true,
				suspended: false,
				serves: true,
				open: 0,
				endings: [0; 4],
				punished: vec![],
			};
			Registered::insert(account, entry);
		});
		dispatch(&PUBLISHER, Call::allow { model: MODEL, floor: Some(5) }).expect("the publisher's");
		dispatch(&worker(0), Call::offer { model: MODEL, terms: terms() }).expect("a good offer");
	});
	ext
}

/// Dispatches as a block would.
pub fn dispatch(who: &AccountId, call: Call<Test>) -> DispatchResult {
	RuntimeCall::Sessions(call)
		.dispatch(RawOrigin::Signed(who.clone()).into())
		.map(|_| ())
		.map_err(|error| error.error)
}

/// Jumps to a block.
pub fn at(block: u32) {
	System::set_block_number(block);
}

/// The arguments of `open`; a test changes the one that it is about.
#[derive(Clone)]
pub struct Order {
	pub client: AccountId,
	pub worker: AccountId,
	pub model: H256,
	pub nonce: H256,
	pub epoch: u32,
	pub max_price: Balance,
	pub escrow: Balance,
	pub sample: u32,
	pub window: u32,
	pub end: u32,
	pub min_level: Level,
	pub allow_dev_setup: bool,
}

impl Default for Order {
	fn default() -> Self {
		Self {
			client: client(0),
			worker: worker(0),
			model: MODEL,
			nonce: H256::repeat_byte(1),
			epoch: 1,
			max_price: PRICE,
			escrow: ESCROW,
			sample: 100_000,
			window: WINDOW,
			end: 101,
			min_level: Level::Hardware,
			allow_dev_setup: true,
		}
	}
}

impl Order {
	pub fn id(&self) -> H256 {
		sessions::session_id(&self.client, &self.nonce)
	}

	pub fn open(&self) -> DispatchResult {
		let Order { worker, model, nonce, epoch, max_price, escrow, .. } = self.clone();
		let Order { sample, window, end, min_level, allow_dev_setup, .. } = self.clone();
		let voucher_key = voucher_pair(&self.client).public().0;
		let call = Call::open {
			worker,
			model,
			nonce,
			voucher_key,
			epoch,
			max_price,
			escrow,
			sample,
			window,
			end,
			min_level,
			allow_dev_setup,
		};
		dispatch(&self.client, call)
	}

	pub fn opened(&self) -> H256 {
		self.open().expect("a good order");
		self.id()
	}
}

pub fn input(page: u32) -> H256 {
	blake2_256(&(b"in", page).encode()).into()
}

pub fn output(page: u32) -> H256 {
	blake2_256(&(b"out", page).encode()).into()
}

/// The tree of pages `first..first + count`, level by level, leaves first.
pub fn tree(id: &H256, first: u32, count: u32) -> Vec<Vec<H256>> {
	let mut level: Vec<H256> =
		(first..first + count).map(|page| sessions::leaf(id, page, &input(page), &output(page))).collect();
	level.resize(count.next_power_of_two() as usize, H256::zero());
	let mut levels = vec![level];
	while levels[levels.len() - 1].len() > 1 {
		let last = &levels[levels.len() - 1];
		let next = last
			.chunks(2)
			.map(|pair| sha2_256(&[&[1], pair[0].as_bytes(), pair[1].as_bytes()].concat()).into());
		let next = next.collect();
		levels.push(next);
	}
	levels
}

/// The arguments of `checkpoint` and what is signed; a test changes the one that it is about.
#[derive(Clone)]
pub struct Posting {
	pub who: AccountId,
	pub session: H256,
	pub said: Checkpoint,
	/// What the client signed, when it is not the same.
	pub vouched: Checkpoint,
	pub signer: ed25519::Pair,
	pub voucher: ed25519::Pair,
}

impl Posting {
	/// So many more pages of 16 of a session, as both ends see it.
	pub fn honest(id: H256, pages: u32) -> Self {
		let session = crate::Sessions::<Test>::get(id).expect("opened");
		let levels = tree(&id, session.pages, pages);
		let said = Checkpoint {
			genesis: GENESIS,
			session: id,
			number: session.next,
			root: levels[levels.len() - 1][0],
			pages: session.pages + pages,
			records: session.records + u64::from(pages) * 16,
		};
		Self {
			who: session.worker.clone(),
			session: id,
			said,
			vouched: said,
			signer: receipt_pair(&session.worker, session.epoch),
			voucher: voucher_pair(&session.client),
		}
	}

	pub fn post(&self) -> DispatchResult {
		let Checkpoint { number, root, pages, records, .. } = self.said;
		let call = Call::checkpoint {
			session: self.session,
			number,
			root,
			pages,
			records,
			signature: self.signer.sign(&self.said.enclave_message()).0,
			voucher: self.voucher.sign(&self.vouched.voucher_message()).0,
		};
		dispatch(&self.who, call)
	}
}

pub fn window(id: H256, number: u32) -> Window {
	crate::Windows::<Test>::get(id, number).expect("an open window")
}

/// Honest proofs of some pages of a window.
pub fn proofs(id: H256, number: u32, pages: &[u32]) -> Vec<Proved> {
	let window = window(id, number);
	let levels = tree(&id, window.first, window.pages);
	pages
		.iter()
		.map(|page| {
			let place = (page - window.first) as usize;
			let path: Vec<H256> =
				(0..levels.len() - 1).map(|level| levels[level][(place >> level) ^ 1]).collect();
			Proved {
				page: *page,
				input_commitment: input(*page),
				output_commitment: output(*page),
				path: path.try_into().expect("short"),
				proof: proof_of(&input(*page), &output(*page)).try_into().expect("short"),
			}
		})
		.collect()
}

pub fn prove(who: &AccountId, id: H256, number: u32, pages: Vec<Proved>) -> DispatchResult {
	let pages: Pages = pages.try_into().expect("few");
	dispatch(who, Call::prove { session: id, number, pages })
}

/// Draws, and proves all that is owed of a window.
pub fn prove_all(id: H256, number: u32) {
	if window(id, number).drawn.is_none() {
		dispatch(&client(2), Call::draw { session: id, number }).expect("the beacon knows");
	}
	let who = crate::Sessions::<Test>::get(id).expect("open").worker;
	let window = window(id, number);
	let owed: Vec<u32> = window.asked.iter().filter(|one| !one.proved).map(|one| one.page).collect();
	for some in owed.chunks(8) {
		prove(&who, id, number, proofs(id, number, some)).expect("honest proofs");
	}
}

pub fn finish(id: H256) -> DispatchResult {
	dispatch(&client(2), Call::finish { session: id })
}

pub fn settle(who: &AccountId, id: H256) -> DispatchResult {
	dispatch(who, Call::settle { session: id })
}

/// Every invariant, over the whole state.
pub fn invariants_hold() {
	polkadot_sdk::frame_support::assert_ok!(Sessions::do_try_state());
	assert!(!unhashed::exists(TRACE), "a contract left a trace");
	for (who, entry) in Registered::iter() {
		let open = crate::Sessions::<Test>::iter_values().filter(|session| session.worker == who).count();
		assert_eq!(entry.open as usize, open, "open sessions of {who}");
	}
}
