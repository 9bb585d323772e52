//! Native pallet-revive has a helper that signs Ethereum transactions for other people's tests, and for it asks for the
//! real subxt-signer: eighty crates, a client of chains and an RPC library among them, that nothing of ours calls. Here
//! are the names that the helper needs to compile, over a key pair that cannot exist.

#![no_std]

/// As in subxt-signer.
pub mod eth {
	use core::convert::Infallible;

	/// Of which there is none.
	#[derive(Debug, Clone, PartialEq, Eq)]
	pub struct Keypair(Infallible);

	/// Of which there is none either.
	pub struct PublicKey(Infallible);

	/// The bytes r, s, v.
	pub struct Signature(pub [u8; 65]);

	/// Why there is no key.
	#[derive(Debug)]
	pub struct Error;

	impl Keypair {
		/// Always an error: this crate signs nothing.
		pub fn from_secret_key(_secret: [u8; 32]) -> Result<Self, Error> {
			Err(Error)
		}

		/// Of no key.
		pub fn public_key(&self) -> PublicKey {
			match self.0 {}
		}

		/// By no key.
		pub fn sign(&self, _payload: &[u8]) -> Signature {
			match self.0 {}
		}
	}

	impl PublicKey {
		/// Of no key.
		pub fn to_account_id(&self) -> [u8; 20] {
			match self.0 {}
		}
	}

	/// As in subxt-signer.
	pub mod dev {
		/// Panics: the real crate has the published key of this name.
		pub fn alith() -> super::Keypair {
			unimplemented!("this subxt-signer holds no keys (chain/tools/subxt_signer)")
		}
	}
}
