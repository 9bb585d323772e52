//! What the honest calls do.

use polkadot_sdk::{
	frame_support::{assert_ok, dispatch::GetDispatchInfo, weights::Weight},
	frame_system::RawOrigin,
	sp_core::H256,
	sp_io::hashing::sha2_256,
};
use proofward_primitives::{Lane, Level, ModelRegistry, QuoteVerifier, Setup};

use super::mock::*;
use crate::{types::*, Call, Event, Models as Records, SetupEvidence};

#[test]
fn a_published_model_is_what_jobs_see() {
	new_test_ext().execute_with(|| {
		let id = published();
		let record = Records::<Test>::get(id).expect("published");
		assert_eq!((record.publisher, record.published_at, record.evidence_hash), (PUBLISHER, 7, None));
		let view = Models::model(&id).expect("published");
		assert_eq!(view, record.view());
		assert_eq!((view.verifier.address, view.verifier.code_hash), (VERIFIER, CODE));
		assert_eq!((view.setup, view.price, view.claim_blocks, view.retired), (Setup::Dev, 1_000, 20, false));
		System::assert_last_event(
			Event::Published {
				model: id,
				publisher: PUBLISHER,
				lane: Lane::Groth16,
				setup: Setup::Dev,
				verifier: VERIFIER,
			}
			.into(),
		);
	});
}

#[test]
fn an_attested_setup_has_the_level_of_its_quotes_root() {
	for level in [Level::Simulated, Level::Hardware] {
		new_test_ext().execute_with(|| {
			let plain = Offer::default();
			let offer = plain.clone().attested(level, plain.circuit_digest, plain.vk_hash);
			assert_ok!(offer.publish());
			let record = Records::<Test>::get(offer.id()).expect("published");
			let SetupEvidence::Attested(quote) = &offer.evidence else { unreachable!() };
			assert_eq!(record.setup, Setup::Attested(level));
			assert_eq!(record.evidence_hash, Some(sha2_256(quote).into()));
		});
	}
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
			circuit_digest: H256::zero(),
			verifier: VERIFIER,
			code_hash: CODE,
			price: 0,
			claim_blocks: 5,
			evidence,
		}
		.get_dispatch_info()
		.call_weight
	};
	let difference = call(SetupEvidence::Attested(Quote::default())) - call(SetupEvidence::Dev);
	assert_eq!(difference, Quotes::verify_quote_weight());
	assert!(call(SetupEvidence::Dev).all_gt(Weight::zero()) || call(SetupEvidence::Dev).ref_time() > 0);
}
