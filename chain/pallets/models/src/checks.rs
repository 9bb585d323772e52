//! What a model's description must satisfy by itself.

use crate::types::{InputShape, MAX_BATCH, MAX_FEATURES};

/// Not empty, UTF-8, nothing that a terminal would act on.
pub fn name(name: &[u8]) -> bool {
	core::str::from_utf8(name).is_ok_and(|name| !name.is_empty() && !name.chars().any(char::is_control))
}

/// Numbers in one record's input; `None` when there are none or more than [`MAX_FEATURES`].
pub fn features(shape: &InputShape) -> Option<u32> {
	if shape.is_empty() {
		return None;
	}
	let features = shape.iter().try_fold(1u32, |product, dimension| product.checked_mul(*dimension))?;
	(1..=MAX_FEATURES).contains(&features).then_some(features)
}

/// Whether a job of `batch` records of `features` numbers is neither empty nor too large.
pub fn batch(batch: u32, features: u32) -> bool {
	(1..=MAX_BATCH).contains(&batch) && batch.saturating_mul(features) <= MAX_FEATURES
}
