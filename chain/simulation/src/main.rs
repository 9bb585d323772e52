//! `make sim`: the whole simulation. `--blocks`, `--seed`, `--workers`, `--clients` change its size.

use std::{process::ExitCode, time::Instant};

use proofward_simulation::{people::Scale, society::Society};

const USAGE: &str = "proofward-simulation [--blocks N] [--workers N] [--clients N] [--seed N]";

fn scale() -> Result<Scale, String> {
	let mut scale = Scale::FULL;
	let mut arguments = std::env::args().skip(1);
	while let Some(name) = arguments.next() {
		let number = arguments.next().and_then(|text| text.parse::<u32>().ok());
		let number = number.ok_or_else(|| format!("{name} needs a number. {USAGE}"))?;
		match name.as_str() {
			"--blocks" => scale.blocks = number,
			"--workers" => scale.workers = number as usize,
			"--clients" => scale.clients = number as usize,
			"--seed" => scale.seed = number.into(),
			_ => return Err(format!("{name} is not known. {USAGE}")),
		}
	}
	let most =
		[(scale.workers, 30..=1_000), (scale.clients, 40..=10_000), (scale.blocks as usize, 100..=100_000)];
	if most.iter().any(|(number, range)| !range.contains(number)) {
		return Err("30 to 1,000 workers, 40 to 10,000 clients and 100 to 100,000 blocks".into());
	}
	Ok(scale)
}

fn main() -> ExitCode {
	let scale = match scale() {
		Ok(scale) => scale,
		Err(fault) => {
			eprintln!("{fault}");
			return ExitCode::from(2);
		}
	};
	let start = Instant::now();
	let progress =
		|block| eprintln!("block {block}: every invariant holds ({:.0} s)", start.elapsed().as_secs_f32());
	let ledger = match Society::run(scale, progress) {
		Ok(ledger) => ledger,
		Err(fault) => {
			println!("the chain's state is broken {fault}");
			return ExitCode::FAILURE;
		}
	};
	print!("{ledger}");
	let broken = ledger.broken();
	for rule in &broken {
		println!("BROKEN: {rule}");
	}
	if broken.is_empty() {
		ExitCode::SUCCESS
	} else {
		ExitCode::FAILURE
	}
}
