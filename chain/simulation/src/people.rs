//! Who plays, and how.

/// What a hostile worker does with the jobs that name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strategy {
	/// Claims whatever it can, holds it to the last block and hands it back.
	Holder,
	/// Claims and lets the claim run out.
	Lapser,
	/// Claims, and hands back while that costs least.
	QuickReleaser,
	/// Claims and delivers a false proof.
	Forger,
	/// Works well, and signs a second result of each job.
	Equivocator,
	/// Works well until it is trusted, then holds.
	Sleeper,
	/// Claims, and fills the room that is kept for endings with results that end nothing.
	Crowder,
	/// A client that sends envelopes that do not open, to as many workers as it may.
	Flooder,
	/// A client whose jobs pay well and leave too little time.
	Trapper,
	/// A client that submits and takes back.
	Canceller,
	/// Publishes a copy of an honest entry on terms that are a trap, and submits to its workers.
	Copycat,
	/// Tries to have work done below the publisher's price.
	Undercutter,
	/// Publishes entries without end.
	Spammer,
	/// Fills blocks with bytes.
	Stuffer,
	/// Floods and stuffs in turns.
	Mixer,
}

impl Strategy {
	/// The workers'.
	pub const WORKERS: [Self; 7] = [
		Self::Holder,
		Self::Lapser,
		Self::QuickReleaser,
		Self::Forger,
		Self::Equivocator,
		Self::Sleeper,
		Self::Crowder,
	];
	/// The clients' and publishers'.
	pub const CLIENTS: [Self; 8] = [
		Self::Flooder,
		Self::Trapper,
		Self::Canceller,
		Self::Copycat,
		Self::Undercutter,
		Self::Spammer,
		Self::Stuffer,
		Self::Mixer,
	];

	/// Whether it fills blocks: its fees would hide what the others' harm costs them.
	pub fn fills_blocks(&self) -> bool {
		matches!(self, Self::Stuffer | Self::Mixer | Self::Crowder)
	}
}

/// How many of whom, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
	pub workers: usize,
	pub clients: usize,
	/// Of both, those who are hostile.
	pub hostile_percent: usize,
	pub models: usize,
	pub blocks: u32,
	/// Honest jobs in a hundred blocks.
	pub jobs_in_100_blocks: u32,
	pub seed: u64,
}

impl Scale {
	/// What `make sim` runs.
	pub const FULL: Self = Self {
		workers: 200,
		clients: 1_000,
		hostile_percent: 20,
		models: 10,
		blocks: 10_000,
		jobs_in_100_blocks: 60,
		seed: 1,
	};
	/// What the tests run: every strategy once and a little of everything.
	pub const SMALL: Self = Self {
		workers: 35,
		clients: 40,
		models: 2,
		blocks: 200,
		jobs_in_100_blocks: 30,
		seed: 3,
		..Self::FULL
	};

	pub fn hostile(&self, people: usize) -> usize {
		people * self.hostile_percent / 100
	}
}

/// One of the people, by number: the hostile ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
	Worker(usize),
	Client(usize),
	Publisher(usize),
}
