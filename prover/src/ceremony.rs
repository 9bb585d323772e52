//! Phase 2 of a ceremony (Bowe, Gabizon, Miers 2017, eprint 2017/1050, as snarkjs has it): a circuit's keys
//! from the powers of phase 1, with gamma 1 and a delta to which every contributor multiplies a secret of
//! their own. Whoever would forge a proof must know all of them. docs/ceremony.md is for people.
//!
//! ```text
//! "PWCE" version:u32(=1) circuit_digest:32 phase1_sha256:32 count:u32 contribution*count
//! sizes:u32*4 (A, B, L, m) verifying_key:640 and the points of keys.rs
//!
//! contribution = name_length:u8 name kind:u8 delta:64 proof
//! proof of kind 0 = s:64 s^x:64 r^x:128      of kind 1 (beacon) = value:32 iterations:u8
//! ```
//!
//! A transcript ("PWCT") is the same without sizes, key and points. The transcript's hash is
//! `h[k] = SHA-256("proofward/ceremony/contribution/v1" || h[k-1] || contribution[k])`, with
//! `h[0] = SHA-256("proofward/ceremony/v1" || circuit_digest || phase1_sha256)`.

use std::fs;
use std::path::Path;

use ark_bn254::{Fq, Fq2, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, Field, PrimeField};
use ark_groth16::VerifyingKey;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::check::{self, combine, equal, Columns, Weights};
use crate::circuit::Circuit;
use crate::domain::Domain;
use crate::error::{refuse, Error, Refusal, Result};
use crate::keys::{self, rows, Points, Reader, Writer};
use crate::layout::{Layout, Section, G1_BYTES, G2_BYTES};
use crate::matrices::{Matrices, Sparse, MAX_ROWS};
use crate::msm;
use crate::points::{self, Bn254, VERIFYING_KEY_BYTES};
use crate::ptau::{self, Phase1};
use crate::secrets::{self, nonzero};

const STATE: &[u8; 4] = b"PWCE";
const TRANSCRIPT: &[u8; 4] = b"PWCT";
const VERSION: u32 = 1;
/// Contributions to one circuit's keys, at most.
pub const MAX_CONTRIBUTIONS: usize = 1024;
/// Bytes of a contributor's name, at most.
pub const MAX_NAME: usize = 64;
/// The beacons of a ceremony are hashed 2^this times at most, together: some seconds for whoever checks it.
pub const MAX_ITERATIONS: u8 = 24;
const NOT_THIS_KEY: &str = "the verifying key is not the one that this ceremony made for this circuit";
/// Windows of four bits of a scalar.
const WINDOW: u8 = 4;

/// One contributor's share.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
	/// Printable ASCII.
	pub name: String,
	/// The product of all shares up to this one, in G1.
	pub delta: G1Affine,
	/// Why the share is known to whoever made it.
	pub proof: ShareProof,
}

/// Knowledge of a share.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // there are a thousand at most
pub enum ShareProof {
	/// `s`, `s^x` and `r^x`, where r is a hash of all that came before.
	Secret(G1Affine, G1Affine, G2Affine),
	/// Not secret: 2^iterations SHA-256 of a value that nobody could choose.
	Beacon([u8; 32], u8),
}

/// All shares, and what they are shares of.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
	/// Of the circuit.
	pub circuit: [u8; 32],
	/// SHA-256 of the file of phase 1.
	pub phase1: [u8; 32],
	/// In order.
	pub contributions: Vec<Contribution>,
}

fn broken<T>(why: impl Into<String>) -> Result<T> {
	refuse(Refusal::MalformedCeremony, why)
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
	move |e| Error { refusal: Refusal::Io, message: format!("{}: {e}", path.display()) }
}

impl Contribution {
	/// Of a beacon.
	fn iterations(&self) -> Option<u8> {
		match self.proof {
			ShareProof::Secret(..) => None,
			ShareProof::Beacon(_, iterations) => Some(iterations),
		}
	}

	fn encode(&self) -> Vec<u8> {
		let mut out = vec![self.name.len() as u8];
		out.extend(self.name.bytes());
		let g1 = |out: &mut Vec<u8>, p: &G1Affine| points::write_point(&msm::Point { x: p.x, y: p.y }, out);
		match &self.proof {
			ShareProof::Secret(s, sx, rx) => {
				out.push(0);
				[&self.delta, s, sx].into_iter().for_each(|p| g1(&mut out, p));
				points::write_point(&msm::Point { x: rx.x, y: rx.y }, &mut out);
			}
			ShareProof::Beacon(value, iterations) => {
				out.push(1);
				g1(&mut out, &self.delta);
				out.extend(value);
				out.push(*iterations);
			}
		}
		out
	}

	fn decode(reader: &mut Reader) -> Result<Contribution> {
		let length = reader.take(1)?[0] as usize;
		let name = name(reader.take(length)?)?;
		let kind = reader.take(1)?[0];
		let delta = reader.points(1)?[0];
		let proof = match kind {
			0 => {
				let pair = reader.points(2)?;
				let rx: G2Affine = reader.points(1)?[0];
				if !rx.is_in_correct_subgroup_assuming_on_curve() {
					return broken("a contribution's point is outside of the subgroup");
				}
				ShareProof::Secret(pair[0], pair[1], rx)
			}
			1 => {
				let value = reader.take(32)?.try_into().expect("32 bytes");
				ShareProof::Beacon(value, reader.take(1)?[0])
			}
			_ => return broken("a contribution is neither a share nor a beacon"),
		};
		Ok(Contribution { name, delta, proof })
	}
}

/// Whether beacons of so many iterations (as powers of two) can be checked in seconds.
fn affordable(mut iterations: impl Iterator<Item = Option<u8>>) -> bool {
	let most = 1u64 << MAX_ITERATIONS;
	let add = |sum: u64, i: Option<u8>| match i {
		Some(i) if i > MAX_ITERATIONS => None,
		Some(i) => Some(sum + (1 << i)).filter(|&sum| sum <= most),
		None => Some(sum),
	};
	iterations.try_fold(0, add).is_some()
}

fn name(bytes: &[u8]) -> Result<String> {
	match bytes.len() <= MAX_NAME && bytes.iter().all(|b| (0x20..=0x7e).contains(b)) {
		true => Ok(bytes.iter().map(|&b| char::from(b)).collect()),
		false => broken(format!("a contributor's name has at most {MAX_NAME} printable ASCII characters")),
	}
}

impl Transcript {
	/// The bytes of a transcript file.
	pub fn encode(&self) -> Vec<u8> {
		let mut out = TRANSCRIPT.to_vec();
		out.extend(VERSION.to_le_bytes());
		out.extend(self.head());
		out
	}

	/// Refuses malformed-ceremony.
	pub fn decode(bytes: &[u8]) -> Result<Transcript> {
		let mut reader = Reader { bytes };
		let transcript = Self::read(&mut reader, TRANSCRIPT).or_else(as_ceremony)?;
		match reader.bytes {
			[] => Ok(transcript),
			_ => broken("the transcript does not end after its last contribution"),
		}
	}

	fn head(&self) -> Vec<u8> {
		let mut out = [self.circuit, self.phase1].concat();
		out.extend((self.contributions.len() as u32).to_le_bytes());
		self.contributions.iter().for_each(|c| out.extend(c.encode()));
		out
	}

	fn read(reader: &mut Reader, magic: &[u8; 4]) -> Result<Transcript> {
		if reader.take(4)? != magic || reader.take(4)? != VERSION.to_le_bytes() {
			return broken("not a file of a ceremony, or of another version");
		}
		let circuit = reader.take(32)?.try_into().expect("32 bytes");
		let phase1 = reader.take(32)?.try_into().expect("32 bytes");
		let count = number(reader)?;
		if count > MAX_CONTRIBUTIONS {
			return broken(format!("more than {MAX_CONTRIBUTIONS} contributions"));
		}
		let contributions = (0..count).map(|_| Contribution::decode(reader)).collect::<Result<Vec<_>>>()?;
		if !affordable(contributions.iter().map(Contribution::iterations)) {
			return broken(format!("its beacons take more than 2^{MAX_ITERATIONS} hashes"));
		}
		Ok(Transcript { circuit, phase1, contributions })
	}

	/// The hash after each contribution, the first before any.
	pub fn hashes(&self) -> Vec<[u8; 32]> {
		let mut hash = Sha256::new();
		hash.update(b"proofward/ceremony/v1");
		hash.update(self.circuit);
		hash.update(self.phase1);
		let mut hashes: Vec<[u8; 32]> = vec![hash.finalize().into()];
		for contribution in &self.contributions {
			let mut hash = Sha256::new();
			hash.update(b"proofward/ceremony/contribution/v1");
			hash.update(hashes[hashes.len() - 1]);
			hash.update(contribution.encode());
			hashes.push(hash.finalize().into());
		}
		hashes
	}

	/// Whether every share follows from the one before and was known to its contributor. Refuses
	/// bad-contribution, naming the first that does not.
	pub fn check(&self) -> Result<()> {
		let hashes = self.hashes();
		let mut delta = G1Affine::generator();
		for (i, contribution) in self.contributions.iter().enumerate() {
			let next = contribution.delta;
			let sound = match &contribution.proof {
				ShareProof::Secret(s, sx, rx) => {
					let r = challenge(&hashes[i], &contribution.name, s, sx);
					equal(&[((*s).into(), *rx)], &[((*sx).into(), r)])
						&& equal(&[(delta.into(), *rx)], &[(next.into(), r)])
				}
				ShareProof::Beacon(value, iterations) => {
					delta * beacon(value, *iterations) == next.into_group()
				}
			};
			if !sound || next == delta {
				return refuse(
					Refusal::BadContribution,
					format!(
						"contribution {} ({}) does not follow from those before it: one was forged, dropped or \
						 moved",
						i + 1,
						contribution.name
					),
				);
			}
			delta = next;
		}
		Ok(())
	}

	fn delta(&self) -> G1Affine {
		self.contributions.last().map_or(G1Affine::generator(), |contribution| contribution.delta)
	}

	/// Check a published transcript: its contributions, and that the verifying key is the circuit's under
	/// them and phase 1. Refuses io, malformed-ptau, malformed-key, key-mismatch, bad-contribution.
	pub fn check_verifying_key(&self, circuit: &Circuit, ptau: &Path, verifying_key: &[u8]) -> Result<()> {
		let layout = &*circuit.layout;
		let phase1 = self.matching(circuit, ptau)?;
		let key = self.ends_in(verifying_key)?;
		let weights = Weights::new(layout.widths.len());
		let mut public = Weights::zero(layout.widths.len());
		layout.public().into_iter().for_each(|i| public.0[i] = weights.0[i]);
		let columns = Columns::new(&rows(circuit)?, layout, &public);
		let domain = Domain::new(layout.domain);
		let coefficients = |mut values: Vec<Fr>| {
			domain.interpolate(Fr::ONE, &mut values);
			values.iter().map(|x| x.into_bigint()).collect::<Vec<BigInt<4>>>()
		};
		let bits = Fr::MODULUS_BIT_SIZE;
		let expected = combine(&phase1.beta_g1, &coefficients(columns.a), bits)
			+ combine(&phase1.alpha_g1, &coefficients(columns.b), bits);
		let input: G1Projective =
			layout.public().iter().zip(&key.gamma_abc_g1).map(|(&i, p)| *p * Fr::from(weights.0[i])).sum();
		let sound = key.alpha_g1 == phase1.alpha_g1[0] && key.beta_g2 == phase1.beta_g2 && input == expected;
		match sound {
			true => Ok(()),
			false => refuse(Refusal::KeyMismatch, NOT_THIS_KEY),
		}
	}

	/// Check what shows without phase 1 and circuit: every contribution, that one of them is a secret, and
	/// that this verifying key is what they end in. Refuses malformed-key, key-mismatch, bad-contribution.
	pub fn ends_in(&self, verifying_key: &[u8]) -> Result<VerifyingKey<Bn254>> {
		let key = points::verifying_key_from_bytes(verifying_key)?;
		self.check()?;
		self.has_a_secret()?;
		let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
		match key.gamma_g2 == g2 && equal(&[(self.delta().into(), g2)], &[(g1.into(), key.delta_g2)]) {
			true => Ok(key),
			false => refuse(Refusal::KeyMismatch, NOT_THIS_KEY),
		}
	}

	/// Refuses bad-contribution where nobody contributed a secret.
	fn has_a_secret(&self) -> Result<()> {
		match self.contributions.iter().any(|c| matches!(c.proof, ShareProof::Secret(..))) {
			true => Ok(()),
			false => refuse(
				Refusal::BadContribution,
				"nobody contributed a secret: whoever knows the beacon could forge proofs",
			),
		}
	}

	/// Phase 1, if file and circuit are those of this ceremony.
	fn matching(&self, circuit: &Circuit, ptau: &Path) -> Result<Phase1> {
		if self.circuit != circuit.digest {
			return refuse(Refusal::KeyMismatch, "the ceremony is of another circuit");
		}
		let phase1 = ptau::read(ptau, circuit.layout.domain)?;
		match phase1.sha256 == self.phase1 {
			true => Ok(phase1),
			false => refuse(
				Refusal::KeyMismatch,
				format!("{}: not the file of phase 1 that the ceremony began with", ptau.display()),
			),
		}
	}
}

fn as_ceremony<T>(error: Error) -> Result<T> {
	match error.refusal {
		Refusal::MalformedKey => broken("the file of the ceremony is damaged"),
		_ => Err(error),
	}
}

fn number(reader: &mut Reader) -> Result<usize> {
	Ok(u32::from_le_bytes(reader.take(4)?.try_into().expect("4 bytes")) as usize)
}

/// r: nobody knows its logarithm, and it is another one for every history, name and s.
fn challenge(history: &[u8; 32], name: &str, s: &G1Affine, sx: &G1Affine) -> G2Affine {
	let mut hash = Sha256::new();
	hash.update(b"proofward/ceremony/share/v1");
	hash.update(history);
	hash.update([name.len() as u8]);
	hash.update(name);
	for p in [s, sx] {
		let mut bytes = Vec::new();
		points::put_g1(&mut bytes, p);
		hash.update(bytes);
	}
	let seed = hash.finalize();
	// Try abscissas until one is on the curve, half of all are; then clear the cofactor.
	for counter in 0u32.. {
		let word = |part: u8| {
			let digest = |half: u8| {
				Sha256::new_with_prefix(seed)
					.chain_update(counter.to_le_bytes())
					.chain_update([part, half])
					.finalize()
			};
			Fq::from_be_bytes_mod_order(&[digest(0), digest(1)].concat())
		};
		let point = G2Affine::get_point_from_x_unchecked(Fq2::new(word(0), word(1)), false);
		if let Some(point) = point.map(|p| p.clear_cofactor()).filter(|p| !p.is_zero()) {
			return point;
		}
	}
	unreachable!("half of all abscissas are on the curve")
}

/// The share that a beacon gives.
fn beacon(value: &[u8; 32], iterations: u8) -> Fr {
	let mut digest: [u8; 32] = *value;
	for _ in 0..1u64 << iterations {
		digest = Sha256::digest(digest).into();
	}
	let wide = [0u8, 1].map(|i| Sha256::new_with_prefix([i]).chain_update(digest).finalize());
	Fr::from_be_bytes_mod_order(&wide.concat())
}

/// A contributor's secrets. Erased when dropped.
struct Share {
	x: Zeroizing<Fr>,
	/// The logarithm of s.
	secret: Zeroizing<Fr>,
}

impl Share {
	fn random() -> Share {
		Share { x: nonzero(), secret: nonzero() }
	}
}

/// A ceremony between two contributors.
#[derive(Clone)]
pub struct State {
	/// What happened so far.
	pub transcript: Transcript,
	key: Points,
}

impl State {
	/// Refuses io, malformed-ceremony.
	pub fn read(path: &Path) -> Result<State> {
		let length = fs::metadata(path).map_err(io(path))?.len();
		// The largest circuit's, and as many contributions as there may be.
		let most = 8 * (MAX_ROWS * (5 * G1_BYTES + G2_BYTES)) as u64;
		if length > most {
			return broken(format!("{}: larger than any ceremony's file", path.display()));
		}
		let bytes = fs::read(path).map_err(io(path))?;
		Self::decode(&bytes).or_else(as_ceremony)
	}

	/// Refuses malformed-ceremony, malformed-key.
	pub fn decode(bytes: &[u8]) -> Result<State> {
		let mut reader = Reader { bytes };
		let transcript = Transcript::read(&mut reader, STATE)?;
		let mut sizes = [0; 4];
		for size in &mut sizes {
			*size = number(&mut reader)?;
		}
		let verifying_key = points::verifying_key_from_bytes(reader.take(VERIFYING_KEY_BYTES)?)?;
		let key = keys::read_points(&mut reader, verifying_key, sizes)?;
		match reader.bytes {
			[] => Ok(State { transcript, key }),
			_ => broken("the file does not end after its last point"),
		}
	}

	/// Write it whole or not at all. Refuses io.
	pub fn write(&self, path: &Path) -> Result<()> {
		let mut writer = Writer::new(path)?;
		writer.put(STATE)?;
		writer.put(&VERSION.to_le_bytes())?;
		writer.put(&self.transcript.head())?;
		let key = &self.key;
		for size in [key.a.len(), key.b1.len(), key.l.len(), key.h.len()] {
			writer.put(&(size as u32).to_le_bytes())?;
		}
		writer.put(&points::verifying_key_to_bytes(&key.verifying_key))?;
		keys::write_points(&mut writer, key)?;
		writer.finish().map(|_| ())
	}

	/// Begin: a circuit's keys with delta 1. Refuses io, malformed-ptau, malformed-key.
	pub fn new(circuit: &Circuit, ptau: &Path) -> Result<State> {
		let phase1 = ptau::read(ptau, circuit.layout.domain)?;
		let key = initial(circuit, &phase1)?;
		check::well_formed(circuit, &key).or_else(|e| match e.refusal {
			Refusal::MalformedKey => {
				refuse(Refusal::MalformedPtau, format!("{}: its powers do not fit together", ptau.display()))
			}
			_ => Err(e),
		})?;
		let transcript =
			Transcript { circuit: circuit.digest, phase1: phase1.sha256, contributions: Vec::new() };
		Ok(State { transcript, key })
	}

	/// Add a secret share, made here and erased. Refuses bad-contribution if those before do not hold.
	pub fn contribute(&mut self, contributor: &str) -> Result<()> {
		self.room(contributor)?;
		self.transcript.check()?;
		if self.key.delta_g1 != self.transcript.delta() {
			return refuse(Refusal::BadContribution, "the key is not that of the last contribution");
		}
		self.share(contributor, Share::random);
		secrets::wipe_stacks();
		Ok(())
	}

	#[inline(never)]
	fn share(&mut self, contributor: &str, draw: fn() -> Share) {
		let Share { x, secret } = draw();
		let s = times(&G1Affine::generator(), &secret).into_affine();
		let sx = times(&s, &x).into_affine();
		let hashes = self.transcript.hashes();
		let r = challenge(&hashes[hashes.len() - 1], contributor, &s, &sx);
		let proof = ShareProof::Secret(s, sx, times(&r, &x).into_affine());
		self.multiply(&x);
		let contribution = Contribution { name: contributor.into(), delta: self.key.delta_g1, proof };
		self.transcript.contributions.push(contribution);
	}

	/// Add a public share. Refuses like `contribute`, and over-limit.
	pub fn beacon(&mut self, contributor: &str, value: &[u8; 32], iterations: u8) -> Result<()> {
		self.room(contributor)?;
		let before = self.transcript.contributions.iter().map(Contribution::iterations);
		if !affordable(before.chain([Some(iterations)])) {
			return refuse(
				Refusal::OverLimit,
				format!("more than 2^{MAX_ITERATIONS} hashes in all beacons together"),
			);
		}
		self.multiply(&beacon(value, iterations));
		let proof = ShareProof::Beacon(*value, iterations);
		let contribution = Contribution { name: contributor.into(), delta: self.key.delta_g1, proof };
		self.transcript.contributions.push(contribution);
		Ok(())
	}

	fn room(&self, contributor: &str) -> Result<()> {
		name(contributor.as_bytes())?;
		match self.transcript.contributions.len() < MAX_CONTRIBUTIONS {
			true => Ok(()),
			false => refuse(Refusal::OverLimit, format!("more than {MAX_CONTRIBUTIONS} contributions")),
		}
	}

	fn multiply(&mut self, x: &Fr) {
		let inverse = Zeroizing::new(x.inverse().expect("a share is not 0"));
		let key = &mut self.key;
		key.delta_g1 = times(&key.delta_g1, x).into_affine();
		key.verifying_key.delta_g2 = times(&key.verifying_key.delta_g2, x).into_affine();
		for points in [&mut key.l, &mut key.h] {
			points.par_chunks_mut(256).for_each(|part| {
				let scaled: Vec<G1Projective> = part.iter().map(|p| times(p, &inverse)).collect();
				part.copy_from_slice(&G1Projective::normalize_batch(&scaled));
			});
		}
	}

	/// Check everything: phase 1, every contribution, and the key that came of them. Refuses io,
	/// malformed-ptau, malformed-key, key-mismatch, bad-contribution.
	pub fn check(&self, circuit: &Circuit, ptau: &Path) -> Result<()> {
		let layout = &*circuit.layout;
		let phase1 = self.transcript.matching(circuit, ptau)?;
		self.transcript.check()?;
		let (key, m) = (&self.key, layout.domain);
		let [a, b, l] = [&layout.a, &layout.b, &layout.l].map(|section| section.variables.len());
		if [key.a.len(), key.b1.len(), key.l.len(), key.h.len()] != [a, b, l, m] {
			return refuse(Refusal::KeyMismatch, "the ceremony's key is of another circuit");
		}
		let vk = &key.verifying_key;
		let same = key.powers[..] == phase1.tau_g1[..m]
			&& key.tau_g2 == phase1.tau_g2[1]
			&& key.tau_m_g2 == phase1.tau_g2[m]
			&& vk.alpha_g1 == phase1.alpha_g1[0]
			&& key.beta_g1 == phase1.beta_g1[0]
			&& vk.beta_g2 == phase1.beta_g2
			&& vk.gamma_g2 == G2Affine::generator();
		if !same {
			return refuse(Refusal::KeyMismatch, "the ceremony's key was not made of its phase 1");
		}
		if key.delta_g1 != self.transcript.delta() {
			return refuse(Refusal::BadContribution, "the key is not that of the last contribution");
		}
		check::well_formed(circuit, key)
	}

	/// Write the proving key; the verifying key's bytes, and the file's SHA-256. Refuses io, and
	/// bad-contribution where nobody contributed a secret.
	pub fn finish(&self, path: &Path) -> Result<(Vec<u8>, [u8; 32])> {
		self.transcript.has_a_secret()?;
		let sha256 = keys::write(path, &self.transcript.circuit, &self.key)?;
		Ok((points::verifying_key_to_bytes(&self.key.verifying_key), sha256))
	}
}

/// A point times a secret. (arkworks' own leaves the scalar's halves in freed memory.)
fn times<P: SWCurveConfig<ScalarField = Fr>>(p: &Affine<P>, x: &Fr) -> Projective<P> {
	let x = Zeroizing::new(x.into_bigint());
	let mut multiples = vec![Projective::<P>::ZERO];
	for i in 1..1 << WINDOW {
		multiples.push(multiples[i - 1] + p);
	}
	let mut sum = Projective::<P>::ZERO;
	for i in (0..256 / usize::from(WINDOW)).rev() {
		for _ in 0..WINDOW {
			sum.double_in_place();
		}
		sum += multiples[msm::bits_at(&x, i * usize::from(WINDOW), WINDOW) as usize];
	}
	sum
}

/// A variable's terms: (row, coefficient).
type Column = Vec<(u32, Coefficient)>;

#[derive(Clone, Copy)]
enum Coefficient {
	Int(i64),
	Field(Fr),
}

impl Coefficient {
	fn times<P: SWCurveConfig<ScalarField = Fr>>(&self, p: &Affine<P>) -> Projective<P> {
		match *self {
			Coefficient::Int(1) => p.into_group(),
			Coefficient::Int(-1) => -p.into_group(),
			Coefficient::Int(c) => {
				let mut product = Projective::<P>::ZERO;
				for i in (0..u64::BITS - c.unsigned_abs().leading_zeros()).rev() {
					product.double_in_place();
					if c.unsigned_abs() >> i & 1 == 1 {
						product += p;
					}
				}
				if c < 0 {
					-product
				} else {
					product
				}
			}
			Coefficient::Field(c) => *p * c,
		}
	}
}

/// Columns of A, B and C.
fn columns(matrices: &Matrices, layout: &Layout) -> [Vec<Column>; 3] {
	let [mut a, mut b, mut c] = [(); 3].map(|()| vec![Column::new(); layout.widths.len()]);
	fn add<C: Copy>(
		columns: &mut [Column],
		layout: &Layout,
		side: &Sparse<C>,
		row: u32,
		wrap: fn(C) -> Coefficient,
	) {
		side.iter().for_each(|&(var, x)| columns[layout.place(var)].push((row, wrap(x))));
	}
	let mut row = 0;
	for r in &matrices.int_rows {
		add(&mut a, layout, &r.a, row, Coefficient::Int);
		add(&mut b, layout, &r.b, row, Coefficient::Int);
		r.c.iter().for_each(|&var| c[layout.place(var)].push((row, Coefficient::Int(1))));
		row += 1;
	}
	for r in &matrices.field_rows {
		add(&mut a, layout, &r.a, row, Coefficient::Field);
		add(&mut b, layout, &r.b, row, Coefficient::Field);
		r.c.iter().for_each(|&var| c[layout.place(var)].push((row, Coefficient::Int(1))));
		row += 1;
	}
	for i in layout.public() {
		a[i].push((row, Coefficient::Int(1)));
		row += 1;
	}
	[a, b, c]
}

fn at<P: SWCurveConfig<ScalarField = Fr>>(column: &Column, basis: &[Affine<P>]) -> Projective<P> {
	column.iter().map(|(row, x)| x.times(&basis[*row as usize])).sum()
}

/// The keys with delta 1, from the powers alone.
fn initial(circuit: &Circuit, phase1: &Phase1) -> Result<Points> {
	let layout = &*circuit.layout;
	let m = layout.domain;
	let domain = Domain::new(m);
	let [a, b, c] = columns(&rows(circuit)?, layout);
	let tau: Vec<G1Affine> = lagrange(&domain, Fr::ONE, &phase1.tau_g1[..m], Fr::ONE);
	let alpha = lagrange(&domain, Fr::ONE, &phase1.alpha_g1, Fr::ONE);
	let beta = lagrange(&domain, Fr::ONE, &phase1.beta_g1, Fr::ONE);
	let tau_g2: Vec<G2Affine> = lagrange(&domain, Fr::ONE, &phase1.tau_g2[..m], Fr::ONE);
	// Z(tau) tau^i.
	let (low, high) = phase1.tau_g1.split_at(m);
	let vanishing: Vec<G1Projective> =
		low.iter().zip(high).map(|(low, high)| high.into_group() - low).collect();
	let vanishing = G1Projective::normalize_batch(&vanishing);
	let half = Fr::from(2).inverse().expect("2 is not 0");
	// C (1 + Z/2).
	let product = lagrange(&domain, Fr::ONE, &vanishing, half);
	let product: Vec<G1Projective> = product.iter().zip(&tau).map(|(z, tau)| *z + tau).collect();
	let product = G1Projective::normalize_batch(&product);

	fn all<P: SWCurveConfig<ScalarField = Fr>>(
		section: &[u32],
		point: impl Fn(usize) -> Projective<P> + Sync,
	) -> Vec<Affine<P>> {
		let points: Vec<Projective<P>> =
			section.par_iter().with_max_len(16).map(|&i| point(i as usize)).collect();
		Projective::normalize_batch(&points)
	}
	let of = |section: &Section| section.variables.clone();
	let combined = |i: usize| at(&a[i], &beta) + at(&b[i], &alpha) + at(&c[i], &product);
	let public: Vec<u32> = layout.public().iter().map(|&i| i as u32).collect();
	let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
	Ok(Points {
		verifying_key: VerifyingKey {
			alpha_g1: phase1.alpha_g1[0],
			beta_g2: phase1.beta_g2,
			gamma_g2: g2,
			delta_g2: g2,
			gamma_abc_g1: all(&public, combined),
		},
		beta_g1: phase1.beta_g1[0],
		delta_g1: g1,
		a: all(&of(&layout.a), |i| at(&a[i], &tau)),
		b1: all(&of(&layout.b), |i| at(&b[i], &tau)),
		l: all(&of(&layout.l), combined),
		h: lagrange(&domain, domain.half_step(), &vanishing, -half),
		b2: all(&of(&layout.b), |i| at(&b[i], &tau_g2)),
		powers: phase1.tau_g1[..m].to_vec(),
		tau_g2: phase1.tau_g2[1],
		tau_m_g2: phase1.tau_g2[m],
	})
}

/// `factor` times the Lagrange polynomials of `shift * domain` at tau, from powers of tau (times anything).
fn lagrange<P: SWCurveConfig<ScalarField = Fr>>(
	domain: &Domain,
	shift: Fr,
	powers: &[Affine<P>],
	factor: Fr,
) -> Vec<Affine<P>> {
	// L_k = 1/m sum_i w^(-ik) (X/shift)^i.
	let step = shift.inverse().expect("a shift is not 0");
	let mut scale = factor / Fr::from(domain.size as u64);
	let scales: Vec<Fr> = (0..domain.size)
		.map(|_| {
			let now = scale;
			scale *= step;
			now
		})
		.collect();
	let scaled: Vec<Projective<P>> = powers.par_iter().zip(&scales).map(|(p, scale)| *p * scale).collect();
	let mut values = transform(domain, &scaled, 1);
	values[1..].reverse();
	Projective::normalize_batch(&values)
}

/// A Fourier transform of points.
fn transform<P: SWCurveConfig<ScalarField = Fr>>(
	domain: &Domain,
	values: &[Projective<P>],
	stride: usize,
) -> Vec<Projective<P>> {
	let n = values.len();
	if n == 1 {
		return values.to_vec();
	}
	let radix = if n.is_multiple_of(3) { 3 } else { 2 };
	let parts: Vec<Vec<Projective<P>>> = (0..radix)
		.into_par_iter()
		.map(|j| {
			let part: Vec<Projective<P>> = values.iter().skip(j).step_by(radix).copied().collect();
			transform(domain, &part, stride * radix)
		})
		.collect();
	let turn = |p: &Projective<P>, i: usize| if i == 0 { *p } else { *p * domain.root(i) };
	let third = n / radix;
	let rows: Vec<[Projective<P>; 3]> = (0..third)
		.into_par_iter()
		.map(|q| {
			let (x, y) = (parts[0][q], turn(&parts[1][q], q * stride));
			if radix == 2 {
				return [x + y, x - y, Projective::ZERO];
			}
			let z = turn(&parts[2][q], 2 * q * stride);
			let cube = (y - z) * domain.root(domain.size / 3);
			[x + y + z, x - z + cube, x - y - cube]
		})
		.collect();
	(0..radix).flat_map(|part| rows.iter().map(move |row| row[part])).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
	use super::*;
	use crate::secrets::search;

	fn seeded() -> Share {
		let [x, secret] = search::seeded(0x5a4e);
		Share { x, secret }
	}

	#[test]
	fn h_tau_no_secret_of_a_contribution_is_left_in_memory() {
		let _alone = search::alone();
		let circuit = search::circuit();
		let ptau = std::env::temp_dir().join(format!("proofward-{}.ptau", std::process::id()));
		ptau::generate(&ptau, usize::BITS - circuit.layout.domain.leading_zeros()).expect("powers");
		let begun = State::new(&circuit, &ptau);
		fs::remove_file(&ptau).expect("it was written");
		let mut state = begun.expect("a ceremony");
		state.share("Ada", seeded);
		secrets::wipe_stacks();
		let memory = search::snapshot();

		state.transcript.check().expect("a contribution that holds");
		let Share { x, secret } = seeded();
		assert_eq!(state.key.delta_g1, G1Affine::generator() * *x, "this was the secret");
		let named =
			[("x", *x), ("1 / x", x.inverse().expect("not 0")), ("s", *secret), ("s x", *secret * *x)];
		for (name, secret) in named {
			assert!(!search::found(&memory, &secret), "{name} was left in memory");
		}
	}
}
