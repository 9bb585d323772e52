//! Who decides, and what a proxy may do.

use codec::Encode;
use frame_support::{
	assert_noop, assert_ok,
	traits::{Contains, EnsureOrigin, GetCallMetadata, InstanceFilter, OnRuntimeUpgrade},
};
use polkadot_sdk::*;
use sp_core::H256;
use sp_runtime::{
	traits::{Dispatchable, Hash},
	BuildStorage, DispatchError,
};

use crate::{
	governance::{CouncilCollective, Governance, NeverPaused, ProxyType},
	AccountId, Migrations, Runtime, RuntimeCall, RuntimeGenesisConfig, RuntimeOrigin,
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

fn seated(seats: u8) -> sp_io::TestExternalities {
	let mut chain: sp_io::TestExternalities = RuntimeGenesisConfig::default().build_storage().unwrap().into();
	chain.execute_with(|| {
		let members: Vec<AccountId> = (1..=seats).map(|n| [n; 32].into()).collect();
		pallet_collective::Members::<Runtime, CouncilCollective>::put(members);
		crate::System::set_block_number(1);
	});
	chain
}

fn propose(member: u8, threshold: u32, motion: RuntimeCall) -> Result<(), DispatchError> {
	let length_bound = motion.encoded_size() as u32;
	let proposal = Box::new(motion);
	let call = RuntimeCall::Council(pallet_collective::Call::propose { threshold, proposal, length_bound });
	call.dispatch(RuntimeOrigin::signed([member; 32].into())).map(|_| ()).map_err(|failed| failed.error)
}

fn ban(platform: u8) -> RuntimeCall {
	let platform = H256::repeat_byte(platform);
	RuntimeCall::Attestation(pallet_attestation::Call::ban_platform { platform, banned: true })
}

/// Motions were free and stood for a week: one member's filled the desk, and nobody could propose even its removal.
#[test]
fn one_member_cannot_fill_the_councils_desk() {
	type Error = pallet_collective::Error<Runtime, CouncilCollective>;
	seated(4).execute_with(|| {
		for member in 1..=4 {
			for n in 0..8 {
				assert_ok!(propose(member, 3, ban(10 * member + n)));
			}
			assert_eq!(propose(member, 3, ban(10 * member + 9)), Err(Error::TooManyProposals.into()));
		}
		// Room comes back with the end of a motion.
		let motion_of = |platform| <Runtime as frame_system::Config>::Hashing::hash_of(&ban(platform));
		assert_ok!(crate::Council::disapprove_proposal(RuntimeOrigin::root(), motion_of(10)));
		assert_eq!(propose(2, 3, ban(99)), Err(Error::TooManyProposals.into()));
		assert_ok!(propose(1, 3, ban(99)));
		// The same motion comes again, and what has ended leaves nothing behind.
		assert_ok!(crate::Council::disapprove_proposal(RuntimeOrigin::root(), motion_of(99)));
		assert_ok!(propose(1, 3, ban(99)));
		let noted = pallet_collective::CostOf::<Runtime, CouncilCollective>::iter_keys().count();
		assert_eq!(noted, pallet_collective::Proposals::<Runtime, CouncilCollective>::get().len());
	});
}

/// Whoever is first to propose a call does not say how many must agree to it: all of them, or too few for it to count.
#[test]
fn a_motion_needs_what_its_call_needs() {
	use crate::governance::{Members, Objection, OwnMajority};
	let account: AccountId = [9; 32].into();
	let remove = || RuntimeCall::Consortium(pallet_consortium::Call::remove { member: account.clone() });
	let withdraw = || RuntimeCall::Consortium(pallet_consortium::Call::withdraw { notice: 0 });
	seated(6).execute_with(|| {
		for threshold in 1..=7 {
			let filtered = Err(frame_system::Error::<Runtime>::CallFiltered.into());
			let result = propose(1, threshold, ban(threshold as u8));
			assert_eq!(result, if threshold == 4 { Ok(()) } else { filtered });
			let result = propose(1, threshold, remove());
			assert_eq!(result, if threshold == 5 { Ok(()) } else { filtered });
			let result = propose(1, threshold, withdraw());
			assert_eq!(result, if threshold == 2 { Ok(()) } else { filtered });
		}
		let batch = pallet_utility::Call::batch { calls: vec![remove()] };
		assert_ok!(propose(2, 5, RuntimeCall::Utility(batch)));
	});
	// Each the least with which its origin is had, for every number of seats.
	for seats in 1..=32 {
		let least = |call: &RuntimeCall, enough: &dyn Fn(RuntimeOrigin) -> bool| {
			let needed = OwnMajority::of(call, seats);
			assert!(
				enough(council(needed, seats)) && !enough(council(needed - 1, seats)),
				"{needed} of {seats}"
			);
		};
		least(&ban(1), &|origin| Governance::ensure_origin(origin).is_ok());
		least(&remove(), &|origin| Members::ensure_origin(origin).is_ok());
		least(&withdraw(), &|origin| Objection::ensure_origin(origin).is_ok());
	}
}

/// `call` inside as many others.
fn inside(layers: u32, call: RuntimeCall) -> Result<(), DispatchError> {
	let wrap = |call, _| {
		RuntimeCall::Utility(pallet_utility::Call::as_derivative { index: 0, call: Box::new(call) })
	};
	let whole = (0..layers).fold(call, wrap);
	whole.dispatch(RuntimeOrigin::signed([9; 32].into())).map(|_| ()).map_err(|failed| failed.error)
}

/// Anybody closed a motion, or enacted an announced call, on the last of storage's 255 layers: what was decided had none
/// left, failed, and was gone.
#[test]
fn nobody_burns_a_decision_by_calling_it_too_deep() {
	use crate::governance::Shallow;
	let filtered = Err(frame_system::Error::<Runtime>::CallFiltered.into());
	seated(4).execute_with(|| {
		assert_ok!(propose(1, 3, ban(7)));
		let proposal_hash = <Runtime as frame_system::Config>::Hashing::hash_of(&ban(7));
		for member in 1..=3 {
			let vote = pallet_collective::Call::vote { proposal: proposal_hash, index: 0, approve: true };
			assert_ok!(RuntimeCall::Council(vote).dispatch(RuntimeOrigin::signed([member; 32].into())));
		}
		let close = pallet_collective::Call::close {
			proposal_hash,
			index: 0,
			proposal_weight_bound: frame_support::weights::Weight::MAX,
			length_bound: 1_000,
		};
		assert_eq!(inside(Shallow::MOST_FOR_OTHERS, RuntimeCall::Council(close.clone())), filtered);
		assert_ok!(inside(Shallow::MOST_FOR_OTHERS - 1, RuntimeCall::Council(close)));
		let platform = H256::repeat_byte(7);
		assert!(pallet_attestation::BannedPlatforms::<Runtime>::contains_key(platform), "it had its effect");
		for call in [
			RuntimeCall::Consortium(pallet_consortium::Call::enact { notice: 0, call: Box::new(ban(8)) }),
			RuntimeCall::Proxy(pallet_proxy::Call::proxy_announced {
				delegate: AccountId::new([1; 32]).into(),
				real: AccountId::new([2; 32]).into(),
				force_proxy_type: None,
				call: Box::new(ban(8)),
			}),
		] {
			assert_eq!(inside(Shallow::MOST_FOR_OTHERS, call.clone()), filtered);
			assert_ne!(inside(Shallow::MOST_FOR_OTHERS - 1, call), filtered, "refused for what it lacks");
		}
	});
}

/// Anybody had a model measured there, and its contract's own calls had no layer left: it was taken off.
#[test]
fn nobody_has_a_contract_asked_where_it_has_no_layers_left() {
	use crate::governance::Shallow;
	let filtered = Err(frame_system::Error::<Runtime>::CallFiltered.into());
	seated(4).execute_with(|| {
		let measure = RuntimeCall::Models(pallet_models::Call::measure { model: H256::zero() });
		assert_eq!(inside(Shallow::MOST, measure.clone()), filtered);
		let unknown = pallet_models::Error::<Runtime>::UnknownModel.into();
		assert_eq!(inside(Shallow::MOST - 1, measure), Err(unknown));
	});
}

/// A transaction signed by an Ethereum key for one chain is none of another's.
#[test]
fn two_chains_have_two_ethereum_ids() {
	use crate::config::EthereumId;
	use frame_support::traits::Get;
	use pallet_consortium::{types::Kind, SettingsOf};
	let id = |kind: Kind, genesis: u8| {
		let mut chain = seated(4);
		chain.execute_with(|| {
			SettingsOf::<Runtime>::mutate(|settings| settings.kind = kind);
			frame_system::BlockHash::<Runtime>::insert(0, H256::repeat_byte(genesis));
			EthereumId::get()
		})
	};
	assert_eq!(id(Kind::Development, 1), 0x5057_0001);
	assert_eq!(id(Kind::Local, 1), 0x5057_0002);
	assert_eq!(id(Kind::Consortium, 0xab), 0x5057_abab_abab);
	assert_eq!(id(Kind::Consortium, 0xff), 0x5057_ffff_ffff);
	assert!(id(Kind::Consortium, 0xff) < 1 << 53, "wallets count in floating point");
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
		RuntimeCall::Workers(pallet_workers::Call::serve { model: H256::zero(), min_price: 0 }),
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
		("Jobs", "contest"),
		("Workers", "renew"),
		("Workers", "top_up"),
		("Workers", "report_equivocation"),
		("Workers", "report_two_receipts"),
		("Workers", "withdraw"),
		("InferenceSessions", "checkpoint"),
		("InferenceSessions", "force"),
		("InferenceSessions", "report"),
		("InferenceSessions", "withdraw"),
		("Proxy", "proxy"),
		("Multisig", "as_multi"),
		("Council", "vote"),
		("Federation", "set_consents"),
		("Federation", "withdraw"),
		("Federation", "close"),
	];
	for (pallet, call) in endings {
		assert!(RuntimeCall::get_call_names(pallet).contains(&call), "{pallet} has {call}");
		assert!(NeverPaused::contains(&name(pallet, call)), "{pallet}.{call}");
	}
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
