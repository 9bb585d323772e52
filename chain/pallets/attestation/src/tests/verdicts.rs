//! What a quote is worth.

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_fixtures as fixtures;
use proofward_primitives::{Level, TrustList};

use super::mock::*;
use crate::{types::*, Error, Event, Policy};

const INTEL_ROOT: [u8; 4] = [0x44, 0xa0, 0x19, 0x6b];

/// Dates at which Intel's samples and their collateral held.
const TDX_NOW: u64 = 1_750_500_000;
const TDX_OUTDATED_NOW: u64 = 1_772_000_000;
const TDX_15EX_NOW: u64 = 1_792_000_000;

#[test]
fn intels_samples_verify_at_their_date_as_hardware() {
	for (name, now) in [("tdx_quote", TDX_NOW), ("tdx_quote_td15ex", TDX_15EX_NOW)] {
		chain().execute_with(|| {
			let sample = fixtures::sample(name, now);
			at(sample.now);
			assert_ok!(refresh(sample.quote.clone(), sample.collateral));
			assert_eq!(verify(&sample.quote), refused(Error::MeasurementNotAllowed), "{name}");

			let quote = dcap_qvl::quote::Quote::parse(&sample.quote).unwrap();
			let report = quote.report.as_td10().unwrap();
			let measurement =
				proofward_primitives::ids::measurement(&proofward_primitives::ids::TdRegisters {
					mrtd: &report.mr_td,
					rtmr: [&report.rt_mr0, &report.rt_mr1, &report.rt_mr2, &report.rt_mr3],
					mr_config_id: &report.mr_config_id,
					mr_owner: &report.mr_owner,
					mr_owner_config: &report.mr_owner_config,
				});
			allow(measurement);
			let verified = verify(&sample.quote).unwrap();
			assert_eq!(verified.level, Level::Hardware);
			assert_eq!(verified.root.as_bytes()[..4], INTEL_ROOT);
			assert_eq!(verified.measurement, measurement);
			assert_eq!(verified.report_data, report.report_data);
			assert!(verified.collateral_expires_at > sample.now);

			let mut flipped = sample.quote;
			flipped[48 + 6 + 520] ^= 1;
			assert_eq!(verify(&flipped), refused(Error::QuoteRejected));
		});
	}
}

#[test]
fn intels_sample_of_a_platform_below_every_level_is_refused() {
	chain().execute_with(|| {
		let sample = fixtures::sample("tdx_quote_outdated", TDX_OUTDATED_NOW);
		at(sample.now);
		assert_noop!(refresh(sample.quote, sample.collateral), Error::<Test>::QuoteRejected);
	});
}

#[test]
fn an_out_of_date_platform_is_refused_until_the_policy_takes_it() {
	ready().execute_with(|| {
		assert_ok!(refresh(fixtures::quote("alice"), fixtures::collateral("out_of_date")));
		let verify = || verify(&fixtures::quote("alice"));
		assert_eq!(verify(), refused(Error::TcbNotAllowed));

		let also_accepted = vec![TcbStatus::OutOfDate].try_into().unwrap();
		let without_grace = TcbPolicy { also_accepted, ..Default::default() };
		assert_ok!(Attestation::set_policy(RuntimeOrigin::root(), without_grace.clone()));
		assert_eq!(verify(), refused(Error::TcbNotAllowed), "no grace");

		let policy = TcbPolicy { grace_seconds: 2 * 24 * 3_600, ..without_grace };
		assert_ok!(Attestation::set_policy(RuntimeOrigin::root(), policy.clone()));
		assert_ok!(verify());

		let policy = TcbPolicy { min_evaluation_number: 18, ..policy };
		assert_ok!(Attestation::set_policy(RuntimeOrigin::root(), policy));
		assert_eq!(verify(), refused(Error::TcbNotAllowed), "evaluated too long ago");
	});
}

#[test]
fn flags_of_the_platform_may_be_refused() {
	ready().execute_with(|| {
		let policy = TcbPolicy { allow_dynamic_platform: false, ..Default::default() };
		assert_ok!(Attestation::set_policy(RuntimeOrigin::root(), policy));
		assert_eq!(verify(&fixtures::quote("alice")), refused(Error::TcbNotAllowed));
	});
}

#[test]
fn development_quotes_of_both_versions_verify_as_simulated() {
	ready().execute_with(|| {
		for name in ["alice", "alice_v5"] {
			let verified = verify(&fixtures::quote(name)).unwrap();
			assert_eq!(verified.level, Level::Simulated);
			assert_eq!(verified.root, dev_root());
			assert_eq!(verified.measurement, measurement(0x11));
		}
	});
}

#[test]
fn every_kind_of_bad_quote_is_refused_by_name() {
	let flipped = |at: usize| {
		let mut quote = fixtures::quote("alice");
		quote[at] ^= 1;
		quote
	};
	let sgx = fixtures::sample_quote("sgx_quote");
	let table = [
		("bit of report_data flipped", flipped(48 + 520), Error::QuoteRejected),
		("bit of MRTD flipped", flipped(48 + 136), Error::QuoteRejected),
		("bit of the signature flipped", flipped(48 + 584 + 4), Error::QuoteRejected),
		("bit of the header flipped", flipped(30), Error::QuoteRejected),
		("debug trust domain", fixtures::quote("debug"), Error::DebugTd),
		("foreign root", fixtures::quote("foreign_root"), Error::UnknownRoot),
		("SGX enclave", sgx, Error::NotTdx),
		(
			"software not on the list",
			fixtures::quote("alice_epoch_2_other_software"),
			Error::MeasurementNotAllowed,
		),
		("truncated", fixtures::quote("alice")[..1_000].to_vec(), Error::MalformedQuote),
		("empty", vec![], Error::MalformedQuote),
		("too long", vec![0; MAX_QUOTE as usize + 1], Error::MalformedQuote),
	];
	ready().execute_with(|| {
		for (fault, quote, error) in table {
			assert_eq!(verify(&quote), refused(error), "{fault}");
		}
	});
}

#[test]
fn a_foreign_chain_that_ends_in_our_root_is_rejected() {
	// The last certificate names the root; putting ours there must not make the signatures below it count.
	ready().execute_with(|| {
		let (ours, foreign) = (fixtures::quote("alice"), fixtures::quote("foreign_root"));
		let end = |quote: &[u8]| {
			let text = b"-----BEGIN CERTIFICATE-----";
			(0..quote.len()).rev().find(|at| quote[*at..].starts_with(text)).unwrap()
		};
		let (from, to) = (end(&ours), end(&foreign));
		let mut forged = [&foreign[..to], &ours[from..]].concat();
		// Three nested lengths cover the chain.
		let grown = (ours.len() - from) as i64 - (foreign.len() - to) as i64;
		let fixed = 48 + 584 + 4 + 64 + 64 + 2 + 4 + 384 + 64 + 2 + 32 + 2;
		for at in [48 + 584, 48 + 584 + 4 + 128 + 2, fixed] {
			let length = u32::from_le_bytes(forged[at..at + 4].try_into().unwrap()) as i64 + grown;
			forged[at..at + 4].copy_from_slice(&(length as u32).to_le_bytes());
		}
		assert_eq!(verify(&forged), refused(Error::QuoteRejected));
	});
}

#[test]
fn trust_ends_when_root_or_measurement_is_struck_off() {
	ready().execute_with(|| {
		let measurement = measurement(0x11);
		assert!(Attestation::trusted(&dev_root(), &measurement));
		assert_ok!(Attestation::disallow_measurement(RuntimeOrigin::root(), measurement));
		assert!(!Attestation::trusted(&dev_root(), &measurement));
		assert_eq!(verify(&fixtures::quote("alice")), refused(Error::MeasurementNotAllowed));

		allow(measurement);
		assert_ok!(Attestation::remove_root(RuntimeOrigin::root(), dev_root()));
		assert!(!Attestation::trusted(&dev_root(), &measurement));
		assert_eq!(verify(&fixtures::quote("alice")), refused(Error::UnknownRoot));
	});
}

#[test]
fn only_governance_changes_what_is_trusted() {
	chain().execute_with(|| {
		let der: RootDer = fixtures::DEV_ROOT.clone().try_into().unwrap();
		let (bad, hash) = (DispatchError::BadOrigin, H256::zero());
		assert_noop!(Attestation::add_root(anyone(), der.clone(), Level::Hardware), bad);
		assert_noop!(Attestation::remove_root(anyone(), dev_root()), bad);
		assert_noop!(Attestation::allow_measurement(anyone(), hash, Default::default()), bad);
		assert_noop!(Attestation::disallow_measurement(anyone(), hash), bad);
		assert_noop!(Attestation::set_policy(anyone(), Default::default()), bad);

		let root = RuntimeOrigin::root;
		assert_noop!(Attestation::add_root(root(), der, Level::Hardware), Error::<Test>::RootExists);
		assert_noop!(Attestation::remove_root(root(), hash), Error::<Test>::NoSuchRoot);
		assert_noop!(Attestation::disallow_measurement(root(), hash), Error::<Test>::NoSuchMeasurement);
		for byte in 0..2 {
			assert_ok!(Attestation::add_root(root(), vec![byte].try_into().unwrap(), Level::Hardware));
		}
		let fifth = vec![7].try_into().unwrap();
		assert_noop!(Attestation::add_root(root(), fifth, Level::Hardware), Error::<Test>::TooManyRoots);
		System::assert_has_event(
			Event::RootAdded {
				root: polkadot_sdk::sp_io::hashing::sha2_256(&[0]).into(),
				level: Level::Hardware,
			}
			.into(),
		);
		assert_eq!(Policy::<Test>::get(), TcbPolicy::default());
	});
}
