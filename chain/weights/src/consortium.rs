//! The consortium pallet's calls, on the real runtime with as many members and notices as there may be.

use pallet_consortium::types::{
	Change, Endpoint, GenesisMember, Notice, Ownership, Past, Settings, Standing,
};
use polkadot_sdk::{
	frame_support::traits::{Get, OnInitialize},
	frame_system::RawOrigin,
	sp_consensus_aura::AURA_ENGINE_ID,
	sp_consensus_slots::EquivocationProof,
	sp_core::{crypto::key_types::AURA, ed25519, sr25519, Pair, H256},
	sp_io::{hashing::blake2_256, TestExternalities},
	sp_runtime::{traits::Header as _, BuildStorage, Digest, DigestItem, DispatchError, DispatchResult},
	*,
};
use proofward_runtime::{
	config::UNIT,
	consensus::{MaxMembers, SessionKeys, RETAINED},
	AccountId, BalancesConfig, Consortium, ConsortiumConfig, Header, Runtime, RuntimeCall,
	RuntimeGenesisConfig, RuntimeOrigin, SessionConfig, System,
};

use crate::{
	calls::{documented, fixed, Pallet},
	measure::{cost_on, Cost},
};

/// The day on which all notices are due.
const DUE: u32 = 1_000;
/// The session that evidence is brought in; the offence was as long ago as the chain remembers.
const SESSION: u32 = RETAINED;
const SLOT: u64 = 10;

fn pair(n: u32) -> sr25519::Pair {
	sr25519::Pair::from_seed(&blake2_256(&[b"member".as_slice(), &n.to_le_bytes()].concat()))
}

fn member(n: u32) -> AccountId {
	pair(n).public().0.into()
}

fn keys(n: u32) -> (AccountId, AccountId, SessionKeys) {
	let grandpa = ed25519::Pair::from_seed(&blake2_256(&n.to_le_bytes())).public();
	let keys = SessionKeys { aura: pair(n).public().into(), grandpa: grandpa.into() };
	(member(n), member(n), keys)
}

fn endpoint() -> Endpoint {
	vec![b'e'; 256].try_into().expect("within the bound")
}

fn members() -> u32 {
	<MaxMembers as Get<u32>>::get()
}

fn notices() -> u32 {
	<Runtime as pallet_consortium::Config>::MaxNotices::get()
}

/// As many members as there may be, and as many others with keys as could come.
fn full() -> TestExternalities {
	let most = members();
	let everybody = 0..most + notices();
	let consortium = (0..most).map(|n| GenesisMember {
		account: member(n),
		legal_name: H256::zero(),
		endpoint: "e".repeat(256),
	});
	let config = RuntimeGenesisConfig {
		balances: BalancesConfig {
			balances: everybody.map(|n| (member(n), 1_000 * UNIT)).collect(),
			..Default::default()
		},
		consortium: ConsortiumConfig {
			settings: Settings { notice_blocks: DUE - 1, ..Default::default() },
			members: consortium.collect(),
		},
		session: SessionConfig { keys: (0..most).map(keys).collect(), ..Default::default() },
		..Default::default()
	};
	let mut chain = TestExternalities::new(config.build_storage().expect("genesis builds"));
	chain.execute_with(|| {
		System::set_block_number(1);
		for (who, _, keys) in (most..most + notices()).map(keys) {
			pallet_session::NextKeys::<Runtime>::insert(who, keys);
		}
	});
	chain
}

fn root() -> RuntimeOrigin {
	RuntimeOrigin::root()
}

fn on(prepare: impl FnOnce(), call: impl Fn() -> DispatchResult) -> Cost {
	cost_on(full(), prepare, call)
}

/// So many members are to be replaced.
fn replacing(count: u32) {
	for n in 0..count {
		Consortium::replace(root(), member(n), member(members() + n)).expect("announced");
	}
}

fn remark() -> RuntimeCall {
	RuntimeCall::System(frame_system::Call::remark { remark: vec![] })
}

/// As many notices as there may be, one of them of a call that is due.
fn announced() {
	replacing(notices() - 1);
	let call = H256(blake2_256(&codec::Encode::encode(&remark())));
	let notice = pallet_consortium::NextNotice::<Runtime>::get();
	let entry = Notice { change: Change::<AccountId>::Enact { call }, due: 1 };
	pallet_consortium::Notices::<Runtime>::insert(notice, entry);
}

fn due() {
	replacing(notices());
	System::set_block_number(DUE);
}

fn sealed(extra: u8) -> Header {
	let slot = DigestItem::PreRuntime(AURA_ENGINE_ID, codec::Encode::encode(&SLOT));
	let mut header =
		Header::new(3, H256::zero(), H256::zero(), H256::repeat_byte(extra), Digest { logs: vec![slot] });
	let signature = pair(0).sign(header.hash().as_ref());
	header.digest.push(DigestItem::Seal(AURA_ENGINE_ID, codec::Encode::encode(&signature)));
	header
}

/// The oldest session that the chain remembers is the offence's.
fn remembered() {
	let most = members();
	for session in 0..=SESSION {
		let begins = u64::from(session) * 1_000;
		pallet_consortium::Sessions::<Runtime>::insert(session, Past { begins, validators: most });
	}
	let key: [u8; 32] = pair(0).public().0;
	let hash = H256(blake2_256(&codec::Encode::encode(&(AURA.0, key.as_slice()))));
	pallet_consortium::Owners::<Runtime>::insert(0, hash, member(0));
	pallet_session::CurrentIndex::<Runtime>::put(SESSION);
}

/// As a block does it: the check before, then the call.
#[allow(deprecated)]
fn report() -> DispatchResult {
	use sp_runtime::traits::ValidateUnsigned;
	let proof = Box::new(EquivocationProof {
		offender: pair(0).public().into(),
		slot: SLOT.into(),
		first_header: sealed(1),
		second_header: sealed(2),
	});
	let ownership = Ownership { session: 0, validators: members() };
	let call =
		pallet_consortium::Call::report_two_blocks { proof: proof.clone(), ownership: ownership.clone() };
	Consortium::pre_dispatch(&call).map_err(|_| DispatchError::Other("refused before it runs"))?;
	Consortium::report_two_blocks(RawOrigin::None.into(), proof, ownership)
		.map(drop)
		.map_err(|error| error.error)
}

pub fn consortium() -> Pallet {
	let last = members() - 1;
	let put_out = on(remembered, || {
		report()?;
		let standing = pallet_consortium::Members::<Runtime>::get(member(0)).map(|member| member.standing);
		assert_eq!(standing, Some(Standing::Out { session: SESSION }));
		Ok(())
	});
	Pallet {
		name: "consortium",
		calls: vec![
			documented(
				"announce",
				&["Any of the calls that note a change: all members with their keys, and all notices, are read."],
				on(|| replacing(notices() - 1), || Consortium::remove(root(), member(last)))
					.or(on(|| replacing(notices() - 1), || {
						Consortium::replace(root(), member(last), member(1_000))
					})),
			),
			fixed(
				"set_endpoint",
				on(|| (), || Consortium::set_endpoint(RuntimeOrigin::signed(member(0)), endpoint())),
			),
			documented(
				"enact",
				&["Without the call itself."],
				on(announced, || {
					let notice = pallet_consortium::NextNotice::<Runtime>::get();
					Consortium::enact(RuntimeOrigin::signed(member(0)), notice, Box::new(remark()))
				}),
			),
			fixed("withdraw", on(announced, || Consortium::withdraw(root(), 0))),
			fixed("recover_finality", on(|| (), || Consortium::recover_finality(root(), 10, 1))),
			documented(
				"report_two_blocks",
				&["Two signatures of sr25519, and what putting a member out takes."],
				put_out,
			),
			documented(
				"make_due",
				&["All changes that can be due in a block."],
				on(due, || {
					Consortium::on_initialize(DUE);
					assert_eq!(pallet_consortium::Notices::<Runtime>::count(), 0, "all are made");
					Ok(())
				}),
			),
		],
	}
}
