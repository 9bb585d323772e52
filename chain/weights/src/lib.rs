//! Which keys of storage an act touches, as sp-state-machine reports it.

use std::{
	cell::RefCell,
	collections::{BTreeMap, BTreeSet},
	fmt::Debug,
	sync::Once,
};

use tracing::{
	field::{Field, Visit},
	span, Event, Metadata, Subscriber,
};

/// Distinct keys that an act touched, in hexadecimal, with the lengths in bytes of what it read. A key that was written
/// first is not read.
#[derive(Default)]
pub struct Accesses {
	pub read: BTreeMap<String, u64>,
	pub written: BTreeSet<String>,
}

thread_local! {
	/// What the act that runs on this thread touched so far.
	static SEEN: RefCell<Option<Accesses>> = const { RefCell::new(None) };
}

/// What `act`, on this thread, touches. Panics at an access of an unknown kind, and where the process has another
/// subscriber of events.
pub fn accesses(act: impl FnOnce()) -> Accesses {
	// One for the whole process: tracing asks the thread that reaches a report first whether anybody listens, and one
	// without a subscriber of its own would silence the report for all others.
	static LISTENS: Once = Once::new();
	LISTENS.call_once(|| {
		tracing::subscriber::set_global_default(Recorder).expect("nobody else listens");
	});
	SEEN.set(Some(Accesses::default()));
	act();
	SEEN.take().expect("it was put there above")
}

struct Recorder;

/// The fields of one report of sp-state-machine.
#[derive(Default)]
struct Report(BTreeMap<&'static str, String>);

impl Visit for Report {
	fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
		self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
	}
}

impl Subscriber for Recorder {
	fn enabled(&self, metadata: &Metadata<'_>) -> bool {
		metadata.target() == "state"
	}

	fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
		span::Id::from_u64(1)
	}

	fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

	fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

	fn enter(&self, _: &span::Id) {}

	fn exit(&self, _: &span::Id) {}

	fn event(&self, event: &Event<'_>) {
		SEEN.with_borrow_mut(|seen| {
			if let Some(accesses) = seen {
				accesses.note(event);
			}
		});
	}
}

impl Accesses {
	fn note(&mut self, event: &Event<'_>) {
		let mut report = Report::default();
		event.record(&mut report);
		let (Some(method), Some(key)) = (report.0.get("method"), report.0.get("key").cloned()) else {
			return;
		};
		match method.as_str() {
			"Get" | "Exists" | "Hash" => {
				let value = report.0.get("result").map_or(0, |text| text.len() as u64 / 2);
				if !self.written.contains(&key) {
					self.read.entry(key).or_insert(value);
				}
			}
			"Put" | "Append" => {
				self.written.insert(key);
			}
			other => panic!("an access to storage of an unknown kind: {other}"),
		}
	}
}
