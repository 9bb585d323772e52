//! What holds between any two calls.

use polkadot_sdk::frame_support::{assert_ok, storage::unhashed};

use super::mock::*;
use crate::{escrow::on_hold, HoldReason, Jobs as Records, Status};

/// Every invariant of the pallet, over the whole state.
pub fn hold() {
	assert_ok!(Jobs::do_try_state());
	nobody_else_has_anything_on_hold();
	open_claims_are_the_claimed_jobs();
	assert!(!unhashed::exists(TRACE), "a contract left a trace");
}

/// The pallet compares what is held of those that have jobs; nobody else has anything held.
fn nobody_else_has_anything_on_hold() {
	let everyone = (0..3).map(client).chain((0..4).map(worker)).chain([PUBLISHER]);
	for who in everyone {
		let has_job = Records::<Test>::iter_values().any(|job| job.client == who);
		let has_claim = Records::<Test>::iter_values()
			.any(|job| matches!(&job.status, Status::Claimed { worker, .. } if *worker == who));
		for (reason, owes) in
			[(HoldReason::Escrow, has_job), (HoldReason::Deposit, has_job), (HoldReason::Bond, has_claim)]
		{
			assert!(owes || on_hold::<Test>(reason, &who) == 0, "{reason:?} of {who}");
		}
	}
}

fn open_claims_are_the_claimed_jobs() {
	for (who, entry) in Registered::iter() {
		let claims = Records::<Test>::iter_values()
			.filter(|job| matches!(&job.status, Status::Claimed { worker, .. } if *worker == who))
			.count();
		assert_eq!(entry.open_claims as usize, claims, "open claims of {who}");
	}
}
