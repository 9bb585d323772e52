//! Phase 1 of a ceremony: powers of tau in the `.ptau` format of snarkjs (sections 1 to 6; the others are not
//! read). Points are in table form there, too.
//!
//! ```text
//! "ptau" version:u32(=1) sections:u32 (type:u32 size:u64 bytes)*
//! 1 = 32:u32 q:32 power:u32 ceremony_power:u32     2 = tau^i (G1), i < 2^(power+1) - 1
//! 3 = tau^i (G2), i < 2^power   4 = alpha tau^i (G1)   5 = beta tau^i (G1)   6 = beta (G2)
//! ```

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use ark_bn254::{Fq, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::scalar_mul::BatchMulPreprocessing;
use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
use ark_ec::{AffineRepr, PrimeGroup};
use ark_ff::PrimeField;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{refuse, Error, Refusal, Result};
use crate::keys::{Reader, Writer};
use crate::points::Coordinate;
use crate::secrets::{self, nonzero};
use crate::setup::{multiply, powers};

/// Powers of a file, at most: 2^28, the most that BN254 has a use for.
const MAX_POWER: u32 = 28;
/// Powers of a file that `generate` makes, at most.
const MAX_GENERATED: u32 = 20;

/// What a circuit with a domain of m points takes from a file.
#[derive(PartialEq)]
pub struct Phase1 {
	/// Of the file.
	pub sha256: [u8; 32],
	/// tau^i, i < 2m.
	pub tau_g1: Vec<G1Affine>,
	/// tau^i, i <= m.
	pub tau_g2: Vec<G2Affine>,
	/// alpha tau^i, i < m.
	pub alpha_g1: Vec<G1Affine>,
	/// beta tau^i, i < m.
	pub beta_g1: Vec<G1Affine>,
	/// beta.
	pub beta_g2: G2Affine,
}

fn io(path: &Path, e: std::io::Error) -> Error {
	Error { refusal: Refusal::Io, message: format!("{}: {e}", path.display()) }
}

fn malformed<T>(path: &Path, why: &str) -> Result<T> {
	refuse(Refusal::MalformedPtau, format!("{}: {why}", path.display()))
}

/// A file of phase 1, read once and from front to back: what is taken of it is what was hashed, whoever else
/// writes to the file.
struct Stream<'a, R> {
	path: &'a Path,
	file: R,
	hasher: Sha256,
}

impl<R: Read> Stream<'_, R> {
	/// The next `n` bytes. Refuses io, malformed-ptau.
	fn take(&mut self, n: usize) -> Result<Vec<u8>> {
		let mut bytes = vec![0; n];
		match self.file.read_exact(&mut bytes) {
			Err(e) if e.kind() == ErrorKind::UnexpectedEof => return malformed(self.path, "it ends early"),
			read => read.map_err(|e| io(self.path, e))?,
		}
		self.hasher.update(&bytes);
		Ok(bytes)
	}

	/// Hash the next `n` bytes, or what is left when that is less; how many they were. Refuses io.
	fn skip(&mut self, n: u64) -> Result<u64> {
		let mut part = self.file.by_ref().take(n);
		std::io::copy(&mut part, &mut self.hasher).map_err(|e| io(self.path, e))
	}
}

/// Read the powers for a domain of `m` points. That they are powers is not checked here: the key that is made
/// of them is. Refuses io, malformed-ptau.
pub fn read(path: &Path, m: usize) -> Result<Phase1> {
	let file = BufReader::new(File::open(path).map_err(|e| io(path, e))?);
	let mut stream = Stream { path, file, hasher: Sha256::new() };
	let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("4 bytes"));
	let start = stream.take(12)?;
	if start[..4] != *b"ptau" || number(&start[4..8]) != 1 || number(&start[8..]) > 32 {
		return malformed(path, "not a .ptau file of version 1");
	}
	// what is of use of each section, from its beginning
	let useful = [0, 44, 2 * m * 64, (m + 1) * 128, m * 64, m * 64, 128];
	let mut sections = [const { None }; 7];
	for _ in 0..number(&start[8..]) {
		let head = stream.take(12)?;
		let kind = number(&head[..4]) as usize;
		let size = u64::from_le_bytes(head[4..].try_into().expect("8 bytes"));
		let kept = useful.get(kind).map_or(0, |&n| size.min(n as u64));
		let bytes = stream.take(kept as usize)?;
		if stream.skip(size - kept)? != size - kept {
			return malformed(path, "it ends early");
		}
		if let Some(place) = sections.get_mut(kind) {
			*place = Some((size, bytes));
		}
	}
	stream.skip(u64::MAX)?;
	let sha256 = stream.hasher.finalize().into();
	let mut section = |kind: usize, size: u64| match sections[kind].take() {
		Some((actual, bytes)) if actual == size => Ok(bytes),
		_ => malformed(path, &format!("section {kind} is missing or of a wrong size")),
	};
	let header: Vec<u8> = section(1, 44)?;
	let mut modulus = Vec::new();
	Fq::MODULUS.0.iter().for_each(|limb| modulus.extend(limb.to_le_bytes()));
	let power = number(&header[36..40]);
	if number(&header[..4]) != 32 || header[4..36] != modulus[..] || !(1..=MAX_POWER).contains(&power) {
		return malformed(path, "not over BN254, or of an impossible size");
	}
	let n = 1u64 << power;
	if m as u64 >= n {
		return malformed(
			path,
			&format!("it holds 2^{power} powers; this circuit needs 2^{}", (m as u64).ilog2() + 1),
		);
	}
	let parts = [
		section(2, (2 * n - 1) * 64)?,
		section(3, n * 128)?,
		section(4, n * 64)?,
		section(5, n * 64)?,
		section(6, 128)?,
	];
	fn points<P: SWCurveConfig>(path: &Path, bytes: Vec<u8>, n: usize) -> Result<Vec<Affine<P>>>
	where
		P::BaseField: Coordinate,
	{
		let read = Reader { bytes: &bytes }.points(n);
		read.or_else(|_| malformed(path, "a point is not on the curve"))
	}
	let [tau_g1, tau_g2, alpha_g1, beta_g1, beta_g2] = parts;
	let phase1 = Phase1 {
		sha256,
		tau_g1: points(path, tau_g1, 2 * m)?,
		tau_g2: points(path, tau_g2, m + 1)?,
		alpha_g1: points(path, alpha_g1, m)?,
		beta_g1: points(path, beta_g1, m)?,
		beta_g2: points(path, beta_g2, 1)?[0],
	};
	let whole = phase1.tau_g1[0] == G1Affine::generator()
		&& phase1.tau_g2[0] == G2Affine::generator()
		&& phase1.beta_g2.is_in_correct_subgroup_assuming_on_curve();
	match whole {
		true => Ok(phase1),
		false => malformed(path, "its powers do not begin with the generators"),
	}
}

/// Write a file of 2^power powers that this process alone made: whoever read its memory can forge proofs under
/// any key made of it. For tests, and for a first contribution of snarkjs' `powersoftau contribute`. Refuses
/// io, over-limit.
pub fn generate(path: &Path, power: u32) -> Result<()> {
	if !(1..=MAX_GENERATED).contains(&power) {
		return refuse(Refusal::OverLimit, format!("2^{power} powers: 1 to {MAX_GENERATED} are possible"));
	}
	let made = generate_points(1 << power);
	secrets::wipe_stacks();
	let [tau_g1, alpha, beta] = &made.0;
	let (tau_g2, beta_g2) = made.1.split_at(1 << power);
	let mut writer = Writer::new(path)?;
	writer.put(b"ptau")?;
	let head = |writer: &mut Writer, kind: u32, size: usize| {
		writer.put(&kind.to_le_bytes())?;
		writer.put(&(size as u64).to_le_bytes())
	};
	writer.put(&[1u32, 7].map(u32::to_le_bytes).concat())?;
	head(&mut writer, 1, 44)?;
	writer.put(&32u32.to_le_bytes())?;
	Fq::MODULUS.0.iter().try_for_each(|limb| writer.put(&limb.to_le_bytes()))?;
	writer.put(&[power, power].map(u32::to_le_bytes).concat())?;
	head(&mut writer, 2, tau_g1.len() * 64)?;
	writer.points(tau_g1)?;
	head(&mut writer, 3, tau_g2.len() * 128)?;
	writer.points(tau_g2)?;
	for (kind, points) in [(4, alpha), (5, beta)] {
		head(&mut writer, kind, points.len() * 64)?;
		writer.points(points)?;
	}
	head(&mut writer, 6, 128)?;
	writer.points(beta_g2)?;
	head(&mut writer, 7, 4)?;
	writer.put(&0u32.to_le_bytes())?;
	writer.finish().map(|_| ())
}

#[inline(never)]
fn generate_points(n: usize) -> ([Vec<G1Affine>; 3], Vec<G2Affine>) {
	let [tau, alpha, beta] = [(); 3].map(|()| nonzero());
	let g1 = BatchMulPreprocessing::new(G1Projective::generator(), 4 * n);
	let g2 = BatchMulPreprocessing::new(G2Projective::generator(), n.max(32));
	let taus = powers(&tau, 2 * n - 1);
	let times = |x: &Fr| Zeroizing::new(taus[..n].iter().map(|tau| *tau * x).collect::<Vec<Fr>>());
	let mut twisted = Zeroizing::new(Vec::with_capacity(n + 1));
	twisted.extend_from_slice(&taus[..n]);
	twisted.push(*beta);
	(
		[multiply(&g1, &taus), multiply(&g1, &times(&alpha)), multiply(&g1, &times(&beta))],
		multiply(&g2, &twisted),
	)
}

#[cfg(test)]
mod tests {
	use std::fs;
	use std::process::Command;

	use super::*;

	/// A pipe gives each byte once: whoever swaps a file between two looks at it finds one look.
	#[test]
	fn what_is_taken_of_a_file_is_what_was_hashed() {
		let folder = std::env::temp_dir().join(format!("proofward-ptau-{}", std::process::id()));
		fs::create_dir(&folder).expect("a folder");
		let (path, pipe) = (folder.join("powers"), folder.join("pipe"));
		generate(&path, 4).expect("powers");
		let mut bytes = fs::read(&path).expect("it was written");
		bytes.extend(b"behind the sections");
		fs::write(&path, &bytes).expect("it was written");
		assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
		let there = pipe.clone();
		let expected = Sha256::digest(&bytes);
		let writing = std::thread::spawn(move || fs::write(there, bytes));
		let read = read(&pipe, 8).expect("the powers");
		writing.join().expect("no panic").expect("all bytes are read");
		assert_eq!(read.sha256, expected[..]);
		assert!(read == super::read(&path, 8).expect("the powers"));
		fs::remove_dir_all(folder).expect("it was made");
	}

	#[test]
	fn a_file_that_ends_early_is_refused_wherever_it_is_cut() {
		let path = std::env::temp_dir().join(format!("proofward-cut-{}.ptau", std::process::id()));
		generate(&path, 1).expect("powers");
		let bytes = fs::read(&path).expect("it was written");
		for end in 0..bytes.len() {
			fs::write(&path, &bytes[..end]).expect("it was written");
			assert_eq!(read(&path, 1).err().map(|e| e.refusal), Some(Refusal::MalformedPtau), "at {end}");
		}
		fs::remove_file(&path).expect("it was written");
	}
}
