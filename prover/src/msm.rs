//! Sums of many fixed points times scalars: Pippenger's buckets in one pass over a table of each point's
//! window multiples, with affine additions that share one inversion among a thousand (Montgomery's trick). A
//! scalar known to be short has few windows; a bit has one.

use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};
use ark_ec::CurveConfig;
use ark_ff::{batch_inversion, AdditiveGroup, BigInt, Field};
use rayon::prelude::*;
use zeroize::Zeroize;

/// Bits of a scalar that may be any field element.
pub const FULL_WIDTH: u8 = 254;
/// Pairs of points that share an inversion.
const SHARED: usize = 512;
/// Entries by which memory is asked for in advance.
const AHEAD: usize = 24;

/// Windows of `window` bits that hold a scalar of `width` bits in signed digits.
pub fn windows(width: u8, window: u8) -> usize {
	(usize::from(width) + 1).div_ceil(usize::from(window))
}

/// Entries that are added up at once: what they take while they are added stays in a processor's cache.
const PART: usize = 1 << 16;

/// Window size with the least work for scalars of these widths: six multiplications for an addition into a
/// bucket, twelve to add up a bucket, of which every window of a stride has its own.
pub fn best_window(widths: impl Iterator<Item = u8> + Clone, stride: u8) -> u8 {
	let cost = |window: u8| {
		// Half of all single bits are 0.
		let digits = |width: u8| {
			if width == 1 {
				1
			} else {
				2 * windows(width, window)
			}
		};
		let additions: usize = widths.clone().map(digits).sum();
		6 * additions + 2 * usize::from(stride) * (12 << (window - 1))
	};
	(3..=15).min_by_key(|&window| cost(window)).expect("the range is not empty")
}

/// A scalar, its magnitude and sign.
#[derive(Clone, Copy)]
pub struct Scalar {
	pub magnitude: BigInt<4>,
	pub negative: bool,
}

impl From<i64> for Scalar {
	fn from(x: i64) -> Scalar {
		Scalar { magnitude: BigInt::from(x.unsigned_abs()), negative: x < 0 }
	}
}

#[derive(Clone, Copy)]
pub struct Point<F> {
	pub x: F,
	pub y: F,
}

/// Where points come from: `get(i)` is entry i of the table.
pub trait Table: Sync {
	type Curve: SWCurveConfig;
	fn get(&self, i: usize) -> Point<<Self::Curve as CurveConfig>::BaseField>;
	/// A hint that entry i is wanted soon.
	fn prefetch(&self, _i: usize) {}
}

/// What a table holds of each point: its multiples by `2^(window * stride * i)`. Digits in between are summed
/// apart, with buckets of their own, so that a table takes `stride` times less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
	/// Bits of a digit.
	pub window: u8,
	/// Windows from one multiple to the next.
	pub stride: u8,
}

impl Steps {
	/// Multiples kept for a scalar of `width` bits.
	pub fn entries(self, width: u8) -> usize {
		windows(width, self.window).div_ceil(usize::from(self.stride))
	}
}

/// `sum(scalar[i] * point[i])`. `scalars` gives each scalar with its width, in the order of the table, which
/// holds `steps.entries(width)` entries for each.
pub fn sum<T: Table>(
	table: &T,
	steps: Steps,
	scalars: impl Iterator<Item = (Scalar, u8)> + Clone,
	parts: usize,
) -> Projective<T::Curve> {
	let mut total = Projective::<T::Curve>::ZERO;
	// The highest digits first: each sum is worth 2^window of the next.
	for mut digits in signed_digits(steps, scalars).into_iter().rev() {
		for _ in 0..steps.window {
			total.double_in_place();
		}
		total += sum_digits(table, steps.window, &mut digits, parts);
		digits.zeroize();
	}
	total
}

fn sum_digits<T: Table>(
	table: &T,
	window: u8,
	digits: &mut [(u32, u32)],
	parts: usize,
) -> Projective<T::Curve> {
	let buckets = (1 << (window - 1)) + 1;
	let (mut order, counts) = sort(digits, buckets);
	let get = |order: &[u32], i: usize| {
		// Entries of a bucket are scattered over the table: waiting for memory would cost as much as adding.
		if let Some(later) = order.get(i + AHEAD) {
			table.prefetch((later >> 1) as usize);
		}
		let entry = order[i];
		let point = table.get((entry >> 1) as usize);
		let y = if entry & 1 == 1 { -point.y } else { point.y };
		Point { x: point.x, y }
	};
	let parts = split(&order, &counts, parts.max(order.len() / PART));
	let sums: Vec<Vec<Option<Point<_>>>> =
		parts.par_iter().map(|(order, counts)| add_up(|i| get(order, i), counts)).collect();
	order.zeroize();
	weigh(&sums.concat(), u32::from(window))
}

/// `(bucket, entry * 2 + sign)` for each digit that is not 0; of the lowest digit from each multiple on, of the
/// next, and so on.
fn signed_digits(
	Steps { window, stride }: Steps,
	scalars: impl Iterator<Item = (Scalar, u8)> + Clone,
) -> Vec<Vec<(u32, u32)>> {
	let stride = usize::from(stride);
	// Room for all: a vector that grows would leave copies behind that nobody erases.
	let room = |lane: usize| {
		let own = |width: u8| (windows(width, window) + stride - 1 - lane) / stride;
		scalars.clone().map(|(_, width)| own(width)).sum()
	};
	let mut digits: Vec<Vec<(u32, u32)>> = (0..stride).map(|lane| Vec::with_capacity(room(lane))).collect();
	let mut first = 0usize;
	for (scalar, width) in scalars {
		let mut carry = 0i64;
		let count = windows(width, window);
		for i in 0..count {
			let mut digit = bits_at(&scalar.magnitude, i * usize::from(window), window) + carry;
			carry = i64::from(digit > 1 << (window - 1));
			digit -= carry << window;
			if digit != 0 {
				let negative = (digit < 0) != scalar.negative;
				let entry = (first + i / stride) as u32;
				digits[i % stride].push((digit.unsigned_abs() as u32, entry << 1 | u32::from(negative)));
			}
		}
		first += count.div_ceil(stride);
		assert!(carry == 0, "a scalar exceeds its width");
	}
	digits
}

/// `count` bits of `x`, from bit `at` on.
pub fn bits_at(x: &BigInt<4>, at: usize, count: u8) -> i64 {
	let (limb, shift) = (at / 64, at % 64);
	let low = x.0.get(limb).copied().unwrap_or(0);
	let high = x.0.get(limb + 1).copied().unwrap_or(0);
	let both = (u128::from(high) << 64 | u128::from(low)) >> shift;
	(both as i64) & ((1 << count) - 1)
}

/// Entries in the order of their buckets, and how many each bucket has.
fn sort(digits: &mut [(u32, u32)], buckets: usize) -> (Vec<u32>, Vec<u32>) {
	let mut counts = vec![0u32; buckets];
	digits.iter().for_each(|&(bucket, _)| counts[bucket as usize] += 1);
	let mut next = vec![0u32; buckets];
	for i in 1..buckets {
		next[i] = next[i - 1] + counts[i - 1];
	}
	let mut order = vec![0u32; digits.len()];
	for &mut (bucket, entry) in digits {
		order[next[bucket as usize] as usize] = entry;
		next[bucket as usize] += 1;
	}
	(order, counts)
}

/// Cut into runs of buckets with about the same number of entries.
fn split<'a>(mut order: &'a [u32], mut counts: &'a [u32], parts: usize) -> Vec<(&'a [u32], &'a [u32])> {
	let share = order.len().div_ceil(parts.max(1));
	let mut runs = Vec::new();
	while !counts.is_empty() {
		let (mut taken, mut entries) = (0, 0);
		while taken < counts.len() && (entries < share || runs.len() + 1 >= parts) {
			entries += counts[taken] as usize;
			taken += 1;
		}
		let (now, later) = order.split_at(entries);
		runs.push((now, &counts[..taken]));
		(order, counts) = (later, &counts[taken..]);
	}
	runs
}

/// The sum of each bucket. Points come in the order of the buckets; each round halves a bucket.
fn add_up<F: Field>(get: impl Fn(usize) -> Point<F>, counts: &[u32]) -> Vec<Option<Point<F>>> {
	let mut counts = counts.to_vec();
	let mut points = Vec::new();
	add_pairs(get, &mut counts, &mut points);
	let mut spare = Vec::new();
	while counts.iter().any(|&n| n > 1) {
		add_pairs(|i| points[i], &mut counts, &mut spare);
		std::mem::swap(&mut points, &mut spare);
	}
	let mut rest = points.into_iter();
	counts.iter().map(|&n| if n == 1 { rest.next() } else { None }).collect()
}

/// One round: add neighbours within each bucket, carry the odd one over.
fn add_pairs<F: Field>(get: impl Fn(usize) -> Point<F>, counts: &mut [u32], out: &mut Vec<Point<F>>) {
	out.clear();
	let mut at = 0;
	let mut batch = Batch::default();
	for (bucket, count) in counts.iter_mut().enumerate() {
		for _ in 0..*count / 2 {
			batch.pairs.push((out.len(), bucket, get(at), get(at + 1)));
			// The place is filled when the batch is worked off.
			out.push(batch.pairs[batch.pairs.len() - 1].2);
			at += 2;
			if batch.pairs.len() == SHARED {
				batch.work(out);
			}
		}
		if *count % 2 == 1 {
			out.push(get(at));
			at += 1;
		}
		*count = count.div_ceil(2);
	}
	batch.work(out);
	// P + (-P) has no affine form: drop it, last first so that places stay right.
	for &(place, bucket) in batch.cancelled.iter().rev() {
		out.remove(place);
		counts[bucket] -= 1;
	}
}

struct Batch<F> {
	pairs: Vec<(usize, usize, Point<F>, Point<F>)>,
	inverses: Vec<F>,
	cancelled: Vec<(usize, usize)>,
}

impl<F> Default for Batch<F> {
	fn default() -> Self {
		Batch {
			pairs: Vec::with_capacity(SHARED),
			inverses: Vec::with_capacity(SHARED),
			cancelled: Vec::new(),
		}
	}
}

impl<F: Field> Batch<F> {
	fn work(&mut self, out: &mut [Point<F>]) {
		self.inverses.clear();
		for (_, _, p, q) in &self.pairs {
			let difference = q.x - p.x;
			// Equal abscissas: a doubling, or a cancellation (which leaves a 0 that inversion skips).
			self.inverses.push(if difference.is_zero() { p.y + q.y } else { difference });
		}
		batch_inversion(&mut self.inverses);
		for ((place, bucket, p, q), inverse) in self.pairs.drain(..).zip(&self.inverses) {
			let slope = if p.x != q.x {
				(q.y - p.y) * inverse
			} else if inverse.is_zero() {
				self.cancelled.push((place, bucket));
				continue;
			} else {
				p.x.square() * F::from(3u8) * inverse
			};
			let x = slope.square() - p.x - q.x;
			let y = slope * (p.x - x) - p.y;
			out[place] = Point { x, y };
		}
	}
}

/// `sum(k * bucket[k])`: with k = high * 2^h + low, sums over equal high and over equal low parts leave two
/// short ladders.
fn weigh<P: SWCurveConfig>(buckets: &[Option<Point<P::BaseField>>], window: u32) -> Projective<P> {
	let h = window / 2;
	let low = 1usize << h;
	let high = buckets.len().div_ceil(low);
	let by_high = |i: usize| buckets.iter().skip(i * low).take(low).flatten();
	let by_low = |i: usize| buckets.iter().skip(i).step_by(low).flatten();
	let mut points: Vec<Point<P::BaseField>> = Vec::with_capacity(2 * buckets.len());
	let mut counts = Vec::with_capacity(high + low);
	for i in 0..high {
		let before = points.len();
		points.extend(by_high(i));
		counts.push((points.len() - before) as u32);
	}
	for i in 0..low {
		let before = points.len();
		points.extend(by_low(i));
		counts.push((points.len() - before) as u32);
	}
	let sums = add_up(|i| points[i], &counts);
	let mut upper = ladder::<P>(&sums[..high]);
	for _ in 0..h {
		upper.double_in_place();
	}
	upper + ladder::<P>(&sums[high..])
}

/// `sum(i * points[i])`.
fn ladder<P: SWCurveConfig>(points: &[Option<Point<P::BaseField>>]) -> Projective<P> {
	let (mut running, mut total) = (Projective::<P>::ZERO, Projective::<P>::ZERO);
	for point in points[1..].iter().rev() {
		if let Some(p) = point {
			running += Affine::<P>::new_unchecked(p.x, p.y);
		}
		total += running;
	}
	total
}

#[cfg(test)]
mod tests {
	use super::*;
	use ark_bn254::{g1, g2, Fr, G1Projective};
	use ark_ec::{CurveGroup, PrimeGroup};
	use ark_ff::{PrimeField, UniformRand};
	use rand::rngs::StdRng;
	use rand::SeedableRng;

	struct Points<P: SWCurveConfig>(Vec<Affine<P>>);

	impl<P: SWCurveConfig> Table for Points<P> {
		type Curve = P;
		fn get(&self, i: usize) -> Point<P::BaseField> {
			Point { x: self.0[i].x, y: self.0[i].y }
		}
	}

	fn check<P: SWCurveConfig<ScalarField = Fr>>(steps: Steps, parts: usize, seed: u64) {
		let mut rng = StdRng::seed_from_u64(seed);
		let mut bases: Vec<Projective<P>> = (0..40).map(|_| Projective::rand(&mut rng)).collect();
		// Equal and opposite points, which an addition must treat apart.
		for i in 0..10 {
			bases.push(bases[i]);
			bases.push(-bases[i]);
		}
		let mut expected = Projective::<P>::ZERO;
		let (mut table, mut scalars) = (Vec::new(), Vec::new());
		for (i, base) in bases.iter().enumerate() {
			let (scalar, value, width) = match i % 4 {
				0 => (Scalar::from(1), Fr::from(1), 1),
				1 => (Scalar::from(-5 - i as i64), -Fr::from(5 + i as u64), 8),
				2 => (Scalar::from(0), Fr::from(0), 20),
				_ => {
					let value = if i % 8 == 3 { -Fr::from(1) } else { Fr::rand(&mut rng) };
					let magnitude = value.into_bigint();
					(Scalar { magnitude, negative: false }, value, FULL_WIDTH)
				}
			};
			expected += *base * value;
			let mut multiple = *base;
			for _ in 0..steps.entries(width) {
				table.push(multiple.into_affine());
				(0..steps.window * steps.stride).for_each(|_| {
					multiple.double_in_place();
				});
			}
			scalars.push((scalar, width));
		}
		assert_eq!(sum(&Points(table), steps, scalars.into_iter(), parts), expected);
	}

	#[test]
	fn agrees_with_plain_multiplication() {
		for window in 3..=11 {
			for parts in 1..=3 {
				let stride = (window + parts as u8) % 4 + 1;
				check::<g1::Config>(Steps { window, stride }, parts, u64::from(window));
			}
		}
		check::<g2::Config>(Steps { window: 6, stride: 1 }, 2, 1);
		check::<g2::Config>(Steps { window: 5, stride: 3 }, 2, 1);
	}

	#[test]
	fn equal_points_cancel_to_nothing() {
		let p = G1Projective::generator();
		let table = Points(vec![p.into_affine(), (-p).into_affine()]);
		let ones = [(Scalar::from(1), 1), (Scalar::from(1), 1)];
		for stride in [1, 2] {
			let steps = Steps { window: 4, stride };
			assert_eq!(sum(&table, steps, ones.into_iter(), 1), G1Projective::ZERO);
			assert_eq!(sum(&table, steps, std::iter::empty(), 2), G1Projective::ZERO);
		}
	}
}
