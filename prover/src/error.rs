//! Refusals: a stable code for programs, a sentence for people.

use std::fmt;

/// Why something was refused. `code` is what Python sees as `ProverError.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
	/// A contribution to a ceremony does not follow from those before it.
	BadContribution,
	/// A salt has the wrong length.
	BadSalt,
	/// Too many or too few values.
	InputLength,
	/// A value lies outside its declared bounds.
	InputOutOfRange,
	/// A fault of this program; nothing that was asked is to blame.
	Internal,
	/// The operating system would not read or write a file.
	Io,
	/// A key belongs to another circuit, or is not the one that was pinned.
	KeyMismatch,
	/// A ceremony's file is not one.
	MalformedCeremony,
	/// A commitment or field element is not 32 bytes below the modulus.
	MalformedCommitment,
	/// A key's bytes are not a key's.
	MalformedKey,
	/// A file of phase 1 is not one, or too small.
	MalformedPtau,
	/// A program's bytes are not a program's.
	MalformedProgram,
	/// A proof's bytes are not a proof's.
	MalformedProof,
	/// A size exceeds a documented limit.
	OverLimit,
	/// A wire or a coefficient may need more bits than there are.
	Overflow,
	/// A new proof does not verify.
	Unsatisfied,
}

impl Refusal {
	/// Every refusal, in the order of its code.
	pub const ALL: [Refusal; 16] = {
		use Refusal::*;
		[
			BadContribution,
			BadSalt,
			InputLength,
			InputOutOfRange,
			Internal,
			Io,
			KeyMismatch,
			MalformedCeremony,
			MalformedCommitment,
			MalformedKey,
			MalformedProgram,
			MalformedProof,
			MalformedPtau,
			OverLimit,
			Overflow,
			Unsatisfied,
		]
	};

	/// The stable name.
	pub const fn code(self) -> &'static str {
		match self {
			Refusal::BadContribution => "bad-contribution",
			Refusal::BadSalt => "bad-salt",
			Refusal::InputLength => "input-length",
			Refusal::InputOutOfRange => "input-out-of-range",
			Refusal::Internal => "internal",
			Refusal::Io => "io",
			Refusal::KeyMismatch => "key-mismatch",
			Refusal::MalformedCeremony => "malformed-ceremony",
			Refusal::MalformedCommitment => "malformed-commitment",
			Refusal::MalformedKey => "malformed-key",
			Refusal::MalformedProgram => "malformed-program",
			Refusal::MalformedProof => "malformed-proof",
			Refusal::MalformedPtau => "malformed-ptau",
			Refusal::OverLimit => "over-limit",
			Refusal::Overflow => "overflow",
			Refusal::Unsatisfied => "unsatisfied",
		}
	}
}

/// A refusal and its sentence, which never holds a secret value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
	/// For programs.
	pub refusal: Refusal,
	/// For people.
	pub message: String,
}

/// What everything fallible returns.
pub type Result<T> = std::result::Result<T, Error>;

/// `refuse(Refusal::OverLimit, format!(...))`: the one way to make an error.
pub fn refuse<T>(refusal: Refusal, message: impl Into<String>) -> Result<T> {
	Err(Error { refusal, message: message.into() })
}

impl fmt::Display for Error {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{}: {}", self.refusal.code(), self.message)
	}
}

impl std::error::Error for Error {}
