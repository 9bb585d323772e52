//! Genesis presets.
//!
//! | Preset | Validators | Keys | Sudo | Simulated quotes | drand |
//! |---|---|---|---|---|---|
//! | `development` | Alice alone, blocks on demand | published | Alice | yes | a key that everybody has |
//! | `local` | Alice, Bob, Charlie and Dave, two-second slots | published | Alice | yes | a key that everybody has |
//! | `consortium` | those that a patch names | their own | none | no | quicknet |
//!
//! `consortium` is nothing before it is filled in. A patch (RFC 7386, merged over the preset) names the members, in
//! any order, their session keys, and who begins with money:
//!
//! ```json
//! {
//!   "consortium": {
//!     "settings": {"kind": "consortium", "slot_milliseconds": 2000, "several_blocks_per_slot": false,
//!                  "session_blocks": 600, "notice_blocks": 43200, "least_validators": 4},
//!     "members": [{"account": "5F...", "legal_name": "0x<SHA-256 of the name>", "endpoint": "/dns/..."}]
//!   },
//!   "session": {"keys": [["5F...", "5F...", {"aura": "5G...", "grandpa": "5H..."}]]},
//!   "balances": {"balances": [["5F...", 1000000000000000]]}
//! }
//! ```
//!
//! A list replaces the preset's list, so `balances` must keep the preset's own entry (the pot). A session key's two
//! accounts are the member's, twice. [`check`] refuses a genesis that calls itself a consortium's and is a test's.

use alloc::{format, string::String, vec::Vec};
use polkadot_sdk::*;
use serde_json::Value;
use sp_genesis_builder::PresetId;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

use pallet_consortium::types::{GenesisMember, Kind, Settings};
use pallet_models::types::GenesisVerifier;
use proofward_primitives::{Lane, Level, VerifierContract};
use sp_core::{H160, H256};

use crate::{
	config::{ExistentialDeposit, UNIT},
	consensus::SessionKeys,
	fees::Pot,
	AccountId, AttestationConfig, Balance, BalancesConfig, Consortium, ConsortiumConfig, DrandConfig,
	ModelsConfig, ReviveConfig, Runtime, RuntimeGenesisConfig, Session, SessionConfig, SudoConfig,
};

/// One machine, one published key, blocks on demand.
pub const DEVELOPMENT: &str = "development";
/// Four validators with published keys.
pub const LOCAL: &str = "local";
/// A consortium's, to be filled in.
pub const CONSORTIUM: &str = "consortium";
/// All of them.
pub const PRESETS: [&str; 3] = [DEVELOPMENT, LOCAL, CONSORTIUM];

/// The simulator's root: its private key is in this repository, so quotes under it are worth nothing.
const DEV_ROOT: &str = include_str!("../../roots/dev_root.hex");

/// The groth16 lane's contract, runtime code: what `make contracts` makes of `contracts/src/Groth16Verifier.sol`.
const GROTH16: &str = include_str!("../../verifiers/groth16.hex");
/// Where it stands in a genesis. Nobody has the key of such an address.
pub const GROTH16_ADDRESS: H160 = H160(*b"proofward/groth16/v1");

const ENDOWMENT: Balance = 1_000_000 * UNIT;

/// Ethereum addresses whose private keys are published: Alith, Baltathar and Charleth (the usual development keys of
/// Substrate chains with Ethereum accounts), and the first account of Hardhat's and Foundry's test mnemonic.
const ETHEREUM_DEVELOPERS: [[u8; 20]; 4] = [
	hex_address(b"f24FF3a9CF04c71Dbc94D0b566f7A27B94566cac"),
	hex_address(b"3Cd0A705a2DC65e5b1E1205896BaA2be8A07c6e0"),
	hex_address(b"798d4Ba9baf0064Ec19eB4F0a1a45785ae9D6DFc"),
	hex_address(b"f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
];

const fn hex_digit(digit: u8) -> u8 {
	match digit {
		b'0'..=b'9' => digit - b'0',
		b'a'..=b'f' => digit - b'a' + 10,
		b'A'..=b'F' => digit - b'A' + 10,
		_ => panic!("not a hexadecimal digit"),
	}
}

const fn hex_address(text: &[u8; 40]) -> [u8; 20] {
	let mut bytes = [0; 20];
	let mut i = 0;
	while i < 20 {
		bytes[i] = hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]);
		i += 1;
	}
	bytes
}

/// The account that an Ethereum address acts as: the address, then twelve bytes of 0xEE.
fn ethereum_account(address: &[u8; 20]) -> AccountId {
	let mut bytes = [0xEE; 32];
	bytes[..20].copy_from_slice(address);
	bytes.into()
}

/// The groth16 lane's contract as an account of the genesis, and as the allow-list names it.
fn groth16() -> (pallet_revive::genesis::Account<Runtime>, GenesisVerifier) {
	let code = hex::decode(GROTH16.trim()).expect("the committed code is hexadecimal");
	let code_hash = H256(sp_io::hashing::keccak_256(&code));
	let contract = pallet_revive::genesis::ContractData { code: code.into(), storage: Default::default() };
	let account = pallet_revive::genesis::Account {
		address: GROTH16_ADDRESS,
		balance: Default::default(),
		nonce: 1,
		contract_data: Some(contract),
	};
	let contract = VerifierContract { address: GROTH16_ADDRESS, code_hash };
	(account, GenesisVerifier { lane: Lane::Groth16, contract })
}

/// The pace of each preset.
fn settings(kind: Kind) -> Settings {
	match kind {
		Kind::Development => Settings {
			kind,
			slot_milliseconds: 1_000,
			several_blocks_per_slot: true,
			session_blocks: 0,
			notice_blocks: 10,
			least_validators: 1,
		},
		// Sessions of a minute and notices of twenty seconds, so that tests need not wait.
		Kind::Local => Settings { kind, session_blocks: 30, notice_blocks: 10, ..Settings::default() },
		Kind::Consortium => Settings::default(),
	}
}

/// What every chain begins with: the lane's contract, and a pot that the first fee finds open. Intel's root is in every
/// genesis by itself.
fn base(kind: Kind) -> RuntimeGenesisConfig {
	let (contract, verifier) = groth16();
	RuntimeGenesisConfig {
		balances: BalancesConfig {
			balances: [(Pot::get(), ExistentialDeposit::get())].into(),
			..Default::default()
		},
		revive: ReviveConfig { accounts: [contract].into(), ..Default::default() },
		models: ModelsConfig { verifiers: [verifier].into(), ..Default::default() },
		consortium: ConsortiumConfig { settings: settings(kind), ..Default::default() },
		..Default::default()
	}
}

fn member(key: Sr25519Keyring) -> GenesisMember<AccountId> {
	let name: &str = key.into();
	GenesisMember {
		account: key.to_account_id(),
		legal_name: H256(sp_io::hashing::sha2_256(name.as_bytes())),
		endpoint: String::from("/ip4/127.0.0.1"),
	}
}

fn session_keys(key: Sr25519Keyring, grandpa: Ed25519Keyring) -> (AccountId, AccountId, SessionKeys) {
	let account = key.to_account_id();
	let keys = SessionKeys { aura: key.public().into(), grandpa: grandpa.public().into() };
	(account.clone(), account, keys)
}

/// A chain of published keys: whoever reads this can do all that its members can.
fn published(kind: Kind, members: &[Sr25519Keyring], validators: usize) -> RuntimeGenesisConfig {
	let accounts = Sr25519Keyring::well_known()
		.map(|key| key.to_account_id())
		.chain(ETHEREUM_DEVELOPERS.iter().map(ethereum_account));
	let mut config = base(kind);
	config.balances.balances.extend(accounts.map(|account| (account, ENDOWMENT)));
	config.attestation =
		AttestationConfig { roots: [(Level::Simulated, DEV_ROOT.into())].into(), ..Default::default() };
	config.consortium.members = members.iter().copied().map(member).collect();
	config.drand = DrandConfig { local: true, ..Default::default() };
	config.session = SessionConfig {
		keys: members
			.iter()
			.copied()
			.zip(Ed25519Keyring::well_known())
			.take(validators)
			.map(|(key, grandpa)| session_keys(key, grandpa))
			.collect(),
		..Default::default()
	};
	config.sudo = SudoConfig { key: Some(Sr25519Keyring::Alice.to_account_id()) };
	config
}

fn configuration(id: &str) -> Option<RuntimeGenesisConfig> {
	use Sr25519Keyring::{Alice, Bob, Charlie, Dave};
	match id {
		DEVELOPMENT => Some(published(Kind::Development, &[Alice, Bob, Charlie], 1)),
		LOCAL => Some(published(Kind::Local, &[Alice, Bob, Charlie, Dave], 4)),
		CONSORTIUM => Some(base(Kind::Consortium)),
		_ => None,
	}
}

/// The JSON of a named preset; `None` for a name that does not exist.
pub fn preset(id: &PresetId) -> Option<Vec<u8>> {
	let json: Value = serde_json::to_value(configuration(id.as_ref())?).ok()?;
	serde_json::to_vec(&json).ok()
}

/// Whether anybody has the private key.
fn is_published(key: &[u8]) -> bool {
	let public = |known: &[u8; 32]| known.as_slice() == key;
	Sr25519Keyring::iter().any(|known| public(&known.to_raw_public()))
		|| Ed25519Keyring::iter().any(|known| public(&known.to_raw_public()))
		|| ETHEREUM_DEVELOPERS.iter().any(|known| ethereum_account(known).as_ref() as &[u8] == key)
}

/// Refuses the genesis just built if it calls itself a consortium's and is a test's. The error says what is wrong with
/// it.
pub fn check() -> Result<(), String> {
	let settings = pallet_consortium::SettingsOf::<Runtime>::get();
	if settings.kind != Kind::Consortium {
		return Ok(());
	}
	let refuse = |wrong: bool, reason: &str| if wrong { Err(reason.into()) } else { Ok(()) };
	let members = Consortium::taking_part();
	refuse(
		settings.least_validators < 4,
		"consortium: least_validators is below 4: three tolerate none that is gone",
	)?;
	refuse(
		(members.len() as u32) < settings.least_validators,
		"consortium: fewer members than least_validators",
	)?;
	refuse(settings.several_blocks_per_slot, "consortium: several_blocks_per_slot is for development only")?;
	refuse(settings.slot_milliseconds < 1_000, "consortium: slot_milliseconds is below 1000")?;
	refuse(settings.session_blocks == 0, "consortium: session_blocks is 0: members could never change")?;
	refuse(settings.notice_blocks == 0, "consortium: notice_blocks is 0: nobody could object")?;
	refuse(pallet_sudo::Key::<Runtime>::get().is_some(), "sudo: a consortium has no sudo key")?;
	let simulated =
		pallet_attestation::Roots::<Runtime>::iter_values().any(|root| root.level == Level::Simulated);
	refuse(simulated, "attestation: a consortium trusts no simulated root")?;
	let pulses = pallet_drand::NetworkOf::<Runtime>::get();
	refuse(
		pulses.is_some_and(|network| network.key == pallet_drand::types::LOCAL.key),
		"drand: everybody has the secret key of the local network",
	)?;
	let validators = Session::validators();
	for member in &members {
		let name = |what: &str| Err(format!("consortium: {what} of member {member:?}"));
		let Some(keys) = Session::load_keys(member) else { return name("no session keys") };
		if is_published(member.as_ref())
			|| is_published(keys.aura.as_ref())
			|| is_published(keys.grandpa.as_ref())
		{
			return name("a published key");
		}
	}
	refuse(
		validators.iter().any(|account| !members.contains(account)),
		"session: keys of an account that is no member",
	)?;
	let funded = frame_system::Account::<Runtime>::iter()
		.any(|(account, info)| info.data.free > 0 && is_published(account.as_ref()));
	refuse(funded, "balances: an account whose key is published has money")
}
