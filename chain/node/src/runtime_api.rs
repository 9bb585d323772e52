//! The runtime interfaces that this node calls. The chain's wasm answers; the type here only says which there are.

use sp_consensus_aura::sr25519::AuthorityId as AuraId;
use sp_consensus_grandpa::{
	AuthorityId as GrandpaId, AuthorityList, EquivocationProof as TwoVotes, OpaqueKeyOwnershipProof, SetId,
};
use sp_consensus_slots::EquivocationProof as TwoBlocks;
use sp_core::{crypto::KeyTypeId, OpaqueMetadata};
use sp_runtime::{
	generic,
	traits::{BlakeTwo256, Block as BlockT, NumberFor},
	transaction_validity::{TransactionSource, TransactionValidity},
	AccountId32, ApplyExtrinsicResult, OpaqueExtrinsic,
};

pub type Header = generic::Header<u32, BlakeTwo256>;
pub type Block = generic::Block<Header, OpaqueExtrinsic>;
pub type Balance = u128;
pub type Nonce = u32;
type Hash = <Block as BlockT>::Hash;
type Extrinsic = <Block as BlockT>::Extrinsic;

sp_api::decl_runtime_apis! {
	/// As `chain/pallets/consortium/src/api.rs` declares it.
	pub trait ConsortiumApi {
		/// Put evidence of two blocks in one slot into this node's own pool.
		fn report_two_blocks(
			proof: sp_consensus_slots::EquivocationProof<
				<Block as BlockT>::Header,
				sp_consensus_aura::sr25519::AuthorityId,
			>,
		) -> Option<()>;
	}
}

/// Names the interfaces; none of its functions is ever called.
pub struct Wasm;

sp_api::impl_runtime_apis! {
	impl sp_api::Core<Block> for Wasm {
		fn version() -> sp_version::RuntimeVersion { unimplemented!() }
		fn execute_block(_: <Block as BlockT>::LazyBlock) { unimplemented!() }
		fn initialize_block(_: &Header) -> sp_runtime::ExtrinsicInclusionMode { unimplemented!() }
	}

	impl sp_api::Metadata<Block> for Wasm {
		fn metadata() -> OpaqueMetadata { unimplemented!() }
		fn metadata_at_version(_: u32) -> Option<OpaqueMetadata> { unimplemented!() }
		fn metadata_versions() -> Vec<u32> { unimplemented!() }
	}

	impl sp_block_builder::BlockBuilder<Block> for Wasm {
		fn apply_extrinsic(_: Extrinsic) -> ApplyExtrinsicResult { unimplemented!() }
		fn finalize_block() -> Header { unimplemented!() }
		fn inherent_extrinsics(_: sp_inherents::InherentData) -> Vec<Extrinsic> { unimplemented!() }
		fn check_inherents(
			_: <Block as BlockT>::LazyBlock,
			_: sp_inherents::InherentData,
		) -> sp_inherents::CheckInherentsResult { unimplemented!() }
	}

	impl sp_transaction_pool::runtime_api::TaggedTransactionQueue<Block> for Wasm {
		fn validate_transaction(_: TransactionSource, _: Extrinsic, _: Hash) -> TransactionValidity {
			unimplemented!()
		}
	}

	impl sp_offchain::OffchainWorkerApi<Block> for Wasm {
		fn offchain_worker(_: &Header) { unimplemented!() }
	}

	impl sp_session::SessionKeys<Block> for Wasm {
		fn generate_session_keys(_: Vec<u8>, _: Option<Vec<u8>>) -> sp_session::OpaqueGeneratedSessionKeys {
			unimplemented!()
		}
		fn decode_session_keys(_: Vec<u8>) -> Option<Vec<(Vec<u8>, KeyTypeId)>> { unimplemented!() }
	}

	impl sp_consensus_aura::AuraApi<Block, AuraId> for Wasm {
		fn slot_duration() -> sp_consensus_aura::SlotDuration { unimplemented!() }
		fn authorities() -> Vec<AuraId> { unimplemented!() }
	}

	impl sp_consensus_grandpa::GrandpaApi<Block> for Wasm {
		fn grandpa_authorities() -> AuthorityList { unimplemented!() }
		fn current_set_id() -> SetId { unimplemented!() }
		fn submit_report_equivocation_unsigned_extrinsic(
			_: TwoVotes<Hash, NumberFor<Block>>,
			_: OpaqueKeyOwnershipProof,
		) -> Option<()> { unimplemented!() }
		fn generate_key_ownership_proof(_: SetId, _: GrandpaId) -> Option<OpaqueKeyOwnershipProof> {
			unimplemented!()
		}
	}

	impl self::ConsortiumApi<Block> for Wasm {
		fn report_two_blocks(_: TwoBlocks<Header, AuraId>) -> Option<()> { unimplemented!() }
	}

	impl frame_system_rpc_runtime_api::AccountNonceApi<Block, AccountId32, Nonce> for Wasm {
		fn account_nonce(_: AccountId32) -> Nonce { unimplemented!() }
	}

	impl pallet_transaction_payment_rpc_runtime_api::TransactionPaymentApi<Block, Balance> for Wasm {
		fn query_info(
			_: Extrinsic,
			_: u32,
		) -> pallet_transaction_payment_rpc_runtime_api::RuntimeDispatchInfo<Balance> { unimplemented!() }
		fn query_fee_details(
			_: Extrinsic,
			_: u32,
		) -> pallet_transaction_payment_rpc_runtime_api::FeeDetails<Balance> { unimplemented!() }
		fn query_weight_to_fee(_: sp_weights::Weight) -> Balance { unimplemented!() }
		fn query_length_to_fee(_: u32) -> Balance { unimplemented!() }
	}

	impl sp_genesis_builder::GenesisBuilder<Block> for Wasm {
		fn build_state(_: Vec<u8>) -> sp_genesis_builder::Result { unimplemented!() }
		fn get_preset(_: &Option<sp_genesis_builder::PresetId>) -> Option<Vec<u8>> { unimplemented!() }
		fn preset_names() -> Vec<sp_genesis_builder::PresetId> { unimplemented!() }
	}
}
