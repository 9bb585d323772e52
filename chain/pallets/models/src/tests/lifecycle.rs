//! What the honest calls do.

use polkadot_sdk::{
	frame_support::{assert_ok, dispatch::GetDispatchInfo, weights::Weight},
	frame_system::RawOrigin,
	sp_core::H256,
	sp_io::hashing::sha2_256,
	sp_runtime::{traits::Dispatchable, Permill},
};
use proofward_primitives::{Lane, Level, ModelRegistry, QuoteVerifier, Setup, VerifierContract};

use super::mock::*;
use crate::{types::*, Call, Event, Models as Records, SetupEvidence, WeightInfo};

#[test]
fn a_published_model_is_what_jobs_see() {
	new_test_ext().execute_with(|| {
		let id = published();
		let record = Records::<Test>::get(id).expect("published");
		assert_eq!((record.publisher, record.published_at, record.evidence_hash), (PUBLISHER, 7, None));
		let view = Models::model(&id).expect("published");
		assert_eq!((view.publisher, view.verifier), (PUBLISHER, Some(CONTRACT)));
		assert_eq!((view.setup, view.price, view.claim_blocks, view.retired), (Setup::Dev, 1_000, 20, false));
		assert_eq!((view.share, view.bond), (Permill::from_percent(10), 200));
		assert_eq!(Models::verifying_key(&id), KEY);
		assert_eq!(record.deposit, ENDOWMENT - Balances::free_balance(PUBLISHER));
		assert_ok!(Models::do_try_state());
		System::assert_last_event(
			Event::Published { model: id, publisher: PUBLISHER, lane: Lane::Groth16, setup: Setup::Dev }
				.into(),
		);
	});
}

#[test]
fn an_attested_setup_has_the_level_of_its_quotes_root() {
	for level in [Level::Simulated, Level::Hardware] {
		new_test_ext().execute_with(|| {
			let offer = Offer::default().attested(level, Binding::default());
			assert_ok!(offer.publish());
			let record = Records::<Test>::get(offer.id()).expect("published");
			let SetupEvidence::Attested { quote, .. } = &offer.evidence else { unreachable!() };
			assert_eq!(record.setup, Setup::Attested(level));
			assert_eq!(record.evidence_hash, Some(sha2_256(quote).into()));
			let grounds = Grounds { root: ROOT, measurement: MEASUREMENT, platform: PLATFORM };
			assert_eq!(record.grounds, Some(grounds));
		});
	}
}

/// Rule 1: what a verdict costs is measured once, by a proof that nobody chose, and not charged flat.
#[test]
fn a_verdicts_weight_is_measured_at_publishing() {
	new_test_ext().execute_with(|| {
		let id = published();
		let limit = || Models::model(&id).expect("published").verdict_limit;
		assert_eq!(limit(), PROBE_WEIGHT.saturating_mul(2), "with room to spare");

		// Another contract of the lane, or another runtime, was not measured.
		let other = VerifierContract { code_hash: H256::repeat_byte(0xce), ..CONTRACT };
		crate::Verifiers::<Test>::insert(Lane::Groth16, other);
		assert_eq!(limit(), MAX_WEIGHT);
		crate::Verifiers::<Test>::insert(Lane::Groth16, CONTRACT);
		crate::VerdictWeights::<Test>::mutate(id, |measured| measured.as_mut().unwrap().spec_version += 1);
		assert_eq!(limit(), MAX_WEIGHT);

		let measure = || Models::measure(RawOrigin::Signed(STRANGER).into(), id);
		let used = measure().expect("anyone may").actual_weight;
		assert_eq!(used, Some(<() as WeightInfo>::measure().saturating_add(PROBE_WEIGHT)));
		System::assert_last_event(Event::Measured { model: id, weight: PROBE_WEIGHT }.into());
		assert_eq!(limit(), PROBE_WEIGHT.saturating_mul(2));
		assert_ok!(Models::do_try_state());
	});
}

#[test]
fn publishing_pays_for_what_the_contract_used() {
	new_test_ext().execute_with(|| {
		let offer = Offer::default();
		let own = <() as WeightInfo>::publish(KEY.len() as u32, 0);
		assert_eq!(
			offer.call().get_dispatch_info().call_weight,
			own.saturating_add(MAX_WEIGHT.saturating_mul(2))
		);
		let post = RuntimeCall::Models(offer.call()).dispatch(RawOrigin::Signed(PUBLISHER).into());
		let used = own.saturating_add(LOOK_WEIGHT).saturating_add(PROBE_WEIGHT);
		assert_eq!(post.expect("published").actual_weight, Some(used));
	});
}

#[test]
fn a_retired_model_stays_readable() {
	new_test_ext().execute_with(|| {
		let id = published();
		assert_ok!(Models::retire(RawOrigin::Signed(PUBLISHER).into(), id));
		assert!(Models::model(&id).expect("kept").retired);
		System::assert_last_event(Event::Retired { model: id }.into());
	});
}

#[test]
fn root_certifies_a_ceremony() {
	new_test_ext().execute_with(|| {
		let id = published();
		let transcript_hash = H256::repeat_byte(0x77);
		assert_ok!(Models::certify_ceremony(RawOrigin::Root.into(), id, transcript_hash));
		let record = Records::<Test>::get(id).expect("kept");
		assert_eq!((record.setup, record.evidence_hash), (Setup::Ceremony, Some(transcript_hash)));
		System::assert_last_event(Event::CeremonyCertified { model: id, transcript_hash }.into());
	});
}

#[test]
fn governance_takes_a_setup_back_and_an_entry_off() {
	new_test_ext().execute_with(|| {
		let id = published();
		assert_ok!(Models::certify_ceremony(RawOrigin::Root.into(), id, H256::zero()));
		assert_ok!(Models::withdraw_setup(RawOrigin::Root.into(), id));
		let record = Records::<Test>::get(id).expect("kept");
		assert_eq!((record.setup, record.evidence_hash), (Setup::Dev, None));

		assert_ok!(Models::strike_off(RawOrigin::Root.into(), id));
		assert!(Models::model(&id).expect("kept").retired);
		assert_eq!(Balances::free_balance(POT), 1 + record.deposit);
		System::assert_last_event(Event::StruckOff { model: id, slashed: record.deposit }.into());
		assert_ok!(Models::do_try_state());
	});
}

#[test]
fn a_lane_that_governance_closes_judges_nothing() {
	new_test_ext().execute_with(|| {
		let id = published();
		assert_ok!(Models::set_verifier(RawOrigin::Root.into(), Lane::Groth16, None));
		assert_eq!(Models::model(&id).expect("kept").verifier, None);
		assert_ok!(Models::set_verifier(RawOrigin::Root.into(), Lane::Groth16, Some(CONTRACT)));
		assert_eq!(Models::model(&id).expect("kept").verifier, Some(CONTRACT));
	});
}

#[test]
fn a_quote_is_charged_for_only_when_there_is_one() {
	let call = |evidence| {
		Call::<Test>::publish {
			name: Default::default(),
			weights_digest: H256::zero(),
			manifest_hash: H256::zero(),
			input_shape: Default::default(),
			batch: 1,
			lane: Lane::Ezkl,
			vk_hash: H256::zero(),
			key: Default::default(),
			circuit_digest: H256::zero(),
			terms: Offer::default().terms,
			evidence,
		}
		.get_dispatch_info()
		.call_weight
	};
	let attested = SetupEvidence::Attested { quote: Quote::default(), block: 0 };
	let difference = call(attested) - call(SetupEvidence::Dev);
	assert_eq!(difference, Quotes::verify_quote_weight());
	assert!(call(SetupEvidence::Dev).all_gt(Weight::zero()) || call(SetupEvidence::Dev).ref_time() > 0);
}
