//! What polkadot-omni-node asks of each runtime. An API is known by its name and its functions' names and encodings
//! alone, and the crate that declares it (cumulus-primitives-core) brings the relay chain's types and XCM.

use polkadot_sdk::sp_api;

sp_api::decl_runtime_apis! {
	/// As in cumulus-primitives-core.
	pub trait GetParachainInfo {
		/// The identifier of the parachain that runs this runtime.
		fn parachain_id() -> u32;
	}
}
