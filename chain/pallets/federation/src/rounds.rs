//! Rounds: noise first, then the sites' updates, then the sum, each by its commitment.
//!
//! What a round costs is spent when it is begun (the study's) and when a site commits (the site's), and never given
//! back: whoever holds a sum may keep it to himself.

use alloc::vec::Vec;
use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, BoundedVec},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::{sessions::signed, WorkerRegistry};

use crate::{
	commitments::{self, values_hash, Aggregate, Opening},
	sites, studies,
	types::{Commitment, Committed, Ending, Round, Signature, Study, Values, MAX_OPENED},
	Config, Error, Event, Pallet, Rounds, Sites, Studies,
};

/// Begins a round with the enclave's noise.
pub fn open<T: Config>(
	who: T::AccountId,
	id: H256,
	at: u32,
	noise: Commitment,
	signature: Signature,
) -> DispatchResult {
	let mut study = studies::study::<T>(id)?;
	ensure!(who == study.aggregator, Error::<T>::NotAggregator);
	ensure!(!study.open, Error::<T>::RoundOpen);
	let now = Pallet::<T>::now();
	ensure!(now <= study.plan.end, Error::<T>::EndPassed);
	ensure!(study.next < study.plan.rounds, Error::<T>::NoRoundsLeft);
	let spent = study.spent.checked_add(study.rho).filter(|spent| *spent <= study.plan.budget);
	study.spent = spent.ok_or(Error::<T>::StudyOverspends)?;
	let able = study.members.iter().filter(|member| member.active).count() as u32;
	ensure!(able >= study.plan.cohort, Error::<T>::CohortTooSmall);
	let worker = T::Workers::active(&who).ok_or(Error::<T>::AggregatorInactive)?;
	let block = Pallet::<T>::recent(at).ok_or(Error::<T>::BadBlock)?;
	ensure!(commitments::well_formed(&noise), Error::<T>::BadCommitment);
	let number = study.next;
	let opening = Opening {
		genesis: Pallet::<T>::genesis(),
		study: id,
		rule: study.plan.rule,
		number,
		at,
		block,
		noise,
	};
	let message = opening.message();
	let receipt_key = *worker
		.receipt_keys()
		.find(|key| signed(key, &message, &signature))
		.ok_or(Error::<T>::BadSignature)?;
	let until = now.saturating_add(study.plan.window);
	(study.next, study.open) = (number + 1, true);
	let round = Round { noise, receipt_key, until, committed: BoundedVec::new(), ending: None };
	Rounds::<T>::insert(id, number, round);
	Studies::<T>::insert(id, study);
	Pallet::<T>::deposit_event(Event::Opened { study: id, number, noise, until });
	Ok(())
}

/// A site's commitment to its update, under the consents that count now.
pub fn commit<T: Config>(
	who: T::AccountId,
	id: H256,
	number: u32,
	commitment: Commitment,
	consents: H256,
) -> DispatchResult {
	let mut study = studies::study::<T>(id)?;
	let mut round = open_round::<T>(&study, id, number)?;
	let mut site = sites::site::<T>(&who)?;
	let now = Pallet::<T>::now();
	ensure!(now <= round.until, Error::<T>::TooLate);
	ensure!(round.committed.iter().all(|one| one.site != who), Error::<T>::CommittedAlready);
	ensure!(round.committed.iter().all(|one| one.commitment != commitment), Error::<T>::BadCommitment);
	ensure!(commitments::well_formed(&commitment), Error::<T>::BadCommitment);
	let current = site.consents.ok_or(Error::<T>::StaleConsents)?;
	ensure!(current.root == consents && current.at < now && current.live > 0, Error::<T>::StaleConsents);
	let rho = study.rho;
	let member = study.members.iter_mut().find(|member| member.site == who && member.active);
	let member = member.ok_or(Error::<T>::NotMember)?;
	let within = |spent: u64, budget: u64| spent.checked_add(rho).filter(|spent| *spent <= budget);
	member.spent = within(member.spent, member.budget).ok_or(Error::<T>::SiteOverspends)?;
	// Its rules may be stricter by now than when it joined.
	ensure!(rho <= site.rules.round, Error::<T>::TooLittleNoise);
	ensure!(study.plan.cohort >= site.rules.cohort, Error::<T>::CohortTooSmall);
	site.spent = within(sites::spent::<T>(&site), site.rules.yearly).ok_or(Error::<T>::SiteOverspends)?;
	site.year = Pallet::<T>::year();
	let committed = Committed { site: who.clone(), commitment, consents };
	round.committed.try_push(committed).map_err(|_| Error::<T>::StudyFull)?;
	Sites::<T>::insert(&who, site);
	Rounds::<T>::insert(id, number, round);
	Studies::<T>::insert(id, study);
	Pallet::<T>::deposit_event(Event::Committed { study: id, number, site: who, commitment, consents });
	Ok(())
}

/// Ends a round with its sum: exactly that of the committed updates, but for those that are named as absent, and of the
/// committed noise.
pub fn publish<T: Config>(
	who: T::AccountId,
	id: H256,
	number: u32,
	absent: Vec<u32>,
	values: Values,
	blinding: [u8; 32],
	signature: Signature,
) -> DispatchResult {
	let mut study = studies::study::<T>(id)?;
	let mut round = open_round::<T>(&study, id, number)?;
	ensure!(who == study.aggregator, Error::<T>::NotAggregator);
	let committed = |site: &T::AccountId| round.committed.iter().any(|one| one.site == *site);
	let all = study.members.iter().filter(|member| member.active).all(|member| committed(&member.site));
	ensure!(all || Pallet::<T>::now() > round.until, Error::<T>::TooEarly);
	let ordered = absent.windows(2).all(|pair| pair[0] < pair[1]);
	let known = absent.iter().all(|place| (*place as usize) < round.committed.len());
	ensure!(ordered && known, Error::<T>::BadAbsent);
	let places = 0..round.committed.len() as u32;
	let present: Vec<u32> = places.filter(|place| !absent.contains(place)).collect();
	// No site in it asked for more when it committed; what it asks for since binds its next commitment.
	ensure!(present.len() as u32 >= study.plan.cohort, Error::<T>::CohortTooSmall);
	let chosen = present.iter().map(|place| &round.committed[*place as usize].commitment);
	let sum = commitments::sum(chosen.chain([&round.noise])).ok_or(Error::<T>::BadCommitment)?;
	let (hash, opened) = match &values {
		Values::Whole(values) => {
			ensure!(values.len() as u32 == study.plan.dimension, Error::<T>::BadDimension);
			ensure!(commitments::opens(&sum, values, &blinding), Error::<T>::WrongSum);
			(values_hash(values), true)
		}
		Values::Hash(hash) => {
			ensure!(study.plan.dimension > MAX_OPENED, Error::<T>::BadDimension);
			(*hash, false)
		}
	};
	let genesis = Pallet::<T>::genesis();
	let said = Aggregate { genesis, study: id, number, sum, values: hash, absent: absent.clone() };
	ensure!(signed(&round.receipt_key, &said.message(), &signature), Error::<T>::BadSignature);
	let absent = BoundedVec::try_from(absent).map_err(|_| Error::<T>::BadAbsent)?;
	round.ending = Some(Ending::Published { values: hash, blinding, sum, opened, absent: absent.clone() });
	study.open = false;
	Rounds::<T>::insert(id, number, round);
	Studies::<T>::insert(id, study);
	Pallet::<T>::deposit_event(Event::Published { study: id, number, values: hash, opened, absent });
	Ok(())
}

/// Gives a round up whose sum will not come: by the aggregator, or by anybody once its time and as much again is over.
pub fn fail<T: Config>(who: T::AccountId, id: H256, number: u32) -> DispatchResult {
	let mut study = studies::study::<T>(id)?;
	let mut round = open_round::<T>(&study, id, number)?;
	ensure!(who == study.aggregator || overdue::<T>(&study, &round), Error::<T>::NotAggregator);
	round.ending = Some(Ending::Failed);
	study.open = false;
	Rounds::<T>::insert(id, number, round);
	Studies::<T>::insert(id, study);
	Pallet::<T>::deposit_event(Event::Failed { study: id, number });
	Ok(())
}

/// Whether an open round's sum will not come any more, as far as others than the aggregator need to wait for it: the time
/// for commitments is over, and as much again.
pub fn overdue<T: Config>(study: &Study<T::AccountId>, round: &Round<T::AccountId>) -> bool {
	Pallet::<T>::now() > round.until.saturating_add(study.plan.window)
}

fn open_round<T: Config>(
	study: &Study<T::AccountId>,
	id: H256,
	number: u32,
) -> Result<Round<T::AccountId>, DispatchError> {
	ensure!(study.open && number.checked_add(1) == Some(study.next), Error::<T>::UnknownRound);
	Rounds::<T>::get(id, number).ok_or_else(|| Error::<T>::UnknownRound.into())
}
