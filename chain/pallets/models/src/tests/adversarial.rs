//! Every refusal, named after the fault; none leaves a trace.

use codec::Encode;
use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	frame_system::{self, RawOrigin},
	sp_core::H256,
	sp_runtime::{DispatchError, TokenError},
};
use proofward_primitives::{Lane, Level, ModelRegistry, Setup, VerifierContract};

use super::mock::*;
use crate::{types::*, Error, Models as Records, SetupEvidence};

#[test]
fn bad_offers_are_refused() {
	let good = Offer::default;
	let terms = |change: fn(&mut Terms)| {
		let mut offer = good();
		change(&mut offer.terms);
		offer
	};
	let table: Vec<(&str, Offer, DispatchError)> = vec![
		("no name", Offer { name: vec![], ..good() }, Error::<Test>::BadName.into()),
		("name is not UTF-8", Offer { name: vec![0xff], ..good() }, Error::<Test>::BadName.into()),
		(
			"escape sequence in the name",
			Offer { name: b"\x1b[2J".to_vec(), ..good() },
			Error::<Test>::BadName.into(),
		),
		("no dimensions", Offer { input_shape: vec![], ..good() }, Error::<Test>::BadShape.into()),
		("a dimension of zero", Offer { input_shape: vec![3, 0], ..good() }, Error::<Test>::BadShape.into()),
		(
			"shape overflows",
			Offer { input_shape: vec![u32::MAX, 3], ..good() },
			Error::<Test>::BadShape.into(),
		),
		(
			"shape beyond an envelope",
			Offer { input_shape: vec![MAX_FEATURES + 1], ..good() },
			Error::<Test>::BadShape.into(),
		),
		("no records", Offer { batch: 0, ..good() }, Error::<Test>::BadBatch.into()),
		("too many records", Offer { batch: MAX_BATCH + 1, ..good() }, Error::<Test>::BadBatch.into()),
		(
			"batch beyond an envelope",
			Offer { input_shape: vec![MAX_FEATURES / 2 + 1], batch: 2, ..good() },
			Error::<Test>::BadBatch.into(),
		),
		("claim too short", terms(|terms| terms.claim_blocks = 4), Error::<Test>::BadClaimBlocks.into()),
		("claim too long", terms(|terms| terms.claim_blocks = 601), Error::<Test>::BadClaimBlocks.into()),
		("price below the chain's", terms(|terms| terms.price = 499), Error::<Test>::PriceTooLow.into()),
		("no price", terms(|terms| terms.price = 0), Error::<Test>::PriceTooLow.into()),
		("no bond", terms(|terms| terms.bond = 49), Error::<Test>::BadBond.into()),
		("bond that is a trap", terms(|terms| terms.bond = 5_001), Error::<Test>::BadBond.into()),
		("share above nine tenths", terms(|terms| terms.share = 900_001), Error::<Test>::BadShare.into()),
		("lane without a contract", Offer { lane: Lane::Ezkl, ..good() }, Error::<Test>::LaneClosed.into()),
		("bytes that are no key", Offer { key: vec![0; 40], ..good() }, Error::<Test>::BadKey.into()),
		("no key at all", Offer { key: vec![], ..good() }, Error::<Test>::BadKey.into()),
		(
			"quote refused by the attestation pallet",
			Offer {
				evidence: SetupEvidence::Attested {
					quote: vec![9; 65].try_into().expect("short"),
					block: NAMED_BLOCK,
				},
				..good()
			},
			DispatchError::Other("QuoteRejected"),
		),
	];
	for (fault, offer, error) in table {
		new_test_ext().execute_with(|| {
			assert_eq!(offer.publish(), Err(error), "{fault}");
			assert_eq!(Records::<Test>::iter().count(), 0, "{fault}");
			assert!(System::events().is_empty(), "{fault}");
			assert_eq!(Balances::free_balance(PUBLISHER), ENDOWMENT, "{fault}");
			assert_ok!(Models::do_try_state());
		});
	}
}

#[test]
fn poc_setup_quote_is_replayed_by_anyone() {
	let other = H256::repeat_byte(0xee);
	let table = [
		("another chain", Binding { genesis: other, ..Binding::default() }),
		("another publisher", Binding { publisher: STRANGER, ..Binding::default() }),
		("another manifest", Binding { manifest_hash: other, ..Binding::default() }),
		("another circuit", Binding { circuit_digest: other, ..Binding::default() }),
		("another verifying key", Binding { vk_hash: other, ..Binding::default() }),
		("another block", Binding { block_hash: other, ..Binding::default() }),
	];
	for (fault, binding) in table {
		new_test_ext().execute_with(|| {
			let offer = Offer::default().attested(Level::Hardware, binding);
			assert_noop!(offer.publish(), Error::<Test>::SetupQuoteMismatch);
			assert_eq!(Records::<Test>::iter().count(), 0, "{fault}");
		});
	}
}

#[test]
fn a_setups_quote_names_a_block_that_is_known_and_recent() {
	new_test_ext().execute_with(|| {
		let offer = || Offer::default().attested(Level::Hardware, Binding::default());
		System::set_block_number(NAMED_BLOCK);
		assert_noop!(offer().publish(), Error::<Test>::UnknownBlock);
		System::set_block_number(NAMED_BLOCK + MAX_SETUP_AGE + 1);
		assert_noop!(offer().publish(), Error::<Test>::SetupQuoteTooOld);
		frame_system::BlockHash::<Test>::remove(NAMED_BLOCK);
		System::set_block_number(NAMED_BLOCK + MAX_SETUP_AGE);
		assert_noop!(offer().publish(), Error::<Test>::UnknownBlock);
		frame_system::BlockHash::<Test>::insert(NAMED_BLOCK, Binding::default().block_hash);
		assert_ok!(offer().publish());
	});
}

#[test]
fn publishing_twice() {
	new_test_ext().execute_with(|| {
		let id = published();
		assert_noop!(Offer::default().publish(), Error::<Test>::DuplicateModel);
		let cheaper = Offer { vk_hash: H256::zero(), ..Offer::default() };
		assert_noop!(cheaper.publish(), Error::<Test>::LiveEntry);
		assert_ok!(Models::retire(RawOrigin::Signed(PUBLISHER).into(), id));
		assert_noop!(Offer::default().publish(), Error::<Test>::DuplicateModel);
		assert_ok!(cheaper.publish());
		assert_ok!(Models::do_try_state());
	});
}

#[test]
fn a_publisher_that_cannot_pay_the_deposit() {
	new_test_ext().execute_with(|| {
		let count = ENDOWMENT / Models::deposit(KEY.len() as u32);
		for n in 0..count {
			let offer = Offer { manifest: H256::from_low_u64_be(n as u64), ..Offer::default() };
			assert_ok!(offer.publish());
		}
		assert_noop!(Offer::default().publish(), TokenError::FundsUnavailable);
		assert_ok!(Models::do_try_state());
	});
}

#[test]
fn removing_a_model_whose_jobs_may_be_open() {
	new_test_ext().execute_with(|| {
		let id = published();
		let remove = |id| Models::remove(RawOrigin::Signed(STRANGER).into(), id);
		assert_noop!(remove(H256::zero()), Error::<Test>::UnknownModel);
		assert_noop!(remove(id), Error::<Test>::NotRemovable);
		assert_ok!(Models::retire(RawOrigin::Signed(PUBLISHER).into(), id));
		System::set_block_number(7 + MAX_DEADLINE);
		assert_noop!(remove(id), Error::<Test>::NotRemovable);
		System::set_block_number(7 + MAX_DEADLINE + 1);
		assert_ok!(remove(id));
		assert_eq!(Balances::free_balance(PUBLISHER), ENDOWMENT);
		assert_noop!(remove(id), Error::<Test>::UnknownModel);
		assert_ok!(Models::do_try_state());
	});
}

#[test]
fn prices_of_others_of_retired_models_and_below_the_chains() {
	new_test_ext().execute_with(|| {
		let id = published();
		let set = |who, price| Models::set_price(RawOrigin::Signed(who).into(), id, price);
		assert_noop!(set(STRANGER, 900), Error::<Test>::NotPublisher);
		assert_noop!(set(PUBLISHER, 499), Error::<Test>::PriceTooLow);
		assert_ok!(set(PUBLISHER, 500));
		assert_eq!(Models::model(&id).expect("kept").price, 500);
		assert_ok!(Models::retire(RawOrigin::Signed(PUBLISHER).into(), id));
		assert_noop!(set(PUBLISHER, 900), Error::<Test>::AlreadyRetired);
	});
}

#[test]
fn only_governance_keeps_the_allow_list_and_takes_entries_off() {
	new_test_ext().execute_with(|| {
		let (id, bad) = (published(), DispatchError::BadOrigin);
		let stranger = || RawOrigin::Signed(PUBLISHER);
		assert_noop!(Models::set_verifier(stranger().into(), Lane::Groth16, None), bad);
		assert_noop!(Models::strike_off(stranger().into(), id), bad);
		assert_noop!(Models::withdraw_setup(stranger().into(), id), bad);
		let elsewhere = VerifierContract { address: EMPTY_ADDRESS, ..CONTRACT };
		let other_code = VerifierContract { code_hash: H256::zero(), ..CONTRACT };
		for contract in [elsewhere, other_code] {
			let attempt = Models::set_verifier(RawOrigin::Root.into(), Lane::Ezkl, Some(contract));
			assert_noop!(attempt, Error::<Test>::NoSuchCode);
		}
	});
}

/// `weights_poc.rs`: an attested setup whose measurement or root was struck off.
#[test]
fn poc_attested_setup_outlives_its_measurement_and_its_root() {
	let grounds: [(&str, fn()); 3] = [
		("root", || StruckOff::set(vec![ROOT])),
		("measurement", || StruckOff::set(vec![MEASUREMENT])),
		("platform", || Banned::set(vec![PLATFORM])),
	];
	for (struck_off, strike) in grounds {
		new_test_ext().execute_with(|| {
			let plain = Offer::default();
			let offer = plain.clone().attested(Level::Hardware, Binding::default());
			assert_ok!(offer.publish());
			assert_eq!(Models::model(&offer.id()).expect("kept").setup, Setup::Attested(Level::Hardware));
			strike();
			assert_eq!(Models::model(&offer.id()).expect("kept").setup, Setup::Dev, "{struck_off}");
			assert_ok!(Models::do_try_state());
		});
	}
}

/// `poc_models.py`: entries that stay for ever for a fee.
#[test]
fn poc_models_are_held_for_and_can_be_removed() {
	new_test_ext().execute_with(|| {
		let id = published();
		let held = ENDOWMENT - Balances::free_balance(PUBLISHER);
		let bytes = Records::<Test>::get(id).expect("kept").encoded_size() + KEY.len();
		assert!(held >= 100 + bytes as u128, "every byte is paid for");
	});
}

#[test]
fn publishing_without_a_signature() {
	new_test_ext().execute_with(|| {
		let call = |origin: RawOrigin<u64>| Models::retire(origin.into(), H256::zero());
		assert_noop!(call(RawOrigin::None), DispatchError::BadOrigin);
		assert_noop!(call(RawOrigin::Root), DispatchError::BadOrigin);
	});
}

#[test]
fn retiring_anothers_model_an_unknown_one_or_twice() {
	new_test_ext().execute_with(|| {
		let id = published();
		let retire = |who, id| Models::retire(RawOrigin::Signed(who).into(), id);
		assert_noop!(retire(STRANGER, id), Error::<Test>::NotPublisher);
		assert_noop!(retire(PUBLISHER, H256::zero()), Error::<Test>::UnknownModel);
		assert_ok!(retire(PUBLISHER, id));
		assert_noop!(retire(PUBLISHER, id), Error::<Test>::AlreadyRetired);
	});
}

#[test]
fn a_publisher_cannot_certify_its_own_ceremony() {
	new_test_ext().execute_with(|| {
		let id = published();
		let certify = |origin: RawOrigin<u64>, id| Models::certify_ceremony(origin.into(), id, H256::zero());
		assert_noop!(certify(RawOrigin::Signed(PUBLISHER), id), DispatchError::BadOrigin);
		assert_noop!(certify(RawOrigin::Root, H256::zero()), Error::<Test>::UnknownModel);
		assert_eq!(Records::<Test>::get(id).expect("kept").setup, Setup::Dev);
	});
}

/// Rule 1: a contract that cannot judge proofs under a key takes no entry, and loses those that it has.
#[test]
fn an_entry_stands_while_its_contract_tells_a_false_proof_from_a_fault() {
	use proofward_primitives::{Decision, RejectReason};
	let faults = [
		Decision::Accepted,
		Decision::Rejected(RejectReason::Reverted),
		Decision::Rejected(RejectReason::CallFailed),
		Decision::Rejected(RejectReason::MalformedAnswer),
	];
	for fault in faults {
		new_test_ext().execute_with(|| {
			ProbeAnswer::set(fault);
			assert_noop!(Offer::default().publish(), Error::<Test>::BadKey);
			ProbeAnswer::set(Decision::Rejected(RejectReason::ProofInvalid));
			let id = published();

			ProbeAnswer::set(fault);
			assert_ok!(Models::measure(RawOrigin::Signed(STRANGER).into(), id));
			System::assert_last_event(crate::Event::Faulted { model: id }.into());
			assert!(Models::model(&id).unwrap().retired);
			let again = Models::measure(RawOrigin::Signed(STRANGER).into(), id);
			assert_eq!(again.map_err(|error| error.error), Err(Error::<Test>::AlreadyRetired.into()));
			assert_ok!(Models::do_try_state());

			// The key was good when it was published: what is not the publisher's fault costs no deposit.
			System::set_block_number(7 + MAX_DEADLINE + 1);
			assert_ok!(Models::remove(RawOrigin::Signed(STRANGER).into(), id));
			assert_eq!(Balances::free_balance(PUBLISHER), ENDOWMENT);
			assert_eq!(crate::VerdictWeights::<Test>::iter().count(), 0);
		});
	}
}

#[test]
fn a_closed_lane_says_nothing_about_its_models() {
	new_test_ext().execute_with(|| {
		let id = published();
		let measure = || {
			Models::measure(RawOrigin::Signed(STRANGER).into(), id).map(|_| ()).map_err(|error| error.error)
		};
		let gone = VerifierContract { address: EMPTY_ADDRESS, ..CONTRACT };
		crate::Verifiers::<Test>::insert(Lane::Groth16, gone);
		assert_noop!(measure(), Error::<Test>::NoSuchCode);
		crate::Verifiers::<Test>::remove(Lane::Groth16);
		assert_noop!(measure(), Error::<Test>::LaneClosed);
		assert!(!Models::model(&id).unwrap().retired);
	});
}
