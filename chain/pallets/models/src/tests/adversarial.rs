//! Every refusal, named after the fault; none leaves a trace.

use polkadot_sdk::{
	frame_support::{assert_noop, assert_ok},
	frame_system::RawOrigin,
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::{Level, Setup};

use super::mock::*;
use crate::{types::*, Error, Models as Records, SetupEvidence};

#[test]
fn bad_offers_are_refused() {
	let good = Offer::default;
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
		("claim too short", Offer { claim_blocks: 4, ..good() }, Error::<Test>::BadClaimBlocks.into()),
		("claim too long", Offer { claim_blocks: 601, ..good() }, Error::<Test>::BadClaimBlocks.into()),
		("no contract", Offer { verifier: EMPTY_ADDRESS, ..good() }, Error::<Test>::NoContract.into()),
		(
			"other code at the address",
			Offer { code_hash: H256::zero(), ..good() },
			Error::<Test>::CodeHashMismatch.into(),
		),
		(
			"quote of another circuit",
			good().attested(Level::Hardware, H256::zero(), good().vk_hash),
			Error::<Test>::SetupQuoteMismatch.into(),
		),
		(
			"quote of another verifying key",
			good().attested(Level::Hardware, good().circuit_digest, H256::zero()),
			Error::<Test>::SetupQuoteMismatch.into(),
		),
		(
			"quote refused by the attestation pallet",
			Offer { evidence: SetupEvidence::Attested(vec![9; 65].try_into().expect("short")), ..good() },
			DispatchError::Other("QuoteRejected"),
		),
	];
	for (fault, offer, error) in table {
		new_test_ext().execute_with(|| {
			assert_eq!(offer.publish(), Err(error), "{fault}");
			assert_eq!(Records::<Test>::iter().count(), 0, "{fault}");
			assert!(System::events().is_empty(), "{fault}");
		});
	}
}

#[test]
fn publishing_twice() {
	new_test_ext().execute_with(|| {
		let id = published();
		assert_noop!(Offer::default().publish(), Error::<Test>::DuplicateModel);
		assert_ok!(Models::retire(RawOrigin::Signed(PUBLISHER).into(), id));
		assert_noop!(Offer::default().publish(), Error::<Test>::DuplicateModel);
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
