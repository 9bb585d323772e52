//! Time the prover on the shapes of the benchmark's models, with random weights: `cargo run --release
//! --example profile -- [ROUNDS [MODEL]]`.

use std::time::Instant;

use prover::{check_file, encode, prove, setup, Bounds, Circuit, Node, Op, ProvingKey, Row};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn node(label: &str, op: Op) -> Node {
	Node { label: label.into(), op }
}

/// Layers of (outputs, fan-in): a ReLU after each but the last.
fn network(inputs: usize, bits: u32, weight: i64, shift: u32, layers: &[(usize, usize)]) -> Vec<Node> {
	let mut rng = StdRng::seed_from_u64(1);
	let mut nodes = vec![node("input", Op::Input(vec![Bounds { lo: 0, hi: (1 << bits) - 1 }; inputs]))];
	let (mut first, mut width, mut wires) = (0usize, inputs, inputs);
	for (i, &(outputs, fan)) in layers.iter().enumerate() {
		let rows = (0..outputs)
			.map(|row| {
				let start = row * width.saturating_sub(fan) / outputs;
				let terms = (start..start + fan).map(|w| {
					((first + w) as u32, rng.gen_range(1..=weight) * if rng.gen() { 1 } else { -1 })
				});
				Row { bias: 0, terms: terms.collect() }
			})
			.collect();
		nodes.push(node(&format!("linear {i}"), Op::Linear(rows)));
		let sums = (wires..wires + outputs).map(|w| w as u32).collect();
		wires += outputs;
		if i + 1 == layers.len() {
			nodes.push(node("output", Op::Output(sums)));
		} else {
			nodes.push(node(&format!("relu {i}"), Op::ReluShift { s: shift, wires: sums }));
			(first, width) = (wires, outputs);
			wires += outputs;
		}
	}
	nodes
}

/// CPU milliseconds of all threads of this process (Linux): what a busy machine does not blur.
fn cpu_ms() -> f64 {
	let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
	let nanoseconds = |task: std::fs::DirEntry| -> Option<f64> {
		let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
		text.split(' ').next()?.parse().ok()
	};
	tasks.flatten().filter_map(nanoseconds).sum::<f64>() / 1e6
}

fn main() {
	let models = [
		("mlp 30-16-1", network(30, 6, 15, 0, &[(16, 30), (1, 16)]), 1),
		("mlp 30-16-1", network(30, 6, 15, 0, &[(16, 30), (1, 16)]), 16),
		("cnn1d", network(187, 6, 15, 6, &[(4 * 90, 5), (8 * 40, 20), (5, 320)]), 1),
		("cnn2d", network(784, 4, 15, 6, &[(4 * 196, 9), (8 * 49, 36), (2, 392)]), 1),
	];
	let rounds: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20);
	let only = std::env::args().nth(2).unwrap_or_default();
	for (name, nodes, batch) in models {
		if !format!("{name} x{batch}").ends_with(&only) {
			continue;
		}
		let circuit = Circuit::new(&encode(&nodes), batch).expect("the model fits");
		let path = std::env::temp_dir().join(format!("profile-{}.pk", std::process::id()));
		let start = Instant::now();
		let (_, _) = setup(&circuit, &path).expect("setup");
		let set_up = start.elapsed();
		let start = Instant::now();
		check_file(&path, &circuit).expect("a good key");
		let checked = start.elapsed();
		let start = Instant::now();
		let key = ProvingKey::load(&path, &circuit, None, None).expect("load");
		let loaded = start.elapsed();
		let size = std::fs::metadata(&path).expect("key").len();
		std::fs::remove_file(&path).expect("remove");
		let mut rng = StdRng::seed_from_u64(2);
		let bounds = circuit.program.inputs();
		let values: Vec<i64> = (0..batch)
			.flat_map(|_| bounds.iter().map(|b| rng.gen_range(b.lo..=b.hi)).collect::<Vec<_>>())
			.collect();
		let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
		// Both live to the end, so that no thread's CPU time goes missing.
		for (threads, pool) in [(1, &pool(1)), (2, &pool(2))] {
			let mut times = [Vec::new(), Vec::new(), Vec::new()];
			for _ in 0..rounds {
				let (start, cpu) = (Instant::now(), cpu_ms());
				let (witness, _) = circuit.witness(&values, &[1; 32], &[2; 32]).expect("witness");
				times[0].push(start.elapsed().as_secs_f64() * 1e3);
				pool.install(|| prove(&key, &witness)).expect("proof");
				times[1].push(start.elapsed().as_secs_f64() * 1e3);
				times[2].push(cpu_ms() - cpu);
			}
			let [witness, total, cpu] = times.map(|mut times| {
				times.sort_by(f64::total_cmp);
				format!("{:.2} ({:.2})", times[times.len() / 2], times[0])
			});
			println!(
				"{name} x{batch}, {threads} thread(s), median (least) ms: \
                 witness {witness}, with proof {total}, CPU {cpu}"
			);
		}
		println!(
			"  {} rows, domain {}, key {:.1} MB, tables {:.1} MB, setup {set_up:.2?}, check {checked:.0?}, load {loaded:.0?}",
			circuit.constraints,
			key.domain.size,
			size as f64 / 1e6,
			key.layout.table_bytes() as f64 / 1e6,
		);
		let s = &key.layout;
		for (name, section) in [("a", &s.a), ("b", &s.b), ("l", &s.l), ("h", &s.h)] {
			println!("  {name}: {:?}, {} variables", section.steps, section.variables.len());
		}
	}
}
