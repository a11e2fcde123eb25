//! Moments and quantiles of columns, exact for long columns and large offsets, as NumPy defines them.

/// The sum of values in f64 with the rounding errors carried along (Neumaier, 1974), so that its error
/// does not grow with their number.
pub fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0f64, 0.0f64);
    for value in values {
        let next = total + value;
        lost += if total.abs() >= value.abs() {
            (total - next) + value
        } else {
            (value - next) + total
        };
        total = next;
    }
    // An infinite total makes the correction NaN.
    if total.is_finite() { total + lost } else { total }
}

/// Number of values that are not NaN, their mean, and their variance with that number as divisor.
///
/// The variance is that of the distances to the mean, so an offset a billion times larger than the
/// spread costs nothing. NumPy: `nanmean`, `nanvar`. NaN if there are no values.
pub fn moments(values: &[f64]) -> (usize, f64, f64) {
    let present = || values.iter().copied().filter(|value| !value.is_nan());
    let count = present().count();
    if count == 0 {
        return (0, f64::NAN, f64::NAN);
    }
    let mean = sum(present()) / count as f64;
    let squares = sum(present().map(|value| (value - mean) * (value - mean)));
    // What the rounding of the mean adds to the squares (Chan, Golub and LeVeque, 1983).
    let drift = sum(present().map(|value| value - mean));
    let variance = (squares - drift * drift / count as f64) / count as f64;
    (count, mean, variance.max(0.0))
}

/// The quantile `percent` of values in ascending order, linear between neighbours. NumPy: `percentile`.
/// NaN if there are no values.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = (percent / 100.0).clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let (share, gap) = (place - below as f64, sorted[above] - sorted[below]);
    // From the nearer neighbour, as NumPy does, so that both ends are exact.
    if share >= 0.5 { sorted[above] - gap * (1.0 - share) } else { sorted[below] + gap * share }
}

/// The values that are not NaN, in ascending order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::{moments, percentile, sum};

    #[test]
    fn long_sums_and_large_offsets_cost_no_digits() {
        let tenths = vec![0.1f64; 10_000_000];
        assert_eq!(sum(tenths.iter().copied()), 1_000_000.0);
        // Spread of one beside an offset of 2^40, exact in f64: the variance is that of the spread.
        let offset = (1u64 << 40) as f64;
        let values: Vec<f64> = (0..1_000_000).map(|i| offset + f64::from(i % 2)).collect();
        let (count, mean, variance) = moments(&values);
        assert_eq!((count, mean, variance), (1_000_000, offset + 0.5, 0.25));
        assert_eq!(sum([1e308, 1e308]), f64::INFINITY);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&values, 50.0), 3.0);
        assert_eq!((percentile(&values, 0.0), percentile(&values, 100.0)), (1.0, 8.0));
        assert_eq!(percentile(&values, 90.0), 8.0 - 4.0 * (1.0 - 0.9f64 * 3.0 + 2.0));
        assert!(percentile(&[], 50.0).is_nan());
        assert_eq!(percentile(&[5.0], 25.0), 5.0);
    }
}
