//! Whose extrinsics go first.
//!
//! A call's class is the call's alone, whoever sends it: `release` is operational even of a job that nobody knows, a batch
//! of such calls is, and so is `System::set_code` from anybody. Blocks full of them would keep honest results out until
//! their claims have run out. Here an extrinsic keeps the operational class only if what its call would end is its
//! sender's to end, now; every other one is ordinary: it has ordinary room and an ordinary priority, and fails as it
//! always would. A sender whose call ended nothing is ordinary for a while as well.

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode};
use frame_support::{
	dispatch::{DispatchClass, DispatchInfo, GetDispatchInfo, PostDispatchInfo},
	traits::InstanceFilter,
	weights::Weight,
};
use polkadot_sdk::*;
use scale_info::{StaticTypeInfo, Type, TypeInfo};
use sp_core::{Hasher, H256};
use sp_runtime::{
	traits::{
		AsSystemOriginSigner, DispatchOriginOf, Implication, StaticLookup, TransactionExtension,
		TransactionExtensionMetadata, ValidateResult,
	},
	transaction_validity::{TransactionSource, TransactionValidity, TransactionValidityError},
	DispatchResult,
};

use crate::{
	AccountId, InferenceSessions, Jobs, Proxy, Runtime, RuntimeCall, RuntimeOrigin, System, Workers,
};

/// What an operational call would end, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
	/// A claim, by a result or by handing it back.
	Claim { worker: AccountId, job: H256, result: bool },
	/// What pages of a session's window owe.
	Pages { worker: AccountId, session: H256, number: u32, pages: Vec<u32> },
	/// A registration's epoch.
	Epoch { worker: AccountId, epoch: u32 },
	/// What governance authorised, or development's one key wants.
	Authorised,
}

impl Ending {
	/// What `call` from `who` would end, if it is of the calls that end something.
	fn of(who: &AccountId, call: &RuntimeCall) -> Option<Self> {
		let worker = who.clone();
		Some(match call {
			RuntimeCall::Jobs(pallet_jobs::Call::complete { job, .. }) => {
				Self::Claim { worker, job: *job, result: true }
			}
			RuntimeCall::Jobs(pallet_jobs::Call::release { job }) => {
				Self::Claim { worker, job: *job, result: false }
			}
			RuntimeCall::InferenceSessions(pallet_sessions::Call::prove { session, number, pages }) => {
				let pages = pages.iter().map(|page| page.page).collect();
				Self::Pages { worker, session: *session, number: *number, pages }
			}
			RuntimeCall::Workers(pallet_workers::Call::renew { epoch, .. }) => {
				Self::Epoch { worker, epoch: *epoch }
			}
			RuntimeCall::System(frame_system::Call::apply_authorized_upgrade { code })
				if authorised(code) =>
			{
				Self::Authorised
			}
			RuntimeCall::Sudo(_) if pallet_sudo::Key::<Runtime>::get().as_ref() == Some(who) => {
				Self::Authorised
			}
			RuntimeCall::Proxy(pallet_proxy::Call::proxy { real, force_proxy_type, call }) => {
				let real = <Runtime as frame_system::Config>::Lookup::lookup(real.clone()).ok()?;
				let proxy = Proxy::find_proxy(&real, who, *force_proxy_type).ok()?;
				if proxy.delay != 0 || !proxy.proxy_type.filter(call) {
					return None;
				}
				match call.as_ref() {
					// One step is what the node takes; more would be a way to make this check dear.
					RuntimeCall::Proxy(_) => return None,
					call => Self::of(&real, call)?,
				}
			}
			_ => return None,
		})
	}

	/// Whether it stands to be ended by its sender now.
	fn stands(&self) -> bool {
		match self {
			Self::Claim { worker, job, .. } => Jobs::awaits(worker, *job),
			Self::Pages { worker, session, number, pages } => {
				InferenceSessions::awaits(worker, *session, *number, pages)
			}
			Self::Epoch { worker, epoch } => Workers::awaits(worker, *epoch),
			Self::Authorised => true,
		}
	}

	/// The worker that goes last for a while if this did not end anything. Handing back what one holds never fails.
	fn tried(&self) -> Option<&AccountId> {
		match self {
			Self::Claim { result: false, .. } | Self::Authorised => None,
			Self::Claim { worker, .. } | Self::Pages { worker, .. } | Self::Epoch { worker, .. } => {
				Some(worker)
			}
		}
	}
}

/// Whether this is the next runtime's code.
fn authorised(code: &[u8]) -> bool {
	let hash = <Runtime as frame_system::Config>::Hashing::hash(code);
	// Its fields are the pallet's own; the hash is the first.
	System::authorized_upgrade().is_some_and(|upgrade| upgrade.encode().starts_with(hash.as_bytes()))
}

/// What an extrinsic of `origin` ends that may go first.
fn ending(origin: &RuntimeOrigin, call: &RuntimeCall, info: &DispatchInfo) -> Option<Ending> {
	if info.class != DispatchClass::Operational {
		return None;
	}
	let ending = Ending::of(origin.as_system_origin_signer()?, call)?;
	let waits = ending.tried().is_some_and(Workers::goes_last);
	(!waits && ending.stands()).then_some(ending)
}

/// The same call, in its class or as an ordinary one.
fn ranked(info: &DispatchInfo, ending: &Option<Ending>) -> DispatchInfo {
	match (info.class, ending) {
		(DispatchClass::Operational, None) => DispatchInfo { class: DispatchClass::Normal, ..*info },
		_ => *info,
	}
}

/// The transaction extensions `E`, which see an operational call as one only if its sender has something to end by it.
/// On the wire and in the metadata it is `E`.
#[derive(Clone, Eq, PartialEq, Debug, Encode, Decode, DecodeWithMemTracking)]
pub struct Ranked<E>(pub E);

impl<E: TypeInfo + 'static> TypeInfo for Ranked<E> {
	type Identity = E::Identity;

	fn type_info() -> Type {
		E::type_info()
	}
}

/// What an extrinsic ends, beside what the extensions hand on.
pub struct Handed<T> {
	ending: Option<Ending>,
	inner: T,
}

impl<E> TransactionExtension<RuntimeCall> for Ranked<E>
where
	E: TransactionExtension<RuntimeCall> + StaticTypeInfo,
{
	const IDENTIFIER: &'static str = E::IDENTIFIER;
	type Implicit = E::Implicit;
	type Val = Handed<E::Val>;
	type Pre = Handed<E::Pre>;

	fn implicit(&self) -> Result<Self::Implicit, TransactionValidityError> {
		self.0.implicit()
	}

	fn metadata() -> Vec<TransactionExtensionMetadata> {
		E::metadata()
	}

	/// Besides the others': a proxy, a session and its window, who goes last, who is a worker, and a note of it.
	fn weight(&self, call: &RuntimeCall) -> Weight {
		let own = match call.get_dispatch_info().class {
			DispatchClass::Operational => Weight::from_parts(40_000_000, 16_384)
				.saturating_add(<Runtime as frame_system::Config>::DbWeight::get().reads_writes(5, 1)),
			_ => Weight::zero(),
		};
		self.0.weight(call).saturating_add(own)
	}

	fn validate(
		&self,
		origin: RuntimeOrigin,
		call: &RuntimeCall,
		info: &DispatchInfo,
		len: usize,
		self_implicit: Self::Implicit,
		inherited_implication: &impl Implication,
		source: TransactionSource,
	) -> ValidateResult<Self::Val, RuntimeCall> {
		let ending = ending(&origin, call, info);
		let info = ranked(info, &ending);
		let (valid, inner, origin) =
			self.0.validate(origin, call, &info, len, self_implicit, inherited_implication, source)?;
		Ok((valid, Handed { ending, inner }, origin))
	}

	fn prepare(
		self,
		val: Self::Val,
		origin: &DispatchOriginOf<RuntimeCall>,
		call: &RuntimeCall,
		info: &DispatchInfo,
		len: usize,
	) -> Result<Self::Pre, TransactionValidityError> {
		let Handed { ending, inner } = val;
		let inner = self.0.prepare(inner, origin, call, &ranked(info, &ending), len)?;
		Ok(Handed { ending, inner })
	}

	fn post_dispatch(
		pre: Self::Pre,
		info: &DispatchInfo,
		post_info: &mut PostDispatchInfo,
		len: usize,
		result: &DispatchResult,
	) -> Result<(), TransactionValidityError> {
		let Handed { ending, inner } = pre;
		// Whether it failed is asked of the state: a proxy's own result does not say.
		if let Some(ending) = &ending {
			if let Some(worker) = ending.tried().filter(|_| ending.stands()) {
				Workers::put_last(worker);
			}
		}
		E::post_dispatch(inner, &ranked(info, &ending), post_info, len, result)
	}

	fn bare_validate(call: &RuntimeCall, info: &DispatchInfo, len: usize) -> TransactionValidity {
		E::bare_validate(call, info, len)
	}

	fn bare_validate_and_prepare(
		call: &RuntimeCall,
		info: &DispatchInfo,
		len: usize,
	) -> Result<(), TransactionValidityError> {
		E::bare_validate_and_prepare(call, info, len)
	}

	fn bare_post_dispatch(
		info: &DispatchInfo,
		post_info: &mut PostDispatchInfo,
		len: usize,
		result: &DispatchResult,
	) -> Result<(), TransactionValidityError> {
		E::bare_post_dispatch(info, post_info, len, result)
	}
}
