//! What a circuit says about its keys: which points there are, in which order, and how many multiples of each
//! the prover keeps. A key's file holds nothing of this, so that nobody can say it wrongly.

use crate::circuit::PUBLIC_ROWS;
use crate::domain::Domain;
use crate::error::{refuse, Refusal, Result};
use crate::matrices::{Matrices, Var};
use crate::msm::{best_window, Steps, FULL_WIDTH};

/// Bytes of the prover's tables, at most. They are what a proof needs most memory for; to fill them takes
/// half a minute on one core at this size.
pub const MAX_TABLE_BYTES: usize = 768 << 20;

/// Entries of a table, at most, where all multiples are kept; of more points fewer multiples are. A proof then
/// takes a few per cent longer, and a fraction of the memory.
const ROOM: usize = 1 << 16;
/// Windows from one multiple to the next, at most.
const MAX_STRIDE: u8 = 4;

/// Bytes of a point in G1, and in G2, in table form.
pub const G1_BYTES: usize = 64;
/// The same in G2.
pub const G2_BYTES: usize = 128;

/// The shape of a circuit's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
	/// Size of the evaluation domain.
	pub domain: usize,
	/// How many variables are integers. They come first, then the field variables.
	pub ints: usize,
	/// Bits of each variable's magnitude; field variables have all.
	pub widths: Vec<u8>,
	/// Variables that stand on the left of some row.
	pub a: Section,
	/// Variables that stand on the right.
	pub b: Section,
	/// Variables that stand anywhere, but for the public ones.
	pub l: Section,
	/// The coset's points, numbered like variables, all of full width.
	pub h: Section,
}

/// A list of points of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
	/// Whose points these are, in order.
	pub variables: Vec<u32>,
	/// Multiples kept of each.
	pub counts: Vec<u32>,
	/// Of the multiples.
	pub steps: Steps,
}

impl Section {
	fn new(variables: Vec<u32>, width: impl Fn(u32) -> u8) -> Section {
		let best =
			|stride| Steps { window: best_window(variables.iter().map(|&v| width(v)), stride), stride };
		let entries = |steps: Steps| variables.iter().map(|&v| steps.entries(width(v))).sum::<usize>();
		let steps = (1..MAX_STRIDE).map(best).find(|&steps| entries(steps) <= ROOM);
		let steps = steps.unwrap_or_else(|| best(MAX_STRIDE));
		let counts = variables.iter().map(|&v| steps.entries(width(v)) as u32).collect();
		Section { variables, counts, steps }
	}

	/// Multiples of all points together.
	pub fn entries(&self) -> usize {
		self.counts.iter().map(|&n| n as usize).sum()
	}
}

impl Layout {
	/// Refuses over-limit, if the tables would be too large.
	pub fn new(matrices: &Matrices) -> Result<Layout> {
		let domain = Domain::size_for(matrices.rows() + PUBLIC_ROWS)?;
		let ints = matrices.widths.len();
		let mut widths = matrices.widths.clone();
		widths.resize(ints + matrices.fields as usize, FULL_WIDTH);
		let total = widths.len();
		let (mut a, mut b, mut any) = (vec![false; total], vec![false; total], vec![false; total]);
		let mut note =
			|left: &mut dyn Iterator<Item = Var>, right: &mut dyn Iterator<Item = Var>, c: Option<Var>| {
				left.for_each(|var| a[place(ints, var)] = true);
				right.for_each(|var| b[place(ints, var)] = true);
				c.into_iter().for_each(|var| any[place(ints, var)] = true);
			};
		for row in &matrices.int_rows {
			note(&mut row.a.iter().map(|t| t.0), &mut row.b.iter().map(|t| t.0), row.c);
		}
		for row in &matrices.field_rows {
			note(&mut row.a.iter().map(|t| t.0), &mut row.b.iter().map(|t| t.0), row.c);
		}
		for i in public(ints) {
			a[i] = true;
		}
		for i in 0..total {
			any[i] = (any[i] || a[i] || b[i]) && !public(ints).contains(&i);
		}
		let section = |present: &[bool]| {
			let variables = (0..total as u32).filter(|&v| present[v as usize]).collect();
			Section::new(variables, |v| widths[v as usize])
		};
		let layout = Layout {
			a: section(&a),
			b: section(&b),
			l: section(&any),
			h: Section::new((0..domain as u32).collect(), |_| FULL_WIDTH),
			domain,
			ints,
			widths,
		};
		match layout.table_bytes() {
			bytes if bytes > MAX_TABLE_BYTES => refuse(
				Refusal::OverLimit,
				format!(
					"proving this circuit would take tables of {} MiB; {} MiB are possible",
					bytes >> 20,
					MAX_TABLE_BYTES >> 20
				),
			),
			_ => Ok(layout),
		}
	}

	/// The constant 1 and the two commitments.
	pub fn public(&self) -> [usize; PUBLIC_ROWS] {
		public(self.ints)
	}

	/// Where a variable stands among all.
	pub fn place(&self, var: Var) -> usize {
		place(self.ints, var)
	}

	/// Bytes of the tables that the prover keeps in memory.
	pub fn table_bytes(&self) -> usize {
		let g1 = self.a.entries() + self.b.entries() + self.l.entries() + self.h.entries();
		G1_BYTES * g1 + G2_BYTES * self.b.entries()
	}

	/// Bytes of the points in a key's file.
	pub fn point_bytes(&self) -> usize {
		let [a, b, l] = [&self.a, &self.b, &self.l].map(|section| section.variables.len());
		// Of the powers of tau the first is the generator, and not in the file.
		G1_BYTES * (a + b + l + 2 * self.domain - 1) + G2_BYTES * (b + 2)
	}
}

fn place(ints: usize, var: Var) -> usize {
	match var {
		Var::Int(i) => i as usize,
		Var::Field(i) => ints + i as usize,
	}
}

fn public(ints: usize) -> [usize; PUBLIC_ROWS] {
	[0, ints, ints + 1]
}
