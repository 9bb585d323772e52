//! How pages are judged: the lane's contract decides, in a layer that leaves no trace.

use alloc::vec::Vec;
use polkadot_sdk::{
	frame_support::{
		dispatch::{DispatchResultWithPostInfo, WithPostDispatchInfo},
		ensure,
		storage::{with_transaction, TransactionOutcome},
		weights::Weight,
	},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::{
	sessions::{depth, leaf, root},
	Decision, Ending, ModelRegistry, ModelView, ProofVerifier, RejectReason, Statement, Verdict, PROBED,
};

use crate::{
	ending, escrow,
	types::{Pages, Session, Window},
	windows, Config, Error, Event, HoldReason, Judging, Pallet, WeightInfo, Windows,
};

/// Takes proofs of pages that are owed, all of one window.
pub fn prove<T: Config>(
	worker: T::AccountId,
	id: H256,
	number: u32,
	pages: Pages,
) -> DispatchResultWithPostInfo {
	let own = T::WeightInfo::prove(pages.len() as u32);
	let checked = check::<T>(&worker, id, number, &pages).map_err(|error| error.with_weight(own))?;
	let (session, mut window, model) = checked;
	let statements: Vec<Statement> = pages
		.iter()
		.map(|page| Statement {
			input_commitment: page.input_commitment,
			output_commitment: page.output_commitment,
			proof: page.proof.to_vec(),
		})
		.collect();
	let verdict = judge::<T>(&session, &model, &statements)?;
	let mut used = own.saturating_add(verdict.weight);
	match verdict.decision {
		Decision::Accepted => {
			for page in &pages {
				let asked = window.asked.iter_mut().find(|asked| asked.page == page.page);
				let asked = asked.ok_or(Error::<T>::NotAsked)?;
				asked.proved = true;
				escrow::transfer::<T>(HoldReason::Escrow, &session.client, &worker, asked.fee)?;
			}
			Windows::<T>::insert(id, number, window);
			let pages = pages.iter().map(|page| page.page).collect::<Vec<_>>();
			let pages = pages.try_into().map_err(|_| Error::<T>::NotAsked)?;
			Pallet::<T>::deposit_event(Event::Proved { session: id, number, pages });
		}
		Decision::Rejected(RejectReason::ProofInvalid) => {
			ending::fail::<T>(id, session, number, Ending::Rejected)?;
		}
		Decision::Rejected(reason) => {
			if reason != RejectReason::CodeChanged {
				let probe = T::Verifier::probe(model.lane);
				let about = Statement { input_commitment: PROBED, output_commitment: PROBED, proof: probe };
				let probed = judge::<T>(&session, &model, &[about])?;
				used = used.saturating_add(probed.weight);
				// The contract works: the fault is the proof's own, and there is time for another.
				let works = probed.decision == Decision::Rejected(RejectReason::ProofInvalid);
				ensure!(!works, DispatchError::from(Error::<T>::FaultyProof).with_weight(used));
				T::Models::faulted(&session.model);
			}
			window.excused = true;
			Windows::<T>::insert(id, number, window);
			Pallet::<T>::deposit_event(Event::NoVerdict { session: id, number, reason });
		}
	}
	Ok(Some(used).into())
}

/// What contract calls of a `prove` may use: a verdict on each page, and a probe when none can be had.
pub fn most_weight<T: Config>(id: &H256, pages: u32) -> Weight {
	let session = crate::Sessions::<T>::get(id);
	let model = session.and_then(|session| T::Models::model(&session.model));
	let one = model.map_or(T::Verifier::max_weight(), |model| model.verdict_limit);
	one.saturating_mul(u64::from(pages).saturating_add(1))
}

/// Whether these pages of the worker's session owe proofs, or may, before the beacon's word was asked for.
pub fn awaits<T: Config>(worker: &T::AccountId, id: H256, number: u32, pages: &[u32]) -> bool {
	let owed = |window: &Window| {
		let owes = |page: &u32| window.asked.iter().any(|asked| asked.page == *page && !asked.proved);
		let drawn = window.drawn.is_some();
		Pallet::<T>::now() <= window.due && !window.excused && (!drawn || pages.iter().all(owes))
	};
	crate::Sessions::<T>::get(id).is_some_and(|session| session.worker == *worker)
		&& Windows::<T>::get(id, number).as_ref().is_some_and(owed)
}

type Checked<T> = (
	Session<<T as polkadot_sdk::frame_system::Config>::AccountId>,
	Window,
	ModelView<<T as polkadot_sdk::frame_system::Config>::AccountId>,
);

fn check<T: Config>(
	worker: &T::AccountId,
	id: H256,
	number: u32,
	pages: &Pages,
) -> Result<Checked<T>, DispatchError> {
	let session = Pallet::<T>::session(id)?;
	ensure!(session.worker == *worker, Error::<T>::NotWorker);
	let mut window = windows::window::<T>(id, number)?;
	ensure!(Pallet::<T>::now() <= window.due, Error::<T>::TooLate);
	let model = T::Models::model(&session.model).ok_or(Error::<T>::UnknownModel)?;
	windows::draw::<T>(id, number, &session, &mut window);
	ensure!(!pages.is_empty(), Error::<T>::NotAsked);
	for (index, page) in pages.iter().enumerate() {
		let twice = pages.iter().take(index).any(|other| other.page == page.page);
		let owed = window.asked.iter().any(|asked| asked.page == page.page && !asked.proved);
		ensure!(owed && !twice, Error::<T>::NotAsked);
		let leaf = leaf(&id, page.page, &page.input_commitment, &page.output_commitment);
		let place = page.page.saturating_sub(window.first);
		let inside =
			page.path.len() as u32 == depth(window.pages) && root(leaf, place, &page.path) == window.root;
		ensure!(inside, Error::<T>::NotInTree);
	}
	Ok((session, window, model))
}

/// Asks the lane's contract. Whatever runs inside is rolled back, the mark that keeps it from calling this pallet as
/// well.
fn judge<T: Config>(
	session: &Session<T::AccountId>,
	model: &ModelView<T::AccountId>,
	statements: &[Statement],
) -> Result<Verdict, DispatchError> {
	let Some(contract) = model.verifier else {
		let decision = Decision::Rejected(RejectReason::CodeChanged);
		return Ok(Verdict { decision, weight: Weight::zero() });
	};
	let key = T::Models::verifying_key(&session.model);
	with_transaction(|| {
		Judging::<T>::put(());
		let verdict = match statements {
			[one] => T::Verifier::verify(
				&contract,
				&key,
				&one.input_commitment,
				&one.output_commitment,
				&one.proof,
				model.verdict_limit,
			),
			many => {
				let limit = model.verdict_limit.saturating_mul(many.len() as u64);
				T::Verifier::verify_many(&contract, &key, many, limit)
			}
		};
		TransactionOutcome::Rollback(Ok(verdict))
	})
}
