//! The proving key's file: a header, then five sections of points in table form, read where they are mapped.
//!
//! ```text
//! "PWPK" version:u32(=1) circuit_digest:32 verifying_key:640
//! beta_g1:64 delta_g1:64 domain:u32 ints:u32 fields:u32 width:u8*ints pad section*5
//!
//! section = window:u32 count:u32 variable:u32*count pad point*
//! ```
//!
//! Sections: A (G1), B (G1), L (G1), B (G2), H (G1); `pad` goes up to a multiple of 64 with zeros. A variable
//! has `windows(width, window)` points, 2^(window*i) times its base. Integers are little-endian. Variables
//! count the integers first, then the field variables; in H they are the coset's points, all of full width.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use ark_bn254::{g1, g2, G1Affine};
use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
use ark_ec::AffineRepr;
use ark_groth16::VerifyingKey;
use memmap2::Mmap;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::domain::Domain;
use crate::error::{refuse, Refusal, Result};
use crate::matrices::MAX_ROWS;
use crate::msm::{windows, Point, Table, FULL_WIDTH};
use crate::points::{self, Bn254, Coordinate, VERIFYING_KEY_BYTES};
use crate::verify::Verifier;

const MAGIC: &[u8; 4] = b"PWPK";
const VERSION: u32 = 1;
const ALIGN: usize = 64;

/// A section in the file.
pub struct Section {
	/// Bits of a digit.
	pub window: u8,
	/// Whose points these are.
	pub variables: Vec<u32>,
	/// Where in the file.
	pub points: Range<usize>,
}

/// The sections of a key, by query.
pub struct Sections {
	/// A in G1.
	pub a: Section,
	/// B in G1.
	pub b1: Section,
	/// L in G1.
	pub l: Section,
	/// B in G2.
	pub b2: Section,
	/// H in G1.
	pub h: Section,
}

/// A proving key, where its file is mapped.
pub struct ProvingKey {
	map: Mmap,
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
	/// Bits of each variable; field variables have all.
	pub widths: Vec<u8>,
	/// How many variables are integers.
	pub ints: usize,
	/// Widths of the coset's points, all full.
	pub h_widths: Vec<u8>,
	/// Where the points are.
	pub sections: Sections,
}

/// A view of a section as a table of points.
pub struct View<'a, P> {
	bytes: &'a [u8],
	curve: std::marker::PhantomData<P>,
}

impl<P: SWCurveConfig> Table for View<'_, P>
where
	P::BaseField: Coordinate,
{
	type Curve = P;

	#[inline]
	fn get(&self, i: usize) -> Point<P::BaseField> {
		points::read_point(&self.bytes[i * 2 * P::BaseField::BYTES..])
	}

	#[inline]
	fn prefetch(&self, i: usize) {
		#[cfg(target_arch = "x86_64")]
		if let Some(byte) = self.bytes.get(i * 2 * P::BaseField::BYTES) {
			// SAFETY: a prefetch reads nothing and cannot fault; SSE is part of x86-64.
			unsafe {
				std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
					std::ptr::from_ref(byte).cast(),
				)
			};
		}
	}
}

impl ProvingKey {
	/// Map a key made by `setup::setup`. Refuses io, malformed-key, key-mismatch.
	pub fn load(path: &Path, digest: &[u8; 32], sha256: Option<&[u8; 32]>) -> Result<Arc<ProvingKey>> {
		static CACHE: OnceLock<Mutex<HashMap<PathBuf, Arc<ProvingKey>>>> = OnceLock::new();
		let map = map(path)?;
		let actual: [u8; 32] = Sha256::digest(&map[..]).into();
		if sha256.is_some_and(|expected| *expected != actual) {
			return refuse(
				Refusal::KeyMismatch,
				format!("{}: the SHA-256 is not the expected one", path.display()),
			);
		}
		let mut cache = CACHE.get_or_init(Mutex::default).lock().unwrap_or_else(|e| e.into_inner());
		let key = match cache.get(path) {
			Some(key) if key.sha256 == actual => key.clone(),
			_ => {
				let key = Arc::new(Self::parse(map, actual)?);
				cache.insert(path.to_owned(), key.clone());
				key
			}
		};
		match key.digest == *digest {
			true => Ok(key),
			false => refuse(
				Refusal::KeyMismatch,
				format!("{}: the key belongs to another circuit", path.display()),
			),
		}
	}

	/// A section's points in G1.
	pub fn g1<'a>(&'a self, section: &Section) -> View<'a, g1::Config> {
		View { bytes: &self.map[section.points.clone()], curve: std::marker::PhantomData }
	}

	/// A section's points in G2.
	pub fn g2<'a>(&'a self, section: &Section) -> View<'a, g2::Config> {
		View { bytes: &self.map[section.points.clone()], curve: std::marker::PhantomData }
	}

	fn parse(map: Mmap, sha256: [u8; 32]) -> Result<ProvingKey> {
		let mut reader = Reader { bytes: &map, at: 0 };
		if reader.take(4)? != MAGIC || reader.u32()? != VERSION {
			return malformed("it does not begin with PWPK, version 1");
		}
		let digest = reader.take(32)?.try_into().expect("32 bytes");
		let verifying_key = points::verifying_key_from_bytes(reader.take(VERIFYING_KEY_BYTES)?)?;
		let beta_g1 = affine(reader.take(64)?);
		let delta_g1 = affine(reader.take(64)?);
		let (domain, ints, fields) = (reader.u32()? as usize, reader.u32()? as usize, reader.u32()? as usize);
		if domain > 2 * MAX_ROWS
			|| Domain::size_for(domain) != Ok(domain)
			|| ints > MAX_ROWS
			|| fields > MAX_ROWS
		{
			return malformed("its sizes are out of range");
		}
		let mut widths = reader.take(ints)?.to_vec();
		widths.resize(ints + fields, FULL_WIDTH);
		reader.pad()?;
		let h_widths = vec![FULL_WIDTH; domain];
		let sections = Sections {
			a: reader.section::<g1::Config>(&widths)?,
			b1: reader.section::<g1::Config>(&widths)?,
			l: reader.section::<g1::Config>(&widths)?,
			b2: reader.section::<g2::Config>(&widths)?,
			h: reader.section::<g1::Config>(&h_widths)?,
		};
		if reader.at != map.len() || sections.b1.variables != sections.b2.variables {
			return malformed("its sections do not fit together");
		}
		if [beta_g1, delta_g1].iter().any(|p| !p.is_on_curve() || p.is_zero()) {
			return malformed("a point is not on the curve");
		}
		Ok(ProvingKey {
			digest,
			sha256,
			verifier: Verifier::new(&verifying_key),
			verifying_key,
			beta_g1,
			delta_g1,
			domain: Domain::new(domain),
			widths,
			ints,
			h_widths,
			sections,
			map,
		})
	}
}

fn malformed<T>(why: &str) -> Result<T> {
	refuse(Refusal::MalformedKey, format!("the proving key is damaged: {why}"))
}

fn map(path: &Path) -> Result<Mmap> {
	let io = |e: std::io::Error| crate::error::Error {
		refusal: Refusal::Io,
		message: format!("{}: {e}", path.display()),
	};
	let file = File::open(path).map_err(io)?;
	// SAFETY: the file is written once, by `write`, under a name that appears when it is complete; whoever
	// may truncate it may as well kill this process.
	unsafe { Mmap::map(&file) }.map_err(io)
}

/// A point in table form; the caller checks that it is on the curve.
fn affine(bytes: &[u8]) -> G1Affine {
	let p = points::read_point(bytes);
	G1Affine::new_unchecked(p.x, p.y)
}

struct Reader<'a> {
	bytes: &'a [u8],
	at: usize,
}

impl<'a> Reader<'a> {
	fn take(&mut self, n: usize) -> Result<&'a [u8]> {
		match self.bytes.get(self.at..self.at.saturating_add(n)) {
			Some(bytes) => {
				self.at += n;
				Ok(bytes)
			}
			None => malformed("it ends early"),
		}
	}

	fn u32(&mut self) -> Result<u32> {
		Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("4 bytes")))
	}

	fn pad(&mut self) -> Result<()> {
		let padding = self.at.next_multiple_of(ALIGN) - self.at;
		match self.take(padding)?.iter().all(|&b| b == 0) {
			true => Ok(()),
			false => malformed("its padding is not zero"),
		}
	}

	/// A section whose points are canonical and on the curve. (The subgroup of G2 is not checked: the SHA-256
	/// vouches for the whole file, and a key that does not fit shows itself when the new proof is verified.)
	fn section<P: SWCurveConfig>(&mut self, widths: &[u8]) -> Result<Section>
	where
		P::BaseField: Coordinate,
	{
		let window = self.u32()?;
		let count = self.u32()? as usize;
		if !(3..=15).contains(&window) || count > widths.len() {
			return malformed("a section's header is out of range");
		}
		let window = window as u8;
		let list = self.take(4 * count)?;
		let variables: Vec<u32> =
			list.chunks(4).map(|b| u32::from_le_bytes(b.try_into().expect("4 bytes"))).collect();
		if !variables.is_sorted_by(|a, b| a < b)
			|| variables.last().is_some_and(|&v| v as usize >= widths.len())
		{
			return malformed("a section's variables are not in order");
		}
		self.pad()?;
		let entries: usize = variables.iter().map(|&v| windows(widths[v as usize], window)).sum();
		let size = 2 * P::BaseField::BYTES;
		let start = self.at;
		let points = self.take(entries * size)?;
		let sound = points.par_chunks(size).all(|bytes| {
			let p = points::read_point::<P::BaseField>(bytes);
			let p = Affine::<P>::new_unchecked(p.x, p.y);
			points::canonical(bytes) && p.is_on_curve() && !p.is_zero()
		});
		if !sound {
			return malformed("a point is not on the curve");
		}
		Ok(Section { window, variables, points: start..self.at })
	}
}

/// Writes a key file under a temporary name, hashing on the way.
pub struct Writer {
	file: File,
	temporary: PathBuf,
	path: PathBuf,
	hasher: Sha256,
	written: usize,
}

impl Writer {
	pub fn new(path: &Path) -> Result<Writer> {
		let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
		let mut options = std::fs::OpenOptions::new();
		options.write(true).create(true).truncate(true);
		#[cfg(unix)]
		std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
		match options.open(&temporary) {
			Ok(file) => {
				Ok(Writer { file, temporary, path: path.to_owned(), hasher: Sha256::new(), written: 0 })
			}
			Err(e) => refuse(Refusal::Io, format!("{}: {e}", temporary.display())),
		}
	}

	pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
		self.hasher.update(bytes);
		self.written += bytes.len();
		match self.file.write_all(bytes) {
			Ok(()) => Ok(()),
			Err(e) => refuse(Refusal::Io, format!("{}: {e}", self.temporary.display())),
		}
	}

	pub fn pad(&mut self) -> Result<()> {
		let padding = self.written.next_multiple_of(ALIGN) - self.written;
		self.put(&[0; ALIGN][..padding])
	}

	pub fn header(
		&mut self,
		digest: &[u8; 32],
		verifying_key: &[u8],
		points: &[u8],
		sizes: [usize; 3],
		widths: &[u8],
	) -> Result<()> {
		self.put(MAGIC)?;
		self.put(&VERSION.to_le_bytes())?;
		self.put(digest)?;
		self.put(verifying_key)?;
		self.put(points)?;
		for size in sizes {
			self.put(&(size as u32).to_le_bytes())?;
		}
		self.put(widths)?;
		self.pad()
	}

	pub fn section_header(&mut self, window: u8, variables: &[u32]) -> Result<()> {
		self.put(&u32::from(window).to_le_bytes())?;
		self.put(&(variables.len() as u32).to_le_bytes())?;
		let list: Vec<u8> = variables.iter().flat_map(|v| v.to_le_bytes()).collect();
		self.put(&list)?;
		self.pad()
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
