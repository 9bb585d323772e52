//! From bytes to verified claims: everything that touches dcap-qvl.

use alloc::vec::Vec;
use codec::{DecodeAll, Encode};
use dcap_qvl::{
	intel,
	quote::{Quote, TDReport10},
	verify::QuoteVerifier,
	Policy, QeIdentity, QuoteClaims, QuoteCollateralV3, QuotePolicy, TcbInfo,
};
use polkadot_sdk::{sp_core::H256, sp_io::hashing::sha2_256};
use proofward_primitives::ids::{measurement, TdRegisters};

use crate::types::{Freshness, PckAuthority, Root, TcbPolicy};

const TARGET: &str = "runtime::attestation";
/// `tud` byte of the TD attributes: the host may read and change the TD's memory (Intel TDX module ABI, ATTRIBUTES).
const DEBUG: u8 = 0x01;

/// Why a quote or collateral is refused; the pallet's errors name each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
	MalformedQuote,
	MalformedCollateral,
	NotTdx,
	DebugTd,
	QuoteRejected,
	TcbNotAllowed,
}

/// A quote that was taken apart, and nothing more: none of it is verified yet.
pub struct ParsedQuote<'a> {
	bytes: &'a [u8],
	/// SHA-256 of the last certificate of its chain: the root that it claims.
	pub claimed_root: H256,
	pub fmspc: [u8; 6],
	pub authority: PckAuthority,
}

impl<'a> ParsedQuote<'a> {
	pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
		let quote = Quote::parse(bytes).map_err(|_| Refusal::MalformedQuote)?;
		let report = quote.report.as_td10().ok_or(Refusal::NotTdx)?;
		// The verifier refuses it too; told apart because the remedy differs.
		if report.td_attributes[0] & DEBUG != 0 {
			return Err(Refusal::DebugTd);
		}
		let chain = intel::extract_cert_chain(&quote).map_err(|_| Refusal::MalformedQuote)?;
		let (leaf, root) = chain.first().zip(chain.last()).ok_or(Refusal::MalformedQuote)?;
		let fmspc = intel::parse_pck_extension(leaf).map_err(|_| Refusal::MalformedQuote)?.fmspc;
		let authority = match intel::pck_ca(leaf).map_err(|_| Refusal::MalformedQuote)? {
			dcap_qvl::config::PckCa::Processor => PckAuthority::Processor,
			dcap_qvl::config::PckCa::Platform => PckAuthority::Platform,
		};
		Ok(Self { bytes, claimed_root: sha2_256(root).into(), fmspc, authority })
	}

	/// Verifies signatures, revocation and validity at `now` (seconds). The TCB status is not judged here.
	pub fn verify(
		&self,
		root: &Root,
		collateral: &QuoteCollateralV3,
		now: u64,
	) -> Result<QuoteClaims, Refusal> {
		QuoteVerifier::new(root.der.to_vec())
			.verify_with_policy(self.bytes, collateral, now, &QuotePolicy::claims_only(now))
			.map_err(|error| {
				log::debug!(target: TARGET, "quote rejected: {error:?}");
				Refusal::QuoteRejected
			})
	}
}

/// Decodes collateral, and drops the one field that belongs to a single platform rather than to its family: with
/// it, the verifier would take that platform's certificates instead of the quote's own.
pub fn decode_collateral(bytes: &[u8]) -> Result<QuoteCollateralV3, Refusal> {
	let mut collateral =
		QuoteCollateralV3::decode_all(&mut &bytes[..]).map_err(|_| Refusal::MalformedCollateral)?;
	collateral.pck_certificate_chain = None;
	Ok(collateral)
}

/// The canonical encoding of what [`decode_collateral`] gives.
pub fn encode_collateral(collateral: &QuoteCollateralV3) -> Vec<u8> {
	collateral.encode()
}

/// How new verified collateral is.
pub fn freshness(collateral: &QuoteCollateralV3, claims: &QuoteClaims) -> Result<Freshness, Refusal> {
	let tcb_info: TcbInfo =
		serde_json::from_str(&collateral.tcb_info).map_err(|_| Refusal::MalformedCollateral)?;
	let qe_identity: QeIdentity =
		serde_json::from_str(&collateral.qe_identity).map_err(|_| Refusal::MalformedCollateral)?;
	Ok(Freshness {
		tcb_info: (tcb_info.tcb_evaluation_data_number, date(&tcb_info.issue_date)?),
		qe_identity: (qe_identity.tcb_evaluation_data_number, date(&qe_identity.issue_date)?),
		crl_numbers: (claims.platform.root_ca_crl_num, claims.platform.pck_crl_num),
	})
}

/// `2026-01-31T12:00:00Z`: dates of this one form compare as text.
fn date(text: &str) -> Result<[u8; 20], Refusal> {
	let bytes: [u8; 20] = text.as_bytes().try_into().map_err(|_| Refusal::MalformedCollateral)?;
	let shape = b"dddd-dd-ddTdd:dd:ddZ";
	let fits = bytes.iter().zip(shape).all(|(byte, form)| match form {
		b'd' => byte.is_ascii_digit(),
		other => byte == other,
	});
	if fits {
		Ok(bytes)
	} else {
		Err(Refusal::MalformedCollateral)
	}
}

/// Judges the platform's TCB status by the chain's policy.
pub fn judge(claims: &QuoteClaims, policy: &TcbPolicy, now: u64) -> Result<(), Refusal> {
	policy.at(now).validate(claims).map_err(|error| {
		log::debug!(target: TARGET, "TCB not allowed: {error:?}");
		Refusal::TcbNotAllowed
	})
}

/// Measurement and report data of verified claims.
pub fn identity(claims: &QuoteClaims) -> Result<(H256, [u8; 64]), Refusal> {
	let report = claims.report.as_td10().ok_or(Refusal::NotTdx)?;
	Ok((measurement(&registers(report)), report.report_data))
}

fn registers(report: &TDReport10) -> TdRegisters<'_> {
	TdRegisters {
		mrtd: &report.mr_td,
		rtmr: [&report.rt_mr0, &report.rt_mr1, &report.rt_mr2, &report.rt_mr3],
		mr_config_id: &report.mr_config_id,
		mr_owner: &report.mr_owner,
		mr_owner_config: &report.mr_owner_config,
	}
}
