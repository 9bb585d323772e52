//! Each gadget of small width, proved for all assignments: every element of the field in every variable.
//!
//! The constraints are the prover's own. A field has no zero divisors, so `a * b = 0` says that `a = 0` or that
//! `b = 0`: each such row splits the search in two, and what is left of a branch is a system of linear
//! equations, solved exactly over BN254's scalar field. A row `a * b = c` becomes linear when one of its factors
//! is known. Nothing is sampled: the branches together are all assignments that satisfy the rows, and in each of
//! them inputs and outputs must be integers, the inputs in their bounds and the outputs the program's.
//!
//! With any row left out the same procedure gives an assignment that satisfies the others and contradicts the
//! program, and the test looks at that assignment again, row by row. docs/proving.md has the argument for wide
//! gadgets.

use std::collections::BTreeMap;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use prover::{
	encode, evaluate, record, run, Batch, Bounds, Circuit, Matrices, Node, Op, Program, Row, Sparse, Var,
};

/// A constant, and coefficients of variables; no coefficient is 0.
#[derive(Clone, Default, PartialEq)]
struct Affine {
	constant: Fr,
	terms: BTreeMap<u32, Fr>,
}

impl Affine {
	fn new(side: &Sparse<i64>) -> Affine {
		let mut sum = Affine::default();
		for &(var, coefficient) in side {
			match var {
				Var::Int(0) => sum.constant += Fr::from(coefficient),
				Var::Int(i) => sum.add(Fr::ONE, &Affine::variable(i, Fr::from(coefficient))),
				Var::Field(_) => panic!("an integer row has no field variable"),
			}
		}
		sum
	}

	fn variable(i: u32, coefficient: Fr) -> Affine {
		Affine { constant: Fr::ZERO, terms: BTreeMap::from([(i, coefficient)]) }
	}

	fn add(&mut self, factor: Fr, other: &Affine) {
		self.constant += factor * other.constant;
		for (&i, &coefficient) in &other.terms {
			let term = self.terms.entry(i).or_insert(Fr::ZERO);
			*term += factor * coefficient;
			if *term == Fr::ZERO {
				self.terms.remove(&i);
			}
		}
	}

	fn value(&self) -> Option<Fr> {
		self.terms.is_empty().then_some(self.constant)
	}
}

/// What is known on a branch: variables that others, or nothing, decide.
#[derive(Clone, Default)]
struct Known(BTreeMap<u32, Affine>);

impl Known {
	fn reduce(&self, x: &Affine) -> Affine {
		let mut sum = Affine { constant: x.constant, terms: BTreeMap::new() };
		for (&i, &coefficient) in &x.terms {
			match self.0.get(&i) {
				Some(known) => sum.add(coefficient, known),
				None => sum.add(coefficient, &Affine::variable(i, Fr::ONE)),
			}
		}
		sum
	}

	/// Add the equation `x = 0`; false if it contradicts what is known.
	fn vanish(&mut self, x: &Affine) -> bool {
		let x = self.reduce(x);
		let Some((&pivot, &coefficient)) = x.terms.iter().next_back() else {
			return x.constant == Fr::ZERO;
		};
		let mut solved = Affine::default();
		solved.add(-coefficient.inverse().expect("a coefficient is not 0"), &x);
		solved.terms.remove(&pivot);
		for known in self.0.values_mut() {
			if let Some(factor) = known.terms.remove(&pivot) {
				known.add(factor, &solved);
			}
		}
		self.0.insert(pivot, solved);
		true
	}
}

struct Constraint {
	a: Affine,
	b: Affine,
	c: Affine,
}

struct System {
	program: Program,
	constraints: Vec<Constraint>,
	inputs: Vec<Affine>,
	outputs: Vec<Affine>,
	variables: u32,
	/// Rows of the inputs' range checks.
	ranges: usize,
}

/// Branches that were looked at, or an assignment that satisfies all rows and is not the program's.
type Verdict = Result<usize, Vec<Fr>>;

impl System {
	/// The rows of a program, without row `left_out`.
	fn new(nodes: &[Node], left_out: Option<usize>) -> System {
		let program = Program::decode(&encode(nodes)).expect("the program is well formed");
		let mut matrices = Matrices::new(nodes.len());
		let wires = run(&program, 0, &mut matrices);
		matrices.check().expect("the program is small");
		let rows = matrices.int_rows.iter().enumerate().filter(|(i, _)| Some(*i) != left_out);
		let constraints = rows.map(|(_, row)| Constraint {
			a: Affine::new(&row.a),
			b: Affine::new(&row.b),
			c: row.c.map_or_else(Affine::default, |var| Affine::new(&vec![(var, 1)])),
		});
		System {
			constraints: constraints.collect(),
			inputs: wires[..program.inputs().len()].iter().map(Affine::new).collect(),
			outputs: program.outputs().iter().map(|&w| Affine::new(&wires[w as usize])).collect(),
			variables: matrices.widths.len() as u32,
			ranges: matrices.layers[0],
			program,
		}
	}

	fn prove(&self) -> Verdict {
		self.branch(0, Known::default(), Vec::new())
	}

	/// Go on at row `at`; `later` are the products of two unknowns that were passed.
	fn branch(&self, at: usize, mut known: Known, mut later: Vec<usize>) -> Verdict {
		for row in at..self.constraints.len() {
			let Constraint { a, b, c } = &self.constraints[row];
			let (a, b, c) = (known.reduce(a), known.reduce(b), known.reduce(c));
			match (a.value(), b.value(), c.value()) {
				(None, None, Some(c)) if c == Fr::ZERO => {
					let mut looked_at = 0;
					for factor in [a, b] {
						let mut known = known.clone();
						if known.vanish(&factor) {
							looked_at += self.branch(row + 1, known, later.clone())?;
						}
					}
					return Ok(looked_at);
				}
				(None, None, _) => later.push(row),
				_ => {
					if !known.vanish(&product(&a, &b, &c).expect("a factor is known")) {
						return Ok(0);
					}
				}
			}
		}
		self.end(known, later)
	}

	/// All assignments of one branch: linear equations, and products that are linear by now or never will be.
	fn end(&self, mut known: Known, later: Vec<usize>) -> Verdict {
		let before = later.len();
		let mut open = Vec::new();
		for row in later {
			let Constraint { a, b, c } = &self.constraints[row];
			match product(&known.reduce(a), &known.reduce(b), &known.reduce(c)) {
				Some(equation) if !known.vanish(&equation) => return Ok(0),
				Some(_) => {}
				None => open.push(row),
			}
		}
		match open.first() {
			Some(_) if open.len() < before => self.end(known, open),
			// Never with all rows: some number takes the place of a factor that nothing decides.
			Some(&row) => {
				let mut guess = known.reduce(&self.constraints[row].a);
				guess.constant -= any();
				assert!(known.vanish(&guess));
				self.end(known, open).and(Err(Vec::new()))
			}
			None if self.is_the_programs(&known) => Ok(1),
			None => Err(self.assignment(&known)),
		}
	}

	/// Whether inputs and outputs are decided, and are what the program says.
	fn is_the_programs(&self, known: &Known) -> bool {
		let integers = |ends: &[Affine]| -> Option<Vec<i64>> {
			ends.iter().map(|end| known.reduce(end).value().and_then(small)).collect()
		};
		match (integers(&self.inputs), integers(&self.outputs)) {
			(Some(x), Some(y)) => evaluate(&self.program, &x).is_ok_and(|expected| expected == y),
			_ => false,
		}
	}

	/// An assignment of the branch; what nothing decides is some large number.
	fn assignment(&self, known: &Known) -> Vec<Fr> {
		let mut all = known.clone();
		for i in 1..self.variables {
			let mut guess = all.reduce(&Affine::variable(i, Fr::ONE));
			if guess.value().is_none() {
				guess.constant -= any();
				assert!(all.vanish(&guess));
			}
		}
		(1..self.variables).map(|i| all.0[&i].constant).collect()
	}

	/// Whether the rows hold for an assignment, and whether it contradicts the program.
	fn is_a_forgery(&self, assignment: &[Fr]) -> bool {
		let mut known = Known::default();
		for (i, &x) in (1..).zip(assignment) {
			known.0.insert(i, Affine { constant: x, terms: BTreeMap::new() });
		}
		let value = |x: &Affine| known.reduce(x).value().expect("all is assigned");
		self.constraints.iter().all(|row| value(&row.a) * value(&row.b) == value(&row.c))
			&& !self.is_the_programs(&known)
	}
}

/// `a * b - c`, if it is linear.
fn product(a: &Affine, b: &Affine, c: &Affine) -> Option<Affine> {
	let (factor, other) = match (a.value(), b.value()) {
		(Some(a), _) => (a, b),
		(_, Some(b)) => (b, a),
		_ => return None,
	};
	let mut equation = Affine::default();
	equation.add(factor, other);
	equation.add(-Fr::ONE, c);
	Some(equation)
}

/// No small integer, and no fraction with a small denominator.
fn any() -> Fr {
	Fr::from(0x5eed_5eed_5eed_5eedu64).square()
}

/// The integer below 2^62 in magnitude that a field element stands for.
fn small(x: Fr) -> Option<i64> {
	let magnitude = |x: Fr| {
		let limbs = x.into_bigint().0;
		(limbs[1..] == [0, 0, 0] && limbs[0] < 1 << 62).then_some(limbs[0] as i64)
	};
	magnitude(x).or_else(|| magnitude(-x).map(|m| -m))
}

/// Proved with all rows, and forged with any of them left out.
fn holds(what: &str, nodes: &[Node]) {
	let system = System::new(nodes, None);
	match system.prove() {
		Ok(branches) => assert!(branches > 0, "{what}: nothing satisfies it"),
		Err(forgery) => panic!("{what}: {forgery:?} satisfies every row"),
	}
	// Every input has its branch: the rows do not shut out honest provers either.
	let inputs: usize = system.program.inputs().iter().map(|b| (b.hi - b.lo) as usize + 1).product();
	assert!(system.prove().is_ok_and(|branches| branches >= inputs), "{what}: some input is shut out");
	for row in 0..system.constraints.len() {
		let without = System::new(nodes, Some(row));
		match without.prove() {
			Err(forgery) => assert!(without.is_a_forgery(&forgery), "{what}, row {row}: no forgery"),
			// A gadget may prove the range of what it reads once more, `bit_decomposition_of_an_input` is about
			// these rows alone.
			Ok(_) if row < system.ranges && system.constraints.len() > system.ranges => {}
			Ok(_) => panic!("{what}: row {row} is superfluous, or its loss would pass unseen"),
		}
	}
}

fn node(op: Op) -> Node {
	Node { label: String::new(), op }
}

fn input(bounds: &[(i64, i64)]) -> Node {
	node(Op::Input(bounds.iter().map(|&(lo, hi)| Bounds { lo, hi }).collect()))
}

fn linear(rows: &[(i64, &[(u32, i64)])]) -> Node {
	let row = |&(bias, terms): &(i64, &[(u32, i64)])| Row { bias, terms: terms.to_vec() };
	node(Op::Linear(rows.iter().map(row).collect()))
}

fn shift(s: u32, wire: u32) -> Node {
	node(Op::Shift { s, wires: vec![wire] })
}

fn relu(s: u32, wire: u32) -> Node {
	node(Op::ReluShift { s, wires: vec![wire] })
}

fn output(wires: &[u32]) -> Node {
	node(Op::Output(wires.to_vec()))
}

/// Ranges of 2^w numbers that begin here and there.
fn ranges(widths: std::ops::RangeInclusive<u32>) -> impl Iterator<Item = (i64, i64)> {
	widths.flat_map(|w| [-(1 << w), -(1i64 << w >> 1) - 1, -1, 3].map(|lo| (lo, lo + (1 << w) - 1)))
}

#[test]
fn bit_decomposition_of_an_input() {
	for range in ranges(1..=6) {
		holds(&format!("{range:?}"), &[input(&[range]), output(&[0])]);
	}
}

#[test]
fn division_with_rounding() {
	for range in ranges(1..=4) {
		for s in 1..=3 {
			holds(&format!("{range:?} >> {s}"), &[input(&[range]), shift(s, 0), output(&[1])]);
		}
	}
}

#[test]
fn division_of_a_sum() {
	let sum = linear(&[(1, &[(0, 3), (1, -2)])]);
	holds("a sum", &[input(&[(-2, 1), (0, 3)]), sum, shift(1, 2), output(&[3])]);
}

#[test]
fn relu_with_rounding() {
	for range in ranges(1..=4) {
		for s in 0..=2 {
			holds(&format!("relu {range:?} >> {s}"), &[input(&[range]), relu(s, 0), output(&[1])]);
		}
	}
}

#[test]
fn clamp() {
	// relu(x) - relu(x - 3): within 0..=3.
	for range in ranges(2..=3) {
		let nodes = [
			input(&[range]),
			linear(&[(-3, &[(0, 1)])]),
			relu(0, 0),
			relu(0, 1),
			linear(&[(0, &[(2, 1), (3, -1)])]),
		];
		holds(&format!("clamp {range:?}"), &[&nodes[..], &[output(&[4])]].concat());
	}
}

#[test]
fn maximum_of_two() {
	let difference = linear(&[(0, &[(0, 1), (1, -1)])]);
	let larger = linear(&[(0, &[(1, 1), (3, 1)])]);
	holds("max", &[input(&[(-2, 1), (-1, 2)]), difference, relu(0, 2), larger, output(&[4])]);
}

#[test]
fn comparison_with_each_threshold() {
	for k in [1, 3, 7] {
		let steps: Vec<u32> = (0..=k).collect();
		let thermometer = node(Op::Thermometer { wire: 0, k });
		holds(&format!("rank of {k}"), &[input(&[(0, i64::from(k))]), thermometer, output(&steps)]);
	}
	let sum = linear(&[(0, &[(0, 1), (1, 2)])]);
	let thermometer = node(Op::Thermometer { wire: 2, k: 3 });
	holds("of a sum", &[input(&[(0, 1), (0, 1)]), sum, thermometer, output(&[3, 4, 5])]);
}

#[test]
fn one_of_several() {
	// Indicators 1 - t1, t1 - t2, t2 - t3, t3 of a rank, and what they look up.
	let thermometer = node(Op::Thermometer { wire: 0, k: 3 });
	let indicators =
		linear(&[(1, &[(1, -1)]), (0, &[(1, 1), (2, -1)]), (0, &[(2, 1), (3, -1)]), (0, &[(3, 1)])]);
	let table = linear(&[(0, &[(4, 10), (5, -7), (6, 2), (7, 100)])]);
	holds("lookup", &[input(&[(0, 3)]), thermometer, indicators, table, output(&[4, 5, 6, 7, 8])]);
}

#[test]
fn path_through_a_tree() {
	let thermometers = [node(Op::Thermometer { wire: 0, k: 2 }), node(Op::Thermometer { wire: 1, k: 1 })];
	let leaves = linear(&[(7, &[]), (-3, &[]), (5, &[])]);
	let lower = node(Op::Mux(vec![(2, 5, 6), (4, 6, 7)]));
	let upper = node(Op::Mux(vec![(3, 8, 9)]));
	let [first, second] = thermometers;
	// Ranks of 0..=2: three values, each with a branch of its own.
	holds("tree", &[input(&[(0, 2), (0, 1)]), first, second, leaves, lower, upper, output(&[10])]);
}

#[test]
fn choice_between_two_values() {
	holds("mux", &[input(&[(0, 1), (-2, 1), (0, 3)]), node(Op::Mux(vec![(0, 1, 2)])), output(&[3])]);
}

/// The circuit of values that go out as they came in.
fn passing(bounds: &[(i64, i64)], batch: Batch) -> Matrices {
	let wires: Vec<u32> = (0..bounds.len() as u32).collect();
	let circuit = Circuit::new(&encode(&[input(bounds), output(&wires)]), batch).expect("a small circuit");
	record(&circuit.program, batch).expect("a small circuit")
}

/// The first S-box of a hash squares the packed element plus a round constant.
fn packed(matrices: &Matrices, element: usize) -> BTreeMap<u32, Fr> {
	let row = &matrices.field_rows[3 * element];
	let bits = row.a.iter().filter_map(|&(var, x)| match var {
		Var::Int(i) => (i > 0).then_some((i, x)),
		Var::Field(_) => None,
	});
	bits.collect()
}

/// That no two assignments of the bits give one sum below the modulus: distinct powers of two below 2^253.
fn injective(weights: &BTreeMap<u32, Fr>) -> bool {
	let mut seen = [false; 253];
	weights.values().all(|x| {
		let limbs = x.into_bigint().0;
		let ones: u32 = limbs.iter().map(|limb| limb.count_ones()).sum();
		let at = limbs.iter().take_while(|limb| **limb == 0).count();
		let power = |at: usize| 64 * at + limbs[at].trailing_zeros() as usize;
		ones == 1 && seen.get_mut(power(at)).is_some_and(|seen| !std::mem::replace(seen, true))
	})
}

#[test]
fn packing_of_values() {
	for (bounds, batch, elements) in [
		(vec![(0, 1); 253], Batch::from(1), 1),
		(vec![(0, 1); 254], Batch::from(1), 2),
		(vec![(-5, 2), (7, 7), (0, 1), (-(1 << 59), (1 << 59) - 1)], Batch::from(1), 1),
		(vec![(0, (1 << 60) - 1); 5], Batch::from(1), 2),
		(vec![(1, 1 << 40); 30], Batch::from(1), 5),
		(vec![(0, 1); 23], Batch::flat(11), 1),
		(vec![(0, 1); 127], Batch::flat(2), 2),
		(vec![(-5, 2), (7, 7), (1, 1 << 40)], Batch::flat(17), 4),
	] {
		let matrices = passing(&bounds, batch);
		let mut bits = 0;
		for element in 0..elements {
			let weights = packed(&matrices, element);
			assert!(injective(&weights), "{bounds:?}");
			bits += weights.len();
			// Values that overlap by a bit would be noticed.
			for (&i, &x) in weights.iter().filter(|(_, x)| **x != Fr::ONE) {
				let mut shifted = weights.clone();
				shifted.insert(i, x / Fr::from(2));
				assert!(!injective(&shifted));
			}
		}
		let expected: u32 =
			bounds.iter().map(|&(lo, hi)| u64::BITS - ((hi - lo) as u64).leading_zeros()).sum();
		assert_eq!(bits as u32, expected * batch.records as u32, "{bounds:?}: bits are left out of the hash");
	}
}

/// Whether the inputs and the salts decide every variable of the hashes, and with them the commitments.
fn decided(matrices: &Matrices, left_out: Option<usize>) -> bool {
	let products = matrices.field_rows.iter().filter_map(|row| match row.c {
		Some(Var::Field(i)) => Some(i),
		_ => None,
	});
	let products: std::collections::BTreeSet<u32> = products.collect();
	let mut known: Vec<bool> = (0..matrices.fields).map(|i| i >= 2 && !products.contains(&i)).collect();
	let salts = known.iter().filter(|known| **known).count();
	for (_, row) in matrices.field_rows.iter().enumerate().filter(|(i, _)| Some(*i) != left_out) {
		let unknown: Vec<u32> = [&row.a, &row.b]
			.into_iter()
			.flatten()
			.filter_map(|&(var, _)| match var {
				Var::Field(i) => (!known[i as usize]).then_some(i),
				Var::Int(_) => None,
			})
			.collect();
		match (row.c, &unknown[..]) {
			// A product of what is known: a new variable, once.
			(Some(Var::Field(i)), []) if !known[i as usize] => known[i as usize] = true,
			// Equal to a commitment, linearly: `(digest - C) * 1 = 0`.
			(None, &[i]) if i < 2 && row.b == [(Var::Int(0), Fr::ONE)] => known[i as usize] = true,
			_ => return false,
		}
	}
	salts == 2 && known.into_iter().all(|known| known)
}

#[test]
fn sponge_of_poseidon_is_decided_by_what_it_absorbs() {
	let cases = [
		(vec![(0, 1)], Batch::from(1)),
		(vec![(0, (1 << 60) - 1); 9], Batch::from(1)),
		(vec![(0, (1 << 60) - 1); 9], Batch::flat(2)),
	];
	for (bounds, batch) in cases {
		let matrices = passing(&bounds, batch);
		assert!(decided(&matrices, None));
		for row in 0..matrices.field_rows.len() {
			assert!(
				!decided(&matrices, Some(row)),
				"row {row} is superfluous, or its loss would pass unseen"
			);
		}
	}
}
