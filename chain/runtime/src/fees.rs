//! What extrinsics cost, and who gets it.

use frame_support::{
	dispatch::{DispatchClass, DispatchInfo, Pays},
	parameter_types,
	traits::{tokens::imbalance::ResolveTo, Get},
	weights::{ConstantMultiplier, Weight},
	PalletId,
};
use pallet_jobs::WeightInfo as _;
use pallet_transaction_payment::{FungibleAdapter, Multiplier, TargetedFeeAdjustment};
use polkadot_sdk::*;
use sp_runtime::{
	traits::{AccountIdConversion, One},
	FixedPointNumber, Perquintill,
};

use crate::{
	config::UNIT, verifier::VERDICT_LIMIT, AccountId, Balance, Balances, Runtime, TransactionPayment,
};

parameter_types! {
	pub const PotId: PalletId = PalletId(*b"pw/pot__");
	/// The consortium's common purse. Governance spends it.
	pub Pot: AccountId = PotId::get().into_account_truncating();
	/// A hundred-thousandth of a UNIT a byte: a block full of bytes costs some 39 UNIT, an ordinary result 0.01.
	pub const PerByte: Balance = UNIT / 100_000;
	/// A quarter full is what blocks should be.
	pub const Target: Perquintill = Perquintill::from_percent(25);
	/// Full blocks raise fees by a factor of e in 22 minutes, so that filling them for an hour costs 15 times as much
	/// at its end; empty ones let them fall three times as slowly.
	pub Variability: Multiplier = Multiplier::saturating_from_rational(1, 1_000);
	/// Fees never fall below what the constants above say.
	pub Least: Multiplier = Multiplier::one();
	pub Most: Multiplier = Multiplier::saturating_from_integer(1_000_000);
}

pub type PerLength = ConstantMultiplier<Balance, PerByte>;
pub type Congestion = TargetedFeeAdjustment<Runtime, Target, Variability, Least, Most>;
/// All of a fee goes to the pot. No author is paid: the runtime does not know who makes its blocks.
pub type ToPot = FungibleAdapter<Balances, ResolveTo<Pot, Balances>>;

/// What a worker keeps for the end of a claim: a result and a release of the greatest size, at twice the present
/// congestion.
pub struct EndingReserve;

impl Get<Balance> for EndingReserve {
	fn get() -> Balance {
		use pallet_jobs::types::{MAX_PROOF, MAX_SEALED};
		type Weights = <Runtime as pallet_jobs::Config>::WeightInfo;
		let complete = Weights::complete(MAX_SEALED, MAX_PROOF).saturating_add(VERDICT_LIMIT);
		fee(complete, MAX_SEALED + MAX_PROOF).saturating_add(fee(Weights::release(), 0))
	}
}

/// Bytes of an extrinsic besides its call's arguments: signature, account, extensions.
const ENVELOPE: u32 = 512;

fn fee(call_weight: Weight, length: u32) -> Balance {
	let info = DispatchInfo {
		call_weight: call_weight.saturating_mul(2),
		extension_weight: Weight::from_parts(2_000_000_000, 65_536),
		class: DispatchClass::Operational,
		pays_fee: Pays::Yes,
	};
	TransactionPayment::compute_fee(length.saturating_add(ENVELOPE), &info, 0)
}
