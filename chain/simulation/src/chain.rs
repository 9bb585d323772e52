//! The real runtime, block by block: every call goes through the transaction extensions of a signed extrinsic (nonce,
//! weight and length of the block, fees) and is dispatched by the runtime. Only signatures are left out, and who makes
//! the blocks: they come one a second.

use codec::Encode;
use polkadot_sdk::{
	frame_support::{
		dispatch::{DispatchInfo, GetDispatchInfo, PostDispatchInfo},
		traits::{OnFinalize, OnInitialize},
	},
	frame_system,
	sp_consensus_aura::AURA_ENGINE_ID,
	sp_core::H256,
	sp_io::{hashing::blake2_256, TestExternalities},
	sp_runtime::{
		generic::Era,
		traits::{DispatchTransaction, TransactionExtension},
		transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError},
		BuildStorage, Digest, DigestItem, DispatchError,
	},
	*,
};
use proofward_runtime::{
	config::UNIT, fees::Pot, genesis, AccountId, AllPalletsWithSystem, Attestation, Balance, Balances,
	Consortium, Federation, InferenceSessions, Jobs, Models, RuntimeCall, RuntimeEvent, RuntimeGenesisConfig,
	RuntimeOrigin, System, Timestamp, TxExtension, Workers,
};

/// Milliseconds since the Unix epoch of block 0, and from block to block: one of development's slots.
const GENESIS_TIME: u64 = 1_790_000_000_000;
const BLOCK_TIME: u64 = 1_000;
/// Bytes of a signed extrinsic besides its call: signature, address, extensions.
const ENVELOPE: usize = 110;

/// Why an extrinsic came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
	/// There is no room for it in this block; it may fit into the next.
	BlockFull,
	/// It never gets into a block: its sender cannot pay, or its nonce is wrong.
	Refused(TransactionValidityError),
	/// It is in the block, paid for, and changed nothing.
	Failed(DispatchError),
}

/// The development genesis with these balances besides, before block 1.
pub fn genesis(balances: impl IntoIterator<Item = (AccountId, Balance)>) -> TestExternalities {
	let patch = genesis::preset(&genesis::DEVELOPMENT.into()).expect("the preset exists");
	let patch = serde_json::from_slice(&patch).expect("the preset is JSON");
	let mut config: RuntimeGenesisConfig = serde_json::from_value(patch).expect("the preset is a genesis");
	config.balances.balances.extend(balances);
	TestExternalities::new(config.build_storage().expect("a valid genesis"))
}

/// Begins block `number`.
pub fn begin(number: u32) {
	let time = GENESIS_TIME + BLOCK_TIME * u64::from(number);
	let slot = DigestItem::PreRuntime(AURA_ENGINE_ID, (time / BLOCK_TIME).encode());
	System::reset_events();
	System::initialize(&number, &hash(number - 1), &Digest { logs: vec![slot] });
	AllPalletsWithSystem::on_initialize(number);
	Timestamp::set(RuntimeOrigin::none(), time).expect("time goes on");
}

/// Ends the block that was begun.
pub fn end() {
	System::note_finished_extrinsics();
	AllPalletsWithSystem::on_finalize(System::block_number());
}

/// Ends the present block and begins `number`. The empty ones in between are not made.
pub fn skip_to(number: u32) {
	end();
	System::set_block_number(number - 1);
	begin(number);
}

/// The hash that block `number` has here.
pub fn hash(number: u32) -> H256 {
	blake2_256(&(b"block", number).encode()).into()
}

fn extension(who: &AccountId, tip: Balance) -> TxExtension {
	proofward_runtime::ranks::Ranked((
		frame_system::CheckNonZeroSender::new(),
		frame_system::CheckSpecVersion::new(),
		frame_system::CheckTxVersion::new(),
		frame_system::CheckGenesis::new(),
		frame_system::CheckMortality::from(Era::Immortal),
		frame_system::CheckNonce::from(System::account_nonce(who)),
		frame_system::CheckWeight::new(),
		pallet_transaction_payment::ChargeTransactionPayment::from(tip),
		pallet_revive::evm::tx_extension::SetOrigin::default(),
		frame_metadata_hash_extension::CheckMetadataHash::new(false),
		frame_system::WeightReclaim::new(),
	))
}

fn info(call: &RuntimeCall, extension: &TxExtension) -> DispatchInfo {
	let mut info = call.get_dispatch_info();
	info.extension_weight = extension.weight(call);
	info
}

/// What the pool sorts by; nothing for what it would not take.
pub fn priority(who: &AccountId, call: &RuntimeCall, tip: Balance) -> u64 {
	let extension = extension(who, tip);
	let (info, length) = (info(call, &extension), call.encoded_size() + ENVELOPE);
	let origin = RuntimeOrigin::signed(who.clone());
	let valid = extension.validate_only(origin, call, &info, length, TransactionSource::External, 0);
	valid.map_or(0, |(valid, ..)| valid.priority)
}

/// Puts a call of `who`'s into the present block.
pub fn apply(who: &AccountId, call: RuntimeCall, tip: Balance) -> Result<PostDispatchInfo, Failure> {
	let extension = extension(who, tip);
	let (info, length) = (info(&call, &extension), call.encoded_size() + ENVELOPE);
	let origin = RuntimeOrigin::signed(who.clone());
	match extension.dispatch_transaction(origin, call, &info, length, 0) {
		Ok(result) => {
			System::note_applied_extrinsic(&result, info);
			result.map_err(|error| Failure::Failed(error.error))
		}
		Err(TransactionValidityError::Invalid(InvalidTransaction::ExhaustsResources)) => {
			Err(Failure::BlockFull)
		}
		Err(error) => Err(Failure::Refused(error)),
	}
}

/// The events of the present block since `from`.
pub fn events(from: usize) -> Vec<RuntimeEvent> {
	System::read_events_no_consensus().skip(from).map(|record| record.event).collect()
}

/// Every invariant of our pallets over the whole state, and the sum of all balances.
pub fn check(issuance: Balance) -> Result<(), String> {
	let checks = [
		("attestation", Attestation::do_try_state()),
		("workers", Workers::do_try_state()),
		("models", Models::do_try_state()),
		("jobs", Jobs::do_try_state()),
		("consortium", Consortium::do_try_state()),
		("sessions", InferenceSessions::do_try_state()),
		("federation", Federation::do_try_state()),
	];
	for (pallet, result) in checks {
		result.map_err(|error| format!("{pallet}: {error:?}"))?;
	}
	let now = Balances::total_issuance();
	if now != issuance {
		return Err(format!("{} UNIT are {} UNIT", units(issuance), units(now)));
	}
	Ok(())
}

/// What `who` owns, holds included.
pub fn owns(who: &AccountId) -> Balance {
	use frame_support::traits::fungible::Inspect;
	<Balances as Inspect<AccountId>>::total_balance(who)
}

/// What the pot has.
pub fn pot() -> Balance {
	owns(&Pot::get())
}

pub fn units(amount: Balance) -> f64 {
	amount as f64 / UNIT as f64
}
