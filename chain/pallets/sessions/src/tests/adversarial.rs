//! What is refused, by the fault's name; the state is as before.

use std::time::Duration;

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	sp_core::H256,
	sp_runtime::StateVersion,
};
use proofward_primitives::{Level, Setup};

use super::mock::*;
use crate::{types::*, Call, Error};

fn refused(fault: &str, act: impl FnOnce() -> polkadot_sdk::sp_runtime::DispatchResult, error: Error<Test>) {
	let before = polkadot_sdk::sp_io::storage::root(StateVersion::V1);
	assert_eq!(act(), Err(error.into()), "{fault}");
	assert_eq!(polkadot_sdk::sp_io::storage::root(StateVersion::V1), before, "{fault}: left a trace");
	invariants_hold();
}

type Spoil<T> = (&'static str, fn(&mut T), Error<Test>);

#[test]
fn faults_of_an_opening() {
	let table: &[Spoil<Order>] = &[
		("end in the past", |order| order.end = 1, Error::EndPassed),
		("end beyond the longest", |order| order.end = 1_002, Error::EndTooFar),
		("nothing sampled", |order| order.sample = 0, Error::BadTerms),
		("more sampled than all", |order| order.sample = PARTS + 1, Error::BadTerms),
		("more sampled than offered", |order| order.sample = 500_001, Error::BadTerms),
		("a window that nobody can meet", |order| order.window = 4, Error::BadTerms),
		("a window for ever", |order| order.window = 601, Error::BadTerms),
		("unknown model", |order| order.model = H256::zero(), Error::UnknownModel),
		("setup by one party", |order| order.allow_dev_setup = false, Error::DevSetupRefused),
		("keys of another epoch", |order| order.epoch = 2, Error::OtherEpoch),
		("worker that offers nothing", |order| order.worker = worker(1), Error::NoOffer),
		("account that is no worker", |order| order.worker = client(1), Error::WorkerInactive),
		("oneself", |order| order.client = worker(0), Error::OwnSession),
		("less than the worker asks", |order| order.max_price = PRICE - 1, Error::PriceTooHigh),
		("hardly any escrow", |order| order.escrow = 99, Error::EscrowTooSmall),
	];
	for (fault, spoil, error) in table {
		new_test_ext().execute_with(|| {
			let mut order = Order::default();
			spoil(&mut order);
			let error = Error::<Test>::decode_again(error);
			refused(fault, || order.open(), error);
		});
	}
}

/// The table is by reference, and errors are not `Clone`.
impl Error<Test> {
	fn decode_again(error: &Self) -> Self {
		use codec::{Decode, Encode};
		Self::decode(&mut &error.encode()[..]).expect("its own encoding")
	}
}

#[test]
fn faults_of_a_worker_when_opening() {
	type Change = fn(&mut Entry);
	let table: &[(&str, Change, Error<Test>)] = &[
		("registration expired", |entry| entry.active = false, Error::WorkerInactive),
		("suspended", |entry| entry.suspended = true, Error::WorkerSuspended),
		("serves the model no more", |entry| entry.serves = false, Error::DoesNotServe),
		("simulated", |entry| entry.level = Level::Simulated, Error::LevelTooLow),
	];
	for (fault, change, error) in table {
		new_test_ext().execute_with(|| {
			amend(&worker(0), change);
			refused(fault, || Order::default().open(), Error::decode_again(error));
		});
	}
}

#[test]
fn a_model_that_is_not_for_sessions() {
	new_test_ext().execute_with(|| {
		let raise = |floor| dispatch(&PUBLISHER, Call::allow { model: MODEL, floor });
		assert_ok!(raise(Some(PRICE + 1)));
		refused("offer below a new floor", || Order::default().open(), Error::PriceTooLow);
		assert_ok!(raise(None));
		refused("no floor", || Order::default().open(), Error::NotForSessions);
		let another = Call::allow { model: MODEL, floor: Some(0) };
		refused("another's model", || dispatch(&client(0), another), Error::NotPublisher);
		assert_ok!(raise(Some(0)));
		amend_model(|model| model.verifier = None);
		refused("a closed lane", || Order::default().open(), Error::LaneClosed);
		amend_model(|model| model.setup = Setup::Attested(Level::Simulated));
	});
}

#[test]
fn faults_of_an_offer() {
	let table: &[Spoil<Terms>] = &[
		("no capacity", |terms| terms.capacity = 0, Error::BadTerms),
		("endless capacity", |terms| terms.capacity = MAX_CAPACITY + 1, Error::BadTerms),
		("a joke of a bond", |terms| terms.bond = 49, Error::BadTerms),
		("for nothing", |terms| terms.price = 0, Error::BadTerms),
		("below the floor", |terms| terms.price = 4, Error::PriceTooLow),
		("nothing may be sampled", |terms| terms.most_sampled = 0, Error::BadTerms),
		("a window that nobody can meet", |terms| terms.least_window = 4, Error::BadTerms),
	];
	for (fault, spoil, error) in table {
		new_test_ext().execute_with(|| {
			let mut bad = terms();
			spoil(&mut bad);
			let call = Call::offer { model: MODEL, terms: bad };
			refused(fault, || dispatch(&worker(1), call), Error::decode_again(error));
		});
	}
	new_test_ext().execute_with(|| {
		let call = |terms| Call::offer { model: MODEL, terms };
		refused("a client", || dispatch(&client(1), call(terms())), Error::WorkerInactive);
		let rich = Terms { bond: ENDOWMENT, ..terms() };
		assert!(dispatch(&worker(1), call(rich)).is_err(), "bonds that are not there");
		refused(
			"none to take back",
			|| dispatch(&worker(1), Call::withdraw { model: MODEL }),
			Error::NoOffer,
		);
	});
}

#[test]
fn an_offer_takes_as_many_as_it_says() {
	new_test_ext().execute_with(|| {
		let nth = |n: u8| Order { nonce: H256::repeat_byte(n), ..Order::default() };
		nth(1).opened();
		refused("the same nonce", || nth(1).open(), Error::DuplicateSession);
		nth(2).opened();
		refused("no more room", || nth(3).open(), Error::NoCapacity);
		// New terms do not touch the sessions that run.
		assert_ok!(dispatch(&worker(0), Call::offer { model: MODEL, terms: Terms { bond: 60, ..terms() } }));
		invariants_hold();
		assert_ok!(dispatch(&worker(0), Call::withdraw { model: MODEL }));
		invariants_hold();
		at(101 + Grace::get() + 1);
		assert_ok!(settle(&client(0), nth(1).id()));
		assert_ok!(settle(&client(0), nth(2).id()));
		assert_eq!(Balances::free_balance(worker(0)), ENDOWMENT);
	});
}

/// A client opened the id of a session that had ended, for which its worker's enclave had signed pages.
#[test]
fn no_id_of_a_session_comes_again() {
	new_test_ext().execute_with(|| {
		let nth = |n: u8| Order { nonce: H256::repeat_byte(n), ..Order::default() };
		let room = Terms { capacity: 4, ..terms() };
		assert_ok!(dispatch(&worker(0), Call::offer { model: MODEL, terms: room }));
		let first = nth(2).opened();
		assert_ok!(dispatch(&worker(0), Call::waive { session: first }));
		refused("the same id", || nth(2).open(), Error::StaleNonce);
		refused("one that was passed over", || nth(1).open(), Error::StaleNonce);
		let second = nth(3).opened();
		assert_ok!(dispatch(&client(0), Call::close { session: second }));
		at(2);
		assert_ok!(settle(&worker(0), second));
		refused("the same after a good end", || nth(3).open(), Error::StaleNonce);
		refused("the first, later", || nth(2).open(), Error::StaleNonce);
		// Another client's nonces are its own, and each pays for one entry, once.
		Order { client: client(1), ..nth(1) }.opened();
		nth(4).opened();
		assert_eq!(crate::Nonces::<Test>::iter().count(), 2);
		invariants_hold();
	});
}

/// The greatest nonce was taken, and its account had no session ever again.
#[test]
fn the_greatest_nonce_shuts_nobody_out() {
	new_test_ext().execute_with(|| {
		let ahead = |days: u64| {
			let time = NOW + Duration::from_secs(days * 24 * 60 * 60);
			let mut nonce = H256::repeat_byte(0xff);
			nonce.0[..8].copy_from_slice(&(time.as_nanos() as u64).to_be_bytes());
			Order { nonce, ..Order::default() }
		};
		let greatest = Order { nonce: H256::repeat_byte(0xff), ..Order::default() };
		refused("the greatest of all", || greatest.open(), Error::NonceAhead);
		refused("of the day after tomorrow", || ahead(2).open(), Error::NonceAhead);
		ahead(1).opened();
		invariants_hold();
	});
}

/// Sessions that ran when the runtime began to count nonces.
#[test]
fn a_session_of_before_the_nonces_is_not_overwritten() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		let (_, deposit) = crate::Nonces::<Test>::take(client(0)).expect("noted");
		let held = crate::escrow::release::<Test>(crate::HoldReason::Deposit, &client(0), deposit);
		assert_ok!(held);
		invariants_hold();
		refused("the id of one that runs", || Order::default().open(), Error::DuplicateSession);
		assert!(crate::Sessions::<Test>::contains_key(id));
	});
}

#[test]
fn faults_of_a_checkpoint() {
	let table: &[Spoil<Posting>] = &[
		("a voucher for another root", |post| post.vouched.root = H256::zero(), Error::BadVoucher),
		("a voucher for fewer records", |post| post.vouched.records -= 1, Error::BadVoucher),
		("a voucher of another session", |post| post.vouched.session = H256::zero(), Error::BadVoucher),
		("a voucher of another chain", |post| post.vouched.genesis = H256::zero(), Error::BadVoucher),
		("a voucher by another key", |post| post.voucher = voucher_pair(&client(1)), Error::BadVoucher),
		("records never asked for", |post| post.said.records += 16, Error::BadVoucher),
		(
			"an enclave of another worker",
			|post| post.signer = receipt_pair(&worker(1), 1),
			Error::BadSignature,
		),
		(
			"an enclave of a later epoch",
			|post| post.signer = receipt_pair(&worker(0), 2),
			Error::BadSignature,
		),
		("a number left out", |post| post.said.number = 1, Error::WrongNumber),
		("no pages", |post| post.said.pages = 0, Error::BadCounts),
		("no records", |post| post.said.records = 0, Error::BadCounts),
		("more records than pages hold", |post| post.said.records = 129, Error::BadCounts),
		("more pages than a window has", |post| post.said.pages = MAX_PAGES + 1, Error::BadCounts),
		("somebody else", |post| post.who = worker(1), Error::NotWorker),
		(
			"more than the escrow",
			|post| (post.said.pages, post.said.records) = (1_000, 1_001),
			Error::EscrowExhausted,
		),
	];
	for (fault, spoil, error) in table {
		new_test_ext().execute_with(|| {
			let id = Order::default().opened();
			let mut posting = Posting::honest(id, 4);
			spoil(&mut posting);
			refused(fault, || posting.post(), Error::decode_again(error));
		});
	}
}

#[test]
fn faults_of_a_session_that_runs() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		let posting = Posting::honest(id, 4);
		assert_ok!(posting.post());
		refused("the same again", || posting.post(), Error::WrongNumber);
		amend(&worker(0), |entry| entry.active = false);
		refused("registration expired", || Posting::honest(id, 4).post(), Error::WorkerInactive);
		amend(&worker(0), |entry| (entry.active, entry.epoch) = (true, 2));
		assert_ok!(Posting::honest(id, 4).post());
		amend(&worker(0), |entry| entry.epoch = 3);
		refused("keys two epochs old", || Posting::honest(id, 4).post(), Error::OtherEpoch);
		amend(&worker(0), |entry| entry.level = Level::Simulated);
		refused("renewed at a lower level", || Posting::honest(id, 4).post(), Error::LevelTooLow);
		amend(&worker(0), |entry| (entry.level, entry.epoch) = (Level::Hardware, 1));
		// 10,000 pay for 62 pages.
		let full = Posting::honest(id, 55);
		refused("escrow exhausted in the middle", || full.post(), Error::EscrowExhausted);
		assert_ok!(dispatch(&client(0), Call::top_up { session: id, amount: 160 }));
		assert_ok!(full.post());
		let end = Call::close { session: id };
		refused("closed by a stranger", || dispatch(&client(1), end), Error::NotParty);
		let more = Call::top_up { session: id, amount: 1 };
		refused("topped up by a stranger", || dispatch(&client(1), more), Error::NotClient);
		let lost = Call::waive { session: id };
		refused("waived by a stranger", || dispatch(&client(1), lost), Error::NotWorker);
		at(200);
		refused("settled over open windows", || settle(&worker(0), id), Error::OpenWindows);
		refused("an unknown one", || settle(&worker(0), H256::zero()), Error::UnknownSession);
	});
}

#[test]
fn so_many_windows_and_no_more() {
	new_test_ext().execute_with(|| {
		let id = Order { escrow: 100_000, ..Order::default() }.opened();
		for _ in 0..MAX_WINDOWS {
			assert_ok!(Posting::honest(id, 1).post());
		}
		refused("one more", || Posting::honest(id, 1).post(), Error::TooManyWindows);
		at(1 + KNOWN);
		prove_all(id, 0);
		at(1 + KNOWN + WINDOW + 1);
		assert_ok!(finish(id));
		assert_ok!(Posting::honest(id, 1).post());
		// The next one was not proved: all go, and the client has what they would have cost.
		assert_ok!(finish(id));
		assert_eq!(crate::Windows::<Test>::iter().count(), 0);
		invariants_hold();
	});
}

#[test]
fn faults_of_a_proof() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 20).post());
		let all: Vec<u32> = (0..8).collect();
		refused("beacon before its time", || prove(&worker(0), id, 0, proofs(id, 0, &all)), Error::NotAsked);
		let early = Call::draw { session: id, number: 0 };
		refused("drawn too early", || dispatch(&client(0), early.clone()), Error::BeaconUnknown);
		at(1 + KNOWN);
		assert_ok!(dispatch(&client(0), early.clone()));
		refused("drawn twice", || dispatch(&client(0), early), Error::AlreadyDrawn);
		let owed = window(id, 0).asked[0].page;
		let other =
			(0..20).find(|page| window(id, 0).asked.iter().all(|one| one.page != *page)).expect("some");
		let honest = || proofs(id, 0, &[owed]);
		refused(
			"a page that nobody asked for",
			|| prove(&worker(0), id, 0, proofs(id, 0, &[other])),
			Error::NotAsked,
		);
		refused("nothing", || prove(&worker(0), id, 0, vec![]), Error::NotAsked);
		refused(
			"one page twice",
			|| prove(&worker(0), id, 0, [honest(), honest()].concat()),
			Error::NotAsked,
		);
		refused("another's", || prove(&worker(1), id, 0, honest()), Error::NotWorker);
		refused("another window", || prove(&worker(0), id, 1, honest()), Error::UnknownWindow);
		let spoilt = |change: fn(&mut Proved)| {
			let mut pages = honest();
			change(&mut pages[0]);
			pages
		};
		type Row = (&'static str, fn(&mut Proved));
		let table: &[Row] = &[
			("another input", |page| page.input_commitment = H256::zero()),
			("another output", |page| page.output_commitment = H256::zero()),
			("a path too short", |page| {
				page.path.pop();
			}),
			("a path too long", |page| page.path.try_push(H256::zero()).expect("room")),
			("another path", |page| page.path[0] = H256::repeat_byte(9)),
		];
		for (fault, change) in table {
			refused(fault, || prove(&worker(0), id, 0, spoilt(*change)), Error::NotInTree);
		}
		assert_ok!(prove(&worker(0), id, 0, honest()));
		refused("proved before", || prove(&worker(0), id, 0, honest()), Error::NotAsked);
		at(1 + KNOWN + WINDOW + 1);
		let last = window(id, 0).asked[1].page;
		refused("too late", || prove(&worker(0), id, 0, proofs(id, 0, &[last])), Error::TooLate);
	});
}

#[test]
fn faults_of_a_force() {
	new_test_ext().execute_with(|| {
		let id = Order::default().opened();
		assert_ok!(Posting::honest(id, 20).post());
		let force = |who: &AccountId, number, page| dispatch(who, Call::force { session: id, number, page });
		refused("a stranger", || force(&client(1), 0, 1), Error::NotClient);
		refused("another window", || force(&client(0), 1, 1), Error::UnknownWindow);
		refused("no such page", || force(&client(0), 0, 20), Error::UnknownPage);
		for page in 0..MAX_FORCED {
			assert_ok!(force(&client(0), 0, page));
		}
		refused("the same again", || force(&client(0), 0, 1), Error::AlreadyAsked);
		refused("one more", || force(&client(0), 0, 9), Error::TooManyForced);
		assert_ok!(Posting::honest(id, 2).post());
		at(1 + KNOWN + WINDOW + 1);
		refused("after the window", || force(&client(0), 1, 21), Error::TooLate);
		assert_noop!(force(&client(0), 1, 3), Error::<Test>::TooLate);
	});
}
