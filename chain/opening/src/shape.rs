//! The shape of a model's outputs, as its manifest states it: the publisher's word, which the model's id binds and
//! which every enclave compares with the circuit before it serves the model.

use alloc::vec::Vec;

use serde::Deserialize;

/// Most records in a batch, and most outputs of a record (the manifest's own bounds).
const MAX_BATCH: u32 = 32;
const MAX_OUTPUTS: usize = 1_024;
/// Most bits of a value (`prover/IR.md`).
const MAX_BITS: u32 = 60;

/// The least and the greatest value of one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
	/// The least.
	pub lo: i64,
	/// The greatest.
	pub hi: i64,
}

impl Bounds {
	/// Bits that hold `x - lo` for every `x` within.
	pub fn bits(&self) -> u32 {
		64 - self.hi.abs_diff(self.lo).leading_zeros()
	}

	/// Whether `x` lies within.
	pub fn contains(&self, x: i64) -> bool {
		(self.lo..=self.hi).contains(&x)
	}
}

/// Records of a job, and the bounds of each output of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
	batch: u32,
	bounds: Vec<Bounds>,
}

/// The parts of `manifest.json` that say it. Everything else is skipped.
#[derive(Deserialize)]
struct Manifest {
	batch: u32,
	lane_params: LaneParams,
}

#[derive(Deserialize)]
struct LaneParams {
	output_bounds: Vec<(i64, i64)>,
}

impl Shape {
	/// `None` for what no circuit has.
	pub fn new(batch: u32, bounds: Vec<Bounds>) -> Option<Self> {
		let possible = (1..=MAX_BATCH).contains(&batch)
			&& (1..=MAX_OUTPUTS).contains(&bounds.len())
			&& bounds.iter().all(|one| one.lo <= one.hi && one.bits() <= MAX_BITS);
		possible.then_some(Self { batch, bounds })
	}

	/// From a Groth16 manifest's bytes; `None` when they are none.
	pub fn of_manifest(json: &[u8]) -> Option<Self> {
		let manifest: Manifest = serde_json::from_slice(json).ok()?;
		let bounds = manifest.lane_params.output_bounds.into_iter().map(|(lo, hi)| Bounds { lo, hi });
		Self::new(manifest.batch, bounds.collect())
	}

	/// Records, padding included.
	pub fn batch(&self) -> u32 {
		self.batch
	}

	/// Of each output of a record.
	pub fn bounds(&self) -> &[Bounds] {
		&self.bounds
	}

	/// Integers in an output.
	pub fn values(&self) -> usize {
		self.batch as usize * self.bounds.len()
	}
}
