//! Proofward's runtime: a queue of sealed jobs, attested workers, and contracts that judge their proofs.
#![cfg_attr(not(feature = "std"), no_std)]
// The runtime macro expands deeper than the compiler's default.
#![recursion_limit = "1024"]

extern crate alloc;

mod apis;
// Not of the whole crate: the runtime macros put items of their own beside these.
#[warn(missing_docs)]
pub mod beacon;
#[warn(missing_docs)]
pub mod config;
#[warn(missing_docs)]
pub mod consensus;
#[warn(missing_docs)]
pub mod fees;
#[warn(missing_docs)]
pub mod genesis;
#[warn(missing_docs)]
pub mod governance;
mod parachain;
#[warn(missing_docs)]
pub mod ranks;
#[warn(missing_docs)]
pub mod verifier;

#[cfg(test)]
mod tests;

use alloc::{borrow::Cow, vec::Vec};
use polkadot_sdk::{pallet_revive::evm::runtime::EthExtra, *};
use sp_runtime::{
	generic,
	traits::{BlakeTwo256, IdentifyAccount, Verify},
	MultiAddress, MultiSignature,
};
use sp_version::RuntimeVersion;

#[cfg(feature = "std")]
pub use apis::RuntimeApi;

/// Blocks are counted in 32 bits.
pub type BlockNumber = u32;
/// Of an extrinsic: sr25519, ed25519, or ECDSA.
pub type Signature = MultiSignature;
/// A public key, or the hash of one.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// In the smallest unit; 12 decimals make one UNIT.
pub type Balance = u128;
/// Of an account's extrinsics.
pub type Nonce = u32;
/// BLAKE2b-256.
pub type Hash = sp_core::H256;
/// How an extrinsic names an account.
pub type Address = MultiAddress<AccountId, ()>;
/// Of a block.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// A header and its extrinsics.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// Signed by an account, by an Ethereum key, or by nobody.
pub type UncheckedExtrinsic =
	pallet_revive::evm::runtime::UncheckedExtrinsic<Address, Signature, EthereumExtension>;
/// Runs blocks.
pub type Executive = frame_executive::Executive<
	Runtime,
	Block,
	frame_system::ChainContext<Runtime>,
	Runtime,
	AllPalletsWithSystem,
	Migrations,
>;
/// What an upgrade to this version changes in state, oldest first. Nothing yet: the chain begins with this version.
pub type Migrations = ();
/// What is checked of every signed extrinsic, and what it pays, each at its rank.
pub type TxExtension = ranks::Ranked<Extensions>;
/// The extensions themselves.
pub type Extensions = (
	frame_system::CheckNonZeroSender<Runtime>,
	frame_system::CheckSpecVersion<Runtime>,
	frame_system::CheckTxVersion<Runtime>,
	frame_system::CheckGenesis<Runtime>,
	frame_system::CheckEra<Runtime>,
	frame_system::CheckNonce<Runtime>,
	frame_system::CheckWeight<Runtime>,
	pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
	pallet_revive::evm::tx_extension::SetOrigin<Runtime>,
	frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
	frame_system::WeightReclaim<Runtime>,
);

/// How a transaction signed by an Ethereum key becomes an extrinsic of this runtime.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EthereumExtension;

impl EthExtra for EthereumExtension {
	type Config = Runtime;
	type ExtensionV0 = TxExtension;
	type ExtensionOtherVersions = sp_runtime::traits::InvalidVersion;

	fn get_eth_extension(nonce: u32, tip: Balance) -> TxExtension {
		ranks::Ranked((
			frame_system::CheckNonZeroSender::new(),
			frame_system::CheckSpecVersion::new(),
			frame_system::CheckTxVersion::new(),
			frame_system::CheckGenesis::new(),
			frame_system::CheckMortality::from(generic::Era::Immortal),
			frame_system::CheckNonce::from(nonce),
			frame_system::CheckWeight::new(),
			pallet_transaction_payment::ChargeTransactionPayment::from(tip),
			pallet_revive::evm::tx_extension::SetOrigin::new_from_eth_transaction(),
			frame_metadata_hash_extension::CheckMetadataHash::new(false),
			frame_system::WeightReclaim::new(),
		))
	}
}

/// Which runtime this is. `spec_version` grows with every release.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
	spec_name: Cow::Borrowed("proofward"),
	impl_name: Cow::Borrowed("proofward"),
	authoring_version: 1,
	spec_version: 11,
	impl_version: 1,
	apis: apis::RUNTIME_API_VERSIONS,
	transaction_version: 2,
	system_version: 1,
};

// The macro makes items that nobody writes.
#[allow(missing_docs)]
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
	pub struct Runtime;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Timestamp = pallet_timestamp;
	// Who made a block is known before a new session can begin in it.
	#[runtime::pallet_index(15)]
	pub type Aura = pallet_aura;
	#[runtime::pallet_index(17)]
	pub type Authorship = pallet_authorship;

	#[runtime::pallet_index(2)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(3)]
	pub type TransactionPayment = pallet_transaction_payment;
	#[runtime::pallet_index(4)]
	pub type Sudo = pallet_sudo;
	#[runtime::pallet_index(5)]
	pub type Utility = pallet_utility;
	#[runtime::pallet_index(6)]
	pub type Revive = pallet_revive;
	#[runtime::pallet_index(7)]
	pub type Attestation = pallet_attestation;
	#[runtime::pallet_index(8)]
	pub type Workers = pallet_workers;
	#[runtime::pallet_index(9)]
	pub type Models = pallet_models;
	#[runtime::pallet_index(10)]
	pub type Jobs = pallet_jobs;
	#[runtime::pallet_index(11)]
	pub type Council = pallet_collective<Instance1>;
	#[runtime::pallet_index(12)]
	pub type Proxy = pallet_proxy;
	#[runtime::pallet_index(13)]
	pub type Multisig = pallet_multisig;
	#[runtime::pallet_index(14)]
	pub type TxPause = pallet_tx_pause;

	// The session pallet's genesis asks the consortium who validates.
	#[runtime::pallet_index(21)]
	pub type Consortium = pallet_consortium;
	#[runtime::pallet_index(18)]
	pub type Session = pallet_session;
	#[runtime::pallet_index(16)]
	pub type Grandpa = pallet_grandpa;
	#[runtime::pallet_index(20)]
	pub type Offences = pallet_offences;
	#[runtime::pallet_index(30)]
	pub type InferenceSessions = pallet_sessions;
	#[runtime::pallet_index(31)]
	pub type Drand = pallet_drand;
	#[runtime::pallet_index(35)]
	pub type Federation = pallet_federation;
}
