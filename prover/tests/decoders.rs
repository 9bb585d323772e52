//! What the fuzzers run, over their seeds and changes of them: the short part of their campaign, without its engine.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

/// The files of a fuzzer's corpus, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
	let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
	let mut paths: Vec<_> =
		fs::read_dir(folder).expect("the corpus is there").map(|e| e.expect("a file").path()).collect();
	paths.sort();
	paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// A seed with a few bytes changed, cut or added.
fn mutated(target: &str) -> impl Strategy<Value = Vec<u8>> {
	let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
	let more = prop::collection::vec(any::<u8>(), 0..3);
	(prop::sample::select(seeds(target)), changes, any::<prop::sample::Index>(), more, any::<bool>())
		.prop_map(|(mut bytes, changes, cut, more, keep)| {
			changes.into_iter().for_each(|(at, value)| *at.get_mut(&mut bytes) = value);
			bytes.truncate(if keep { bytes.len() } else { cut.index(bytes.len()) });
			bytes.extend(more);
			bytes
		})
}

macro_rules! fuzzed {
	($($target:ident: $cases:expr),*) => {$(
		#[test]
		fn $target() {
			let target = stringify!($target);
			seeds(target).iter().for_each(|seed| targets::$target(seed));
			proptest!(ProptestConfig::with_cases($cases), |(bytes in mutated(target))| targets::$target(&bytes));
		}
	)*};
}

fuzzed!(
	program: 2000, transcript: 2000, proof: 2000, norm: 500, verifying_key: 2000, phase1: 500, ceremony: 500, key: 500
);
