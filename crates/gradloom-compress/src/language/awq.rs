//! AWQ: columns of large inputs are scaled up before they are rounded, and ranges of groups cut.
//!
//! Lin et al., "AWQ: activation-aware weight quantization for LLM compression and acceleration", 2023. The error that
//! the searches minimise is that of the layers' products, exactly, by `X^T X`; the authors' program measures outputs
//! of whole blocks for some layers, on a sample of the inputs.

use super::rounding::{self, Grid};
use super::{InputStatistics, Matrix, QuantizedMatrix, Scheme};
use gradloom_tensor::{Error, Result};
use rayon::prelude::*;

/// Steps of the search of the exponent.
const STEPS: usize = 20;
/// Steps of the search of ranges, of which the first half is tried: down to half of the range.
const RANGES: usize = 20;

/// What a search of scales found.
#[derive(Clone, Debug)]
pub struct ScaleSearch {
    /// What columns are multiplied by, and inputs divided: `[I]`.
    pub scales: Vec<f32>,
    /// The exponent of the inputs' mean magnitudes.
    pub exponent: f64,
    /// The layers' error without scales.
    pub error_before: f64,
    /// The error with them.
    pub error: f64,
}

/// Searches scales for the columns of weights that read one input: mean magnitudes to the power of 0, 0.05, ...,
/// 0.95.
///
/// # Errors
/// If there are no weights, groups do not divide the inputs, or the statistics do not fit or have no `X^T X`.
pub fn search_scales(
    weights: &[&Matrix],
    inputs: &InputStatistics,
    scheme: Scheme,
) -> Result<ScaleSearch> {
    check(weights, inputs)?;
    scheme.group_of(inputs.inputs())?;
    let magnitudes = inputs.mean_magnitudes();
    let candidates: Vec<(f64, Vec<f32>, f64)> = (0..STEPS)
        .into_par_iter()
        .map(|step| {
            let exponent = step as f64 / STEPS as f64;
            let scales =
                normalised(magnitudes.iter().map(|mean| f64::from(*mean).powf(exponent).max(1e-4)));
            let inverse: Vec<f32> = scales.iter().map(|scale| scale.recip()).collect();
            let mut error = 0.0;
            for weight in weights {
                let rounded = rounding::quantize(&weight.columns_scaled(&scales), scheme)?;
                error += inputs.error(weight, &rounded.dequantize().columns_scaled(&inverse));
            }
            Ok((exponent, scales, error))
        })
        .collect::<Result<_>>()?;
    let error_before = candidates[0].2;
    let best = candidates.into_iter().min_by(|a, b| a.2.total_cmp(&b.2));
    let (exponent, scales, error) = best.unwrap_or((0.0, vec![1.0; inputs.inputs()], error_before));
    Ok(ScaleSearch { scales, exponent, error_before, error })
}

/// Divided by the root of the largest times the smallest, so that they lie around 1.
fn normalised(scales: impl Iterator<Item = f64>) -> Vec<f32> {
    let scales: Vec<f64> = scales.collect();
    let largest = scales.iter().copied().fold(0.0, f64::max);
    let smallest = scales.iter().copied().fold(f64::INFINITY, f64::min);
    let root = (largest * smallest).sqrt();
    scales.into_iter().map(|scale| (scale / root) as f32).collect()
}

/// Rounds to nearest, with each group's range cut to where the error of its products is least: to 100, 95, ..., 55 %.
/// The authors leave out projections to queries and keys.
///
/// # Errors
/// As [`search_scales`].
pub fn quantize_clipped(
    weight: &Matrix,
    inputs: &InputStatistics,
    scheme: Scheme,
) -> Result<QuantizedMatrix> {
    check(&[weight], inputs)?;
    let group = scheme.group_of(weight.inputs())?;
    let (size, groups) = (weight.inputs(), weight.inputs() / group);
    let grids: Vec<Grid> = weight
        .values()
        .par_chunks_exact(group)
        .enumerate()
        .map(|(place, weights)| {
            let first = place % groups * group;
            let products = |row: usize| {
                let start = (first + row) * size + first;
                &inputs.products[start..start + group]
            };
            clipped(weights, &products, scheme)
        })
        .collect();
    let mut codes = Vec::with_capacity(weight.values().len());
    for (grid, weights) in grids.iter().zip(weight.values().chunks_exact(group)) {
        codes.extend(weights.iter().map(|weight| grid.code(*weight, scheme.top())));
    }
    Ok(QuantizedMatrix {
        scheme,
        outputs: weight.outputs(),
        inputs: size,
        codes,
        scales: grids.iter().map(|grid| grid.scale).collect(),
        zeros: grids.iter().map(|grid| grid.zero).collect(),
        order: None,
    })
}

fn clipped<'a>(weights: &[f32], products: &dyn Fn(usize) -> &'a [f64], scheme: Scheme) -> Grid {
    let largest = weights.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
    let mut best = (f64::INFINITY, Grid::covering(weights.iter().copied(), scheme));
    for step in 0..RANGES / 2 {
        let bound = largest * (1.0 - step as f32 / RANGES as f32);
        let grid = Grid::covering(weights.iter().map(|weight| weight.clamp(-bound, bound)), scheme);
        let off: Vec<f64> = weights
            .iter()
            .map(|weight| {
                f64::from(grid.value(grid.code(*weight, scheme.top()))) - f64::from(*weight)
            })
            .collect();
        let rows = off.iter().enumerate();
        let error: f64 =
            rows.map(|(row, off_of)| off_of * super::statistics::dot(products(row), &off)).sum();
        if error < best.0 {
            best = (error, grid);
        }
    }
    best.1
}

fn check(weights: &[&Matrix], inputs: &InputStatistics) -> Result<()> {
    if weights.is_empty() || inputs.count() == 0 {
        return Err(Error::invalid("awq: no weights, or statistics of no vectors"));
    }
    if let Some(weight) = weights.iter().find(|weight| weight.inputs() != inputs.inputs()) {
        let (found, size) = (inputs.inputs(), weight.inputs());
        return Err(Error::shape(format!(
            "awq: statistics of {found} inputs for a weight of {size}"
        )));
    }
    if inputs.products.is_empty() {
        return Err(Error::invalid("awq: no X^T X; calibrate with_hessians"));
    }
    Ok(())
}
