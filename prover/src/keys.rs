//! The proving key: its file, and the tables that the prover makes of it.
//!
//! ```text
//! "PWPK" version:u32(=2) circuit_digest:32 verifying_key:640
//! beta_g1 delta_g1 A* B* L* H* (G1) B* (G2)
//! tau^1..tau^(m-1) (G1) tau tau^m (G2)
//! ```
//!
//! Integers are little-endian, points in table form; `crate::layout` says how many there are of each, m being
//! the size of the domain. The powers of tau show that the key is well formed (`crate::check`): without them
//! whoever made it could have it fail for chosen inputs.
//!
//! A file is read once, into this process's own memory, and hashed, checked and used from there: what its
//! folder holds afterwards does not matter.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use ark_bn254::{g1, g2, G1Affine, G2Affine};
use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
use ark_ec::AffineRepr;
use ark_ff::{batch_inversion, AdditiveGroup, Field};
use ark_groth16::VerifyingKey;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::check;
use crate::circuit::Circuit;
use crate::domain::Domain;
use crate::error::{refuse, Error, Refusal, Result};
use crate::layout::{Layout, Section};
use crate::memory;
use crate::msm::{Point, Steps, Table};
use crate::points::{self, Bn254, Coordinate, VERIFYING_KEY_BYTES};
use crate::verify::Verifier;

const MAGIC: &[u8; 4] = b"PWPK";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 4 + 4 + 32 + VERIFYING_KEY_BYTES;
/// Points whose multiples are computed together.
const CHUNK: usize = 256;

/// Every point of a key, as its file has them.
#[derive(Clone, PartialEq)]
pub struct Points {
	/// The other half of the key.
	pub verifying_key: VerifyingKey<Bn254>,
	/// beta in G1.
	pub beta_g1: G1Affine,
	/// delta in G1.
	pub delta_g1: G1Affine,
	/// A of each variable.
	pub a: Vec<G1Affine>,
	/// B of each variable, in G1.
	pub b1: Vec<G1Affine>,
	/// L of each variable.
	pub l: Vec<G1Affine>,
	/// H of each point of the coset.
	pub h: Vec<G1Affine>,
	/// B of each variable, in G2.
	pub b2: Vec<G2Affine>,
	/// Powers of tau in G1, from 0 to m - 1.
	pub powers: Vec<G1Affine>,
	/// tau in G2.
	pub tau_g2: G2Affine,
	/// tau^m in G2.
	pub tau_m_g2: G2Affine,
}

/// A proving key that was found well formed, ready to prove with.
pub struct ProvingKey {
	/// Of the circuit.
	pub digest: [u8; 32],
	/// Of the file.
	pub sha256: [u8; 32],
	/// The other half of the key.
	pub verifying_key: VerifyingKey<Bn254>,
	/// The same, made ready.
	pub verifier: Verifier,
	/// beta in G1.
	pub beta_g1: G1Affine,
	/// delta in G1.
	pub delta_g1: G1Affine,
	/// Where the quotient is evaluated.
	pub domain: Domain,
	/// Which points there are.
	pub layout: Arc<Layout>,
	/// The sums' points.
	pub tables: Tables,
}

/// The multiples of a key's points, by sum.
pub struct Tables {
	/// A in G1.
	pub a: Multiples<g1::Config>,
	/// B in G1.
	pub b1: Multiples<g1::Config>,
	/// L in G1.
	pub l: Multiples<g1::Config>,
	/// B in G2.
	pub b2: Multiples<g2::Config>,
	/// H in G1.
	pub h: Multiples<g1::Config>,
}

/// A point that does not straddle cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Aligned<F>(Point<F>);

/// For each point of a section its multiples (`msm::Steps`), as many as its width needs.
pub struct Multiples<P: SWCurveConfig>(Vec<Aligned<P::BaseField>>);

impl<P: SWCurveConfig> Table for Multiples<P> {
	type Curve = P;

	#[inline]
	fn get(&self, i: usize) -> Point<P::BaseField> {
		self.0[i].0
	}

	#[inline]
	fn prefetch(&self, i: usize) {
		#[cfg(target_arch = "x86_64")]
		if let Some(entry) = self.0.get(i) {
			// SAFETY: a prefetch reads nothing and cannot fault; SSE is part of x86-64.
			unsafe {
				std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
					std::ptr::from_ref(entry).cast(),
				)
			};
		}
	}
}

impl ProvingKey {
	/// Read a key, compare it with its hash and its verifying key (where these are given), check that it is
	/// well formed for the circuit, and make it ready. A process shares a key that it has ready already.
	///
	/// Refuses io, malformed-key, key-mismatch.
	pub fn load(
		path: &Path,
		circuit: &Circuit,
		sha256: Option<&[u8; 32]>,
		verifying_key: Option<&[u8]>,
	) -> Result<Arc<ProvingKey>> {
		type Loaded = HashMap<([u8; 32], [u8; 32]), Weak<ProvingKey>>;
		static LOADED: OnceLock<Mutex<Loaded>> = OnceLock::new();
		let bytes = read(path, circuit)?;
		let actual: [u8; 32] = Sha256::digest(&bytes).into();
		if sha256.is_some_and(|expected| *expected != actual) {
			return refuse(
				Refusal::KeyMismatch,
				format!("{}: the SHA-256 is not the expected one", path.display()),
			);
		}
		let loaded = || LOADED.get_or_init(Mutex::default).lock().unwrap_or_else(|e| e.into_inner());
		let name = (actual, circuit.digest);
		let found = loaded().get(&name).and_then(Weak::upgrade);
		let key = match found {
			Some(key) => key,
			None => {
				let points = decode(&bytes, circuit)?;
				drop(bytes);
				check::well_formed(circuit, &points)?;
				let key = Arc::new(ProvingKey::new(circuit, points, actual));
				let mut loaded = loaded();
				loaded.retain(|_, key| key.strong_count() > 0);
				loaded.insert(name, Arc::downgrade(&key));
				memory::give_back();
				key
			}
		};
		match verifying_key {
			Some(expected) if points::verifying_key_to_bytes(&key.verifying_key) != expected => refuse(
				Refusal::KeyMismatch,
				format!("{}: the proving key belongs to another verifying key", path.display()),
			),
			_ => Ok(key),
		}
	}

	fn new(circuit: &Circuit, points: Points, sha256: [u8; 32]) -> ProvingKey {
		let layout = circuit.layout.clone();
		// One after the other, each list dropped when its table stands: what both take is the peak.
		let tables = Tables {
			h: multiples(points.h, &layout.h),
			l: multiples(points.l, &layout.l),
			b2: multiples(points.b2, &layout.b),
			b1: multiples(points.b1, &layout.b),
			a: multiples(points.a, &layout.a),
		};
		ProvingKey {
			digest: circuit.digest,
			sha256,
			verifier: Verifier::new(&points.verifying_key),
			verifying_key: points.verifying_key,
			beta_g1: points.beta_g1,
			delta_g1: points.delta_g1,
			domain: Domain::new(layout.domain),
			layout,
			tables,
		}
	}
}

/// Check a key's file without making it ready; its verifying key and SHA-256. Refuses io, malformed-key,
/// key-mismatch.
pub fn check_file(path: &Path, circuit: &Circuit) -> Result<(Vec<u8>, [u8; 32])> {
	let bytes = read(path, circuit)?;
	let points = decode(&bytes, circuit)?;
	check::well_formed(circuit, &points)?;
	Ok((points::verifying_key_to_bytes(&points.verifying_key), Sha256::digest(&bytes).into()))
}

/// A key's bytes. The circuit says how many there must be; nothing is allocated for another number.
fn read(path: &Path, circuit: &Circuit) -> Result<Vec<u8>> {
	let io = |e: std::io::Error| Error { refusal: Refusal::Io, message: format!("{}: {e}", path.display()) };
	let mut file = File::open(path).map_err(io)?;
	let facts = file.metadata().map_err(io)?;
	if !facts.is_file() {
		return refuse(Refusal::Io, format!("{}: not a file", path.display()));
	}
	let mut start = [0u8; 8];
	file.read_exact(&mut start).or_else(|_| malformed("it ends early"))?;
	if start[..4] != *MAGIC {
		return malformed("it does not begin with PWPK");
	}
	match u32::from_le_bytes(start[4..].try_into().expect("4 bytes")) {
		VERSION => {}
		version => {
			return refuse(
				Refusal::MalformedKey,
				format!(
					"{}: a proving key of format {version}, where this release reads format {VERSION}; \
					 compile the model again",
					path.display()
				),
			)
		}
	}
	let size = HEADER_BYTES + circuit.layout.point_bytes() + 2 * crate::layout::G1_BYTES;
	if facts.len() != size as u64 {
		return refuse(
			Refusal::MalformedKey,
			format!("{}: {} bytes, where this circuit's key has {size}", path.display(), facts.len()),
		);
	}
	let mut bytes = vec![0; size];
	bytes[..8].copy_from_slice(&start);
	file.read_exact(&mut bytes[8..]).or_else(|_| malformed("it ends early"))?;
	Ok(bytes)
}

fn malformed<T>(why: &str) -> Result<T> {
	refuse(Refusal::MalformedKey, format!("the proving key is damaged: {why}"))
}

/// Points from a key's bytes: canonical, on their curves, not infinity. `check::well_formed` is about the
/// subgroup of G2, and about everything else.
pub fn decode(bytes: &[u8], circuit: &Circuit) -> Result<Points> {
	let layout = &*circuit.layout;
	let mut reader = Reader { bytes: &bytes[8..] };
	if reader.take(32)? != circuit.digest {
		return refuse(Refusal::KeyMismatch, "the proving key belongs to another circuit");
	}
	let verifying_key = points::verifying_key_from_bytes(reader.take(VERIFYING_KEY_BYTES)?)?;
	let [a, b, l] = [&layout.a, &layout.b, &layout.l].map(|section| section.variables.len());
	let key = read_points(&mut reader, verifying_key, [a, b, l, layout.domain])?;
	match reader.bytes {
		[] => Ok(key),
		_ => malformed("it does not end after its last point"),
	}
}

/// The points after the verifying key; `sizes` are those of A, B, L and the domain. Refuses malformed-key.
pub fn read_points(
	reader: &mut Reader,
	verifying_key: VerifyingKey<Bn254>,
	[a, b, l, m]: [usize; 4],
) -> Result<Points> {
	let own = reader.points::<g1::Config>(2)?;
	let (a, b1, l, h) = (reader.points(a)?, reader.points(b)?, reader.points(l)?, reader.points(m)?);
	let b2 = reader.points(b)?;
	let mut powers = vec![G1Affine::generator()];
	powers.extend(reader.points::<g1::Config>(m.saturating_sub(1))?);
	let taus = reader.points::<g2::Config>(2)?;
	Ok(Points {
		verifying_key,
		beta_g1: own[0],
		delta_g1: own[1],
		a,
		b1,
		l,
		h,
		b2,
		powers,
		tau_g2: taus[0],
		tau_m_g2: taus[1],
	})
}

/// Reads a key; refuses malformed-key.
pub struct Reader<'a> {
	/// What is left.
	pub bytes: &'a [u8],
}

impl<'a> Reader<'a> {
	/// The next `n` bytes.
	pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
		match self.bytes.split_at_checked(n) {
			Some((now, later)) => {
				self.bytes = later;
				Ok(now)
			}
			None => malformed("it ends early"),
		}
	}

	/// The next `n` points.
	pub fn points<P: SWCurveConfig>(&mut self, n: usize) -> Result<Vec<Affine<P>>>
	where
		P::BaseField: Coordinate,
	{
		let size = 2 * P::BaseField::BYTES;
		let bytes = self.take(n.saturating_mul(size))?;
		let mut points = vec![Affine::<P>::default(); n];
		let sound =
			bytes.par_chunks(size).zip(points.par_iter_mut()).with_min_len(CHUNK).all(|(bytes, point)| {
				let p = points::read_point::<P::BaseField>(bytes);
				*point = Affine::<P>::new_unchecked(p.x, p.y);
				points::canonical(bytes) && point.is_on_curve() && !point.is_zero()
			});
		match sound {
			true => Ok(points),
			false => malformed("a point is not on the curve"),
		}
	}
}

/// Write a key's file, atomically and readable by its owner alone; its SHA-256. Refuses io.
pub fn write(path: &Path, digest: &[u8; 32], key: &Points) -> Result<[u8; 32]> {
	let mut writer = Writer::new(path)?;
	writer.put(MAGIC)?;
	writer.put(&VERSION.to_le_bytes())?;
	writer.put(digest)?;
	writer.put(&points::verifying_key_to_bytes(&key.verifying_key))?;
	write_points(&mut writer, key)?;
	writer.finish()
}

/// The points after the verifying key. Refuses io.
pub fn write_points(writer: &mut Writer, key: &Points) -> Result<()> {
	writer.points(&[key.beta_g1, key.delta_g1])?;
	for points in [&key.a, &key.b1, &key.l, &key.h] {
		writer.points(points)?;
	}
	writer.points(&key.b2)?;
	writer.points(&key.powers[1..])?;
	writer.points(&[key.tau_g2, key.tau_m_g2])
}

/// Writes a file under a temporary name, hashing on the way.
pub struct Writer {
	file: File,
	temporary: PathBuf,
	path: PathBuf,
	hasher: Sha256,
}

impl Writer {
	/// Start a file that will be called `path`. Refuses io.
	pub fn new(path: &Path) -> Result<Writer> {
		let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
		let mut options = std::fs::OpenOptions::new();
		options.write(true).create(true).truncate(true);
		#[cfg(unix)]
		std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
		match options.open(&temporary) {
			Ok(file) => Ok(Writer { file, temporary, path: path.to_owned(), hasher: Sha256::new() }),
			Err(e) => refuse(Refusal::Io, format!("{}: {e}", temporary.display())),
		}
	}

	/// Append bytes.
	pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
		self.hasher.update(bytes);
		match self.file.write_all(bytes) {
			Ok(()) => Ok(()),
			Err(e) => refuse(Refusal::Io, format!("{}: {e}", self.temporary.display())),
		}
	}

	/// Append points in table form.
	pub fn points<P: SWCurveConfig>(&mut self, points: &[Affine<P>]) -> Result<()>
	where
		P::BaseField: Coordinate,
	{
		for part in points.chunks(64 * CHUNK) {
			let mut bytes = Vec::with_capacity(part.len() * 2 * P::BaseField::BYTES);
			for p in part {
				points::write_point(&Point { x: p.x, y: p.y }, &mut bytes);
			}
			self.put(&bytes)?;
		}
		Ok(())
	}

	/// Give the file its name; its SHA-256.
	pub fn finish(mut self) -> Result<[u8; 32]> {
		let done = self.file.sync_all().and_then(|()| std::fs::rename(&self.temporary, &self.path));
		match done {
			Ok(()) => Ok(std::mem::take(&mut self.hasher).finalize().into()),
			Err(e) => refuse(Refusal::Io, format!("{}: {e}", self.path.display())),
		}
	}
}

impl Drop for Writer {
	fn drop(&mut self) {
		// After `finish` the temporary name is gone, and this does nothing.
		let _ = std::fs::remove_file(&self.temporary);
	}
}

/// The multiples of a section's points.
fn multiples<P: SWCurveConfig>(bases: Vec<Affine<P>>, section: &Section) -> Multiples<P> {
	let zero = Aligned(Point { x: P::BaseField::ZERO, y: P::BaseField::ZERO });
	let mut table = vec![zero; section.entries()];
	let mut rest = &mut table[..];
	let mut jobs = Vec::new();
	for (bases, counts) in bases.chunks(CHUNK).zip(section.counts.chunks(CHUNK)) {
		let entries = counts.iter().map(|&n| n as usize).sum();
		let (now, later) = rest.split_at_mut(entries);
		jobs.push((bases, counts, now));
		rest = later;
	}
	jobs.into_par_iter().for_each(|(bases, counts, out)| multiply_out(bases, counts, section.steps, out));
	Multiples(table)
}

/// Fill `out` with as many multiples of each base as its count says. Affine doublings of all points together
/// share an inversion.
fn multiply_out<P: SWCurveConfig>(
	bases: &[Affine<P>],
	counts: &[u32],
	steps: Steps,
	out: &mut [Aligned<P::BaseField>],
) {
	let mut at = 0usize;
	let mut active: Vec<(usize, u32, Point<P::BaseField>)> = Vec::with_capacity(bases.len());
	for (base, &count) in bases.iter().zip(counts) {
		active.push((at, count, Point { x: base.x, y: base.y }));
		at += count as usize;
	}
	let mut inverses = Vec::with_capacity(bases.len());
	loop {
		for (at, count, point) in &mut active {
			out[*at] = Aligned(*point);
			*at += 1;
			*count -= 1;
		}
		active.retain(|(_, left, _)| *left > 0);
		if active.is_empty() {
			return;
		}
		for _ in 0..u32::from(steps.window) * u32::from(steps.stride) {
			inverses.clear();
			// No point of prime order has y = 0.
			inverses.extend(active.iter().map(|(_, _, p)| p.y.double()));
			batch_inversion(&mut inverses);
			for ((_, _, p), inverse) in active.iter_mut().zip(&inverses) {
				let square = p.x.square();
				let slope = (square.double() + square) * inverse;
				let x = slope.square() - p.x.double();
				let y = slope * (p.x - x) - p.y;
				*p = Point { x, y };
			}
		}
	}
}

/// The circuit's rows, again: a circuit does not keep them.
pub fn rows(circuit: &Circuit) -> Result<crate::matrices::Matrices> {
	circuit.rows()
}
