//! Round to nearest: the grid of a group from its range, each weight to the nearest point.

use super::{Matrix, QuantizedMatrix, Scheme};
use gradloom_tensor::Result;
use rayon::prelude::*;

/// Scale and zero of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) scale: f32,
    pub(super) zero: f32,
}

impl Grid {
    /// That covers these weights and zero, as compressed-tensors and GPTQ's authors have it.
    pub(super) fn covering(weights: impl Iterator<Item = f32>, scheme: Scheme) -> Grid {
        let (low, high) = weights
            .fold((0.0f32, 0.0f32), |(low, high), weight| (low.min(weight), high.max(weight)));
        Grid::of_range(low, high, scheme)
    }

    /// From a lowest weight, not above zero, to a highest, not below it.
    pub(super) fn of_range(low: f32, high: f32, scheme: Scheme) -> Grid {
        let top = f32::from(scheme.top());
        let (scale, zero) = if scheme.is_symmetric() {
            (high.max(-low) / (top / 2.0), f32::from(scheme.middle()))
        } else {
            let scale = (high - low) / top;
            // A group of zeros is in the middle, as in compressed-tensors.
            let middle = f32::from(scheme.middle());
            let zero = if scale > 0.0 { (-low / scale).round_ties_even() } else { middle };
            (scale, zero.clamp(0.0, top))
        };
        // A group of zeros keeps a scale that can be divided by.
        Grid { scale: if scale > 0.0 { scale } else { 1.0 }, zero }
    }

    /// The nearest code.
    pub(super) fn code(self, weight: f32, top: u8) -> u8 {
        (weight / self.scale + self.zero).round_ties_even().clamp(0.0, f32::from(top)) as u8
    }

    /// What a code stands for.
    pub(super) fn value(self, code: u8) -> f32 {
        self.scale * (f32::from(code) - self.zero)
    }
}

/// Each weight to the nearest point of its group's grid, which covers the group's range.
///
/// # Errors
/// If groups do not divide the inputs.
pub fn quantize(weight: &Matrix, scheme: Scheme) -> Result<QuantizedMatrix> {
    with_grids(weight, scheme, |group| Grid::covering(group.iter().copied(), scheme))
}

/// Each weight to the nearest point of the grid that a group of a row gets.
pub(super) fn with_grids(
    weight: &Matrix,
    scheme: Scheme,
    grid: impl Fn(&[f32]) -> Grid + Send + Sync,
) -> Result<QuantizedMatrix> {
    let group = scheme.group_of(weight.inputs())?;
    let grids: Vec<Grid> = weight.values().par_chunks_exact(group).map(grid).collect();
    let mut codes = Vec::with_capacity(weight.values().len());
    for (grid, weights) in grids.iter().zip(weight.values().chunks_exact(group)) {
        codes.extend(weights.iter().map(|weight| grid.code(*weight, scheme.top())));
    }
    let scales = grids.iter().map(|grid| grid.scale).collect();
    let zeros = grids.iter().map(|grid| grid.zero).collect();
    let (outputs, inputs) = (weight.outputs(), weight.inputs());
    Ok(QuantizedMatrix { scheme, outputs, inputs, codes, scales, zeros, order: None })
}
