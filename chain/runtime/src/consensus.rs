//! What Aura and GRANDPA need of the runtime besides their pallets.

use alloc::vec::Vec;
use codec::Encode;
use frame_support::traits::ConstU32;
use polkadot_sdk::*;
use sp_consensus_aura::sr25519::AuthorityId as AuraId;
use sp_consensus_grandpa::{AuthorityId as GrandpaId, EquivocationProof, OpaqueKeyOwnershipProof, SetId};
use sp_consensus_slots::EquivocationProof as TwoBlocks;
use sp_runtime::{generic, impl_opaque_keys};

use crate::{
	Aura, BlockNumber, Consortium, Grandpa, Hash, Header, Runtime, RuntimeCall, RuntimeOrigin,
	UncheckedExtrinsic,
};

/// Members at most: as many seats as the council has.
pub type MaxMembers = ConstU32<32>;
/// Sessions for which evidence counts: a day, at twenty minutes each.
pub const RETAINED: u32 = 72;
/// Sessions are of as many blocks as the genesis says.
pub type Sessions = pallet_session::PeriodicSessions<pallet_consortium::SessionBlocks<Runtime>, ConstU32<0>>;
/// Blocks for which a report waits in the pool of the node that found it.
pub type ReportLongevity = frame_support::traits::ConstU64<256>;

impl_opaque_keys! {
	/// The keys that a validator's machine has.
	pub struct SessionKeys {
		/// Signs blocks (sr25519).
		pub aura: Aura,
		/// Votes for their finality (ed25519).
		pub grandpa: Grandpa,
	}
}

/// Restarts finality as GRANDPA does it: new voters with the next session.
pub struct GrandpaFinality;

impl pallet_consortium::Finality<BlockNumber> for GrandpaFinality {
	fn note_stalled(delay: BlockNumber, best_finalised: BlockNumber) {
		// Only an origin other than root would be refused.
		let _ = Grandpa::note_stalled(RuntimeOrigin::root(), delay, best_finalised);
	}
}

impl<C> frame_system::offchain::CreateTransactionBase<C> for Runtime
where
	RuntimeCall: From<C>,
{
	type Extrinsic = UncheckedExtrinsic;
	type RuntimeCall = RuntimeCall;
}

impl<C> frame_system::offchain::CreateBare<C> for Runtime
where
	RuntimeCall: From<C>,
{
	fn create_bare(call: RuntimeCall) -> UncheckedExtrinsic {
		generic::UncheckedExtrinsic::new_bare(call).into()
	}
}

/// Whose key that was while the set of voters was at work.
pub fn voter(set: SetId, key: &GrandpaId) -> Option<OpaqueKeyOwnershipProof> {
	let session = pallet_grandpa::SetIdSession::<Runtime>::get(set)?;
	let ownership = Consortium::ownership(session, sp_core::crypto::key_types::GRANDPA, key.as_ref())?;
	Some(OpaqueKeyOwnershipProof::new(ownership.encode()))
}

/// Puts evidence of two votes in one round into this node's pool.
pub fn report_two_votes(
	proof: EquivocationProof<Hash, BlockNumber>,
	ownership: OpaqueKeyOwnershipProof,
) -> Option<()> {
	Grandpa::submit_unsigned_equivocation_report(proof, ownership.decode()?)
}

/// Puts evidence of two blocks in one slot into this node's pool.
pub fn report_two_blocks(proof: TwoBlocks<Header, AuraId>) -> Option<()> {
	let ownership = Consortium::ownership_of(&proof)?;
	let call = pallet_consortium::Call::report_two_blocks { proof: proof.into(), ownership };
	let extrinsic =
		<Runtime as frame_system::offchain::CreateBare<pallet_consortium::Call<Runtime>>>::create_bare(
			call.into(),
		);
	frame_system::offchain::SubmitTransaction::<Runtime, pallet_consortium::Call<Runtime>>::submit_transaction(
		extrinsic,
	)
	.ok()
}
