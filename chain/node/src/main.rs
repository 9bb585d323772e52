//! `proofward-chain`: a validator or RPC node of a chain whose spec carries its runtime.
//!
//! Consensus is Substrate's own: Aura makes blocks, GRANDPA makes them final. The runtime is not linked: the wasm in the
//! chain answers, so that an upgrade needs no new node.

mod cli;
mod equivocation;
mod rpc;
mod runtime_api;
mod service;

use clap::Parser;
use sc_cli::SubstrateCli;
use sc_network::config::NetworkBackendType;

use crate::cli::{Cli, Subcommand};

fn main() -> sc_cli::Result<()> {
	let cli = Cli::parse();
	match &cli.subcommand {
		Some(Subcommand::Key(command)) => command.run(&cli),
		Some(Subcommand::PurgeChain(command)) => {
			cli.create_runner(command)?.sync_run(|config| command.run(config.database))
		}
		None => cli.create_runner(&cli.run)?.run_node_until_exit(|config| async move {
			cli::refuse_published_keys(&cli.run, &*config.chain_spec)?;
			match config.network.network_backend {
				NetworkBackendType::Libp2p => service::start::<sc_network::NetworkWorker<_, _>>(config),
				NetworkBackendType::Litep2p => service::start::<sc_network::Litep2pNetworkBackend>(config),
			}
			.map_err(sc_cli::Error::Service)
		}),
	}
}
