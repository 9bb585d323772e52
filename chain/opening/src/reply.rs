//! The key that a job's output is sealed to. The nonce of a job commits to it, and the job's id to the nonce.

use alloc::vec::Vec;

use hpke::{
	aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256, Deserializable, Kem, OpModeR,
	Serializable,
};
use sha2::{Digest, Sha256};

const REPLY: &[u8] = b"proofward/reply/v1";
/// Bytes of an encapsulated key (RFC 9180, DHKEM(X25519, HKDF-SHA256)).
const ENCAPSULATED: usize = 32;

/// The nonce of a job whose output is sealed to `public`: SHA-256 of the domain and the key.
pub fn nonce(public: &[u8]) -> [u8; 32] {
	let mut hasher = Sha256::new();
	hasher.update(REPLY);
	hasher.update(public);
	hasher.finalize().into()
}

/// An X25519 private key.
pub struct ReplyKey(<X25519HkdfSha256 as Kem>::PrivateKey);

impl ReplyKey {
	/// The key of 32 secret bytes; `None` when the library takes them for none.
	pub fn new(secret: &[u8; 32]) -> Option<Self> {
		<X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret).ok().map(Self)
	}

	/// Its public key, always in its one canonical encoding.
	pub fn public(&self) -> [u8; 32] {
		X25519HkdfSha256::sk_to_pk(&self.0).to_bytes().into()
	}

	/// HPKE single-shot open (base mode, HKDF-SHA256, ChaCha20-Poly1305, no associated data) of encapsulated key and
	/// ciphertext. `None` when it does not authenticate.
	pub fn open(&self, info: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
		let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED)?;
		let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
		hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
			&OpModeR::Base,
			&self.0,
			&encapsulated,
			info,
			ciphertext,
			&[],
		)
		.ok()
	}
}
