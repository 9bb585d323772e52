//! The Python module; proofward_prover.pyi documents it.

use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use zeroize::Zeroizing;

use prover::error::refuse;
use prover::{
	ceremony, pedersen, statement, Batch, Bounds, Claim, Error, Form, Made, Program, Refusal, Result,
	Verifier, Witness,
};

pyo3::create_exception!(proofward_prover, ProverError, PyException);

fn raise(py: Python<'_>, error: Error) -> PyErr {
	let exception = ProverError::new_err(error.to_string());
	match exception.value(py).setattr("code", error.refusal.code()) {
		Ok(()) => exception,
		Err(failure) => failure,
	}
}

/// Run without the GIL; refusals become ProverError, and so does a panic: it is a fault of this program, but
/// what calls it is to go on.
fn released<T: Send>(py: Python<'_>, f: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
	// Nothing outlives a panic half changed: caches are only ever replaced whole.
	let caught = || catch_unwind(AssertUnwindSafe(f));
	let internal = || refuse(Refusal::Internal, "the prover failed; please report this with the model");
	py.detach(caught).unwrap_or_else(|_| internal()).map_err(|e| raise(py, e))
}

/// Run on `threads` threads (0: all cores).
fn threaded<T: Send>(threads: usize, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
	static POOLS: OnceLock<Mutex<HashMap<usize, Arc<rayon::ThreadPool>>>> = OnceLock::new();
	if threads == 0 {
		return f();
	}
	if threads > 256 {
		return refuse(Refusal::OverLimit, format!("{threads} threads: 0 to 256 are possible"));
	}
	let mut pools = POOLS.get_or_init(Default::default).lock().unwrap_or_else(|e| e.into_inner());
	let pool = match pools.get(&threads) {
		Some(pool) => pool.clone(),
		None => match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
			Ok(pool) => pools.entry(threads).or_insert(Arc::new(pool)).clone(),
			Err(e) => return refuse(Refusal::Io, format!("no threads: {e}")),
		},
	};
	drop(pools);
	pool.install(f)
}

fn array(code: Refusal, what: &str, bytes: &[u8]) -> Result<[u8; 32]> {
	match bytes.try_into() {
		Ok(array) => Ok(array),
		Err(_) => refuse(code, format!("{what} must have 32 bytes, not {}", bytes.len())),
	}
}

fn salt(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
	array(Refusal::BadSalt, "a salt", bytes).map(Zeroizing::new)
}

fn batch(records: usize, form: &str) -> Result<Batch> {
	match Form::parse(form) {
		Some(form) => Ok(Batch { records, form }),
		None => refuse(Refusal::OverLimit, format!("{form}: a batch's commitment is tree or flat")),
	}
}

fn to_bounds(pairs: Vec<(i64, i64)>) -> Vec<Bounds> {
	pairs.into_iter().map(|(lo, hi)| Bounds { lo, hi }).collect()
}

fn pairs(bounds: &[Bounds]) -> Vec<(i64, i64)> {
	bounds.iter().map(|b| (b.lo, b.hi)).collect()
}

fn bytes<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyBytes> {
	PyBytes::new(py, bytes)
}

#[pyclass(frozen, module = "proofward_prover")]
struct Circuit(Arc<prover::Circuit>);

#[pymethods]
impl Circuit {
	#[new]
	#[pyo3(signature = (program, batch = 1, form = "tree"))]
	fn new(py: Python<'_>, program: &[u8], batch: usize, form: &str) -> PyResult<Circuit> {
		let circuit = released(py, || prover::Circuit::new(program, self::batch(batch, form)?))?;
		Ok(Circuit(Arc::new(circuit)))
	}

	#[staticmethod]
	fn statement(
		py: Python<'_>,
		program: &[u8],
		records: usize,
		values: usize,
		together: bool,
	) -> PyResult<Circuit> {
		let ends = statement::Ends { records, values, together };
		let circuit = released(py, || prover::Circuit::statement(program, ends))?;
		Ok(Circuit(Arc::new(circuit)))
	}

	#[getter]
	fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &self.0.digest)
	}

	#[getter]
	fn batch(&self) -> usize {
		self.0.batch.records
	}

	#[getter]
	fn constraints(&self) -> usize {
		self.0.constraints
	}

	#[getter]
	fn domain(&self) -> usize {
		self.0.domain_size()
	}

	#[getter]
	fn constraints_by_layer(&self) -> Vec<(String, usize)> {
		self.0.layers.clone()
	}

	#[getter]
	fn input_bounds(&self) -> Vec<(i64, i64)> {
		pairs(self.0.program.inputs())
	}

	#[getter]
	fn output_bounds(&self) -> Vec<(i64, i64)> {
		pairs(&self.0.program.output_bounds())
	}

	fn evaluate(&self, py: Python<'_>, values: Vec<i64>) -> PyResult<Vec<i64>> {
		let values = Zeroizing::new(values);
		released(py, || self.0.evaluate(&values))
	}
}

#[pyclass(frozen, module = "proofward_prover")]
struct ProvingKey(Arc<prover::ProvingKey>);

#[pymethods]
impl ProvingKey {
	#[staticmethod]
	#[pyo3(signature = (path, circuit, sha256 = None, verifying_key = None))]
	fn load(
		py: Python<'_>,
		path: PathBuf,
		circuit: &Circuit,
		sha256: Option<&[u8]>,
		verifying_key: Option<&[u8]>,
	) -> PyResult<ProvingKey> {
		let key = released(py, || {
			let sha256 = sha256.map(|bytes| array(Refusal::KeyMismatch, "a SHA-256", bytes)).transpose()?;
			prover::ProvingKey::load(&path, &circuit.0, sha256.as_ref(), verifying_key)
		})?;
		Ok(ProvingKey(key))
	}

	#[getter]
	fn verifying_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &prover::verifying_key_to_bytes(&self.0.verifying_key))
	}

	#[getter]
	fn circuit_digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &self.0.digest)
	}
}

#[pyclass(frozen, module = "proofward_prover")]
struct Proof {
	proof: Vec<u8>,
	commitments: [[u8; 32]; 2],
	outputs: Zeroizing<Vec<i64>>,
	seconds: [(&'static str, f64); 3],
}

#[pymethods]
impl Proof {
	#[getter]
	fn proof<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &self.proof)
	}

	#[getter]
	fn input_commitment<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &self.commitments[0])
	}

	#[getter]
	fn output_commitment<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &self.commitments[1])
	}

	#[getter]
	fn outputs(&self) -> Vec<i64> {
		self.outputs.to_vec()
	}

	#[getter]
	fn seconds(&self) -> HashMap<&'static str, f64> {
		self.seconds.into_iter().collect()
	}
}

#[pyfunction]
#[pyo3(signature = (circuit, path, threads = 0))]
fn setup<'py>(
	py: Python<'py>,
	circuit: &Circuit,
	path: PathBuf,
	threads: usize,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
	let (key, sha256) = released(py, || threaded(threads, || prover::setup(&circuit.0, &path)))?;
	Ok((bytes(py, &key), bytes(py, &sha256)))
}

#[pyfunction]
#[pyo3(signature = (path, circuit, threads = 0))]
fn check_key<'py>(
	py: Python<'py>,
	path: PathBuf,
	circuit: &Circuit,
	threads: usize,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
	let (key, sha256) = released(py, || threaded(threads, || prover::check_file(&path, &circuit.0)))?;
	Ok((bytes(py, &key), bytes(py, &sha256)))
}

type Contributions<'py> = Vec<(String, bool, Bound<'py, PyBytes>)>;

fn contributions<'py>(py: Python<'py>, transcript: &ceremony::Transcript) -> Contributions<'py> {
	let hashes = transcript.hashes();
	let each = transcript.contributions.iter().zip(&hashes[1..]);
	each.map(|(c, hash)| {
		let beacon = matches!(c.proof, ceremony::ShareProof::Beacon(..));
		(c.name.clone(), beacon, bytes(py, hash))
	})
	.collect()
}

#[pyclass(frozen, module = "proofward_prover")]
struct Ceremony(ceremony::State);

#[pymethods]
impl Ceremony {
	#[staticmethod]
	fn new(py: Python<'_>, circuit: &Circuit, ptau: PathBuf) -> PyResult<Ceremony> {
		Ok(Ceremony(released(py, || ceremony::State::new(&circuit.0, &ptau))?))
	}

	#[staticmethod]
	fn read(py: Python<'_>, path: PathBuf) -> PyResult<Ceremony> {
		Ok(Ceremony(released(py, || ceremony::State::read(&path))?))
	}

	fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
		released(py, || self.0.write(&path))
	}

	fn contribute(&self, py: Python<'_>, name: &str) -> PyResult<Ceremony> {
		let mut next = self.0.clone();
		released(py, || next.contribute(name).map(|()| next)).map(Ceremony)
	}

	fn beacon(&self, py: Python<'_>, name: &str, value: &[u8], iterations: u8) -> PyResult<Ceremony> {
		let mut next = self.0.clone();
		let made = || {
			let value = array(Refusal::MalformedCeremony, "a beacon", value)?;
			next.beacon(name, &value, iterations).map(|()| next)
		};
		released(py, made).map(Ceremony)
	}

	fn check(&self, py: Python<'_>, circuit: &Circuit, ptau: PathBuf) -> PyResult<()> {
		released(py, || self.0.check(&circuit.0, &ptau))
	}

	fn finish<'py>(
		&self,
		py: Python<'py>,
		path: PathBuf,
	) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
		let (key, sha256) = released(py, || self.0.finish(&path))?;
		Ok((bytes(py, &key), bytes(py, &sha256)))
	}

	#[getter]
	fn transcript<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &self.0.transcript.encode())
	}

	#[getter]
	fn contributions<'py>(&self, py: Python<'py>) -> Contributions<'py> {
		contributions(py, &self.0.transcript)
	}

	#[getter]
	fn circuit_digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &self.0.transcript.circuit)
	}

	#[getter]
	fn phase1<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
		bytes(py, &self.0.transcript.phase1)
	}
}

#[pyfunction]
fn check_transcript<'py>(
	py: Python<'py>,
	transcript: &[u8],
	circuit: &Circuit,
	ptau: PathBuf,
	verifying_key: &[u8],
) -> PyResult<Contributions<'py>> {
	let transcript = released(py, || {
		let transcript = ceremony::Transcript::decode(transcript)?;
		transcript.check_verifying_key(&circuit.0, &ptau, verifying_key)?;
		Ok(transcript)
	})?;
	Ok(contributions(py, &transcript))
}

#[pyfunction]
fn read_transcript<'py>(
	py: Python<'py>,
	transcript: &[u8],
	verifying_key: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, Contributions<'py>)> {
	let transcript = released(py, || {
		let transcript = ceremony::Transcript::decode(transcript)?;
		transcript.ends_in(verifying_key)?;
		Ok(transcript)
	})?;
	let listed = contributions(py, &transcript);
	Ok((bytes(py, &transcript.circuit), bytes(py, &transcript.phase1), listed))
}

#[pyfunction]
fn make_ptau(py: Python<'_>, path: PathBuf, power: u32) -> PyResult<()> {
	released(py, || prover::generate(&path, power))
}

#[pyfunction]
fn r1cs<'py>(py: Python<'py>, circuit: &Circuit) -> PyResult<Bound<'py, PyBytes>> {
	let made = released(py, || prover::r1cs(&circuit.0))?;
	Ok(bytes(py, &made))
}

#[pyfunction]
#[pyo3(signature = (key, circuit, values, input_salt, output_salt, threads = 0))]
fn prove(
	py: Python<'_>,
	key: &ProvingKey,
	circuit: &Circuit,
	values: Vec<i64>,
	input_salt: &[u8],
	output_salt: &[u8],
	threads: usize,
) -> PyResult<Proof> {
	let values = Zeroizing::new(values);
	proved(py, key, circuit, threads, |circuit| {
		let (input_salt, output_salt) = (salt(input_salt)?, salt(output_salt)?);
		circuit.witness(&values, &input_salt, &output_salt)
	})
}

#[pyfunction]
#[pyo3(signature = (key, circuit, values, salts, threads = 0))]
fn prove_statement(
	py: Python<'_>,
	key: &ProvingKey,
	circuit: &Circuit,
	values: Vec<i64>,
	salts: Vec<Vec<u8>>,
	threads: usize,
) -> PyResult<Proof> {
	let (values, salts) = (Zeroizing::new(values), Zeroizing::new(salts));
	proved(py, key, circuit, threads, |circuit| {
		let salts =
			salts.iter().map(|one| array(Refusal::BadSalt, "a salt", one)).collect::<Result<Vec<_>>>();
		circuit.statement_witness(&values, &Zeroizing::new(salts?))
	})
}

fn proved(
	py: Python<'_>,
	key: &ProvingKey,
	circuit: &Circuit,
	threads: usize,
	witness: impl FnOnce(&prover::Circuit) -> Result<(Witness, Vec<i64>)> + Send,
) -> PyResult<Proof> {
	released(py, || {
		if key.0.digest != circuit.0.digest {
			return refuse(Refusal::KeyMismatch, "the proving key belongs to another circuit");
		}
		let start = Instant::now();
		let (witness, outputs) = witness(&circuit.0)?;
		let witnessed = start.elapsed().as_secs_f64();
		let proof = threaded(threads, || prover::prove(&key.0, &witness))?;
		let total = start.elapsed().as_secs_f64();
		let proof = prover::proof_to_bytes(&proof);
		let commitments = witness.commitments.map(|c| prover::to_bytes(&c));
		let verifying_key = prover::verifying_key_to_bytes(&key.0.verifying_key);
		MADE.note([&verifying_key, &commitments[0], &commitments[1], &proof]);
		Ok(Proof {
			proof,
			commitments,
			outputs: Zeroizing::new(outputs),
			seconds: [("witness", witnessed), ("prove", total - witnessed), ("total", total)],
		})
	})
}

#[pyfunction]
fn statement_root<'py>(py: Python<'py>, commitments: Vec<Vec<u8>>) -> PyResult<Bound<'py, PyBytes>> {
	let root = released(py, || {
		let element = |bytes: &Vec<u8>| {
			prover::commitment(&array(Refusal::MalformedCommitment, "a commitment", bytes)?)
		};
		statement::root(&commitments.iter().map(element).collect::<Result<Vec<_>>>()?)
	})?;
	Ok(bytes(py, &prover::to_bytes(&root)))
}

#[pyfunction]
fn statement_claim<'py>(
	py: Python<'py>,
	bounds: Vec<(i64, i64)>,
	values: Vec<i64>,
) -> PyResult<Bound<'py, PyBytes>> {
	let claim = released(py, || statement::claim(&to_bounds(bounds), &values))?;
	Ok(bytes(py, &prover::to_bytes(&claim)))
}

#[pyfunction]
fn evaluate(py: Python<'_>, program: &[u8], values: Vec<i64>) -> PyResult<Vec<i64>> {
	let values = Zeroizing::new(values);
	released(py, || prover::evaluate(&Program::decode(program)?, &values))
}

#[pyfunction(name = "commit")]
#[pyo3(signature = (bounds, batch, values, salt, form = "tree"))]
fn commit_values<'py>(
	py: Python<'py>,
	bounds: Vec<(i64, i64)>,
	batch: usize,
	values: Vec<i64>,
	salt: &[u8],
	form: &str,
) -> PyResult<Bound<'py, PyBytes>> {
	let values = Zeroizing::new(values);
	let commitment = released(py, || {
		prover::commit(&to_bounds(bounds), self::batch(batch, form)?, &values, &*self::salt(salt)?)
	})?;
	Ok(bytes(py, &prover::to_bytes(&commitment)))
}

#[pyfunction]
fn open_record<'py>(
	py: Python<'py>,
	bounds: Vec<(i64, i64)>,
	batch: usize,
	values: Vec<i64>,
	salt: &[u8],
	index: usize,
) -> PyResult<(Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>)> {
	let values = Zeroizing::new(values);
	let (salt, path) =
		released(py, || prover::open_record(&to_bounds(bounds), batch, &values, &*self::salt(salt)?, index))?;
	let path = path.iter().map(|x| bytes(py, &prover::to_bytes(x))).collect();
	Ok((bytes(py, &salt), path))
}

#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn check_record(
	py: Python<'_>,
	bounds: Vec<(i64, i64)>,
	batch: usize,
	index: usize,
	record: Vec<i64>,
	record_salt: &[u8],
	path: Vec<Vec<u8>>,
	commitment: &[u8],
) -> PyResult<bool> {
	released(py, || {
		let element =
			|bytes: &[u8]| prover::commitment(&array(Refusal::MalformedCommitment, "a commitment", bytes)?);
		let path = path.iter().map(|x| element(x)).collect::<Result<Vec<_>>>()?;
		let root = element(commitment)?;
		prover::check_record(&to_bounds(bounds), batch, index, &record, &*salt(record_salt)?, &path, &root)
	})
}

/// Proofs that `prove` verified.
static MADE: Made = Made::new();

/// Verifying keys that are kept ready.
const KEYS: usize = 64;

/// Decode a key and make it ready, once for each key in this process.
fn verifier(bytes: &[u8]) -> Result<Arc<Verifier>> {
	static CACHE: OnceLock<Mutex<HashMap<Vec<u8>, Arc<Verifier>>>> = OnceLock::new();
	let cache = CACHE.get_or_init(Default::default);
	let locked = || cache.lock().unwrap_or_else(|e| e.into_inner());
	if let Some(key) = locked().get(bytes) {
		return Ok(key.clone());
	}
	let key = Arc::new(Verifier::new(&prover::verifying_key_from_bytes(bytes)?));
	let mut keys = locked();
	if keys.len() == KEYS {
		keys.clear();
	}
	keys.insert(bytes.to_vec(), key.clone());
	Ok(key)
}

/// Refuses with malformed-commitment or malformed-proof.
fn claim(input: &[u8], output: &[u8], proof: &[u8]) -> Result<Claim> {
	let element =
		|bytes: &[u8]| prover::commitment(&array(Refusal::MalformedCommitment, "a commitment", bytes)?);
	Ok(([element(input)?, element(output)?], prover::proof_from_bytes(proof)?))
}

#[pyfunction]
fn verify(
	py: Python<'_>,
	verifying_key: &[u8],
	input_commitment: &[u8],
	output_commitment: &[u8],
	proof: &[u8],
) -> PyResult<bool> {
	released(py, || {
		let key = verifier(verifying_key)?;
		let claim = claim(input_commitment, output_commitment, proof);
		Ok(claim.is_ok_and(|(commitments, proof)| key.verify(&commitments, &proof)))
	})
}

#[pyfunction]
fn verify_made(
	py: Python<'_>,
	verifying_key: &[u8],
	input_commitment: &[u8],
	output_commitment: &[u8],
	proof: &[u8],
) -> PyResult<bool> {
	match MADE.holds([verifying_key, input_commitment, output_commitment, proof]) {
		true => Ok(true),
		false => verify(py, verifying_key, input_commitment, output_commitment, proof),
	}
}

#[pyfunction]
#[pyo3(signature = (verifying_key, items, threads = 0))]
fn batch_verify(
	py: Python<'_>,
	verifying_key: &[u8],
	items: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
	threads: usize,
) -> PyResult<bool> {
	use rayon::prelude::*;
	released(py, || {
		threaded(threads, || {
			if items.is_empty() {
				return refuse(Refusal::InputLength, "there is no proof to verify");
			}
			let key = verifier(verifying_key)?;
			let claims = items
				.par_iter()
				.map(|(input, output, proof)| claim(input, output, proof))
				.collect::<Result<Vec<_>>>();
			Ok(claims.is_ok_and(|claims| key.batch_verify(&claims)))
		})
	})
}

#[pyfunction]
fn verifying_key_json(py: Python<'_>, verifying_key: &[u8]) -> PyResult<String> {
	released(py, || Ok(prover::verifying_key_json(&prover::verifying_key_from_bytes(verifying_key)?)))
}

#[pyfunction]
fn proof_json(
	py: Python<'_>,
	input_commitment: &[u8],
	output_commitment: &[u8],
	proof: &[u8],
) -> PyResult<(String, String)> {
	released(py, || {
		let (commitments, proof) = claim(input_commitment, output_commitment, proof)?;
		Ok(prover::proof_json(&commitments, &proof))
	})
}

#[pyfunction(name = "poseidon")]
#[pyo3(signature = (inputs, capacity = None))]
fn poseidon_hash<'py>(
	py: Python<'py>,
	inputs: Vec<Vec<u8>>,
	capacity: Option<Vec<u8>>,
) -> PyResult<Bound<'py, PyBytes>> {
	let hash = released(py, || {
		if inputs.is_empty() || inputs.len() > prover::MAX_ARITY {
			return refuse(Refusal::InputLength, format!("Poseidon takes 1 to {} inputs", prover::MAX_ARITY));
		}
		let element = |bytes: &Vec<u8>| {
			prover::commitment(&array(Refusal::MalformedCommitment, "a field element", bytes)?)
		};
		let inputs = inputs.iter().map(element).collect::<Result<Vec<_>>>()?;
		let capacity = capacity.as_ref().map(element).transpose()?.unwrap_or_default();
		Ok(prover::poseidon(&mut prover::Native, capacity, &inputs))
	})?;
	Ok(bytes(py, &prover::to_bytes(&hash)))
}

#[pyfunction]
fn vector_commit<'py>(py: Python<'py>, values: Vec<i64>, blinding: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
	let values = Zeroizing::new(values);
	let point = released(py, || pedersen::commit(&values, &pedersen::blinding(blinding)?))?;
	Ok(bytes(py, point.compress().as_bytes()))
}

#[pyfunction]
fn vector_sum<'py>(py: Python<'py>, commitments: Vec<Vec<u8>>) -> PyResult<Bound<'py, PyBytes>> {
	let sum = released(py, || {
		let points = commitments.iter().map(|one| pedersen::point(one)).collect::<Result<Vec<_>>>()?;
		Ok(points.into_iter().sum::<curve25519_dalek::RistrettoPoint>())
	})?;
	Ok(bytes(py, sum.compress().as_bytes()))
}

#[pyfunction]
fn blinding_new(py: Python<'_>) -> PyResult<Bound<'_, PyBytes>> {
	let scalar = released(py, pedersen::random)?;
	Ok(bytes(py, scalar.as_bytes()))
}

#[pyfunction]
fn blinding_sum<'py>(py: Python<'py>, blindings: Vec<Vec<u8>>) -> PyResult<Bound<'py, PyBytes>> {
	let blindings = Zeroizing::new(blindings);
	let sum = released(py, || {
		let scalars = blindings.iter().map(|one| pedersen::blinding(one)).collect::<Result<Vec<_>>>()?;
		Ok(scalars.iter().sum::<curve25519_dalek::Scalar>())
	})?;
	Ok(bytes(py, sum.as_bytes()))
}

#[pyfunction]
fn vector_norm_prove<'py>(
	py: Python<'py>,
	values: Vec<i64>,
	blinding: &[u8],
	bound: u128,
	slacks: [i64; 4],
	context: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
	let values = Zeroizing::new(values);
	let proof =
		released(py, || prover::prove_norm(&values, &pedersen::blinding(blinding)?, bound, slacks, context))?;
	Ok(bytes(py, &proof))
}

#[pyfunction]
fn vector_norm_verify(
	py: Python<'_>,
	commitment: &[u8],
	length: usize,
	bound: u128,
	context: &[u8],
	proof: &[u8],
) -> PyResult<bool> {
	released(py, || prover::verify_norm(&pedersen::point(commitment)?, length, bound, context, proof))
}

#[pymodule]
fn proofward_prover(module: &Bound<'_, PyModule>) -> PyResult<()> {
	module.add("__version__", env!("CARGO_PKG_VERSION"))?;
	module.add("CODES", PyTuple::new(module.py(), Refusal::ALL.map(Refusal::code))?)?;
	module.add("ProverError", module.py().get_type::<ProverError>())?;
	module.add_class::<Circuit>()?;
	module.add_class::<ProvingKey>()?;
	module.add_class::<Proof>()?;
	module.add_class::<Ceremony>()?;
	module.add_function(wrap_pyfunction!(setup, module)?)?;
	module.add_function(wrap_pyfunction!(check_key, module)?)?;
	module.add_function(wrap_pyfunction!(check_transcript, module)?)?;
	module.add_function(wrap_pyfunction!(read_transcript, module)?)?;
	module.add_function(wrap_pyfunction!(make_ptau, module)?)?;
	module.add_function(wrap_pyfunction!(r1cs, module)?)?;
	module.add_function(wrap_pyfunction!(prove, module)?)?;
	module.add_function(wrap_pyfunction!(prove_statement, module)?)?;
	module.add_function(wrap_pyfunction!(statement_root, module)?)?;
	module.add_function(wrap_pyfunction!(statement_claim, module)?)?;
	module.add_function(wrap_pyfunction!(evaluate, module)?)?;
	module.add_function(wrap_pyfunction!(commit_values, module)?)?;
	module.add_function(wrap_pyfunction!(open_record, module)?)?;
	module.add_function(wrap_pyfunction!(check_record, module)?)?;
	module.add_function(wrap_pyfunction!(verify, module)?)?;
	module.add_function(wrap_pyfunction!(verify_made, module)?)?;
	module.add_function(wrap_pyfunction!(batch_verify, module)?)?;
	module.add_function(wrap_pyfunction!(verifying_key_json, module)?)?;
	module.add_function(wrap_pyfunction!(proof_json, module)?)?;
	module.add_function(wrap_pyfunction!(poseidon_hash, module)?)?;
	module.add_function(wrap_pyfunction!(vector_commit, module)?)?;
	module.add_function(wrap_pyfunction!(vector_sum, module)?)?;
	module.add_function(wrap_pyfunction!(blinding_new, module)?)?;
	module.add_function(wrap_pyfunction!(blinding_sum, module)?)?;
	module.add_function(wrap_pyfunction!(vector_norm_prove, module)?)?;
	module.add_function(wrap_pyfunction!(vector_norm_verify, module)?)?;
	Ok(())
}
