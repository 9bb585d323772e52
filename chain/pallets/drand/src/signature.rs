//! drand's scheme `bls-unchained-g1-rfc9380`: BLS12-381, keys in G2, signatures in G1.
//!
//! A pulse is the network's signature over the SHA-256 of its round (8 bytes, big-endian), hashed to the curve by RFC
//! 9380. Points are compressed as ZCash has it.

use ark_bls12_381::{g1, Bls12_381, G1Affine, G1Projective, G2Affine};
use ark_ec::{
	hashing::{curve_maps::wb::WBMap, map_to_curve_hasher::MapToCurveBasedHasher, HashToCurve},
	pairing::Pairing,
	AffineRepr,
};
use ark_ff::{field_hashers::DefaultFieldHasher, Zero};
use ark_serialize::CanonicalDeserialize;
use sha2::{Digest, Sha256};

use crate::types::{PublicKey, Signature};

const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// The point that a round's signature is made of. `None` does not happen: the domain is a constant.
pub fn message(round: u64) -> Option<G1Affine> {
	type Hasher = MapToCurveBasedHasher<G1Projective, DefaultFieldHasher<Sha256, 128>, WBMap<g1::Config>>;
	Hasher::new(DOMAIN).ok()?.hash(&Sha256::digest(round.to_be_bytes())).ok()
}

/// A key's point: in the group, and not its zero, under which anything would be signed.
pub fn key(bytes: &PublicKey) -> Option<G2Affine> {
	G2Affine::deserialize_compressed(bytes.0.as_slice()).ok().filter(|point| !point.is_zero())
}

/// Whether `signature` is the network's over this round.
pub fn signed(by: &PublicKey, round: u64, signature: &Signature) -> bool {
	let (Some(key), Some(message)) = (key(by), message(round)) else { return false };
	let Ok(signature) = G1Affine::deserialize_compressed(signature.0.as_slice()) else { return false };
	Bls12_381::multi_pairing([signature, -message], [G2Affine::generator(), key]).is_zero()
}

/// What a pulse is worth to others: the SHA-256 of its signature.
pub fn randomness(signature: &Signature) -> [u8; 32] {
	Sha256::digest(signature.0).into()
}
