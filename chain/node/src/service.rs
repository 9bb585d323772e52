//! The node's parts and how they are joined.

use std::{sync::Arc, time::Duration};

use sc_client_api::BlockBackend;
use sc_consensus_aura::{CheckForEquivocation, ImportQueueParams, SlotProportion, StartAuraParams};
use sc_consensus_grandpa::{FinalityProofProvider, SharedVoterState};
use sc_executor::{HeapAllocStrategy, DEFAULT_HEAP_ALLOC_STRATEGY};
use sc_network::{config::FullNetworkConfiguration, NetworkBackend};
use sc_service::{error::Error, Configuration, TaskManager, WarpSyncConfig};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_consensus_aura::{
	inherents::InherentDataProvider as SlotProvider, sr25519::AuthorityPair, SlotDuration,
};
use sp_runtime::traits::Block as BlockT;
use sp_timestamp::InherentDataProvider as TimeProvider;

use crate::{
	equivocation,
	rpc::{self, Finality},
	runtime_api::{Block, RuntimeApi},
};

type Executor = sc_executor::WasmExecutor<sp_io::SubstrateHostFunctions>;
pub type Client = sc_service::TFullClient<Block, RuntimeApi, Executor>;
pub type Backend = sc_service::TFullBackend<Block>;

/// Blocks of which one keeps the proof that it is final, besides those that change the validators.
const JUSTIFICATION_PERIOD: u32 = 8;
/// How often a vote is said again to peers.
const GOSSIP: Duration = Duration::from_millis(333);
/// What of a slot may go into making a block; the rest is for its way to the others.
const PROPOSAL: f32 = 2.0 / 3.0;

/// The slot and the time of now, which a block must agree with.
async fn now(
	slot: SlotDuration,
) -> Result<(SlotProvider, TimeProvider), Box<dyn std::error::Error + Send + Sync>> {
	let time = TimeProvider::from_system_time();
	Ok((SlotProvider::from_timestamp_and_slot_duration(*time, slot), time))
}

/// As `sc_service::new_wasm_executor` makes it, but that a runtime's machine code is kept below the base path: compiling
/// it takes ten seconds of a core, and a validator that was killed would miss its slots meanwhile.
fn executor(config: &Configuration) -> Result<Executor, Error> {
	let told = &config.executor;
	let heap = told
		.default_heap_pages
		.map_or(DEFAULT_HEAP_ALLOC_STRATEGY, |pages| HeapAllocStrategy::Static { extra_pages: pages as _ });
	Ok(Executor::builder()
		.with_execution_method(told.wasm_method)
		.with_onchain_heap_alloc_strategy(heap)
		.with_offchain_heap_alloc_strategy(heap)
		.with_max_runtime_instances(told.max_runtime_instances)
		.with_runtime_cache_size(told.runtime_cache_size)
		.with_cache_path(std::path::absolute(config.base_path.path())?.join("wasm"))
		.build())
}

/// Start the node; it runs until the tasks are dropped.
pub fn start<N: NetworkBackend<Block, <Block as BlockT>::Hash>>(
	config: Configuration,
) -> Result<TaskManager, Error> {
	let executor = executor(&config)?;
	let (client, backend, keystore, mut tasks) =
		sc_service::new_full_parts::<Block, RuntimeApi, _>(&config, None, executor, vec![])?;
	let client: Arc<Client> = Arc::new(client);
	let registry = config.prometheus_registry().cloned();
	let select_chain = sc_consensus::LongestChain::new(backend.clone());
	let pool = Arc::new(
		sc_transaction_pool::Builder::new(
			tasks.spawn_essential_handle(),
			client.clone(),
			config.role.is_authority().into(),
		)
		.with_options(config.transaction_pool.clone())
		.with_prometheus(registry.as_ref())
		.build(),
	);

	// Blocks of others.
	let (block_import, link) = sc_consensus_grandpa::block_import(
		client.clone(),
		JUSTIFICATION_PERIOD,
		&client,
		select_chain.clone(),
		None,
	)?;
	let slot = sc_consensus_aura::slot_duration(&*client)?;
	let import_queue = sc_consensus_aura::import_queue::<AuthorityPair, _, _, _, _, _>(ImportQueueParams {
		block_import: block_import.clone(),
		justification_import: Some(Box::new(block_import.clone())),
		client: client.clone(),
		create_inherent_data_providers: move |_, ()| now(slot),
		spawner: &tasks.spawn_essential_handle(),
		registry: registry.as_ref(),
		check_for_equivocation: CheckForEquivocation::Yes,
		telemetry: None,
		compatibility_mode: Default::default(),
	})?;

	// Peers.
	let mut network_config = FullNetworkConfiguration::<Block, _, N>::new(&config.network, registry.clone());
	let metrics = N::register_notification_metrics(registry.as_ref());
	let genesis = client.block_hash(0)?.ok_or_else(|| Error::Other("the chain has no genesis".into()))?;
	let protocol_name = sc_consensus_grandpa::protocol_standard_name(&genesis, &config.chain_spec);
	let (voting, notifications) = sc_consensus_grandpa::grandpa_peers_set_config::<_, N>(
		protocol_name.clone(),
		metrics.clone(),
		network_config.peer_store_handle(),
	);
	network_config.add_notification_protocol(voting);
	let warp = Arc::new(sc_consensus_grandpa::warp_proof::NetworkProvider::new(
		backend.clone(),
		link.shared_authority_set().clone(),
		Vec::new(),
	));
	let (network, system_rpc_tx, tx_handler_controller, sync, _bitswap) =
		sc_service::build_network(sc_service::BuildNetworkParams {
			config: &config,
			net_config: network_config,
			client: client.clone(),
			transaction_pool: pool.clone(),
			spawn_handle: tasks.spawn_handle(),
			spawn_essential_handle: tasks.spawn_essential_handle(),
			import_queue,
			block_announce_validator_builder: None,
			warp_sync_config: Some(WarpSyncConfig::WithProvider(warp)),
			block_relay: None,
			metrics,
			gap_sync_body_policy: None,
		})?;

	// Remote procedures.
	let voter_state = SharedVoterState::empty();
	let finality = Finality {
		voter_state: voter_state.clone(),
		authorities: link.shared_authority_set().clone(),
		justifications: link.justification_stream(),
		proofs: FinalityProofProvider::new_for_service(
			backend.clone(),
			Some(link.shared_authority_set().clone()),
		),
	};
	let rpc_builder = {
		let (client, pool) = (client.clone(), pool.clone());
		Box::new(move |executor| {
			rpc::module(client.clone(), pool.clone(), &finality, executor)
				.map_err(|error| Error::Other(error.to_string()))
		})
	};
	let (role, name) = (config.role, config.network.node_name.clone());
	let (votes, force_authoring) = (!config.disable_grandpa, config.force_authoring);
	sc_service::spawn_tasks(sc_service::SpawnTasksParams {
		network: network.clone(),
		client: client.clone(),
		keystore: keystore.keystore(),
		task_manager: &mut tasks,
		transaction_pool: pool.clone(),
		rpc_builder,
		backend,
		system_rpc_tx,
		tx_handler_controller,
		sync_service: sync.clone(),
		config,
		telemetry: None,
		tracing_execute_block: None,
	})?;

	// A validator's own work.
	let offchain_pool = OffchainTransactionPoolFactory::new(pool.clone());
	if role.is_authority() {
		let proposer = sc_basic_authorship::ProposerFactory::new(
			tasks.spawn_handle(),
			client.clone(),
			pool,
			registry.as_ref(),
			None,
		);
		let aura =
			sc_consensus_aura::start_aura::<AuthorityPair, _, _, _, _, _, _, _, _, _, _>(StartAuraParams {
				slot_duration: slot,
				client: client.clone(),
				select_chain,
				block_import,
				proposer_factory: proposer,
				create_inherent_data_providers: move |_, ()| now(slot),
				force_authoring,
				backoff_authoring_blocks: None::<()>,
				keystore: keystore.keystore(),
				sync_oracle: sync.clone(),
				justification_sync_link: sync.clone(),
				block_proposal_slot_portion: SlotProportion::new(PROPOSAL),
				max_block_proposal_slot_portion: None,
				telemetry: None,
				compatibility_mode: Default::default(),
			})?;
		tasks.spawn_essential_handle().spawn_blocking("aura", Some("block-authoring"), aura);
		let watch = equivocation::watch(client, offchain_pool.clone());
		tasks.spawn_handle().spawn("equivocation", None, watch);
	}
	if votes {
		let config = sc_consensus_grandpa::Config {
			gossip_duration: GOSSIP,
			justification_generation_period: JUSTIFICATION_PERIOD,
			name: Some(name),
			observer_enabled: false,
			keystore: role.is_authority().then(|| keystore.keystore()),
			local_role: role,
			telemetry: None,
			protocol_name,
		};
		let voter = sc_consensus_grandpa::run_grandpa_voter(sc_consensus_grandpa::GrandpaParams {
			config,
			link,
			network,
			sync: Arc::new(sync),
			notification_service: notifications,
			// Not the default's two blocks behind the best one: a slot has one author, so heads seldom compete.
			voting_rule: sc_consensus_grandpa::VotingRulesBuilder::new()
				.add(sc_consensus_grandpa::ThreeQuartersOfTheUnfinalizedChain)
				.build(),
			prometheus_registry: registry,
			shared_voter_state: voter_state,
			telemetry: None,
			offchain_tx_pool_factory: offchain_pool,
		})?;
		tasks.spawn_essential_handle().spawn_blocking("grandpa-voter", None, voter);
	}
	Ok(tasks)
}
