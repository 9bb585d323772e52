//! Randomness that nobody knows when a commitment is made.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::sp_core::H256;
use scale_info::TypeInfo;

/// What a beacon gave, and how far one party could have bent it.
#[derive(
	Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Draw {
	/// Hashed with the block that was committed in.
	pub value: H256,
	/// Values among which one block author alone could choose, once it knew what all others had given; 1 when it had no
	/// choice. Whoever draws an event of probability p must reckon with one of `1 - (1 - p)^choices`, if the author is
	/// among those who gain by it.
	pub choices: u32,
}

/// A public value that is fixed after a given moment, and is not known before. Moments are heights of blocks or
/// milliseconds, as the beacon counts.
///
/// Commit first, at `after` or earlier; draw later. The same `after` gives the same value for ever and to
/// everybody, so hash what the draw is for into it. It is public: no key may be made from it.
///
/// A runtime does not see finality. What it draws in a block is as final as that block, and who acts outside the chain
/// acts on finalised blocks only.
pub trait Beacon<Moment> {
	/// `None` before [`Self::known_at`], and again from [`Self::forgotten_at`] on.
	fn draw(after: Moment) -> Option<Draw>;
	/// The first moment at which the value can be drawn; it may come later than planned, the value does not change.
	fn known_at(after: Moment) -> Moment;
	/// The first moment at which it cannot be drawn any more. Who gains when nothing is drawn would wait for it: let a
	/// lapse count against whoever should have asked.
	fn forgotten_at(after: Moment) -> Moment;
}
