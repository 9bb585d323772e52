//! Queues: one doubly linked list per model, so that a job joins and leaves at the cost of its neighbours alone.

use polkadot_sdk::{
	frame_support::{ensure, pallet_prelude::DispatchResult},
	sp_core::H256,
	sp_runtime::DispatchError,
};

use crate::{
	types::{Link, Queue},
	Config, Links, Queues,
};

/// Puts `job` at the back of the model's queue. It must not be in one.
pub fn push<T: Config>(model: H256, job: H256) -> DispatchResult {
	ensure!(!Links::<T>::contains_key(job), DispatchError::Corruption);
	Queues::<T>::try_mutate(model, |queue| {
		match queue.tail {
			Some(tail) => relink::<T>(tail, |link| link.next = Some(job))?,
			None => queue.head = Some(job),
		}
		Links::<T>::insert(job, Link { prev: queue.tail, next: None });
		queue.tail = Some(job);
		queue.len = queue.len.checked_add(1).ok_or(DispatchError::Corruption)?;
		Ok(())
	})
}

/// Takes `job` out of the model's queue, from wherever it stands.
pub fn remove<T: Config>(model: H256, job: H256) -> DispatchResult {
	let link = Links::<T>::take(job).ok_or(DispatchError::Corruption)?;
	let mut queue = Queues::<T>::get(model);
	match link.prev {
		Some(prev) => relink::<T>(prev, |neighbour| neighbour.next = link.next)?,
		None => queue.head = link.next,
	}
	match link.next {
		Some(next) => relink::<T>(next, |neighbour| neighbour.prev = link.prev)?,
		None => queue.tail = link.prev,
	}
	queue.len = queue.len.checked_sub(1).ok_or(DispatchError::Corruption)?;
	if queue == Queue::default() {
		Queues::<T>::remove(model);
	} else {
		Queues::<T>::insert(model, queue);
	}
	Ok(())
}

fn relink<T: Config>(job: H256, change: impl FnOnce(&mut Link)) -> DispatchResult {
	Links::<T>::try_mutate(job, |link| link.as_mut().map(change).ok_or(DispatchError::Corruption))
}
