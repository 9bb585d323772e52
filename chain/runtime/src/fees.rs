//! What extrinsics cost, and who gets it.

use frame_support::{
	dispatch::{DispatchClass, DispatchInfo, Pays},
	parameter_types,
	traits::{
		fungible::{Balanced, Credit},
		tokens::imbalance::ResolveTo,
		Imbalance, OnUnbalanced,
	},
	weights::{ConstantMultiplier, Weight},
	PalletId,
};
use pallet_jobs::WeightInfo as _;
use pallet_transaction_payment::{FungibleAdapter, Multiplier, TargetedFeeAdjustment};
use polkadot_sdk::*;
use sp_runtime::{
	traits::{AccountIdConversion, Convert, One},
	FixedPointNumber, Percent, Perquintill,
};

use crate::{config::UNIT, AccountId, Authorship, Balance, Balances, Runtime, TransactionPayment};

parameter_types! {
	/// Makes the pot's account.
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
	/// Nor do they grow without an end.
	pub Most: Multiplier = Multiplier::saturating_from_integer(1_000_000);
}

/// What bytes cost.
pub type PerLength = ConstantMultiplier<Balance, PerByte>;
/// How fees follow congestion.
pub type Congestion = TargetedFeeAdjustment<Runtime, Target, Variability, Least, Most>;
/// A fifth of a fee and all of a tip go to the block's author, the rest to the pot.
pub type Fees = FungibleAdapter<Balances, ToAuthorAndPot>;
/// Enough that a block with extrinsics is worth more than an empty one; the pot pays for what all need.
pub const AUTHOR_SHARE: Percent = Percent::from_percent(20);

/// Shares fees out.
pub struct ToAuthorAndPot;

impl OnUnbalanced<Credit<AccountId, Balances>> for ToAuthorAndPot {
	fn on_unbalanceds(mut parts: impl Iterator<Item = Credit<AccountId, Balances>>) {
		let (fee, tip) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
		let Some(author) = Authorship::author() else {
			return ResolveTo::<Pot, Balances>::on_unbalanced(fee.merge(tip));
		};
		let share = AUTHOR_SHARE * fee.peek();
		let (share, rest) = fee.split(share);
		// An author that has no account and would get less than an account's least gets nothing.
		let left = Balances::resolve(&author, share.merge(tip)).err().unwrap_or_default();
		ResolveTo::<Pot, Balances>::on_unbalanced(rest.merge(left));
	}

	fn on_nonzero_unbalanced(fee: Credit<AccountId, Balances>) {
		Self::on_unbalanceds(core::iter::once(fee));
	}
}

/// What a worker keeps for the end of a claim: a result of the greatest size with this weight for its verdict, and a
/// release, at twice the present congestion.
pub struct EndingReserve;

impl Convert<Weight, Balance> for EndingReserve {
	fn convert(verdict: Weight) -> Balance {
		use pallet_jobs::types::{MAX_PROOF, MAX_SEALED};
		type Weights = <Runtime as pallet_jobs::Config>::WeightInfo;
		let complete = Weights::complete(MAX_SEALED, MAX_PROOF).saturating_add(verdict);
		fee(complete, MAX_SEALED + MAX_PROOF).saturating_add(fee(Weights::release(), 0))
	}
}

/// Bytes of an extrinsic besides its call's arguments: signature, account, extensions.
const ENVELOPE: u32 = 512;

/// At twice the present congestion, which is a multiple of what weight costs and not of bytes.
fn fee(call_weight: Weight, length: u32) -> Balance {
	let info = DispatchInfo {
		call_weight,
		extension_weight: Weight::from_parts(2_000_000_000, 65_536),
		class: DispatchClass::Operational,
		pays_fee: Pays::Yes,
	};
	let bytes = TransactionPayment::length_to_fee(length.saturating_add(ENVELOPE));
	TransactionPayment::compute_fee(0, &info, 0).saturating_mul(2).saturating_add(bytes)
}
