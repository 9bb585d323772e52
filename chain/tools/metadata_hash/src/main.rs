//! Prints the hash of a runtime's metadata (<https://polkadot-fellows.github.io/RFCs/approved/0078-merkleized-metadata.html>)
//! in hexadecimal: what `RUNTIME_METADATA_HASH` must be when the runtime is built.
//!
//! ```text
//! proofward-metadata-hash METADATA SYMBOL DECIMALS
//! ```
//!
//! METADATA: a file of what the runtime's `Metadata_metadata_at_version(15)` gives, without the option and its length.
//! Version, name and address prefix are those in the metadata's own constants.

use std::{env, error::Error, fs};

use codec::Decode;
use frame_metadata::{v15::RuntimeMetadataV15, RuntimeMetadata, RuntimeMetadataPrefixed};
use merkleized_metadata::{generate_metadata_digest, ExtraInfo};

/// The first fields of `sp_version::RuntimeVersion`.
#[derive(Decode)]
struct Version {
	spec_name: String,
	_impl_name: String,
	_authoring_version: u32,
	spec_version: u32,
}

/// A constant of the System pallet.
fn constant<T: Decode>(metadata: &RuntimeMetadataV15, name: &str) -> Result<T, Box<dyn Error>> {
	let system = metadata.pallets.iter().find(|pallet| pallet.name == "System");
	let constant = system.and_then(|system| system.constants.iter().find(|one| one.name == name));
	let value = &constant.ok_or(format!("the metadata has no System.{name}"))?.value;
	Ok(T::decode(&mut value.as_slice())?)
}

fn main() -> Result<(), Box<dyn Error>> {
	let arguments: Vec<String> = env::args().skip(1).collect();
	let [path, symbol, decimals] = arguments.as_slice() else {
		return Err("usage: proofward-metadata-hash METADATA SYMBOL DECIMALS".into());
	};
	let metadata = RuntimeMetadataPrefixed::decode(&mut fs::read(path)?.as_slice())?.1;
	let RuntimeMetadata::V15(version_15) = &metadata else {
		return Err("the metadata is not of version 15".into());
	};
	let version: Version = constant(version_15, "Version")?;
	let about = ExtraInfo {
		spec_version: version.spec_version,
		spec_name: version.spec_name,
		base58_prefix: constant(version_15, "SS58Prefix")?,
		decimals: decimals.parse()?,
		token_symbol: symbol.clone(),
	};
	let digest = generate_metadata_digest(&metadata, about)?;
	println!("{}", digest.hash().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
	Ok(())
}
