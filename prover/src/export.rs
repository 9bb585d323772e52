//! For others' tools: keys and proofs in snarkjs' JSON, a Solidity verifier, the circuit in iden3's .r1cs.

use ark_bn254::{Fq, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, PrimeField};
use ark_groth16::{Proof, VerifyingKey};

use crate::circuit::Circuit;
use crate::error::Result;
use crate::keys::rows;
use crate::matrices::Var;
use crate::points::Bn254;

fn list(items: &[String]) -> String {
	format!("[{}]", items.join(","))
}

fn quoted(x: impl std::fmt::Display) -> String {
	format!("\"{x}\"")
}

fn g1(p: &G1Affine) -> String {
	let (x, y) = p.xy().unwrap_or_default();
	let z = Fq::from(u8::from(!p.is_zero()));
	list(&[quoted(x), quoted(y), quoted(z)])
}

fn g2(p: &G2Affine) -> String {
	let (x, y) = p.xy().unwrap_or_default();
	let pair = |c0: Fq, c1: Fq| list(&[quoted(c0), quoted(c1)]);
	let z = Fq::from(u8::from(!p.is_zero()));
	list(&[pair(x.c0, x.c1), pair(y.c0, y.c1), pair(z, Fq::from(0))])
}

/// snarkjs' verification_key.json, without the pairing of alpha and beta, which snarkjs computes itself.
pub fn verifying_key_json(key: &VerifyingKey<Bn254>) -> String {
	let ic: Vec<String> = key.gamma_abc_g1.iter().map(g1).collect();
	format!(
		concat!(
			r#"{{"protocol":"groth16","curve":"bn128","nPublic":{},"vk_alpha_1":{},"#,
			r#""vk_beta_2":{},"vk_gamma_2":{},"vk_delta_2":{},"IC":{}}}"#,
		),
		ic.len() - 1,
		g1(&key.alpha_g1),
		g2(&key.beta_g2),
		g2(&key.gamma_g2),
		g2(&key.delta_g2),
		list(&ic),
	)
}

/// snarkjs' proof.json and public.json.
pub fn proof_json(commitments: &[Fr; 2], proof: &Proof<Bn254>) -> (String, String) {
	let (a, b, c) = (g1(&proof.a), g2(&proof.b), g1(&proof.c));
	let json = format!(r#"{{"pi_a":{a},"pi_b":{b},"pi_c":{c},"protocol":"groth16","curve":"bn128"}}"#);
	(json, list(&commitments.map(quoted)))
}

/// The constraint system in iden3's binary format, version 1. Wire 0 is the constant 1, wires 1 and 2 are the
/// commitments, then come the integer and the field variables.
pub fn r1cs(circuit: &Circuit) -> Result<Vec<u8>> {
	let matrices = rows(circuit)?;
	let layout = &*circuit.layout;
	let wire = |var: Var| match var {
		Var::Int(0) => 0,
		Var::Field(i) if i < 2 => 1 + i,
		Var::Int(i) => 2 + i,
		Var::Field(i) => layout.ints as u32 + i,
	};
	let mut constraints = Vec::new();
	let mut put = |terms: Vec<(u32, Fr)>| {
		constraints.extend((terms.len() as u32).to_le_bytes());
		let mut terms = terms;
		terms.sort_unstable_by_key(|term| term.0);
		for (wire, x) in terms {
			constraints.extend(wire.to_le_bytes());
			constraints.extend(x.into_bigint().to_bytes_le());
		}
	};
	let product = |c: Option<Var>| c.map(|var| (wire(var), Fr::from(1))).into_iter().collect::<Vec<_>>();
	for row in &matrices.int_rows {
		for side in [&row.a, &row.b] {
			put(side.iter().map(|&(var, x)| (wire(var), Fr::from(x))).collect());
		}
		put(product(row.c));
	}
	for row in &matrices.field_rows {
		for side in [&row.a, &row.b] {
			put(side.iter().map(|&(var, x)| (wire(var), x)).collect());
		}
		put(product(row.c));
	}
	let wires = layout.widths.len() as u32;
	let mut header = 32u32.to_le_bytes().to_vec();
	header.extend(Fr::MODULUS.to_bytes_le());
	// Wires; public outputs, public inputs, private inputs; labels; constraints.
	header.extend([wires, 0, 2, 0].map(u32::to_le_bytes).concat());
	header.extend(u64::from(wires).to_le_bytes());
	header.extend((matrices.rows() as u32).to_le_bytes());
	let labels: Vec<u8> = (0..u64::from(wires)).flat_map(u64::to_le_bytes).collect();
	let mut out = b"r1cs".to_vec();
	out.extend([1u32, 3].map(u32::to_le_bytes).concat());
	for (kind, section) in [(1u32, header), (2, constraints), (3, labels)] {
		out.extend(kind.to_le_bytes());
		out.extend((section.len() as u64).to_le_bytes());
		out.extend(section);
	}
	Ok(out)
}
