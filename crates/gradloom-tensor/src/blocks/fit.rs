//! Scales and minima that keep the squared error of small groups of numbers low.
//!
//! Rounding to a grid and fitting the grid to the rounded numbers are repeated from several starts,
//! each of which cuts off a little more or less of the range; the best fit wins. Every number has a weight.

/// Weights of numbers that count the same.
pub(super) const EQUAL: [f32; 256] = [1.0; 256];

/// `scale * quant - minimum`, with `minimum >= 0`.
#[derive(Clone, Copy, Default)]
pub(super) struct Affine {
    pub(super) scale: f32,
    pub(super) minimum: f32,
}

/// Parts of the range, by percent, that the starts cover.
const COVERED: [f32; 10] = [0.62, 0.7, 0.76, 0.82, 0.87, 0.91, 0.95, 0.98, 1.0, 1.03];

/// The nearest of the quants `0..=top`, which are fewer than 256.
fn rounded(value: f32, top: u8) -> f32 {
    // So large a float has no bits for fractions: adding it rounds. Unlike calls of `round`, this is
    // done for many numbers at once.
    const WHOLE: f32 = (1 << 23) as f32;
    (value.clamp(0.0, f32::from(top)) + WHOLE) - WHOLE
}

/// The nearest of the quants `0..=top` for a number; zero for NaN.
pub(super) fn quant(value: f32, top: u8) -> u8 {
    rounded(value, top) as u8
}

/// Weighted sums of the terms that each number adds, in eight lanes side by side.
fn sums<const N: usize>(
    values: &[f32],
    weights: &[f32],
    terms: impl Fn(f32) -> [f32; N],
) -> [f32; N] {
    let mut sums = [[0.0; 8]; N];
    for (chunk, weights) in values.as_chunks::<8>().0.iter().zip(weights.as_chunks::<8>().0) {
        for (lane, (&value, &weight)) in chunk.iter().zip(weights).enumerate() {
            for (sum, term) in sums.iter_mut().zip(terms(value)) {
                sum[lane] += weight * term;
            }
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}

/// The best fit with the quants `0..=top`.
pub(super) fn affine(values: &[f32], weights: &[f32], top: u8) -> Affine {
    let low = values.iter().copied().fold(0.0, f32::min);
    let high = values.iter().copied().fold(low, f32::max);
    let mut best = Affine { scale: 0.0, minimum: -low };
    if high <= low {
        return best;
    }
    let mut best_error = affine_error(values, weights, best, top);
    for covered in COVERED {
        let cut = (1.0 - covered) * (high - low) / 2.0;
        // A range that begins at zero stays there: that end of the grid is exact.
        let low = if low < 0.0 { (low + cut).min(0.0) } else { 0.0 };
        let mut fit = Affine { scale: (high - cut - low) / f32::from(top), minimum: -low };
        for _ in 0..3 {
            let error = affine_error(values, weights, fit, top);
            if error < best_error {
                (best, best_error) = (fit, error);
            }
            fit = refit(values, weights, fit, top);
        }
    }
    best
}

/// The grid with the least squared error for the quants that `fit` gives.
fn refit(values: &[f32], weights: &[f32], fit: Affine, top: u8) -> Affine {
    let inverse = inverse(fit.scale);
    let [count, x, q, qq, xq] = sums(values, weights, |value| {
        let quant = rounded((value + fit.minimum) * inverse, top);
        [1.0, value, quant, quant * quant, value * quant]
    });
    let determinant = count * qq - q * q;
    if determinant <= 0.0 {
        return fit;
    }
    let scale = (count * xq - x * q) / determinant;
    let minimum = (scale * q - x) / count;
    if minimum >= 0.0 { Affine { scale, minimum } } else { Affine { scale: xq / qq, minimum: 0.0 } }
}

/// Weighted sum of squared errors after rounding to the grid.
pub(super) fn affine_error(values: &[f32], weights: &[f32], fit: Affine, top: u8) -> f32 {
    let inverse = inverse(fit.scale);
    let [error] = sums(values, weights, |value| {
        let quant = rounded((value + fit.minimum) * inverse, top);
        let error = fit.scale * quant - fit.minimum - value;
        [error * error]
    });
    error
}

/// The best scale of either sign for the quants `-zero..zero`.
pub(super) fn symmetric(values: &[f32], weights: &[f32], zero: u8) -> f32 {
    let largest =
        values.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
    let mut best = 0.0;
    let mut best_error = symmetric_error(values, weights, 0.0, zero);
    for covered in COVERED {
        // The grid reaches one step further on its negative side.
        for reach in [-f32::from(zero), f32::from(zero) - 1.0] {
            let mut scale = largest * covered / reach;
            for _ in 0..2 {
                let error = symmetric_error(values, weights, scale, zero);
                if error < best_error {
                    (best, best_error) = (scale, error);
                }
                let inverse = inverse(scale);
                let [qq, xq] = sums(values, weights, |value| {
                    let quant = centred(value * inverse, zero);
                    [quant * quant, value * quant]
                });
                if qq > 0.0 {
                    scale = xq / qq;
                }
            }
        }
    }
    best
}

/// Weighted sum of squared errors after rounding to the grid.
pub(super) fn symmetric_error(values: &[f32], weights: &[f32], scale: f32, zero: u8) -> f32 {
    let inverse = inverse(scale);
    let [error] = sums(values, weights, |value| {
        let error = scale * centred(value * inverse, zero) - value;
        [error * error]
    });
    error
}

fn centred(value: f32, zero: u8) -> f32 {
    rounded(value + f32::from(zero), 2 * zero - 1) - f32::from(zero)
}

/// `1 / scale`, or zero where that is no number.
pub(super) fn inverse(scale: f32) -> f32 {
    let inverse = 1.0 / scale;
    if inverse.is_finite() { inverse } else { 0.0 }
}
