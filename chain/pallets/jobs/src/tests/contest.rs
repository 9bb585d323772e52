//! A result that was paid for and does not open. What an honest worker delivered stands, whatever its client reveals.

use codec::Encode;
use polkadot_sdk::{
	frame_support::{assert_ok, dispatch::Pays},
	frame_system::RawOrigin,
	sp_core::H256,
	sp_io::hashing::sha2_256,
	sp_runtime::{traits::Dispatchable, DispatchResult},
};
use proofward_opening::{commitment, output::Output, reply, Context, Fault, ReplyKey, Shape};
use proofward_primitives::{ids, Lane};

use super::{invariants, mock::*};
use crate::{
	contest::{Identity, Undelivered},
	Call, Contested, Error, Event,
};

const MANIFEST: &[u8] = br#"{"batch":2,"lane":"groth16","lane_params":{"output_bounds":[[-8,7],[0,1]]}}"#;
const SECRET: [u8; 32] = [0x77; 32];
const SALT: [u8; 32] = [0x5a; 32];
const VALUES: [i64; 4] = [-8, 1, 7, 0];

fn identity() -> Identity<AccountId> {
	let [weights_digest, vk_hash, key_hash] = [1, 2, 3].map(H256::repeat_byte);
	Identity { publisher: PUBLISHER, weights_digest, lane: Lane::Groth16, vk_hash, key_hash }
}

fn model_of(identity: &Identity<AccountId>, manifest: &[u8]) -> H256 {
	let Identity { publisher, weights_digest, lane, vk_hash, key_hash } = identity;
	ids::model_id(publisher, weights_digest, &H256(sha2_256(manifest)), *lane, vk_hash, key_hash)
}

fn key(secret: [u8; 32]) -> ReplyKey {
	ReplyKey::new(&secret).expect("any 32 bytes are a key")
}

/// What the enclave delivers, and what the client then says.
struct Case {
	/// What the enclave seals; honest: what it proved.
	values: Vec<i64>,
	/// To which key; honest: the job's.
	sealed_to: [u8; 32],
	manifest: Vec<u8>,
	identity: Identity<AccountId>,
	/// What the client hands in; honest: what was delivered.
	client: AccountId,
	reply_key: [u8; 32],
	sealed_output: Option<Vec<u8>>,
	shown_manifest: Option<Vec<u8>>,
	shown_identity: Option<Identity<AccountId>>,
	/// Blocks after the verdict.
	after: u32,
}

impl Default for Case {
	fn default() -> Self {
		Self {
			values: VALUES.to_vec(),
			sealed_to: SECRET,
			manifest: MANIFEST.to_vec(),
			identity: identity(),
			client: client(0),
			reply_key: SECRET,
			sealed_output: None,
			shown_manifest: None,
			shown_identity: None,
			after: 1,
		}
	}
}

impl Case {
	/// Has the job done, and gives its id and the call that contests it.
	fn accepted(&self) -> (H256, Call<Test>) {
		let model = model_of(&self.identity, &self.manifest);
		publish(model, self.identity.lane);
		let nonce = H256(reply::nonce(&key(SECRET).public()));
		let job = Order { model, nonce, ..Order::default() }.claimed_by(&worker(0));
		let shape = Shape::of_manifest(MANIFEST).expect("a manifest");
		let output_commitment = commitment::commit(&shape, &VALUES, &SALT).expect("within bounds");
		let context = Context {
			genesis: GENESIS.0,
			job: job.0,
			model: model.0,
			worker: worker(0).into(),
			input_commitment: INPUT.0,
			output_commitment,
		};
		let output = Output { records: 2, values: self.values.clone(), salt: SALT };
		let sealed = seal(&key(self.sealed_to).public(), &context.info(), &output.encode());

		let mut outcome = Outcome::honest(&worker(0), job);
		outcome.sealed_output = sealed.clone();
		outcome.output_commitment = H256(output_commitment);
		outcome.proof = proof_of(&INPUT, &H256(output_commitment));
		outcome.receipt.output_commitment = H256(output_commitment);
		outcome.receipt.sealed_output_hash = sha2_256(&sealed).into();
		outcome.receipt.proof_hash = sha2_256(&outcome.proof).into();
		assert_ok!(outcome.deliver());
		System::assert_has_event(
			Event::Accepted {
				job,
				worker: worker(0),
				paid: PAY,
				royalty: ROYALTY,
				output_commitment: H256(output_commitment),
				proof_hash: sha2_256(&outcome.proof).into(),
			}
			.into(),
		);
		let call = Call::contest {
			job,
			reply_key: self.reply_key,
			sealed_output: self.sealed_output.clone().unwrap_or(sealed).try_into().expect("short"),
			manifest: self.shown_manifest.clone().unwrap_or(self.manifest.clone()).try_into().expect("short"),
			identity: self.shown_identity.clone().unwrap_or(self.identity.clone()),
		};
		(job, call)
	}

	fn contested(&self) -> (H256, DispatchResult) {
		let (job, call) = self.accepted();
		at(System::block_number() + self.after);
		let result = dispatch(&self.client, call);
		invariants::hold();
		(job, result)
	}
}

/// Seals as an enclave does; `hpke`'s random source is a fixed one.
fn seal(public: &[u8; 32], info: &[u8], plaintext: &[u8]) -> Vec<u8> {
	use hpke::{
		aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256, Deserializable, Kem, OpModeS,
		Serializable,
	};
	use rand_core::SeedableRng;
	let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public).expect("a key");
	let (encapsulated, ciphertext) =
		hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
			&OpModeS::Base,
			&public,
			info,
			plaintext,
			&[],
			&mut rand_chacha::ChaCha8Rng::seed_from_u64(7),
		)
		.expect("sealed");
	[encapsulated.to_bytes().to_vec(), ciphertext].concat()
}

fn punished() -> Vec<(H256, u128)> {
	Registered::get(worker(0)).expect("registered").undelivered
}

#[test]
fn an_output_that_does_not_open_costs_the_stake() {
	let table: [(&str, Case, Fault); 5] = [
		("another value", Case { values: vec![-8, 1, 7, 1], ..Case::default() }, Fault::OtherCommitment),
		("a value out of range", Case { values: vec![-9, 1, 7, 0], ..Case::default() }, Fault::OutOfRange),
		("another shape", Case { values: vec![-8, 1], ..Case::default() }, Fault::Malformed),
		("nothing", Case { values: vec![], ..Case::default() }, Fault::Malformed),
		("another key", Case { sealed_to: [0x78; 32], ..Case::default() }, Fault::Sealed),
	];
	for (name, case, fault) in table {
		new_test_ext().execute_with(|| {
			let (job, result) = case.contested();
			assert_eq!(result, Ok(()), "{name}");
			// The worker was paid: its client is owed the price.
			assert_eq!(punished(), vec![(job, PRICE)], "{name}");
			System::assert_last_event(
				Event::Contested { job, worker: worker(0), fault, slashed: SLASHED }.into(),
			);
			let block = System::block_number();
			assert_eq!(Contested::<Test>::get(job), Some(Undelivered { fault, slashed: SLASHED, block }));
		});
	}
}

#[test]
fn faults_of_a_contest() {
	type Row = (&'static str, Case, Error<Test>);
	let elsewhere = Identity { vk_hash: H256::repeat_byte(9), ..identity() };
	let ezkl = Identity { lane: Lane::Ezkl, ..identity() };
	let garbage = || Case { values: vec![], ..Case::default() };
	let table: Vec<Row> = vec![
		// The worker is honest: whatever the client reveals.
		("an output that opens", Case::default(), Error::OutputOpens),
		("another key", Case { reply_key: [0x78; 32], ..Case::default() }, Error::NotTheReplyKey),
		("a key of zeros", Case { reply_key: [0; 32], ..Case::default() }, Error::NotTheReplyKey),
		(
			"another output",
			Case { sealed_output: Some(vec![1; 200]), ..Case::default() },
			Error::NotTheSealedOutput,
		),
		("no output", Case { sealed_output: Some(vec![]), ..Case::default() }, Error::NotTheSealedOutput),
		(
			"a manifest with other bounds",
			Case {
				shown_manifest: Some(
					br#"{"batch":2,"lane_params":{"output_bounds":[[-8,6],[0,1]]}}"#.to_vec(),
				),
				..Case::default()
			},
			Error::NotTheModel,
		),
		("no manifest", Case { shown_manifest: Some(vec![]), ..Case::default() }, Error::NotTheModel),
		(
			"another model's hashes",
			Case { shown_identity: Some(elsewhere), ..Case::default() },
			Error::NotTheModel,
		),
		("a stranger", Case { client: client(1), ..garbage() }, Error::NotClient),
		("the worker itself", Case { client: worker(0), ..garbage() }, Error::NotClient),
		// Nothing can be said.
		(
			"a manifest that says nothing",
			Case { manifest: b"{}".to_vec(), ..garbage() },
			Error::NotContestable,
		),
		("a lane that hides nothing", Case { identity: ezkl, ..garbage() }, Error::NotContestable),
		("too late", Case { after: ContestWindow::get() + 1, ..garbage() }, Error::ContestOver),
	];
	for (name, case, error) in table {
		new_test_ext().execute_with(|| {
			let (job, result) = case.contested();
			assert_eq!(result, Err(error.into()), "{name}");
			assert_eq!((punished(), Contested::<Test>::get(job)), (vec![], None), "{name}");
		});
	}
}

#[test]
fn a_contest_is_possible_to_the_last_block_and_once() {
	new_test_ext().execute_with(|| {
		let case = Case { values: vec![], after: ContestWindow::get(), ..Case::default() };
		let (job, call) = case.accepted();
		at(System::block_number() + case.after);
		let won = RuntimeCall::Jobs(call.clone()).dispatch(RawOrigin::Signed(client(0)).into());
		// Whoever was wronged pays nothing for saying so.
		assert_eq!(won.expect("it does not open").pays_fee, Pays::No);
		assert_eq!(dispatch(&client(0), call.clone()), Err(Error::<Test>::AlreadyContested.into()));
		assert_eq!(punished().len(), 1);

		at(System::block_number() + <Test as crate::Config>::Retention::get() + 1);
		assert_ok!(forget(&client(0), job));
		assert_eq!(Contested::<Test>::get(job), None);
		assert_eq!(dispatch(&client(0), call), Err(Error::<Test>::UnknownJob.into()));
		invariants::hold();
	});
}

/// A nonce that commits to nothing makes a job that nobody can contest (and that no enclave does).
#[test]
fn open_refunded_and_uncommitted_jobs_are_not_contested() {
	new_test_ext().execute_with(|| {
		let (_, call) = Case::default().accepted();
		let about = |other: H256| match call.clone() {
			Call::contest { reply_key, sealed_output, manifest, identity, .. } => {
				Call::contest { job: other, reply_key, sealed_output, manifest, identity }
			}
			_ => unreachable!("a contest"),
		};
		let order = Order::numbered(2);
		let open = order.placed();
		assert_eq!(dispatch(&client(0), about(open)), Err(Error::<Test>::NotAccepted.into()));
		assert_ok!(cancel(&client(0), open));
		assert_eq!(dispatch(&client(0), about(open)), Err(Error::<Test>::NotAccepted.into()));

		let random = Order::numbered(3).claimed_by(&worker(1));
		let outcome = Outcome::honest(&worker(1), random);
		assert_ok!(outcome.deliver());
		let Call::contest { reply_key, manifest, identity, .. } = call.clone() else { unreachable!() };
		let sealed_output = outcome.sealed_output.try_into().expect("short");
		let call = Call::contest { job: random, reply_key, sealed_output, manifest, identity };
		assert_eq!(dispatch(&client(0), call), Err(Error::<Test>::NotTheReplyKey.into()));
		invariants::hold();
	});
}
