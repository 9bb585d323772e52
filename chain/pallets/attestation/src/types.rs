//! What the pallet stores: roots, policy, collateral.

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::time::Duration;
use dcap_qvl::QuotePolicy;
use polkadot_sdk::frame_support::{pallet_prelude::ConstU32, BoundedVec};
use proofward_primitives::{Balance, Level, Moment};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Longest quote, in bytes: a TDX 1.5 quote with its certificate chain has about 5,300.
pub const MAX_QUOTE: u32 = 16 * 1024;
/// Longest SCALE-encoded collateral, in bytes; Intel's has about 25,000.
pub const MAX_COLLATERAL: u32 = 64 * 1024;
/// Longest root certificate, in bytes; Intel's has 659.
pub const MAX_ROOT: u32 = 2 * 1024;
/// Most trust roots at a time.
pub const MAX_ROOTS: u32 = 4;
/// How far ahead of the one before a `tcbEvaluationDataNumber` may be: Intel raises it by one, a few times a year.
pub const MAX_EVALUATION_JUMP: u32 = 64;
/// The same for the numbers of revocation lists, which are issued at least monthly.
pub const MAX_CRL_JUMP: u32 = 4_096;
/// How long collateral that ran out stays, in milliseconds: 30 days.
pub const COLLATERAL_GRACE: Moment = 30 * 24 * 60 * 60 * 1_000;
/// Longest label of a measurement, in bytes.
pub const MAX_LABEL: u32 = 64;
/// Most measurements on the allow-list.
pub const MAX_MEASUREMENTS: u32 = 1024;

/// A TDX quote, version 4 or 5.
pub type Quote = BoundedVec<u8, ConstU32<MAX_QUOTE>>;
/// SCALE of dcap-qvl's `QuoteCollateralV3`.
pub type CollateralBytes = BoundedVec<u8, ConstU32<MAX_COLLATERAL>>;
/// A certificate: X.509, DER.
pub type RootDer = BoundedVec<u8, ConstU32<MAX_ROOT>>;
/// What a measurement is called: UTF-8, for readers.
pub type Label = BoundedVec<u8, ConstU32<MAX_LABEL>>;

/// A certificate that ends a quote's chain, and what a quote under it is worth.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Root {
	/// What a quote under it is worth.
	pub level: Level,
	/// X.509, DER.
	pub der: RootDer,
}

/// The authority below the root that issued the platform's certificate; each has its own revocation list.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum PckAuthority {
	/// Intel SGX PCK Processor CA.
	Processor,
	/// Intel SGX PCK Platform CA: servers of several packages.
	Platform,
}

/// Intel's verdict on a platform's trusted computing base (Intel PCS API v4, `tcbStatus`). `Revoked` is missing
/// because no policy may allow it.
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
pub enum TcbStatus {
	/// All that Intel knows is mended.
	UpToDate,
	/// Software must keep clear of a known weakness.
	SWHardeningNeeded,
	/// The platform should be set up otherwise.
	ConfigurationNeeded,
	/// Both of the two.
	ConfigurationAndSWHardeningNeeded,
	/// Firmware or microcode is older than a fix.
	OutOfDate,
	/// Older than a fix, and it should be set up otherwise.
	OutOfDateConfigurationNeeded,
	/// The TDX module is new, but the domain was started under an older one.
	TDRelaunchAdvised,
	/// The same, and the platform should be set up otherwise.
	TDRelaunchAdvisedConfigurationNeeded,
}

impl From<TcbStatus> for dcap_qvl::TcbStatus {
	fn from(status: TcbStatus) -> Self {
		match status {
			TcbStatus::UpToDate => Self::UpToDate,
			TcbStatus::SWHardeningNeeded => Self::SWHardeningNeeded,
			TcbStatus::ConfigurationNeeded => Self::ConfigurationNeeded,
			TcbStatus::ConfigurationAndSWHardeningNeeded => Self::ConfigurationAndSWHardeningNeeded,
			TcbStatus::OutOfDate => Self::OutOfDate,
			TcbStatus::OutOfDateConfigurationNeeded => Self::OutOfDateConfigurationNeeded,
			TcbStatus::TDRelaunchAdvised => Self::TDRelaunchAdvised,
			TcbStatus::TDRelaunchAdvisedConfigurationNeeded => Self::TDRelaunchAdvisedConfigurationNeeded,
		}
	}
}

/// Which platforms are good enough, beyond genuine. `UpToDate` always is.
#[derive(
	Clone,
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
#[serde(rename_all = "camelCase")]
pub struct TcbPolicy {
	/// Statuses that are accepted besides `UpToDate`.
	pub also_accepted: BoundedVec<TcbStatus, ConstU32<8>>,
	/// Seconds for which an out-of-date level is borne after its date, where its status is accepted at all.
	pub grace_seconds: u64,
	/// Least `tcbEvaluationDataNumber` of the collateral.
	pub min_evaluation_number: u32,
	/// Whether platforms may run hyper-threads; what that costs in security is part of Intel's status.
	pub allow_smt: bool,
	/// Whether platforms may be of several packages, as most servers are.
	pub allow_dynamic_platform: bool,
	/// Whether Intel may keep the platform's root keys, as it does for most servers.
	pub allow_cached_keys: bool,
}

impl Default for TcbPolicy {
	fn default() -> Self {
		Self {
			also_accepted: BoundedVec::new(),
			grace_seconds: 0,
			min_evaluation_number: 0,
			allow_smt: true,
			allow_dynamic_platform: true,
			allow_cached_keys: true,
		}
	}
}

impl TcbPolicy {
	/// The verifier's policy at `now` (seconds since the Unix epoch).
	pub(crate) fn at(&self, now: u64) -> QuotePolicy {
		let grace = Duration::from_secs(self.grace_seconds);
		let policy = QuotePolicy::strict(now)
			.platform_grace_period(grace)
			.qe_grace_period(grace)
			.min_tcb_eval_data_number(self.min_evaluation_number)
			.allow_smt(self.allow_smt)
			.allow_dynamic_platform(self.allow_dynamic_platform)
			.allow_cached_keys(self.allow_cached_keys);
		self.also_accepted.iter().fold(policy, |policy, status| policy.allow_status((*status).into()))
	}
}

/// How new the parts of a collateral are. Each is signed on its own, so each is compared on its own.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Freshness {
	/// Evaluation number and issue date (RFC 3339 in UTC, to the second) of the TCB info.
	pub tcb_info: (u32, [u8; 20]),
	/// The same of the quoting enclave's identity.
	pub qe_identity: (u32, [u8; 20]),
	/// Numbers of the two revocation lists: root's and platform authority's.
	pub crl_numbers: (u32, u32),
}

impl Freshness {
	/// Whether any part is older than `other`'s.
	pub fn older_than(&self, other: &Self) -> bool {
		self.tcb_info.0 < other.tcb_info.0
			|| self.tcb_info.1 < other.tcb_info.1
			|| self.qe_identity.0 < other.qe_identity.0
			|| self.qe_identity.1 < other.qe_identity.1
			|| self.crl_numbers.0 < other.crl_numbers.0
			|| self.crl_numbers.1 < other.crl_numbers.1
	}

	/// Whether no number is so far ahead of `other`'s that an issuer could have skipped the numbers between.
	pub fn follows(&self, other: &Self) -> bool {
		let near = |new: u32, old: u32, jump: u32| new <= old.saturating_add(jump);
		near(self.tcb_info.0, other.tcb_info.0, MAX_EVALUATION_JUMP)
			&& near(self.qe_identity.0, other.qe_identity.0, MAX_EVALUATION_JUMP)
			&& near(self.crl_numbers.0, other.crl_numbers.0, MAX_CRL_JUMP)
			&& near(self.crl_numbers.1, other.crl_numbers.1, MAX_CRL_JUMP)
	}

	/// Whether the numbers are such as an issuer reaches that began with zero.
	pub fn may_be_first(&self) -> bool {
		let evaluation = self.tcb_info.0.max(self.qe_identity.0);
		evaluation <= MAX_EVALUATION_JUMP && self.crl_numbers.0.max(self.crl_numbers.1) <= MAX_CRL_JUMP
	}
}

/// What Intel says about a family of platforms, verified when it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct StoredCollateral<AccountId> {
	/// SCALE of dcap-qvl's `QuoteCollateralV3`, without what nothing verifies.
	pub encoded: CollateralBytes,
	/// How new its parts are: older ones never replace it.
	pub freshness: Freshness,
	/// When the first part runs out, in milliseconds.
	pub expires_at: Moment,
	/// Who brought the first of this family.
	pub depositor: Depositor<AccountId>,
}

/// Who pays for an entry, and how much is held.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Depositor<AccountId> {
	/// Whose money it is.
	pub account: AccountId,
	/// In the smallest unit.
	pub deposit: Balance,
}

/// Root, family of platforms (FMSPC), certificate authority.
pub type CollateralKey = (polkadot_sdk::sp_core::H256, [u8; 6], PckAuthority);

/// A trusted measurement in a genesis file: hash in hexadecimal, label.
pub type GenesisMeasurement = (polkadot_sdk::sp_core::H256, Vec<u8>);
/// A root in a genesis file: level, DER in hexadecimal.
pub type GenesisRoot = (Level, alloc::string::String);
