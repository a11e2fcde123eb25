//! [`Histogram`]: counts of numbers around zero, and the ranges that are chosen from them.

use super::scheme::{Range, Scheme};

/// Bins on each side of zero.
const HALF: usize = 2048;
/// Ranges that are tried, each so much smaller than the one before.
const TRIALS: i32 = 120;
const STEP: f32 = 0.97;

/// Counts over `-limit..limit`. The limit doubles when numbers lie beyond it, and neighbours become one bin.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// Magnitudes below and above zero, from zero outwards; empty until there is a number.
    sides: [Vec<f64>; 2],
    /// Numbers that are 0, which every scheme has exactly.
    zeros: f64,
    limit: f32,
}

impl Histogram {
    /// Takes in numbers of which `bound` is the largest magnitude.
    pub(super) fn add(&mut self, values: &[f32], bound: f32) {
        if self.limit == 0.0 {
            self.limit = bound;
            self.sides = [vec![0.0; HALF], vec![0.0; HALF]];
        }
        while bound > self.limit {
            self.limit *= 2.0;
            for side in &mut self.sides {
                let mut merged: Vec<f64> = side.chunks(2).map(|pair| pair.iter().sum()).collect();
                merged.resize(HALF, 0.0);
                *side = merged;
            }
        }
        let per_unit = HALF as f32 / self.limit;
        for value in values {
            if *value == 0.0 {
                self.zeros += 1.0;
                continue;
            }
            let bin = ((value.abs() * per_unit) as usize).min(HALF - 1);
            self.sides[usize::from(*value > 0.0)][bin] += 1.0;
        }
    }

    fn width(&self) -> f64 {
        f64::from(self.limit) / HALF as f64
    }

    /// Bins that are not empty, as the number in their middle and their count.
    fn filled(&self) -> Vec<(f64, f64)> {
        let width = self.width();
        let [below, above] = &self.sides;
        let signed = [(below, -1.0), (above, 1.0)];
        let bins = signed.into_iter().flat_map(|(side, sign)| {
            side.iter()
                .enumerate()
                .map(move |(bin, &count)| (sign * (bin as f64 + 0.5) * width, count))
        });
        bins.filter(|&(_, count)| count > 0.0).collect()
    }

    /// The range between the percentile from below and from above.
    pub(super) fn percentile(&self, range: Range, percentile: f64) -> Range {
        let mut bins = self.filled();
        bins.push((0.0, self.zeros));
        bins.sort_by(|one, other| one.0.total_cmp(&other.0));
        let total: f64 = bins.iter().map(|(_, count)| count).sum();
        let beyond = total * (1.0 - percentile / 100.0);
        let reach = |bins: &mut dyn Iterator<Item = &(f64, f64)>| {
            let mut passed = 0.0;
            for &(value, count) in bins {
                passed += count;
                if passed > beyond {
                    return value;
                }
            }
            0.0
        };
        let half = 0.5 * self.width();
        let low = (reach(&mut bins.iter()) - half) as f32;
        let high = (reach(&mut bins.iter().rev()) + half) as f32;
        Range { low: low.max(range.low), high: high.min(range.high) }
    }

    /// The part of the range with the least squared error.
    pub(super) fn least_error(&self, range: Range, scheme: &Scheme) -> Range {
        least_error(&self.filled(), range, scheme)
    }

    /// The magnitude at which the distribution of what is cut off there and rounded diverges least from that of what
    /// is cut off alone.
    pub(super) fn least_divergence(&self, range: Range, scheme: &Scheme) -> Range {
        let levels = 1 << (scheme.bits() - 1);
        let [below, above] = &self.sides;
        if below.is_empty() {
            return range;
        }
        let counts: Vec<f64> = below.iter().zip(above).map(|(one, other)| one + other).collect();
        let used = counts.iter().rposition(|&count| count > 0.0).map_or(0, |last| last + 1);
        let mut best = (f64::INFINITY, used);
        for kept in levels..=used {
            let divergence = divergence(&counts, kept, levels);
            if divergence < best.0 {
                best = (divergence, kept);
            }
        }
        let bound = (best.1 as f64 * self.width()) as f32;
        Range { low: range.low.max(-bound), high: range.high.min(bound) }
    }
}

/// The part of a range with the least squared error of numbers that occur so often: both ends drawn in together, then
/// each alone, or each alone from the start, as a single outlier wants it.
pub(super) fn least_error(numbers: &[(f64, f64)], range: Range, scheme: &Scheme) -> Range {
    let error = |range: Range| {
        let (scale, zero_point) = scheme.of_range(range);
        let [low, high] = scheme.bounds().map(|bound| f64::from(bound - zero_point));
        let (scale, inverse) = (f64::from(scale), 1.0 / f64::from(scale));
        let of_number = |&(value, count): &(f64, f64)| {
            let rounded = (value * inverse).round_ties_even().clamp(low, high) * scale;
            count * (value - rounded) * (value - rounded)
        };
        numbers.iter().map(of_number).sum::<f64>()
    };
    let best = |first: Range, drawn_in: &dyn Fn(f32) -> Range| {
        let mut best = (first, error(first));
        for trial in 1..TRIALS {
            let candidate = drawn_in(STEP.powi(trial));
            let found = error(candidate);
            if found < best.1 {
                best = (candidate, found);
            }
        }
        best.0
    };
    let both = |range: Range| {
        best(range, &|share| Range { low: range.low * share, high: range.high * share })
    };
    if scheme.is_symmetric() {
        return both(range);
    }
    let low = |range: Range| best(range, &|share| Range { low: range.low * share, ..range });
    let high = |range: Range| best(range, &|share| Range { high: range.high * share, ..range });
    let mut found = [high(low(both(range))), low(high(range)), high(low(range))];
    found.sort_by(|one, other| error(*one).total_cmp(&error(*other)));
    found[0]
}

/// Of the first `kept` bins rounded to so many levels, from the same with all further bins added to the last.
fn divergence(counts: &[f64], kept: usize, levels: usize) -> f64 {
    let beyond: f64 = counts[kept..].iter().sum();
    let (mut reference, mut rounded) = (counts[..kept].to_vec(), vec![0.0; kept]);
    reference[kept - 1] += beyond;
    for level in 0..levels {
        let bins = level * kept / levels..(level + 1) * kept / levels;
        let filled = reference[bins.clone()].iter().filter(|&&count| count > 0.0).count();
        let mean = counts[bins.clone()].iter().sum::<f64>() / filled.max(1) as f64;
        for bin in bins {
            rounded[bin] = if reference[bin] > 0.0 { mean } else { 0.0 };
        }
    }
    let [of_reference, of_rounded] = [&reference, &rounded].map(|bins| bins.iter().sum::<f64>());
    if of_rounded == 0.0 {
        return f64::INFINITY;
    }
    let pairs = reference.iter().zip(&rounded).filter(|(count, _)| **count > 0.0);
    let terms = pairs.map(|(&p, &q)| {
        let p = p / of_reference;
        // What rounding leaves nothing of counts as very little, not as infinitely wrong.
        let q = (q / of_rounded).max(1e-12);
        p * (p / q).ln()
    });
    terms.sum()
}
