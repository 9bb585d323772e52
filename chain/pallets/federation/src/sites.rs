//! Hospitals: what they let studies do, and which of their patients agree.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult, traits::Get},
	sp_core::H256,
	sp_runtime::DispatchError,
};

use crate::{
	holds,
	types::{Consents, Rules, Site, MAX_MEMBERS},
	Config, Error, Event, Pallet, Sites,
};

/// Registers a site, or sets its rules anew: they hold for what it agrees to from now on.
pub fn register<T: Config>(who: T::AccountId, rules: Rules) -> DispatchResult {
	let sane = rules.yearly > 0
		&& (1..=rules.yearly).contains(&rules.round)
		&& (1..=MAX_MEMBERS).contains(&rules.cohort)
		&& rules.purposes != 0;
	ensure!(sane, Error::<T>::BadRules);
	match Sites::<T>::get(&who) {
		Some(site) => Sites::<T>::insert(&who, Site { rules, ..site }),
		None => {
			let deposit = T::SiteDeposit::get();
			holds::hold::<T>(&who, deposit)?;
			let year = Pallet::<T>::year();
			let site = Site { rules, spent: 0, year, consents: None, studies: 0, deposit };
			Sites::<T>::insert(&who, site);
		}
	}
	Pallet::<T>::deposit_event(Event::SiteRegistered { site: who, rules });
	Ok(())
}

/// Forgets a site that is in no study and spent nothing this year, so that nobody gets a new year by leaving.
pub fn leave<T: Config>(who: T::AccountId) -> DispatchResult {
	let site = site::<T>(&who)?;
	ensure!(site.studies == 0, Error::<T>::StillMember);
	ensure!(spent::<T>(&site) == 0, Error::<T>::SpentThisYear);
	holds::release::<T>(&who, site.deposit)?;
	Sites::<T>::remove(&who);
	Pallet::<T>::deposit_event(Event::SiteLeft { site: who });
	Ok(())
}

/// Posts the tree of a site's live consents; what is not in it counts no more from the next block on.
pub fn set_consents<T: Config>(who: T::AccountId, root: H256, live: u32) -> DispatchResult {
	let mut site = site::<T>(&who)?;
	site.consents = Some(Consents { root, live, at: Pallet::<T>::now() });
	Sites::<T>::insert(&who, site);
	Pallet::<T>::deposit_event(Event::ConsentsSet { site: who, root, live });
	Ok(())
}

/// A registered site.
pub fn site<T: Config>(who: &T::AccountId) -> Result<Site, DispatchError> {
	Sites::<T>::get(who).ok_or_else(|| Error::<T>::UnknownSite.into())
}

/// What a site spent this year.
pub fn spent<T: Config>(site: &Site) -> u64 {
	if site.year == Pallet::<T>::year() {
		site.spent
	} else {
		0
	}
}
