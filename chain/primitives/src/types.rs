//! Small enumerations that appear in storage, events, receipts and verdicts.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, as the Timestamp pallet counts them.
pub type Moment = u64;

/// Amounts of the chain's token in its smallest unit; 12 decimals make one UNIT.
pub type Balance = u128;

/// What stands behind a quote: the root that verified it decides, the quote has no say.
#[derive(
	Clone,
	Copy,
	Debug,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
	/// A root whose private keys are published: proves the code path, protects nothing.
	#[codec(index = 0)]
	Simulated,
	/// A manufacturer's root.
	#[codec(index = 1)]
	Hardware,
}

/// Which proof system made a model's verifying key.
#[derive(
	Clone,
	Copy,
	Debug,
	PartialEq,
	Eq,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
	/// Halo2 by ezkl.
	#[codec(index = 0)]
	Ezkl,
	/// Groth16 over BN254, by this project's prover.
	#[codec(index = 1)]
	Groth16,
}

/// Where a model's proving key comes from: who could forge proofs.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Setup {
	/// One party made the key; whoever it was can prove anything.
	#[codec(index = 0)]
	Dev,
	/// An enclave made the key and its quote binds it; as good as that quote's level.
	#[codec(index = 1)]
	Attested(Level),
	/// A ceremony of many parties, certified by the chain's governance.
	#[codec(index = 2)]
	Ceremony,
}

impl Setup {
	/// Whether a job that demands `min_level` may rest on this setup. A setup attested below the demanded level
	/// counts as `Dev`.
	pub fn acceptable(&self, min_level: Level, allow_dev: bool) -> bool {
		match self {
			Setup::Ceremony => true,
			Setup::Attested(level) => allow_dev || *level >= min_level,
			Setup::Dev => allow_dev,
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_setup_attested_below_the_demanded_level_counts_as_dev() {
		let table = [
			(Setup::Dev, Level::Simulated, false, false),
			(Setup::Dev, Level::Hardware, true, true),
			(Setup::Attested(Level::Simulated), Level::Simulated, false, true),
			(Setup::Attested(Level::Simulated), Level::Hardware, false, false),
			(Setup::Attested(Level::Simulated), Level::Hardware, true, true),
			(Setup::Attested(Level::Hardware), Level::Hardware, false, true),
			(Setup::Ceremony, Level::Hardware, false, true),
		];
		for (setup, level, allow_dev, expected) in table {
			assert_eq!(setup.acceptable(level, allow_dev), expected, "{setup:?} {level:?} {allow_dev}");
		}
	}

	#[test]
	fn encodings_are_the_protocols() {
		assert_eq!(Level::Hardware.encode(), [1]);
		assert_eq!(Lane::Groth16.encode(), [1]);
		assert_eq!(Setup::Attested(Level::Hardware).encode(), [1, 1]);
		assert_eq!(Setup::Ceremony.encode(), [2]);
	}
}
