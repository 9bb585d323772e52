//! Watches for two blocks of one author in one slot, and reports them.
//!
//! Aura's own check writes such a pair into the log and no more; GRANDPA reports two votes by itself.

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt;
use sc_client_api::{BlockImportNotification, BlockchainEvents};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_api::{ApiExt, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use sp_consensus_aura::{sr25519::AuthorityId, AuraApi, Slot, AURA_ENGINE_ID};
use sp_consensus_slots::EquivocationProof;
use sp_runtime::DigestItem;

use crate::{
	runtime_api::{Block, ConsortiumApi, Header},
	service::Client,
};

/// Slots for which blocks are remembered: an hour of two-second ones.
const REMEMBERED: usize = 1_800;

/// Runs for as long as the node does. What it finds goes into this node's pool, and so into a block of its own.
pub async fn watch(client: Arc<Client>, pool: OffchainTransactionPoolFactory<Block>) {
	let mut imported = client.every_import_notification_stream();
	let mut seen: BTreeMap<Slot, Header> = BTreeMap::new();
	while let Some(BlockImportNotification { header, .. }) = imported.next().await {
		let Some(slot) = slot_of(&header) else { continue };
		match seen.get(&slot) {
			Some(first) if first.hash() != header.hash() => {
				if let Err(error) = report(&client, &pool, slot, first, &header) {
					log::warn!(target: "equivocation", "two blocks in slot {slot} cannot be reported: {error}");
				}
			}
			Some(_) => {}
			None => {
				seen.insert(slot, header);
				if seen.len() > REMEMBERED {
					seen.pop_first();
				}
			}
		}
	}
}

fn slot_of(header: &Header) -> Option<Slot> {
	header.digest.logs().iter().find_map(|item| match item {
		DigestItem::PreRuntime(AURA_ENGINE_ID, encoded) => codec::Decode::decode(&mut &encoded[..]).ok(),
		_ => None,
	})
}

/// Whose turn a block's slot was, by the state before it.
fn author(client: &Client, slot: Slot, header: &Header) -> Result<Option<AuthorityId>, sp_api::ApiError> {
	let authorities = client.runtime_api().authorities(header.parent_hash)?;
	let turn = (*slot).checked_rem(authorities.len() as u64);
	Ok(turn.and_then(|turn| authorities.get(turn as usize).cloned()))
}

fn report(
	client: &Client,
	pool: &OffchainTransactionPoolFactory<Block>,
	slot: Slot,
	first: &Header,
	second: &Header,
) -> Result<(), sp_api::ApiError> {
	// On two sides of a session's end a slot may be two members'.
	let Some(offender) = author(client, slot, first)? else { return Ok(()) };
	if author(client, slot, second)?.as_ref() != Some(&offender) {
		return Ok(());
	}
	let proof = EquivocationProof {
		offender: offender.clone(),
		slot,
		first_header: first.clone(),
		second_header: second.clone(),
	};
	let best = client.info().best_hash;
	let mut api = client.runtime_api();
	api.register_extension(pool.offchain_transaction_pool(best));
	match api.report_two_blocks(best, proof)? {
		Some(()) => log::warn!(target: "equivocation", "reported two blocks of {offender} in slot {slot}"),
		None => {
			log::info!(target: "equivocation", "two blocks of {offender} in slot {slot}: nothing new to the chain")
		}
	}
	Ok(())
}
