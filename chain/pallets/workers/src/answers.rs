//! Receipts of a gateway's answers (ACI, section 7): a receipt is final, so two of one id are a lie to one of two callers.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult},
	sp_core::{ed25519, H256},
	sp_io::{self, hashing::sha2_256},
};

use crate::{
	evidence,
	types::{AnswerReceipt, ReceiptId, MAX_RECEIPT_ID},
	Config, Error, Event, Pallet, ReceiptKeys,
};

const TWO: &[u8] = b"proofward/two-receipts/v1";

/// A key is made in the enclave and dies with it, and each of its receipts has a random id: an honest gateway, however
/// often it starts again, never has two. The same bytes under two signatures are one receipt.
pub fn contradiction<T: Config>(
	reporter: T::AccountId,
	receipt_key: [u8; 32],
	first: (&AnswerReceipt, [u8; 64]),
	second: (&AnswerReceipt, [u8; 64]),
) -> DispatchResult {
	let who = ReceiptKeys::<T>::get(receipt_key).ok_or(Error::<T>::NoEvidence)?;
	ensure!(first.0 != second.0, Error::<T>::NoEvidence);
	let id = receipt_id(first.0).ok_or(Error::<T>::NoEvidence)?;
	ensure!(receipt_id(second.0) == Some(id), Error::<T>::NoEvidence);
	for (receipt, signature) in [first, second] {
		let signature = ed25519::Signature::from_raw(signature);
		let key = ed25519::Public::from_raw(receipt_key);
		ensure!(sp_io::crypto::ed25519_verify(&signature, receipt, &key), Error::<T>::NoEvidence);
	}
	let receipt = ReceiptId::try_from(id.to_vec()).map_err(|_| Error::<T>::NoEvidence)?;
	let slashed = evidence::punish::<T>(&who, &reporter, about(&receipt_key, id), 0)?;
	Pallet::<T>::deposit_event(Event::Contradicted { worker: who, receipt_key, receipt, slashed });
	Ok(())
}

/// What a punishment is filed under: the answer, not the pair, so that a third receipt costs nothing more.
pub(crate) fn about(receipt_key: &[u8; 32], id: &[u8]) -> H256 {
	sha2_256(&[TWO, receipt_key, id].concat()).into()
}

/// The id in a receipt of `aci/1` in its canonical form; `None` for other bytes.
///
/// Members stand in the order of their names, so a receipt ends in its id, its time and its keyset. Read from the end,
/// no quote of this pattern follows a backslash: each is JSON's own, and none of a text that a caller chose.
pub fn receipt_id(receipt: &[u8]) -> Option<&[u8]> {
	let rest = receipt.strip_prefix(br#"{"api_version":"aci/1","chat_id":"#)?.strip_suffix(br#""}"#)?;
	let (rest, digest) = split_tail(rest, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
	let rest = rest.strip_suffix(br#","workload_keyset_digest":"sha256:"#)?;
	let (rest, served_at) = split_tail(rest, u8::is_ascii_digit);
	let rest = rest.strip_suffix(br#"","served_at":"#)?;
	let (rest, id) =
		split_tail(rest, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-'));
	rest.strip_suffix(br#","receipt_id":""#)?;
	let long = 1..=MAX_RECEIPT_ID as usize;
	(digest.len() == 64 && !served_at.is_empty() && long.contains(&id.len())).then_some(id)
}

/// The longest end of such bytes, behind what precedes it.
fn split_tail(bytes: &[u8], among: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
	bytes.split_at(bytes.iter().rposition(|byte| !among(byte)).map_or(0, |last| last + 1))
}
