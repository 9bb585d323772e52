//! From bytes to verified claims: everything that touches dcap-qvl.

use alloc::{string::String, vec::Vec};
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
	CollateralNotCanonical,
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

/// Decodes collateral and drops what nobody verifies: the issuers of the revocation list, whose chain the verifier takes
/// from elsewhere, and the one field that belongs to a single platform rather than to its family: with it, the verifier
/// would take that platform's certificates instead of the quote's own. What is left must have no byte to spare.
pub fn decode_collateral(bytes: &[u8]) -> Result<QuoteCollateralV3, Refusal> {
	let mut collateral =
		QuoteCollateralV3::decode_all(&mut &bytes[..]).map_err(|_| Refusal::MalformedCollateral)?;
	collateral.pck_certificate_chain = None;
	collateral.pck_crl_issuer_chain.clear();
	let lists = [&collateral.root_ca_crl, &collateral.pck_crl];
	let chains = [&mut collateral.tcb_info_issuer_chain, &mut collateral.qe_identity_issuer_chain];
	for chain in chains {
		*chain = canonical_chain(chain)?;
	}
	if !lists.iter().all(|list| is_one_der_element(list)) || !signatures_fit(&collateral) {
		return Err(Refusal::CollateralNotCanonical);
	}
	Ok(collateral)
}

/// Most certificates in an issuer's chain: the signer and the root.
const MAX_CHAIN: usize = 2;

/// A chain of certificates as text that holds the certificates and nothing else, in lines of 64 characters.
fn canonical_chain(text: &str) -> Result<String, Refusal> {
	const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
	const END: &str = "-----END CERTIFICATE-----";
	let mut canonical = String::new();
	let (mut rest, mut certificates) = (text, 0);
	while let Some((_, behind)) = rest.split_once(BEGIN) {
		let (body, behind) = behind.split_once(END).ok_or(Refusal::MalformedCollateral)?;
		certificates += 1;
		canonical.push_str(BEGIN);
		canonical.push('\n');
		let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
		for line in body.chunks(64) {
			canonical.push_str(core::str::from_utf8(line).map_err(|_| Refusal::MalformedCollateral)?);
			canonical.push('\n');
		}
		canonical.push_str(END);
		canonical.push('\n');
		rest = behind;
	}
	if certificates == 0 || certificates > MAX_CHAIN {
		return Err(Refusal::CollateralNotCanonical);
	}
	Ok(canonical)
}

/// Whether the bytes are one DER element (X.690, 8.1.3) from the first to the last.
fn is_one_der_element(bytes: &[u8]) -> bool {
	let (header, length) = match bytes {
		[_, short @ 0..=0x7f, ..] => (2, usize::from(*short)),
		[_, 0x81, a, ..] => (3, usize::from(*a)),
		[_, 0x82, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
		[_, 0x83, a, b, c, ..] => (5, u32::from_be_bytes([0, *a, *b, *c]) as usize),
		_ => return false,
	};
	bytes.len() == header + length
}

/// ECDSA over P-256: two numbers of 32 bytes.
fn signatures_fit(collateral: &QuoteCollateralV3) -> bool {
	collateral.tcb_info_signature.len() == 64 && collateral.qe_identity_signature.len() == 64
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
