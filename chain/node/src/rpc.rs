//! Remote procedures besides those that every node has (system, chain, state, author, chainHead, transaction; archive on
//! a node that keeps all blocks).

use std::sync::Arc;

use jsonrpsee::RpcModule;
use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
use sc_consensus_grandpa::{
	FinalityProofProvider, GrandpaJustificationStream, SharedAuthoritySet, SharedVoterState,
};
use sc_consensus_grandpa_rpc::{Grandpa, GrandpaApiServer};
use sc_rpc::SubscriptionTaskExecutor;
use sc_transaction_pool::TransactionPoolHandle;
use sp_runtime::traits::{Block as BlockT, NumberFor};
use substrate_frame_rpc_system::{System, SystemApiServer};

use crate::{
	runtime_api::Block,
	service::{Backend, Client},
};

/// What GRANDPA's procedures read.
pub struct Finality {
	pub voter_state: SharedVoterState,
	pub authorities: SharedAuthoritySet<<Block as BlockT>::Hash, NumberFor<Block>>,
	pub justifications: GrandpaJustificationStream<Block>,
	pub proofs: Arc<FinalityProofProvider<Backend, Block>>,
}

/// Nonces, fees and finality.
pub fn module(
	client: Arc<Client>,
	pool: Arc<TransactionPoolHandle<Block, Client>>,
	finality: &Finality,
	executor: SubscriptionTaskExecutor,
) -> Result<RpcModule<()>, jsonrpsee::core::RegisterMethodError> {
	let mut module = RpcModule::new(());
	module.merge(System::new(client.clone(), pool).into_rpc())?;
	module.merge(TransactionPayment::new(client).into_rpc())?;
	module.merge(
		Grandpa::new(
			executor,
			finality.authorities.clone(),
			finality.voter_state.clone(),
			finality.justifications.clone(),
			finality.proofs.clone(),
		)
		.into_rpc(),
	)?;
	Ok(module)
}
