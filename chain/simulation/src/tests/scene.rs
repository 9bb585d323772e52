//! An honest worker, client and publisher on the real runtime, and somebody who wishes them ill.

use polkadot_sdk::sp_core::H256;
use proofward_runtime::{config::UNIT, AccountId, Balance, Balances, Runtime, RuntimeCall, System};

use pallet_models::types::Terms;

use crate::{
	chain::{self, Failure},
	market::{self, Entry, Order},
};

pub const PRICE: Balance = UNIT;
pub const BOND: Balance = 2 * UNIT;
pub const CLAIM_BLOCKS: u32 = 20;

/// The people, and the honest entry.
pub struct Scene {
	pub worker: AccountId,
	pub second: AccountId,
	pub client: AccountId,
	pub mallory: AccountId,
	pub entry: Entry,
	pub model: H256,
}

/// Runs `play` in block 2 of a chain on which two honest workers serve the honest model, and checks every invariant
/// afterwards.
pub fn play(play: impl FnOnce(&Scene)) {
	unchecked(|scene| {
		let issuance = Balances::total_issuance();
		play(scene);
		chain::check(issuance).expect("every invariant holds");
	});
}

/// The same without a look at the invariants.
pub fn unchecked(play: impl FnOnce(&Scene)) {
	let [worker, second] = [0, 1].map(|number| market::account("worker", number));
	let [client, publisher, mallory] =
		["client", "publisher", "mallory"].map(|role| market::account(role, 0));
	let funds = [(&worker, 250), (&second, 250), (&client, 500), (&publisher, 100), (&mallory, 2_000)];
	let mut chain = chain::genesis(funds.map(|(who, amount)| (who.clone(), amount * UNIT)));
	chain.execute_with(|| {
		chain::begin(1);
		market::allow_software();
		let terms = Terms { price: PRICE, share: 100_000, bond: BOND, claim_blocks: CLAIM_BLOCKS };
		let entry = Entry { publisher: publisher.clone(), manifest: H256::repeat_byte(0x44), terms };
		let model = entry.id();
		done(&publisher, entry.publish());
		for who in [&worker, &second] {
			market::register(who);
			done(who, market::serve(model, PRICE));
		}
		chain::skip_to(2);
		let scene = Scene { worker, second, client, mallory, entry, model };
		play(&scene);
	});
}

impl Scene {
	/// An honest order for the honest worker, number `n` of its client.
	pub fn order(&self, n: u64) -> Order {
		Order {
			client: self.client.clone(),
			model: self.model,
			nonce: H256::from_low_u64_be(n),
			sealed: 512,
			recipients: vec![self.worker.clone()],
			price: PRICE,
			deadline: System::block_number() + 100,
		}
	}
}

pub fn next_block() {
	chain::skip_to(System::block_number() + 1);
}

/// The call gets into this block or the next and succeeds.
pub fn done(who: &AccountId, call: RuntimeCall) {
	while let Err(failure) = chain::apply(who, call.clone(), 0) {
		assert_eq!(failure, Failure::BlockFull, "a call that succeeds");
		next_block();
	}
}

/// The call fails for this reason.
pub fn fails(who: &AccountId, call: RuntimeCall, error: impl Into<polkadot_sdk::sp_runtime::DispatchError>) {
	let mut result = chain::apply(who, call.clone(), 0);
	if result == Err(Failure::BlockFull) {
		next_block();
		result = chain::apply(who, call, 0);
	}
	assert_eq!(result, Err(Failure::Failed(error.into())));
}

pub fn status(job: H256) -> pallet_jobs::Status<AccountId> {
	pallet_jobs::Jobs::<Runtime>::get(job).expect("known").status
}

pub fn accepted(job: H256) -> bool {
	matches!(status(job), pallet_jobs::Status::Accepted { .. })
}
