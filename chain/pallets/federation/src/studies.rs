//! Studies: their terms, and the sites that agree to them.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, traits::Get, BoundedVec},
	sp_core::H256,
	sp_runtime::DispatchError,
};
use proofward_primitives::WorkerRegistry;

use crate::{
	commitments::{rho, study_id},
	holds, rounds, sites,
	types::{Member, Plan, Study, MAX_DIMENSION, MAX_MEMBERS, MAX_ROUNDS, WINDOW_BLOCKS},
	Closed, Config, Error, Event, Pallet, Rounds, Sites, Studies,
};

/// Announces a study. Nobody is in it before both agree: its researcher invites, a site joins.
pub fn create<T: Config>(
	who: T::AccountId,
	nonce: H256,
	aggregator: T::AccountId,
	plan: Plan,
) -> DispatchResult {
	let id = study_id(&who, &nonce);
	ensure!(!Studies::<T>::contains_key(id), Error::<T>::DuplicateStudy);
	// What was signed, kept and paid under an id is one study's for ever.
	ensure!(!Closed::<T>::contains_key(id), Error::<T>::StudyClosed);
	let sane = (1..=MAX_DIMENSION).contains(&plan.dimension)
		&& (1..=MAX_MEMBERS).contains(&plan.cohort)
		&& (1..=MAX_ROUNDS).contains(&plan.rounds)
		&& WINDOW_BLOCKS.contains(&plan.window)
		&& plan.purpose.count_ones() == 1;
	ensure!(sane, Error::<T>::BadPlan);
	let now = Pallet::<T>::now();
	ensure!(plan.end > now && plan.end - now <= T::MaxLength::get(), Error::<T>::BadEnd);
	let rho = rho(plan.clip, plan.variance).ok_or(Error::<T>::BadPlan)?;
	ensure!(rho <= plan.budget, Error::<T>::StudyOverspends);
	ensure!(T::Workers::active(&aggregator).is_some(), Error::<T>::AggregatorInactive);
	let for_rounds = T::RoundDeposit::get().saturating_mul(plan.rounds.into());
	let deposit = T::StudyDeposit::get().saturating_add(T::IdDeposit::get()).saturating_add(for_rounds);
	holds::hold::<T>(&who, deposit)?;
	let study = Study {
		researcher: who.clone(),
		aggregator,
		plan,
		rho,
		spent: 0,
		members: BoundedVec::new(),
		next: 0,
		open: false,
		deposit,
	};
	Studies::<T>::insert(id, study);
	Pallet::<T>::deposit_event(Event::Created { study: id, researcher: who, plan, rho });
	Ok(())
}

/// Lets a site take part.
pub fn invite<T: Config>(who: T::AccountId, id: H256, site: T::AccountId) -> DispatchResult {
	let mut study = study::<T>(id)?;
	ensure!(who == study.researcher, Error::<T>::NotResearcher);
	ensure!(Pallet::<T>::now() <= study.plan.end, Error::<T>::EndPassed);
	ensure!(study.members.iter().all(|member| member.site != site), Error::<T>::InvitedAlready);
	study.members.try_push(Member::invited(site.clone())).map_err(|_| Error::<T>::StudyFull)?;
	Studies::<T>::insert(id, study);
	Pallet::<T>::deposit_event(Event::Invited { study: id, site });
	Ok(())
}

/// A site's word that it takes part, for at most `budget`. What its own rules forbid, it cannot agree to.
pub fn join<T: Config>(who: T::AccountId, id: H256, budget: u64) -> DispatchResult {
	let mut study = study::<T>(id)?;
	let mut site = sites::site::<T>(&who)?;
	let rules = site.rules;
	ensure!(Pallet::<T>::now() <= study.plan.end, Error::<T>::EndPassed);
	ensure!(rules.purposes & study.plan.purpose != 0, Error::<T>::PurposeForbidden);
	ensure!(study.plan.cohort >= rules.cohort, Error::<T>::CohortTooSmall);
	ensure!(study.rho <= rules.round, Error::<T>::TooLittleNoise);
	ensure!((study.rho..=rules.yearly).contains(&budget), Error::<T>::SiteOverspends);
	let member = study.members.iter_mut().find(|member| member.site == who).ok_or(Error::<T>::NotInvited)?;
	ensure!(budget >= member.spent, Error::<T>::SiteOverspends);
	if !member.joined() {
		site.studies = site.studies.saturating_add(1);
		Sites::<T>::insert(&who, site);
	}
	(member.budget, member.active) = (budget, true);
	Studies::<T>::insert(id, study);
	Pallet::<T>::deposit_event(Event::Joined { study: id, site: who, budget });
	Ok(())
}

/// A site takes part no more, from now on. What it spent stays spent.
pub fn withdraw<T: Config>(who: T::AccountId, id: H256) -> DispatchResult {
	let mut study = study::<T>(id)?;
	let member = study.members.iter_mut().find(|member| member.site == who && member.active);
	member.ok_or(Error::<T>::NotMember)?.active = false;
	Studies::<T>::insert(id, study);
	Pallet::<T>::deposit_event(Event::Withdrew { study: id, site: who });
	Ok(())
}

/// Ends a study: by its researcher, or by anybody after its end. Its rounds leave the state; its id stays, so that it is
/// nobody's again.
pub fn close<T: Config>(who: T::AccountId, id: H256) -> DispatchResult {
	let study = study::<T>(id)?;
	let now = Pallet::<T>::now();
	ensure!(who == study.researcher || now > study.plan.end, Error::<T>::NotResearcher);
	if study.open {
		let last = Rounds::<T>::get(id, study.next.saturating_sub(1));
		ensure!(last.is_none_or(|round| rounds::overdue::<T>(&study, &round)), Error::<T>::RoundOpen);
	}
	for number in 0..study.next {
		Rounds::<T>::remove(id, number);
	}
	for member in study.members.iter().filter(|member| member.joined()) {
		Sites::<T>::mutate(&member.site, |site| {
			if let Some(site) = site {
				site.studies = site.studies.saturating_sub(1);
			}
		});
	}
	let kept = T::IdDeposit::get().min(study.deposit);
	holds::release::<T>(&study.researcher, study.deposit.saturating_sub(kept))?;
	Studies::<T>::remove(id);
	Closed::<T>::insert(id, (&study.researcher, kept));
	Pallet::<T>::deposit_event(Event::Closed { study: id, rounds: study.next, spent: study.spent });
	Ok(())
}

/// A study that goes on.
pub fn study<T: Config>(id: H256) -> Result<Study<T::AccountId>, DispatchError> {
	Studies::<T>::get(id).ok_or_else(|| Error::<T>::UnknownStudy.into())
}
