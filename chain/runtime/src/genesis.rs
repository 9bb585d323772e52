//! Genesis presets: `development` funds published keys; nothing else may.

use alloc::vec::Vec;
use polkadot_sdk::*;
use serde_json::Value;
use sp_genesis_builder::PresetId;
use sp_keyring::Sr25519Keyring;

use pallet_models::types::GenesisVerifier;
use proofward_primitives::{Lane, Level, VerifierContract};
use sp_core::{H160, H256};

use crate::{
	config::{ExistentialDeposit, UNIT},
	fees::Pot,
	AccountId, AttestationConfig, Balance, BalancesConfig, CouncilConfig, ModelsConfig, ReviveConfig,
	Runtime, RuntimeGenesisConfig, SudoConfig,
};

pub const DEVELOPMENT: &str = "development";

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

fn development() -> RuntimeGenesisConfig {
	let (contract, verifier) = groth16();
	let council = [Sr25519Keyring::Alice, Sr25519Keyring::Bob, Sr25519Keyring::Charlie];
	let accounts = Sr25519Keyring::well_known()
		.map(|key| key.to_account_id())
		.chain(ETHEREUM_DEVELOPERS.iter().map(ethereum_account));
	RuntimeGenesisConfig {
		balances: BalancesConfig {
			balances: accounts
				.map(|account| (account, ENDOWMENT))
				// So that the first fee finds it open.
				.chain([(Pot::get(), ExistentialDeposit::get())])
				.collect(),
			..Default::default()
		},
		// Intel's root is in every genesis.
		attestation: AttestationConfig {
			roots: [(Level::Simulated, DEV_ROOT.into())].into(),
			..Default::default()
		},
		revive: ReviveConfig { accounts: [contract].into(), ..Default::default() },
		models: ModelsConfig { verifiers: [verifier].into(), ..Default::default() },
		council: CouncilConfig {
			members: council.map(|key| key.to_account_id()).into(),
			..Default::default()
		},
		sudo: SudoConfig { key: Some(Sr25519Keyring::Alice.to_account_id()) },
		..Default::default()
	}
}

/// The JSON of a named preset; `None` for a name that does not exist.
pub fn preset(id: &PresetId) -> Option<Vec<u8>> {
	let config = match id.as_ref() {
		DEVELOPMENT => development(),
		_ => return None,
	};
	let json: Value = serde_json::to_value(config).ok()?;
	serde_json::to_vec(&json).ok()
}
