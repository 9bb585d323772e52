//! The sessions pallet's calls. What ends a session is measured on one with as many windows as there may be, each with
//! as many pages as can be asked for.

use pallet_sessions::types::{
	Pages, Proved, Terms, MAX_CAPACITY, MAX_FORCED, MAX_PAGES, MAX_PROOF, MAX_PROVED, MAX_WINDOWS,
};
use polkadot_sdk::{
	frame_support::assert_ok,
	sp_core::{ed25519, Pair, H256},
	sp_io::hashing::sha2_256,
	sp_runtime::DispatchResult,
};
use proofward_fixtures as fixtures;
use proofward_primitives::{
	sessions::{leaf, page_message, session_id, Checkpoint},
	Level,
};

use crate::{
	calls::*,
	chain::*,
	measure::{cost, Cost},
};

const WINDOW: u32 = 600;
const END: u32 = 10_000;
/// The block in which windows are posted, the first in which the beacon knows them, and the first after all proofs.
const POSTED: u32 = 10;
const KNOWN: u32 = POSTED + 33;
const DUE: u32 = KNOWN + WINDOW + 1;

fn session() -> H256 {
	session_id(&CLIENT, &NONCE)
}

fn voucher_pair() -> ed25519::Pair {
	ed25519::Pair::from_seed(&[0x99; 32])
}

fn offer() -> DispatchResult {
	let terms =
		Terms { price: 1, bond: 10, capacity: MAX_CAPACITY, most_sampled: 1_000_000, least_window: 5 };
	InferenceSessions::offer(alice(), model(), terms)
}

fn allow() -> DispatchResult {
	InferenceSessions::allow(alice(), model(), Some(1))
}

fn allowed() {
	serving();
	assert_ok!(allow());
}

fn offered() {
	allowed();
	assert_ok!(offer());
}

fn open() -> DispatchResult {
	InferenceSessions::open(
		client(),
		ALICE,
		model(),
		NONCE,
		voucher_pair().public().0,
		1,
		1,
		500_000,
		1_000_000,
		WINDOW,
		END,
		Level::Simulated,
		true,
	)
}

fn opened() {
	offered();
	assert_ok!(open());
}

fn pages(window: u32) -> u32 {
	(window + 1) * MAX_PAGES
}

fn checkpoint(number: u32, root: H256) -> impl Fn() -> DispatchResult {
	let said = Checkpoint {
		genesis: H256(fixtures::GENESIS),
		session: session(),
		number,
		root,
		pages: pages(number),
		records: u64::from(number + 1) * 10,
	};
	let signature = receipt_pair(0x51).sign(&said.enclave_message()).0;
	let voucher = voucher_pair().sign(&said.voucher_message()).0;
	move || {
		InferenceSessions::checkpoint(
			alice(),
			session(),
			number,
			root,
			said.pages,
			said.records,
			signature,
			voucher,
		)
	}
}

/// The tree of the first window, leaves first.
fn tree() -> Vec<Vec<H256>> {
	let leaves = (0..MAX_PAGES).map(|page| leaf(&session(), page, &INPUT, &OUTPUT)).collect();
	let mut levels: Vec<Vec<H256>> = vec![leaves];
	while levels[levels.len() - 1].len() > 1 {
		let pair = |pair: &[H256]| sha2_256(&[&[1], pair[0].as_bytes(), pair[1].as_bytes()].concat()).into();
		levels.push(levels[levels.len() - 1].chunks(2).map(pair).collect());
	}
	levels
}

/// The first window is not drawn; all have pages that the client asked for.
fn full(root: H256) {
	opened();
	for number in 0..MAX_WINDOWS {
		assert_ok!(checkpoint(number, root)());
		for page in 0..MAX_FORCED {
			let page = number * MAX_PAGES + page;
			assert_ok!(InferenceSessions::force(client(), session(), number, page));
		}
	}
	System::set_block_number(KNOWN);
	for number in 1..MAX_WINDOWS {
		assert_ok!(InferenceSessions::draw(client(), session(), number));
	}
}

fn overdue() {
	full(H256::zero());
	System::set_block_number(DUE);
}

/// The only window is proved, and its time is over.
fn payable() {
	opened();
	assert_ok!(checkpoint(0, H256::zero())());
	System::set_block_number(KNOWN);
	assert_ok!(InferenceSessions::draw(client(), session(), 0));
	pallet_sessions::Windows::<Chain>::mutate(session(), 0, |window| {
		window.as_mut().expect("posted").asked.iter_mut().for_each(|asked| asked.proved = true);
	});
	System::set_block_number(DUE);
}

fn prove(count: u32, honest: bool) -> Cost {
	let tree = tree();
	let root = tree[tree.len() - 1][0];
	let proved = |page: u32| {
		let place = page as usize;
		let path: Vec<H256> = (0..tree.len() - 1).map(|level| tree[level][(place >> level) ^ 1]).collect();
		// A false proof is never the longest.
		let proof = if honest || page > 0 { vec![0xa5; MAX_PROOF as usize] } else { PROBE.to_vec() };
		Proved {
			page,
			input_commitment: INPUT,
			output_commitment: OUTPUT,
			path: path.try_into().expect("16 levels"),
			proof: proof.try_into().expect("within the bound"),
		}
	};
	let pages: Pages = (0..count).map(proved).collect::<Vec<_>>().try_into().expect("few");
	cost(
		|| full(root),
		|| {
			InferenceSessions::prove(alice(), session(), 0, pages.clone())
				.map(drop)
				.map_err(|error| error.error)
		},
	)
}

fn report() -> DispatchResult {
	let sign = |leaf: &H256| {
		let message = page_message(&H256(fixtures::GENESIS), &session(), 7, leaf);
		receipt_pair(0x51).sign(&message).0
	};
	let key = receipt_pair(0x51).public().0;
	InferenceSessions::report(client(), key, session(), 7, INPUT, sign(&INPUT), OUTPUT, sign(&OUTPUT))
}

pub fn sessions() -> Pallet {
	let least = prove(1, false).or(prove(1, true));
	let most = prove(MAX_PROVED, false).or(prove(MAX_PROVED, true));
	Pallet {
		name: "sessions",
		calls: vec![
			fixed("allow", cost(allowed, allow)),
			fixed("offer", cost(offered, offer)),
			fixed("withdraw", cost(offered, || InferenceSessions::withdraw(alice(), model()))),
			fixed("open", cost(offered, open)),
			fixed("top_up", cost(opened, || InferenceSessions::top_up(client(), session(), 10))),
			fixed("close", cost(opened, || InferenceSessions::close(client(), session()))),
			fixed("checkpoint", cost(opened, checkpoint(0, INPUT))),
			fixed("draw", cost(|| full(H256::zero()), || InferenceSessions::draw(client(), session(), 0))),
			fixed("force", cost(asked_but_once, || InferenceSessions::force(client(), session(), 0, 7))),
			// From the first page on: that one is in the least.
			linear(
				"prove",
				&["Everything but the contract's verdict; a proof that is false ends the session."],
				least,
				vec![("pages", MAX_PROVED - 1, most)],
			),
			documented(
				"finish",
				&["The costlier kind: it ends the session."],
				cost(overdue, || InferenceSessions::finish(client(), session()))
					.or(cost(payable, || InferenceSessions::finish(client(), session()))),
			),
			fixed("waive", cost(|| full(H256::zero()), || InferenceSessions::waive(alice(), session()))),
			fixed(
				"settle",
				cost(
					|| {
						opened();
						System::set_block_number(END + 21);
					},
					|| InferenceSessions::settle(client(), session()),
				),
			),
			fixed("report", cost(opened, report)),
		],
	}
}

/// A drawn window, of which the client asked for all pages that it may but one.
fn asked_but_once() {
	opened();
	assert_ok!(checkpoint(0, H256::zero())());
	for page in 0..MAX_FORCED - 1 {
		assert_ok!(InferenceSessions::force(client(), session(), 0, page));
	}
	System::set_block_number(KNOWN);
	assert_ok!(InferenceSessions::draw(client(), session(), 0));
}
