//! Who made the block: what its pre-runtime digest says, if it says anything.

use alloc::vec::Vec;
use codec::Decode;
use frame_support::traits::FindAuthor;
use polkadot_sdk::*;
use sp_consensus_aura::{sr25519::AuthorityId, Slot, AURA_ENGINE_ID};
use sp_core::crypto::UncheckedFrom;
use sp_runtime::ConsensusEngineId;

use crate::{AccountId, System};

/// Who may make blocks. Development has one key, and it is published.
pub fn authorities() -> Vec<AuthorityId> {
	let alice = sp_keyring::Sr25519Keyring::Alice.to_raw_public();
	alloc::vec![sp_core::sr25519::Public::unchecked_from(alice).into()]
}

/// The authority whose turn the block's slot is (Aura). The embedded chain's blocks name no slot, so nobody made them.
pub struct AuthorOfSlot;

impl FindAuthor<AccountId> for AuthorOfSlot {
	fn find_author<'a, I>(digests: I) -> Option<AccountId>
	where
		I: 'a + IntoIterator<Item = (ConsensusEngineId, &'a [u8])>,
	{
		let (_, mut encoded) = digests.into_iter().find(|(engine, _)| *engine == AURA_ENGINE_ID)?;
		let slot = Slot::decode(&mut encoded).ok()?;
		let all = authorities();
		let turn = u64::from(slot).checked_rem(all.len() as u64)?;
		let key: &[u8] = all.get(turn as usize)?.as_ref();
		<[u8; 32]>::try_from(key).ok().map(AccountId::from)
	}
}

/// The author of the block that is being executed.
pub fn present() -> Option<AccountId> {
	let digest = System::digest();
	AuthorOfSlot::find_author(digest.logs().iter().filter_map(|log| log.as_pre_runtime()))
}
