//! The command line: what every Substrate node takes, with a spec that must be given.

use clap::Parser;
use sc_cli::{CliConfiguration, RunCmd, SubstrateCli};
use sc_service::{ChainSpec, ChainType, GenericChainSpec};

/// A validator or RPC node of a Proofward chain.
#[derive(Debug, Parser)]
#[command(
	version,
	after_help = "Example: proofward-chain --chain spec.json --base-path /var/lib/proofward-chain --validator --name hospital-a"
)]
pub struct Cli {
	#[command(subcommand)]
	pub subcommand: Option<Subcommand>,
	#[clap(flatten)]
	pub run: RunCmd,
}

#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
	/// Keys: generate, inspect, insert into a keystore.
	#[command(subcommand)]
	Key(sc_cli::KeySubcommand),
	/// Delete the chain's database, and keep the keys.
	PurgeChain(sc_cli::PurgeChainCmd),
}

impl SubstrateCli for Cli {
	fn impl_name() -> String {
		"Proofward chain".into()
	}

	fn impl_version() -> String {
		env!("CARGO_PKG_VERSION").into()
	}

	fn description() -> String {
		env!("CARGO_PKG_DESCRIPTION").into()
	}

	fn author() -> String {
		"The Proofward maintainers".into()
	}

	fn support_url() -> String {
		"docs/network.md".into()
	}

	fn copyright_start_year() -> i32 {
		2026
	}

	fn load_spec(&self, path: &str) -> Result<Box<dyn ChainSpec>, String> {
		if path.is_empty() || path == "dev" {
			return Err("no chain is built in: give its spec with --chain FILE".into());
		}
		let spec = GenericChainSpec::<sc_service::NoExtension>::from_json_file(path.into())
			.map_err(|error| format!("{path} is no chain spec that this node reads: {error}"))?;
		Ok(Box::new(spec))
	}
}

/// Everybody has the keys of `--alice` and its like: a live chain's validator must not start with one.
pub fn refuse_published_keys(run: &RunCmd, spec: &dyn ChainSpec) -> sc_cli::Result<()> {
	let published = run.get_keyring().is_some() || run.is_dev()?;
	if published && spec.chain_type() == ChainType::Live {
		return Err(sc_cli::Error::Input(format!(
			"{} is a live chain, and everybody has the keys of --alice, --bob and the like: insert keys of your own",
			spec.name()
		)));
	}
	Ok(())
}
