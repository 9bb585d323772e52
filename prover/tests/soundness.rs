//! No assignment that satisfies the constraints says anything else than the program does.
//!
//! For small programs all of them are searched: `search` tries every value that could matter for each free
//! variable, computes what products define, and reports a satisfying assignment whose inputs leave their
//! range or whose outputs are not the program's. Its power is shown by leaving out each row in turn: for
//! every one it finds such an assignment, so none of the rows is superfluous and a missing one would be
//! noticed.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use proptest::prelude::*;
use prover::{
	encode, evaluate, record, run, Batch, Bounds, Circuit, Matrices, MatrixRow as Row, Node, Op, Program,
	Row as LinearRow, Sparse, Var, Witness,
};

fn node(op: Op) -> Node {
	Node { label: String::new(), op }
}

fn input(bounds: &[(i64, i64)]) -> Node {
	node(Op::Input(bounds.iter().map(|&(lo, hi)| Bounds { lo, hi }).collect()))
}

fn linear(rows: &[(i64, &[(u32, i64)])]) -> Node {
	let row = |&(bias, terms): &(i64, &[(u32, i64)])| LinearRow { bias, terms: terms.to_vec() };
	node(Op::Linear(rows.iter().map(row).collect()))
}

fn output(wires: &[u32]) -> Node {
	node(Op::Output(wires.to_vec()))
}

fn small_programs() -> Vec<(&'static str, Vec<Node>)> {
	let shift = |s, wires: &[u32]| node(Op::Shift { s, wires: wires.to_vec() });
	let relu = |s, wires: &[u32]| node(Op::ReluShift { s, wires: wires.to_vec() });
	let thermometer = |wire, k| node(Op::Thermometer { wire, k });
	vec![
		("range", vec![input(&[(-3, 4), (5, 6)]), output(&[0, 1])]),
		("shift", vec![input(&[(-8, 7)]), shift(2, &[0]), output(&[1])]),
		(
			"shift of a sum",
			vec![input(&[(-2, 1), (0, 3)]), linear(&[(1, &[(0, 3), (1, -2)])]), shift(1, &[2]), output(&[3])],
		),
		("relu", vec![input(&[(-4, 3)]), linear(&[(1, &[(0, 1)])]), relu(0, &[1]), output(&[2])]),
		("relu of a large positive range", vec![input(&[(-2, 13)]), relu(1, &[0]), output(&[1])]),
		("relu of a large negative range", vec![input(&[(-13, 2)]), relu(1, &[0]), output(&[1])]),
		(
			"two layers",
			vec![
				input(&[(-2, 1)]),
				linear(&[(1, &[(0, 2)])]),
				relu(1, &[1]),
				linear(&[(-1, &[(0, -1), (2, 1)])]),
				relu(0, &[3]),
				output(&[4]),
			],
		),
		("thermometer on an input", vec![input(&[(0, 5)]), thermometer(0, 5), output(&[0, 1, 2, 3, 4, 5])]),
		(
			"thermometer on a sum",
			vec![
				input(&[(0, 1), (0, 1)]),
				linear(&[(0, &[(0, 1), (1, 2)])]),
				thermometer(2, 3),
				output(&[3, 4, 5]),
			],
		),
		(
			"second thermometer on an input",
			vec![input(&[(0, 2)]), thermometer(0, 2), thermometer(0, 2), output(&[1, 2, 3, 4])],
		),
		("mux", vec![input(&[(0, 1), (-2, 1), (0, 3)]), node(Op::Mux(vec![(0, 1, 2)])), output(&[3])]),
		(
			"tree",
			vec![
				input(&[(0, 2), (0, 1)]),
				thermometer(0, 2),
				thermometer(1, 1),
				linear(&[(7, &[]), (-3, &[]), (5, &[])]),
				node(Op::Mux(vec![(2, 5, 6), (4, 6, 7)])),
				node(Op::Mux(vec![(3, 8, 9)])),
				output(&[10]),
			],
		),
	]
}

/// A constraint over numbered integer variables; 0 is the constant 1.
struct Constraint {
	a: Vec<(usize, Fr)>,
	b: Vec<(usize, Fr)>,
	c: Option<usize>,
}

impl Constraint {
	fn last(&self) -> usize {
		let ends = self.a.iter().chain(&self.b).map(|&(var, _)| var);
		ends.chain(self.c).max().unwrap_or(0)
	}

	fn product(&self, values: &[Fr]) -> Fr {
		dot(&self.a, values) * dot(&self.b, values)
	}
}

fn dot(terms: &[(usize, Fr)], values: &[Fr]) -> Fr {
	terms.iter().fold(Fr::ZERO, |sum, &(var, c)| sum + c * values[var])
}

fn numbered(side: &Sparse<i64>) -> Vec<(usize, Fr)> {
	let index = |var| match var {
		Var::Int(i) => i as usize,
		Var::Field(_) => panic!("an integer row has no field variable"),
	};
	side.iter().map(|&(var, c)| (index(var), Fr::from(c))).collect()
}

struct System {
	program: Program,
	constraints: Vec<Constraint>,
	variables: usize,
	inputs: Vec<Vec<(usize, Fr)>>,
	outputs: Vec<Vec<(usize, Fr)>>,
	/// What a free variable is tried with: fractions with denominators that the decompositions have, and one
	/// large number.
	candidates: Vec<Fr>,
}

impl System {
	/// The program's constraints, without row `left_out`.
	fn new(nodes: &[Node], left_out: Option<usize>) -> System {
		let program = Program::decode(&encode(nodes)).expect("the program is well formed");
		let mut matrices = Matrices::new(nodes.len());
		let wires = run(&program, 0, &mut matrices);
		matrices.check().expect("the program is small");
		let mut rows: Vec<_> = matrices.int_rows.iter().collect();
		if let Some(i) = left_out {
			rows.remove(i);
		}
		let fraction = |(n, d): (i64, u64)| Fr::from(n) / Fr::from(d);
		let integers = [0, 1, 2, 3, -1, -2, 1 << 40].map(|n| (n, 1));
		let fractions = (1..4).flat_map(|e| (-12..=12).map(move |n| (2 * n + 1, 1 << e)));
		let candidates = integers.into_iter().chain(fractions).map(fraction).collect();
		let constraints = rows.iter().map(|row| Constraint {
			a: numbered(&row.a),
			b: numbered(&row.b),
			c: row.c.map(|var| numbered(&vec![(var, 1)])[0].0),
		});
		System {
			constraints: constraints.collect(),
			variables: matrices.widths.len(),
			inputs: wires[..program.inputs().len()].iter().map(numbered).collect(),
			outputs: program.outputs().iter().map(|&w| numbered(&wires[w as usize])).collect(),
			program,
			candidates,
		}
	}

	/// A satisfying assignment that contradicts the program.
	fn search(&self) -> Option<Vec<Fr>> {
		let mut ready: Vec<Vec<&Constraint>> = (0..self.variables).map(|_| Vec::new()).collect();
		for constraint in &self.constraints {
			ready[constraint.last()].push(constraint);
		}
		self.extend(&mut vec![Fr::ONE], &ready)
	}

	fn extend(&self, values: &mut Vec<Fr>, ready: &[Vec<&Constraint>]) -> Option<Vec<Fr>> {
		let next = values.len();
		if next == self.variables {
			return self.contradicts(values).then(|| values.clone());
		}
		let mut candidates = self.candidates.clone();
		// A product is what its factors say.
		for constraint in &ready[next] {
			let factors = constraint.a.iter().chain(&constraint.b);
			if constraint.c == Some(next) && factors.clone().all(|&(var, _)| var < next) {
				candidates = vec![constraint.product(values)];
			}
		}
		for candidate in candidates {
			values.push(candidate);
			let fits = |c: &&Constraint| c.product(values) == c.c.map_or(Fr::ZERO, |var| values[var]);
			if ready[next].iter().all(fits) {
				if let Some(found) = self.extend(values, ready) {
					return Some(found);
				}
			}
			values.pop();
		}
		None
	}

	fn contradicts(&self, values: &[Fr]) -> bool {
		let integers = |ends: &[Vec<(usize, Fr)>]| {
			ends.iter().map(|end| small(dot(end, values))).collect::<Option<Vec<i64>>>()
		};
		let Some(inputs) = integers(&self.inputs) else {
			return true;
		};
		let within = inputs.iter().zip(&self.program.bounds).all(|(x, b)| b.contains(*x));
		!within || integers(&self.outputs) != evaluate(&self.program, &inputs).ok()
	}
}

/// The integer below 2^62 in magnitude that a field element stands for.
fn small(x: Fr) -> Option<i64> {
	let magnitude = |x: Fr| {
		let limbs = x.into_bigint().0;
		(limbs[1..] == [0, 0, 0] && limbs[0] < 1 << 62).then_some(limbs[0] as i64)
	};
	magnitude(x).or_else(|| magnitude(-x).map(|m| -m))
}

#[test]
fn no_assignment_contradicts_the_program() {
	for (name, nodes) in small_programs() {
		assert_eq!(System::new(&nodes, None).search(), None, "{name}");
	}
}

#[test]
fn every_row_left_out_is_noticed() {
	for (name, nodes) in small_programs() {
		let rows = System::new(&nodes, None).constraints.len();
		for row in 0..rows {
			assert!(System::new(&nodes, Some(row)).search().is_some(), "{name}: row {row} of {rows}");
		}
	}
}

/// Honest values and both sides of every row, from the two backends.
struct Full {
	matrices: Matrices,
	witness: Witness,
}

impl Full {
	fn new(nodes: &[Node], batch: impl Into<Batch>, values: &[i64]) -> Full {
		let batch = batch.into();
		let circuit = Circuit::new(&encode(nodes), batch).expect("the program is well formed");
		let (witness, outputs) =
			circuit.witness(values, &[7; 32], &[8; 32]).expect("the values are in range");
		assert_eq!(outputs, circuit.evaluate(values).expect("the values are in range"));
		let matrices = record(&circuit.program, batch).expect("the circuit is small");
		Full { matrices, witness }
	}

	fn value(&self, var: Var, changed: Option<(Var, Fr)>) -> Fr {
		match (var, changed) {
			(var, Some((other, value))) if var == other => value,
			(Var::Int(i), _) => Fr::from(self.witness.ints[i as usize]),
			(Var::Field(i), _) => self.witness.fields[i as usize],
		}
	}

	fn dot<C: Copy>(&self, side: &Sparse<C>, changed: Option<(Var, Fr)>) -> Fr
	where
		Fr: From<C>,
	{
		side.iter().fold(Fr::ZERO, |sum, &(var, c)| sum + Fr::from(c) * self.value(var, changed))
	}

	/// Whether a row breaks when a variable changes (or with nothing changed).
	fn breaks(&self, changed: Option<(Var, Fr)>) -> bool {
		let rows = self.matrices.int_rows.iter();
		rows.clone().any(|row| self.row_breaks(row, changed))
			|| self.matrices.field_rows.iter().any(|row| self.row_breaks(row, changed))
	}

	fn row_breaks<C: Copy>(&self, row: &Row<C>, changed: Option<(Var, Fr)>) -> bool
	where
		Fr: From<C>,
	{
		let touched = |(var, _): (Var, Fr)| {
			row.c == Some(var) || row.a.iter().chain(&row.b).any(|(other, _)| *other == var)
		};
		let c = |var| self.value(var, changed);
		changed.is_none_or(touched)
			&& self.dot(&row.a, changed) * self.dot(&row.b, changed) != row.c.map_or(Fr::ZERO, c)
	}

	/// The witness backend computed the sides that the matrices define.
	fn agrees(&self) {
		assert_eq!(self.matrices.int_rows.len(), self.witness.int_rows.len());
		assert_eq!(self.matrices.field_rows.len(), self.witness.field_rows.len());
		assert_eq!(self.matrices.widths.len(), self.witness.ints.len());
		assert_eq!(self.matrices.fields as usize, self.witness.fields.len());
		for (row, &(a, b)) in self.matrices.int_rows.iter().zip(&self.witness.int_rows) {
			assert_eq!((self.dot(&row.a, None), self.dot(&row.b, None)), (Fr::from(a), Fr::from(b)));
		}
		for (row, &(a, b)) in self.matrices.field_rows.iter().zip(&self.witness.field_rows) {
			assert_eq!((self.dot(&row.a, None), self.dot(&row.b, None)), (a, b));
		}
		for (&width, &value) in self.matrices.widths.iter().zip(&self.witness.ints) {
			assert!(value.unsigned_abs() >> width == 0, "{value} has more than {width} bits");
		}
	}
}

/// Two records in one hash: with the commitment fixed, no cell of either record, no salt and no cell of the
/// hashes can move, nor can the records change places.
#[test]
fn a_flat_batch_holds_every_record() {
	let nodes = [input(&[(-3, 4), (0, 1)]), output(&[1, 0])];
	let full = Full::new(&nodes, Batch::flat(2), &[-1, 1, 2, 0]);
	assert!(!full.breaks(None));
	let ints = (1..full.witness.ints.len()).map(|i| Var::Int(i as u32));
	let fields = (0..full.witness.fields.len()).map(|i| Var::Field(i as u32));
	for var in ints.chain(fields) {
		let honest = full.value(var, None);
		for other in [honest + Fr::ONE, Fr::ONE - honest, -honest, Fr::from(1u64 << 50)] {
			assert!(other == honest || full.breaks(Some((var, other))), "{var:?} moved unseen");
		}
	}
	let exchanged = Full::new(&nodes, Batch::flat(2), &[2, 0, -1, 1]);
	assert_ne!(full.witness.commitments, exchanged.witness.commitments);
}

/// With the commitments fixed, no single cell can move, whether of the program or of the hashes.
#[test]
fn every_changed_cell_breaks_a_row() {
	for (name, nodes) in small_programs() {
		let Op::Input(bounds) = &nodes[0].op else { unreachable!() };
		let values: Vec<i64> = bounds.iter().map(|b| b.lo + (b.hi - b.lo) / 2).collect();
		let full = Full::new(&nodes, 1, &values);
		assert!(!full.breaks(None), "{name}");
		let ints = (1..full.witness.ints.len()).map(|i| Var::Int(i as u32));
		// The hashes are the same in all programs of one shape: look at them once.
		let hashes = if name == "tree" { full.witness.fields.len() } else { 2 };
		let fields = (0..hashes).map(|i| Var::Field(i as u32));
		for var in ints.chain(fields) {
			let honest = full.value(var, None);
			for other in [honest + Fr::ONE, Fr::ONE - honest, -honest, Fr::from(1u64 << 50)] {
				assert!(other == honest || full.breaks(Some((var, other))), "{name}: {var:?} moved unseen");
			}
		}
	}
}

/// Programs with every node, over inputs of up to 6 bits.
fn programs() -> impl Strategy<Value = (Vec<Node>, Vec<i64>)> {
	let bounds = prop::collection::vec((-40i64..40, 0u32..6), 2..6);
	let layer = prop::collection::vec((-90i64..90, prop::collection::vec(-9i64..9, 6)), 1..5);
	(bounds, layer, 0u32..5, 1u32..5, any::<u64>()).prop_map(|(bounds, layer, relu, shift, pick)| {
		let mut bounds: Vec<Bounds> =
			bounds.iter().map(|&(lo, w)| Bounds { lo, hi: lo + (1 << w) - 1 }).collect();
		bounds.push(Bounds { lo: 0, hi: 6 });
		let n = bounds.len() as u32;
		let rows: Vec<LinearRow> = layer
			.iter()
			.map(|(bias, weights)| LinearRow {
				bias: *bias,
				terms: (0..n).zip(weights.iter().copied()).filter(|&(_, w)| w != 0).collect(),
			})
			.collect();
		let m = rows.len() as u32;
		let sums: Vec<u32> = (n..n + m).collect();
		let relus: Vec<u32> = (n + m..n + 2 * m).collect();
		let steps = n + 2 * m;
		let mut nodes = vec![
			node(Op::Input(bounds.clone())),
			node(Op::Linear(rows)),
			node(Op::ReluShift { s: relu, wires: sums.clone() }),
			node(Op::Thermometer { wire: n - 1, k: 6 }),
			node(Op::Mux(vec![(steps + 2, n, relus[0]), (steps, 0, 1)])),
			node(Op::Shift { s: shift, wires: vec![steps + 6, steps + 7] }),
		];
		let mut ends = relus;
		ends.extend([steps + 8, steps + 9, 0, steps + 5]);
		nodes.push(node(Op::Output(ends)));
		let value = |(i, b): (usize, &Bounds)| match pick >> (2 * i) & 3 {
			0 => b.lo,
			1 => b.hi,
			_ => b.lo + (pick >> (5 * i)) as i64 % (b.hi - b.lo + 1).max(1),
		};
		let values = bounds.iter().enumerate().map(|(i, b)| value((i, b)).clamp(b.lo, b.hi)).collect();
		(nodes, values)
	})
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(24))]

	#[test]
	fn backends_agree((nodes, values) in programs(), records in 1usize..4, flat in any::<bool>()) {
		let values = values.repeat(records);
		let batch = if flat { Batch::flat(records) } else { records.into() };
		let full = Full::new(&nodes, batch, &values);
		full.agrees();
		prop_assert!(!full.breaks(None));
	}

	#[test]
	fn static_bounds_hold((nodes, values) in programs()) {
		let program = Program::decode(&encode(&nodes)).unwrap();
		let mut witness = Witness::new(&values, values.len(), vec![[Fr::ZERO; 2]], [0; 4]);
		let wires = run(&program, 0, &mut witness);
		for (wire, (x, b)) in wires.iter().zip(&program.bounds).enumerate() {
			prop_assert!(b.contains(*x), "wire {} is {}, beyond {:?}", wire, x, b);
		}
	}
}
