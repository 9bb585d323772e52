//! Who decides, and what a proxy may do.

use frame_support::{
	assert_noop, assert_ok,
	traits::{Contains, EnsureOrigin, InstanceFilter, OnRuntimeUpgrade},
};
use polkadot_sdk::*;
use sp_core::H256;
use sp_runtime::{BuildStorage, DispatchError};

use crate::{
	governance::{CouncilCollective, Governance, NeverPaused, ProxyType},
	AccountId, Migrations, RuntimeCall, RuntimeGenesisConfig, RuntimeOrigin,
};

fn council(yes: u32, of: u32) -> RuntimeOrigin {
	pallet_collective::RawOrigin::<AccountId, CouncilCollective>::Members(yes, of).into()
}

#[test]
fn two_thirds_of_the_council_decide_and_nobody_alone() {
	assert_ok!(Governance::ensure_origin(RuntimeOrigin::root()));
	assert_ok!(Governance::ensure_origin(council(2, 3)));
	assert!(Governance::ensure_origin(council(1, 3)).is_err());
	assert!(Governance::ensure_origin(RuntimeOrigin::signed([1; 32].into())).is_err());
	let mut chain: sp_io::TestExternalities = RuntimeGenesisConfig::default().build_storage().unwrap().into();
	chain.execute_with(|| {
		let set = |origin| crate::Attestation::ban_platform(origin, H256::zero(), true);
		assert_noop!(set(council(1, 3)), DispatchError::BadOrigin);
		assert_ok!(set(council(2, 3)));
	});
}

/// Who changes the members, or what root does, needs more than the rest of governance.
#[test]
fn members_are_changed_by_more_than_two_thirds_and_stopped_by_a_third() {
	use crate::governance::{Members, Objection};
	assert!(Members::ensure_origin(council(2, 3)).is_err());
	assert!(Members::ensure_origin(council(4, 6)).is_err());
	assert_ok!(Members::ensure_origin(council(3, 4)));
	assert!(Objection::ensure_origin(council(1, 4)).is_err());
	assert_ok!(Objection::ensure_origin(council(2, 4)));
	assert_ok!(Objection::ensure_origin(council(2, 6)));
	// Whatever number of members there is, either enough agree or enough object.
	for of in 1..=32 {
		for yes in 0..=of {
			let decided = Members::ensure_origin(council(yes, of)).is_ok();
			assert_ne!(decided, Objection::ensure_origin(council(of - yes, of)).is_ok(), "{yes} of {of}");
		}
	}
}

#[test]
fn a_working_proxy_cannot_move_the_stake() {
	let job = H256::zero();
	let may = [
		RuntimeCall::Jobs(pallet_jobs::Call::claim { job, max_bond: 0 }),
		RuntimeCall::Jobs(pallet_jobs::Call::release { job }),
		RuntimeCall::Jobs(pallet_jobs::Call::decline { job }),
	];
	let may_not = [
		RuntimeCall::Workers(pallet_workers::Call::retire {}),
		RuntimeCall::Workers(pallet_workers::Call::withdraw {}),
		RuntimeCall::Balances(pallet_balances::Call::burn { value: 1, keep_alive: false }),
		RuntimeCall::Proxy(pallet_proxy::Call::remove_proxies {}),
		RuntimeCall::Utility(pallet_utility::Call::batch { calls: may.to_vec() }),
	];
	assert!(may.iter().all(|call| ProxyType::Work.filter(call)));
	assert!(may_not.iter().all(|call| !ProxyType::Work.filter(call)));
	assert!(!ProxyType::Work.is_superset(&ProxyType::Any) && ProxyType::Any.is_superset(&ProxyType::Work));
}

/// A hospital's hot key says what was learned and who agrees, and neither how much privacy is spent nor where.
#[test]
fn a_sites_proxy_cannot_spend_its_privacy() {
	let study = H256::zero();
	let site: AccountId = [1; 32].into();
	let may = [
		pallet_federation::Call::set_consents { root: H256::zero(), live: 1 },
		pallet_federation::Call::withdraw { study },
		pallet_federation::Call::commit { study, number: 0, commitment: [0; 32], consents: H256::zero() },
	];
	let rules = pallet_federation::Rules {
		policy: H256::zero(),
		yearly: u64::MAX,
		round: u64::MAX,
		cohort: 1,
		purposes: u32::MAX,
	};
	let may_not = [
		pallet_federation::Call::register_site { rules },
		pallet_federation::Call::join { study, budget: u64::MAX },
		pallet_federation::Call::invite { study, site },
		pallet_federation::Call::leave {},
		pallet_federation::Call::close { study },
	];
	assert!(may.map(RuntimeCall::Federation).iter().all(|call| ProxyType::Site.filter(call)));
	assert!(may_not.map(RuntimeCall::Federation).iter().all(|call| !ProxyType::Site.filter(call)));
}

#[test]
fn what_was_begun_can_always_be_ended() {
	let name = |pallet: &str, call: &str| {
		(pallet.as_bytes().to_vec().try_into().unwrap(), call.as_bytes().to_vec().try_into().unwrap())
	};
	let endings = [
		("Jobs", "complete"),
		("Jobs", "expire"),
		("Workers", "withdraw"),
		("Council", "vote"),
		("Federation", "set_consents"),
		("Federation", "withdraw"),
		("Federation", "close"),
	];
	assert!(endings.iter().all(|(pallet, call)| NeverPaused::contains(&name(pallet, call))));
	let beginnings =
		[("Jobs", "submit"), ("Workers", "register"), ("Revive", "call"), ("Federation", "create")];
	assert!(beginnings.iter().all(|(pallet, call)| !NeverPaused::contains(&name(pallet, call))));
}

#[test]
fn every_pallet_of_ours_says_which_version_its_storage_is_of() {
	use frame_support::traits::{GetStorageVersion, StorageVersion};
	let mut chain: sp_io::TestExternalities = RuntimeGenesisConfig::default().build_storage().unwrap().into();
	chain.execute_with(|| {
		Migrations::on_runtime_upgrade();
		let versions = [
			(crate::Attestation::in_code_storage_version(), crate::Attestation::on_chain_storage_version()),
			(crate::Workers::in_code_storage_version(), crate::Workers::on_chain_storage_version()),
			(crate::Models::in_code_storage_version(), crate::Models::on_chain_storage_version()),
			(crate::Jobs::in_code_storage_version(), crate::Jobs::on_chain_storage_version()),
			(crate::Consortium::in_code_storage_version(), crate::Consortium::on_chain_storage_version()),
			(
				crate::InferenceSessions::in_code_storage_version(),
				crate::InferenceSessions::on_chain_storage_version(),
			),
			(crate::Federation::in_code_storage_version(), crate::Federation::on_chain_storage_version()),
		];
		for (in_code, on_chain) in versions {
			assert_eq!((in_code, on_chain), (StorageVersion::new(1), StorageVersion::new(1)));
		}
	});
}
