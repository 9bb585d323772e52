//! The drand pallet's calls, with the pulse of another network in the place that is written.

use hex_literal::hex;
use pallet_drand::types::{Pulse, Signature, KEPT, QUICKNET};
use polkadot_sdk::sp_core::H256;

use crate::{
	calls::{alice, arithmetic, fixed, root, Pallet},
	chain::*,
	measure::cost,
};

/// Of quicknet.
const ROUND: u64 = 123;
const SIGNATURE: Signature = Signature(hex!(
	"b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92"
));

fn made() {
	pallet_drand::NetworkOf::<Chain>::put(QUICKNET);
	let before = Pulse { network: u32::MAX, round: ROUND, randomness: H256::zero() };
	pallet_drand::Pulses::<Chain>::insert(ROUND % KEPT, before);
	Timestamp::set_timestamp(QUICKNET.time_of(ROUND));
}

pub fn drand() -> Pallet {
	Pallet {
		name: "drand",
		calls: vec![
			arithmetic(fixed("post", cost(made, || Drand::post(alice(), ROUND, SIGNATURE)))),
			arithmetic(fixed("set_network", cost(made, || Drand::set_network(root(), Some(QUICKNET))))),
		],
	}
}
