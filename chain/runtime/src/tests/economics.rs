//! What bytes, verdicts and waiting cost: the attacks of a hostile review, which must not pay.

use codec::Encode;
use frame_support::{
	dispatch::{DispatchClass, GetDispatchInfo},
	weights::Weight,
};
use polkadot_sdk::*;
use sp_core::{H160, H256};
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{traits::Convert, BuildStorage};

use crate::{
	config::{RuntimeBlockLength, MILLI_UNIT, UNIT},
	fees::{Congestion, EndingReserve},
	Balance, Balances, BalancesConfig, Runtime, RuntimeCall, RuntimeGenesisConfig, System,
	TransactionPayment,
};

fn chain() -> TestExternalities {
	let balances = vec![(Sr25519Keyring::Alice.to_account_id(), 1_000 * UNIT)];
	let config = RuntimeGenesisConfig {
		balances: BalancesConfig { balances, ..Default::default() },
		..Default::default()
	};
	let mut chain = TestExternalities::new(config.build_storage().unwrap());
	chain.execute_with(|| System::set_block_number(1));
	chain
}

fn fee(call: &RuntimeCall, length: u32) -> Balance {
	TransactionPayment::compute_fee(length, &call.get_dispatch_info(), 0)
}

fn complete(sealed: usize, proof: usize) -> RuntimeCall {
	RuntimeCall::Jobs(pallet_jobs::Call::complete {
		job: H256::zero(),
		sealed_output: vec![0; sealed].try_into().unwrap(),
		output_commitment: H256::zero(),
		proof: vec![0; proof].try_into().unwrap(),
		receipt_block: 1,
		receipt_signature: [0; 64],
	})
}

fn stuffing() -> (RuntimeCall, u32) {
	let data = vec![0u8; 3_931_500];
	let call = RuntimeCall::Revive(pallet_revive::Call::call {
		dest: H160::repeat_byte(9),
		value: 0,
		weight_limit: Weight::zero(),
		storage_deposit_limit: 0,
		data,
	});
	let length = call.encoded_size() as u32 + 150;
	(call, length)
}

/// `runtime_poc.rs`, `poc_stuff.py`: a block full of bytes, for 0.004 UNIT were bytes free of charge.
#[test]
fn poc_the_cheapest_bytes() {
	chain().execute_with(|| {
		let (call, length) = stuffing();
		assert!(fee(&call, length) > 39 * UNIT, "{}", fee(&call, length));
	});
}

/// The same: such a block before a `complete`, and a tip of nothing to go before it.
#[test]
fn poc_bytes_of_a_block_cost_next_to_nothing() {
	chain().execute_with(|| {
		let most = *RuntimeBlockLength::get().max.get(DispatchClass::Normal);
		let remark = RuntimeCall::System(frame_system::Call::remark { remark: vec![0; most as usize - 400] });
		let length = remark.encoded_size() as usize + 150;
		assert!(fee(&remark, length as u32) > 39 * UNIT);

		type Check = frame_system::CheckWeight<Runtime>;
		let (_, next) = Check::do_validate(&remark.get_dispatch_info(), length).unwrap();
		Check::do_prepare(&remark.get_dispatch_info(), length, next).unwrap();
		assert!(Check::do_validate(&remark.get_dispatch_info(), length).is_err(), "no second one");
		for call in [complete(512, 256), complete(65_536, 16_384)] {
			let length = call.encoded_size() + 150;
			assert!(Check::do_validate(&call.get_dispatch_info(), length).is_ok(), "a result fits behind it");
		}

		let priority = |call: &RuntimeCall, length: usize, tip: Balance| {
			let (info, fee) = (call.get_dispatch_info(), fee(call, length as u32));
			pallet_transaction_payment::ChargeTransactionPayment::<Runtime>::get_priority(
				&info, length, tip, fee,
			)
		};
		let result = complete(512, 256);
		let ordinary = priority(&result, result.encoded_size() + 150, 0);
		assert!(ordinary > priority(&remark, length, UNIT), "and before it, unless it tips in earnest");
	});
}

#[test]
fn results_releases_and_renewals_have_a_share_of_the_block_to_themselves() {
	let release = RuntimeCall::Jobs(pallet_jobs::Call::release { job: H256::zero() });
	let renew = RuntimeCall::Workers(pallet_workers::Call::renew {
		quote: Default::default(),
		hpke_key: Default::default(),
		receipt_key: [0; 32],
		possession: [0; 64],
		epoch: 1,
		block: 1,
		endpoint: Default::default(),
	});
	chain().execute_with(|| {
		for call in [complete(0, 0), release, renew] {
			assert_eq!(call.get_dispatch_info().class, DispatchClass::Operational);
			assert_eq!(call.get_dispatch_info().pays_fee, frame_support::dispatch::Pays::Yes);
		}
	});
}

#[test]
fn full_blocks_raise_the_fees_and_empty_ones_never_lower_them_below_the_constants() {
	use sp_runtime::traits::One;
	chain().execute_with(|| {
		let one = pallet_transaction_payment::Multiplier::one();
		assert_eq!(Congestion::convert(one), one, "an empty block");
		let weights: frame_system::limits::BlockWeights =
			<Runtime as frame_system::Config>::BlockWeights::get();
		let full = weights.get(DispatchClass::Normal).max_total.unwrap();
		System::set_block_consumed_resources(full, 0);
		let hour = (0..3_600).fold(one, |multiplier, _| Congestion::convert(multiplier));
		assert!(hour > one * 10.into(), "an hour of full blocks: {hour:?}");
	});
}

/// What a worker keeps for a model whose verdict was never measured.
fn reserve() -> Balance {
	EndingReserve::convert(crate::verifier::VERDICT_LIMIT.saturating_mul(2))
}

/// `poc_bond.py`: what a worker keeps is enough for the dearest end of a claim, now and when fees double.
#[test]
fn the_reserve_pays_for_every_ending() {
	chain().execute_with(|| {
		let result = complete(65_536, 16_384);
		let release = RuntimeCall::Jobs(pallet_jobs::Call::release { job: H256::zero() });
		let endings = fee(&result, result.encoded_size() as u32 + 150) + fee(&release, 300);
		assert!(reserve() > endings);
		pallet_transaction_payment::NextFeeMultiplier::<Runtime>::put(
			pallet_transaction_payment::Multiplier::from_u32(2),
		);
		let dearer = fee(&result, result.encoded_size() as u32 + 150) + fee(&release, 300);
		pallet_transaction_payment::NextFeeMultiplier::<Runtime>::put(
			pallet_transaction_payment::Multiplier::from_u32(1),
		);
		assert!(reserve() > dearer, "at twice the congestion");
		assert!(reserve() < 5 * UNIT, "and no more than a worker has: {}", reserve());
	});
}

#[test]
fn the_least_price_covers_a_claim_and_an_ordinary_result() {
	chain().execute_with(|| {
		let claim = RuntimeCall::Jobs(pallet_jobs::Call::claim { job: H256::zero(), max_bond: 0 });
		// What the contract does not use of its limit comes back.
		let result = complete(512, 256);
		let most = fee(&result, result.encoded_size() as u32 + 150) + fee(&claim, 200);
		let unused = TransactionPayment::weight_to_fee(crate::verifier::VERDICT_LIMIT.saturating_mul(2));
		let used = most - unused;
		assert!(used < crate::config::MinPrice::get(), "{used}");
	});
}

#[test]
fn dust_and_state_have_their_price() {
	chain().execute_with(|| {
		use frame_support::traits::{fungible::Mutate, tokens::Preservation};
		let [alice, bob] = [Sr25519Keyring::Alice, Sr25519Keyring::Bob].map(|key| key.to_account_id());
		let pay = |amount| Balances::transfer(&alice, &bob, amount, Preservation::Preserve);
		assert!(pay(10 * MILLI_UNIT - 1).is_err(), "dust opens no account");
		assert!(pay(10 * MILLI_UNIT).is_ok());
	});
}

/// The tables of `docs/economics.md`.
#[test]
fn docs_economics_tells_the_runtimes_constants() {
	use crate::{config::*, fees::PerByte};
	let page = include_str!("../../../../docs/economics.md");
	let amounts: [(&str, Balance); 22] = [
		("ExistentialDeposit", ExistentialDeposit::get()),
		("PerByte", PerByte::get()),
		("PER_ITEM", PER_ITEM),
		("PER_BYTE", PER_BYTE),
		("RecordDeposit", RecordDeposit::get()),
		("CollateralDeposit", CollateralDeposit::get()),
		("WorkerStake", WorkerStake::get()),
		("EpochDeposit", EpochDeposit::get()),
		("MinPrice", MinPrice::get()),
		("MinBond", MinBond::get()),
		("MaxBond", MaxBond::get()),
		("MissShare", MissShare::get() * WorkerStake::get()),
		("MinEscrow", MinEscrow::get()),
		("SessionBond", SessionBond::get()),
		("ForceFee", ForceFee::get()),
		("SessionDeposit", SessionDeposit::get()),
		("OfferDeposit", OfferDeposit::get()),
		("SiteDeposit", SiteDeposit::get()),
		("StudyDeposit", StudyDeposit::get()),
		("RoundDeposit", RoundDeposit::get()),
		("IdDeposit", IdDeposit::get()),
		("RestitutionShare", RestitutionShare::get() * (SlashShare::get() * WorkerStake::get())),
	];
	for (name, amount) in amounts {
		let fraction = format!("{:012}", amount % UNIT);
		let digits = format!("{}.{}", amount / UNIT, fraction.trim_end_matches('0'));
		let row = format!("| `{name}` | {} UNIT |", digits.trim_end_matches('.'));
		assert!(page.contains(&row), "docs/economics.md has no {row}");
	}
	let blocks = [
		("FreeBlocks", FreeBlocks::get()),
		("ContestWindow", ContestWindow::get()),
		("Suspension", Suspension::get()),
		("ReliabilityWindow", ReliabilityWindow::get()),
		("MaxDeadline", MaxDeadline::get()),
		("Unbonding", Unbonding::get()),
		("Retention", Retention::get()),
		("MaxLength", MaxLength::get()),
		("Year", Year::get()),
	];
	for (name, number) in blocks {
		let row = format!("| `{name}` | {number} |");
		assert!(page.contains(&row), "docs/economics.md has no {row}");
	}
}

/// Rule 2: no entry is larger than what is held for it pays for.
#[test]
fn deposits_cover_the_largest_entries() {
	use crate::{config::*, AccountId};
	use codec::MaxEncodedLen;
	use pallet_federation::{Round, Site, Study};
	use pallet_sessions::types::{Floor, Offer, Session, Window, MAX_WINDOWS};
	let entry = |bytes: usize| PER_ITEM + bytes as Balance * PER_BYTE;
	let windows = Balance::from(MAX_WINDOWS) * entry(Window::max_encoded_len());
	let rows = [
		("site", entry(Site::max_encoded_len()), SiteDeposit::get()),
		("study", entry(Study::<AccountId>::max_encoded_len()), StudyDeposit::get()),
		("round", entry(Round::<AccountId>::max_encoded_len()), RoundDeposit::get()),
		("closed study", entry(<(AccountId, Balance)>::max_encoded_len()), IdDeposit::get()),
		("offer", entry(Offer::max_encoded_len()), OfferDeposit::get()),
		("floor", entry(Floor::<AccountId>::max_encoded_len()), OfferDeposit::get()),
		("nonce", entry(<(H256, Balance)>::max_encoded_len()), OfferDeposit::get()),
		("session", entry(Session::<AccountId>::max_encoded_len()) + windows, SessionDeposit::get()),
	];
	for (name, worth, held) in rows {
		assert!(worth <= held, "a {name} is worth {worth}, and {held} is held");
	}
}

/// Rule 5: while a result can be contested its worker's stake is there, and its record is in state.
#[test]
fn a_stake_stays_for_as_long_as_a_result_can_be_contested() {
	use crate::config::{ContestWindow, Retention, Unbonding};
	// A worker may retire in the block of the verdict, and not while it holds the claim.
	assert!(ContestWindow::get() <= Unbonding::get());
	assert!(ContestWindow::get() < Retention::get());
}

/// Rule 10: a fifth of a fee and the whole tip go to whoever made the block; where nobody did, all of it to the pot.
#[test]
fn fees_are_shared_with_the_author_of_the_block() {
	use crate::fees::{Pot, ToAuthorAndPot};
	use frame_support::traits::{fungible::Balanced, OnUnbalanced};
	use sp_consensus_aura::AURA_ENGINE_ID;
	use sp_runtime::{Digest, DigestItem};
	let [alice, pot] = [Sr25519Keyring::Alice.to_account_id(), Pot::get()];
	let slot = DigestItem::PreRuntime(AURA_ENGINE_ID, 7u64.encode());
	let garbled = DigestItem::PreRuntime(AURA_ENGINE_ID, vec![1, 2]);
	let development = || super::genesis::chain(super::genesis::of(crate::genesis::DEVELOPMENT));
	for (named, digest) in [(true, vec![slot]), (false, vec![]), (false, vec![garbled])] {
		development().execute_with(|| {
			System::set_block_number(1);
			let pot_before = Balances::free_balance(&pot);
			System::initialize(&2, &H256::zero(), &Digest { logs: digest });
			let before = Balances::free_balance(&alice);
			let issuance = Balances::total_issuance();
			let [fee, tip] = [10 * UNIT, UNIT].map(<Balances as Balanced<_>>::issue);
			ToAuthorAndPot::on_unbalanceds([fee, tip].into_iter());
			let paid = Balances::free_balance(&alice) - before;
			assert_eq!(paid, if named { 3 * UNIT } else { 0 });
			assert_eq!(Balances::free_balance(&pot) - pot_before, 11 * UNIT - paid);
			assert_eq!(Balances::total_issuance(), issuance + 11 * UNIT, "nothing is lost");
		});
	}
}
