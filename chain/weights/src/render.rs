//! Measured costs as Rust.

use std::fmt::Write;

use crate::{
	calls::{Call, Pallet, Shape},
	measure::Cost,
	FIELD_FACTOR, WASM_FACTOR,
};

/// Picoseconds of wasm for nanoseconds of native code.
fn ref_time(nanoseconds: u64, factor: u64) -> u64 {
	nanoseconds * 1_000 * factor
}

/// `12345678` as `12_345_678`.
fn grouped(number: u64) -> String {
	let digits = number.to_string();
	let mut text = String::new();
	for (index, digit) in digits.chars().enumerate() {
		if index > 0 && (digits.len() - index).is_multiple_of(3) {
			text.push('_');
		}
		text.push(digit);
	}
	text
}

fn signature(call: &Call) -> String {
	let arguments: Vec<String> = match &call.shape {
		Shape::Fixed(_) => vec![],
		Shape::Linear { arguments, .. } => {
			arguments.iter().map(|(name, ..)| format!("{name}: u32")).collect()
		}
	};
	format!("fn {}({}) -> Weight", call.name, arguments.join(", "))
}

fn base(cost: &Cost, factor: u64) -> String {
	format!("Weight::from_parts({}, {})", grouped(ref_time(cost.nanoseconds, factor)), grouped(cost.proof))
}

fn body(call: &Call, database: &str) -> String {
	let factor = call.factor;
	let (base_cost, slopes, most) = match &call.shape {
		Shape::Fixed(cost) => (base(cost, factor), vec![], *cost),
		Shape::Linear { least, arguments } => {
			let slopes = arguments
				.iter()
				.map(|(name, length, cost)| slope(name, *length, least, cost, factor))
				.collect();
			let most = arguments.iter().fold(*least, |most, (_, _, cost)| Cost {
				reads: most.reads.max(cost.reads),
				writes: most.writes.max(cost.writes),
				..most
			});
			(base(least, factor), slopes, most)
		}
	};
	let mut text = format!("\t\t{base_cost}\n");
	for slope in slopes {
		writeln!(text, "\t\t\t.saturating_add({slope})").expect("strings grow");
	}
	writeln!(text, "\t\t\t.saturating_add({database}.reads_writes({}, {}))", most.reads, most.writes)
		.expect("strings grow");
	text
}

/// Weight for each byte, rounded up.
fn slope(name: &str, length: u32, least: &Cost, most: &Cost, factor: u64) -> String {
	let per_byte = |least: u64, most: u64| most.saturating_sub(least).div_ceil(u64::from(length));
	let time = per_byte(ref_time(least.nanoseconds, factor), ref_time(most.nanoseconds, factor));
	let proof = per_byte(least.proof, most.proof);
	format!("Weight::from_parts({}, {}).saturating_mul(u64::from({name}))", grouped(time), grouped(proof))
}

fn implementation(header: &str, pallet: &Pallet, database: &str) -> String {
	let mut text = format!("{header} {{\n");
	for call in &pallet.calls {
		writeln!(text, "\t{} {{\n{}\t}}", signature(call), body(call, database)).expect("strings grow");
	}
	text + "}\n"
}

/// The whole `weights.rs` of a pallet.
pub fn file(pallet: &Pallet) -> String {
	let name = pallet.name;
	let mut text = format!(
		"//! What the {name} pallet's calls cost. Made by `make weights` (the crate `proofward-weights`): do not edit.\n\
		//!\n\
		//! Time: median processor time of 100 runs of native, optimised code over an in-memory state, times\n//! {WASM_FACTOR} for \
		wasm ({FIELD_FACTOR} for arithmetic of large fields). Reads and writes: distinct keys, at the runtime's \
		database weights.\n//! Proof size: the values read and 2,560 bytes of trie each.\n\n\
		use core::marker::PhantomData;\n\n\
		use polkadot_sdk::{{\n\tframe_support::{{\n\t\ttraits::Get,\n\t\tweights::{{constants::RocksDbWeight, Weight}},\
		\n\t}},\n\tframe_system,\n}};\n\n\
		/// The weight of each call, under its name.\n#[allow(missing_docs)]\npub trait WeightInfo {{\n"
	);
	for call in &pallet.calls {
		for line in call.doc {
			writeln!(text, "\t/// {line}").expect("strings grow");
		}
		writeln!(text, "\t{};", signature(call)).expect("strings grow");
	}
	text += "}\n\n/// The measured weights, with the chain's own database weights.\npub struct Measured<T>(PhantomData<T>);\n\n";
	text += &implementation(
		"impl<T: frame_system::Config> WeightInfo for Measured<T>",
		pallet,
		"T::DbWeight::get()",
	);
	text += "\n/// The same with RocksDB's, for tests.\n";
	text += &implementation("impl WeightInfo for ()", pallet, "RocksDbWeight::get()");
	text
}
