//! What a validator's node asks the consortium.

use polkadot_sdk::{
	sp_api, sp_consensus_aura::sr25519::AuthorityId, sp_consensus_slots::EquivocationProof,
	sp_runtime::traits::Block as BlockT,
};

sp_api::decl_runtime_apis! {
	/// Evidence that a node found.
	pub trait ConsortiumApi {
		/// Put evidence of two blocks in one slot into this node's own pool. `None` when it shows nothing, or nothing new.
		fn report_two_blocks(
			proof: EquivocationProof<<Block as BlockT>::Header, AuthorityId>,
		) -> Option<()>;
	}
}
