//! Scales and minima that keep the squared error of small groups of numbers low.
//!
//! Rounding to a grid and fitting the grid to the rounded numbers are repeated from several starts,
//! each of which cuts off a little more or less of the range; the best fit wins.

/// `scale * quant - minimum`, with `minimum >= 0`.
#[derive(Clone, Copy, Default)]
pub(super) struct Affine {
    pub(super) scale: f32,
    pub(super) minimum: f32,
}

/// Parts of the range, by percent, that the starts cover.
const COVERED: [f32; 10] = [0.62, 0.7, 0.76, 0.82, 0.87, 0.91, 0.95, 0.98, 1.0, 1.03];

/// The nearest of the quants `0..=top` for a number.
pub(super) fn quant(value: f32, top: u8) -> u8 {
    // The cast takes negative numbers and NaN to zero.
    (value.round_ties_even() as u8).min(top)
}

/// The best fit with the quants `0..=top`.
pub(super) fn affine(values: &[f32], top: u8) -> Affine {
    let low = values.iter().copied().fold(0.0, f32::min);
    let high = values.iter().copied().fold(low, f32::max);
    let mut best = Affine { scale: 0.0, minimum: -low };
    if high <= low {
        return best;
    }
    let mut best_error = affine_error(values, best, top);
    for covered in COVERED {
        let cut = (1.0 - covered) * (high - low) / 2.0;
        // A range that begins at zero stays there: that end of the grid is exact.
        let low = if low < 0.0 { (low + cut).min(0.0) } else { 0.0 };
        let mut fit = Affine { scale: (high - cut - low) / f32::from(top), minimum: -low };
        for _ in 0..3 {
            let error = affine_error(values, fit, top);
            if error < best_error {
                (best, best_error) = (fit, error);
            }
            fit = refit(values, fit, top);
        }
    }
    best
}

/// The grid with the least squared error for the quants that `fit` gives.
fn refit(values: &[f32], fit: Affine, top: u8) -> Affine {
    let inverse = inverse(fit.scale);
    let [mut x, mut q, mut qq, mut xq] = [0.0f32; 4];
    for &value in values {
        let quant = f32::from(quant((value + fit.minimum) * inverse, top));
        x += value;
        q += quant;
        qq += quant * quant;
        xq += value * quant;
    }
    let count = values.len() as f32;
    let determinant = count * qq - q * q;
    if determinant <= 0.0 {
        return fit;
    }
    let scale = (count * xq - x * q) / determinant;
    let minimum = (scale * q - x) / count;
    if minimum >= 0.0 { Affine { scale, minimum } } else { Affine { scale: xq / qq, minimum: 0.0 } }
}

/// Sum of squared errors after rounding to the grid.
pub(super) fn affine_error(values: &[f32], fit: Affine, top: u8) -> f32 {
    let inverse = inverse(fit.scale);
    let error = |&value: &f32| {
        let quant = f32::from(quant((value + fit.minimum) * inverse, top));
        let error = fit.scale * quant - fit.minimum - value;
        error * error
    };
    values.iter().map(error).sum()
}

/// The best scale of either sign for the quants `-zero..zero`.
pub(super) fn symmetric(values: &[f32], zero: u8) -> f32 {
    let largest =
        values.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
    let mut best = 0.0;
    let mut best_error = symmetric_error(values, 0.0, zero);
    for covered in COVERED {
        // The grid reaches one step further on its negative side.
        for reach in [-f32::from(zero), f32::from(zero) - 1.0] {
            let mut scale = largest * covered / reach;
            for _ in 0..2 {
                let error = symmetric_error(values, scale, zero);
                if error < best_error {
                    (best, best_error) = (scale, error);
                }
                let inverse = inverse(scale);
                let [mut qq, mut xq] = [0.0f32; 2];
                for &value in values {
                    let quant = centred(value * inverse, zero);
                    qq += quant * quant;
                    xq += value * quant;
                }
                if qq > 0.0 {
                    scale = xq / qq;
                }
            }
        }
    }
    best
}

/// Sum of squared errors after rounding to the grid.
pub(super) fn symmetric_error(values: &[f32], scale: f32, zero: u8) -> f32 {
    let inverse = inverse(scale);
    let error = |&value: &f32| {
        let error = scale * centred(value * inverse, zero) - value;
        error * error
    };
    values.iter().map(error).sum()
}

fn centred(value: f32, zero: u8) -> f32 {
    f32::from(quant(value + f32::from(zero), 2 * zero - 1)) - f32::from(zero)
}

/// `1 / scale`, or zero where that is no number.
pub(super) fn inverse(scale: f32) -> f32 {
    let inverse = 1.0 / scale;
    if inverse.is_finite() { inverse } else { 0.0 }
}
