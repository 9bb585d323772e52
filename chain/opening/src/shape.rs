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

/// How records are committed to together (`prover/IR.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
	/// Each for itself, and a tree over them: one record can be opened without the others.
	#[default]
	Tree,
	/// All in one.
	Flat,
}

/// Records of a job, the bounds of each output of one record, and how they are committed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
	batch: u32,
	bounds: Vec<Bounds>,
	form: Form,
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
	#[serde(default)]
	commitment: Form,
}

impl Shape {
	/// Of the form `Tree`; `None` for what no circuit has.
	pub fn new(batch: u32, bounds: Vec<Bounds>) -> Option<Self> {
		let possible = (1..=MAX_BATCH).contains(&batch)
			&& (1..=MAX_OUTPUTS).contains(&bounds.len())
			&& bounds.iter().all(|one| one.lo <= one.hi && one.bits() <= MAX_BITS);
		possible.then_some(Self { batch, bounds, form: Form::Tree })
	}

	/// The same, committed to in another form.
	pub fn with(self, form: Form) -> Self {
		Self { form, ..self }
	}

	/// From a Groth16 manifest's bytes; `None` when they are none.
	pub fn of_manifest(json: &[u8]) -> Option<Self> {
		let manifest: Manifest = serde_json::from_slice(json).ok()?;
		let params = manifest.lane_params;
		let bounds = params.output_bounds.into_iter().map(|(lo, hi)| Bounds { lo, hi });
		Some(Self::new(manifest.batch, bounds.collect())?.with(params.commitment))
	}

	/// Records, padding included.
	pub fn batch(&self) -> u32 {
		self.batch
	}

	/// How the records are committed to.
	pub fn form(&self) -> Form {
		self.form
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
