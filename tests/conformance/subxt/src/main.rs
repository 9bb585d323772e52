//! subxt against a chain, by each of its three back ends: `proofward-conformance-subxt ws://...`.
//!
//! Prints one line of JSON a back end: its answers, without what differs from run to run. Whoever calls it compares
//! them. Exit code 1, and the reason on standard error, when a step fails.

use scale_decode::DecodeAsType;
use serde_json::{Value as Json, json};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use subxt::backend::{ArchiveBackend, ChainHeadBackend, CombinedBackend, LegacyBackend};
use subxt::dynamic;
use subxt::rpcs::RpcClient;
use subxt::tx::TransactionStatus;
use subxt::{OnlineClient, PolkadotConfig};
use subxt_signer::SecretUri;
use subxt_signer::sr25519::{Keypair, dev};

type Chain = OnlineClient<PolkadotConfig>;
type Answer = Result<Json, Box<dyn Error>>;

const UNIT: u128 = 1_000_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(DecodeAsType)]
struct Account {
	nonce: u32,
	data: Balance,
}

#[derive(DecodeAsType)]
struct Balance {
	free: u128,
}

#[derive(DecodeAsType)]
struct Version {
	spec_name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
	let url = std::env::args().nth(1).ok_or("give the chain's address: ws://...")?;
	for name in ["legacy", "chainHead", "archive"] {
		let chain = connected(&url, name).await?;
		let answers = asked(&chain).await.map_err(|error| format!("{name}: {error}"))?;
		println!("{}", json!({ "backend": name, "answers": answers }));
	}
	Ok(())
}

/// A client with this back end and no other; but the archive's methods stream no blocks and watch no transaction, so
/// that these come from the chain's head there.
async fn connected(url: &str, name: &str) -> Result<Chain, Box<dyn Error>> {
	let rpc = RpcClient::from_insecure_url(url).await?;
	let builder = CombinedBackend::builder();
	let builder = match name {
		"legacy" => {
			builder.with_legacy_backend(LegacyBackend::builder().build(rpc.clone())).no_default_backends()
		}
		"chainHead" => builder
			.with_chainhead_backend(ChainHeadBackend::builder().build_with_background_driver(rpc.clone()))
			.no_default_backends(),
		_ => builder
			.with_archive_backend(ArchiveBackend::new(rpc.clone()))
			.with_chainhead_backend(ChainHeadBackend::builder().build_with_background_driver(rpc.clone()))
			.no_default_backends(),
	};
	let backend = Arc::new(builder.build_with_background_driver(rpc).await?);
	Ok(Chain::from_backend(backend).await?)
}

async fn asked(chain: &Chain) -> Answer {
	Ok(json!({
		"metadata": within("metadata", metadata(chain)).await?,
		"heads": within("heads", heads(chain)).await?,
		"constants": within("constants", constants(chain)).await?,
		"storage": within("storage", storage(chain)).await?,
		"runtime": within("runtime", runtime(chain)).await?,
		"a transfer": within("a transfer", transfer(chain)).await?,
		"a call that fails": within("a call that fails", failure(chain)).await?,
		"an account that cannot pay": within("an account that cannot pay", poor(chain)).await?,
	}))
}

async fn within(question: &str, answer: impl Future<Output = Answer>) -> Answer {
	match tokio::time::timeout(PATIENCE, answer).await {
		Ok(answer) => answer.map_err(|error| format!("{question}: {error}").into()),
		Err(_) => Err(format!("{question}: no answer in {PATIENCE:?}").into()),
	}
}

/// Of the metadata, what a program is compiled against: pallets with their calls, errors and storage items.
async fn metadata(chain: &Chain) -> Answer {
	let at = chain.at_current_block().await?;
	let metadata = at.metadata();
	let mut pallets: Vec<Json> = Vec::new();
	for pallet in metadata.pallets() {
		let calls = pallet.call_variants().map_or(0, |all| all.len());
		let errors = pallet.error_variants().map_or(0, |all| all.len());
		let items = pallet.storage().map_or(0, |all| all.entries().len());
		pallets.push(json!([pallet.name(), calls, errors, items]));
	}
	Ok(json!({ "pallets": pallets, "spec": at.spec_version(), "transactions": at.transaction_version() }))
}

/// Three finalised blocks, one behind the other, each with the time in its first extrinsic.
async fn heads(chain: &Chain) -> Answer {
	let mut blocks = chain.stream_blocks().await?;
	let mut numbers = Vec::new();
	let mut first = Vec::new();
	while numbers.len() < 3 {
		let block = blocks.next().await.ok_or("the blocks ended")??;
		if block.number() == 0 {
			continue; // of a chain that has just begun: it holds nothing
		}
		numbers.push(block.number());
		let at = block.at().await?;
		let extrinsics = at.extrinsics().fetch().await?;
		let one = extrinsics.iter().next().ok_or("a block without extrinsics")??;
		first.push(format!("{}.{}", one.pallet_name(), one.call_name()));
		if one.events().await?.iter().next().is_none() {
			return Err("the time was set without an event".into());
		}
	}
	let steps: Vec<u64> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
	Ok(json!({ "steps": steps, "first": first }))
}

async fn constants(chain: &Chain) -> Answer {
	let at = chain.at_current_block().await?;
	let deposit = at.constants().entry(dynamic::constant::<u128>("Balances", "ExistentialDeposit"))?;
	let prefix = at.constants().entry(dynamic::constant::<u16>("System", "SS58Prefix"))?;
	Ok(json!({ "deposit": deposit.to_string(), "prefix": prefix }))
}

/// One value, one that is not there, and a map from end to end.
async fn storage(chain: &Chain) -> Answer {
	let at = chain.at_current_block().await?;
	let accounts = at.storage().entry(dynamic::storage::<([u8; 32],), Account>("System", "Account"))?;
	let alice = accounts.fetch((dev::alice().public_key().0,)).await?.decode()?;
	let nobody = accounts.fetch(([7; 32],)).await?.decode()?.data.free;
	let mut found = false;
	let mut entries = accounts.iter(()).await?;
	while let Some(entry) = entries.next().await {
		let key = entry?.key()?.part(0).ok_or("a key without a part")?.decode_as::<[u8; 32]>()?;
		found |= key == Some(dev::alice().public_key().0);
	}
	Ok(
		json!({ "alice pays": alice.data.free > UNIT, "nobody has": nobody.to_string(), "alice in the map": found }),
	)
}

async fn runtime(chain: &Chain) -> Answer {
	let at = chain.at_current_block().await?;
	let version =
		at.runtime_apis().call(dynamic::runtime_api_call::<_, Version>("Core", "version", ())).await?;
	let nonce = dynamic::runtime_api_call::<_, u32>(
		"AccountNonceApi",
		"account_nonce",
		(dev::alice().public_key().0,),
	);
	let told = at.runtime_apis().call(nonce).await?;
	Ok(json!({ "name": version.spec_name, "nonce agrees": told == nonce_of(chain, &dev::alice()).await? }))
}

async fn nonce_of(chain: &Chain, who: &Keypair) -> Result<u32, Box<dyn Error>> {
	let at = chain.at_current_block().await?;
	let address = dynamic::storage::<([u8; 32],), Account>("System", "Account");
	Ok(at.storage().fetch(address, (who.public_key().0,)).await?.decode()?.nonce)
}

fn send(value: u128) -> impl subxt::tx::Payload {
	dynamic::transaction(
		"Balances",
		"transfer_keep_alive",
		(dev::bob().public_key().to_address::<()>(), value),
	)
}

/// Sent, seen in a block and final, with its events there.
async fn transfer(chain: &Chain) -> Answer {
	let at = chain.at_current_block().await?;
	let before = nonce_of(chain, &dev::alice()).await?;
	let mut progress =
		at.transactions().sign_and_submit_then_watch_default(&send(UNIT), &dev::alice()).await?;
	let mut seen = Vec::new();
	let events = loop {
		match progress.next().await.ok_or("the statuses ended")?? {
			TransactionStatus::InBestBlock(_) => seen.push("in block"),
			TransactionStatus::InFinalizedBlock(block) => {
				seen.push("final");
				break block.wait_for_success().await?;
			}
			TransactionStatus::Error { message }
			| TransactionStatus::Invalid { message }
			| TransactionStatus::Dropped { message } => return Err(message.into()),
			_ => {}
		}
	};
	seen.dedup();
	let names: Vec<String> = events
		.iter()
		.map(|event| event.map(|event| format!("{}.{}", event.pallet_name(), event.event_name())))
		.collect::<Result<_, _>>()?;
	let steps = nonce_of(chain, &dev::alice()).await? - before;
	Ok(json!({ "seen": seen, "events": names, "nonces": steps }))
}

async fn failure(chain: &Chain) -> Answer {
	let at = chain.at_current_block().await?;
	let sent = at.transactions().sign_and_submit_then_watch_default(&send(1 << 100), &dev::alice()).await?;
	match sent.wait_for_finalized_success().await {
		Ok(_) => Err("a transfer of more than there is succeeded".into()),
		Err(error) => Ok(json!(error.to_string())),
	}
}

async fn poor(chain: &Chain) -> Answer {
	let nobody = Keypair::from_uri(&"//Nobody".parse::<SecretUri>()?)?;
	let at = chain.at_current_block().await?;
	let sent = at.transactions().sign_and_submit_then_watch_default(&send(1), &nobody).await;
	let end = match sent {
		Err(error) => error.to_string(),
		Ok(progress) => match progress.wait_for_finalized().await {
			Ok(_) => return Err("an account without a balance paid".into()),
			Err(error) => error.to_string(),
		},
	};
	Ok(json!(end))
}
