//! SparseGPT: what goes is made up for by what stays, by the inputs' second moments.

use super::calibration::InputStatistics;
use super::errors::invalid;
use super::masks::Masks;
use super::ranks::Sparsity;
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use gradloom_nn::{Module, ModuleExt, Parameter};
use gradloom_tensor::{DType, Error, Result, Tensor};
use rayon::prelude::*;

/// How [`sparse_gpt`] goes about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparseGpt {
    /// Columns that are decided together.
    pub block: usize,
    /// What is added to the diagonal of the second moments, as a part of its mean.
    pub damping: f64,
}

impl Default for SparseGpt {
    /// The paper's: blocks of 128, a hundredth of the mean.
    fn default() -> Self {
        SparseGpt { block: 128, damping: 0.01 }
    }
}

/// Sets weights of matrices `[O, I]` to zero and changes those that stay, so that layers give nearly what they gave
/// for what they have read; returns the masks. Nothing is trained. The sparsity is
/// [`PerLayer`](Sparsity::PerLayer), whose part of each block of columns goes, or a [`Pattern`](Sparsity::Pattern).
///
/// It runs on the host, in f64; rows are shared among threads. `inputs` are the
/// [pairs](InputStatistics::pairs).
///
/// Frantar, Alistarh, "SparseGPT: massive language models can be accurately pruned in one-shot", 2023.
///
/// # Errors
/// If a chosen weight's inputs were not seen in pairs, the sparsity is global or not within `0..1`, a pattern does not
/// divide inputs and blocks, or the second moments have no inverse. The model is then as before.
pub fn sparse_gpt(
    model: &mut (impl Module + ?Sized),
    inputs: &InputStatistics,
    sparsity: Sparsity,
    options: SparseGpt,
    choose: impl Fn(&str, &Parameter) -> bool,
) -> Result<Masks> {
    sparsity.check()?;
    if matches!(sparsity, Sparsity::Global(_)) {
        return Err(invalid("sparse_gpt: it prunes layer by layer; use Sparsity::PerLayer"));
    }
    let mut changed = Vec::new();
    let mut masks = Vec::new();
    for (name, parameter) in model.parameters() {
        if !choose(&name, parameter) {
            continue;
        }
        let seen = inputs.of(&name, parameter)?;
        if seen.sums.rank() != 2 {
            return Err(invalid("sparse_gpt: needs InputStatistics::pairs, not squares"));
        }
        let [rows, columns] = [parameter.size(0), parameter.size(1)];
        if let Sparsity::Pattern { m, .. } = sparsity
            && !(columns.is_multiple_of(m) && options.block.is_multiple_of(m))
        {
            return Err(invalid(format!(
                "sparse_gpt: {name} {} has no inputs in parts of {m}",
                parameter.shape()
            )));
        }
        let mut weight: Vec<f64> = wide(&parameter.cast(DType::F32).to_vec::<f32>()?);
        let moments = wide(&seen.sums.to_vec::<f32>()?);
        let factor = inverse_factor(&moments, seen.rows, options.damping, &mut weight, columns)
            .map_err(|error| error.context(format!("sparse_gpt: {name}")))?;
        let kept = prune(&mut weight, columns, &factor, sparsity, options.block.max(1));
        let narrow: Vec<f32> = weight.iter().map(|&weight| weight as f32).collect();
        let device = parameter.device();
        let new = Tensor::from_slice(&narrow, [rows, columns], device)?.cast(parameter.dtype());
        masks.push((name.clone(), Tensor::from_slice(&kept, [rows, columns], device)?));
        changed.push((name, new));
    }
    if masks.is_empty() {
        return Err(invalid("prune: no weight was chosen"));
    }
    gradloom_tensor::eval(changed.iter().map(|(_, tensor)| tensor))?;
    model.for_each_parameter(|name, parameter| {
        if let Some((_, tensor)) = changed.iter().find(|(own, _)| own == name) {
            parameter.set(tensor);
        }
    });
    Ok(masks.into_iter().collect())
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The upper triangular `U` with `H^-1 = U^T U`, row by row, for `H = 2 / rows * moments`, damped. Inputs that are
/// always zero have no say: their weights become zero.
fn inverse_factor(
    moments: &[f64],
    rows: usize,
    damping: f64,
    weight: &mut [f64],
    size: usize,
) -> Result<Vec<f64>> {
    let scale = 2.0 / rows.max(1) as f64;
    let mut hessian = Mat::from_fn(size, size, |row, column| moments[row * size + column] * scale);
    for index in 0..size {
        if hessian[(index, index)] == 0.0 {
            hessian[(index, index)] = 1.0;
            weight.iter_mut().skip(index).step_by(size).for_each(|weight| *weight = 0.0);
        }
    }
    let mean = (0..size).map(|index| hessian[(index, index)]).sum::<f64>() / size as f64;
    (0..size).for_each(|index| hessian[(index, index)] += damping * mean);
    let failed = |_| singular();
    let factor = hessian.llt(Side::Lower).map_err(failed)?;
    let inverse = factor.inverse();
    let upper = inverse.llt(Side::Lower).map_err(failed)?;
    let lower = upper.L();
    let mut rows = vec![0.0; size * size];
    for row in 0..size {
        for column in row..size {
            rows[row * size + column] = lower[(column, row)];
        }
    }
    Ok(rows)
}

fn singular() -> Error {
    invalid("the second moments of the inputs have no inverse; give more samples, or more damping")
}

/// Prunes the rows of a weight, and says what stays.
fn prune(
    weight: &mut [f64],
    columns: usize,
    factor: &[f64],
    sparsity: Sparsity,
    block: usize,
) -> Vec<bool> {
    let mut kept = vec![true; weight.len()];
    for first in (0..columns).step_by(block) {
        let last = (first + block).min(columns);
        if let Sparsity::PerLayer(part) = sparsity {
            choose_in_block(weight, &mut kept, factor, [first, last, columns], part);
        }
        let rows = weight.par_chunks_mut(columns).zip(kept.par_chunks_mut(columns));
        rows.for_each(|(row, kept)| {
            let mut errors = vec![0.0; last - first];
            for column in first..last {
                if let Sparsity::Pattern { n, m } = sparsity
                    && (column - first).is_multiple_of(m)
                {
                    choose_in_part(
                        &row[column..column + m],
                        &mut kept[column..column + m],
                        factor,
                        [column, columns],
                        n,
                    );
                }
                let scale = factor[column * columns + column];
                let error = if kept[column] { 0.0 } else { row[column] / scale };
                if error != 0.0 {
                    for next in column..last {
                        row[next] -= error * factor[column * columns + next];
                    }
                    row[column] = 0.0;
                }
                errors[column - first] = error;
            }
            for next in last..columns {
                let owed: f64 = errors
                    .iter()
                    .enumerate()
                    .map(|(index, error)| error * factor[(first + index) * columns + next])
                    .sum();
                row[next] -= owed;
            }
        });
    }
    for (weight, kept) in weight.iter_mut().zip(&kept) {
        if !kept {
            *weight = 0.0;
        }
    }
    kept
}

/// How much the output changes without a weight.
fn saliency(weight: f64, factor: &[f64], column: usize, columns: usize) -> f64 {
    (weight / factor[column * columns + column]).powi(2)
}

/// The least salient part of all rows of a block goes; of equal ones the first.
fn choose_in_block(
    weight: &[f64],
    kept: &mut [bool],
    factor: &[f64],
    [first, last, columns]: [usize; 3],
    part: f64,
) {
    let rows = weight.len() / columns;
    let mut order: Vec<(f64, usize)> = Vec::with_capacity(rows * (last - first));
    for row in 0..rows {
        for column in first..last {
            let place = row * columns + column;
            order.push((saliency(weight[place], factor, column, columns), place));
        }
    }
    let removed = (order.len() as f64 * part) as usize;
    order.sort_by(|left, right| left.0.total_cmp(&right.0));
    order[..removed].iter().for_each(|&(_, place)| kept[place] = false);
}

/// All but the `n` most salient of a part of a row go.
fn choose_in_part(
    weight: &[f64],
    kept: &mut [bool],
    factor: &[f64],
    [first, columns]: [usize; 2],
    n: usize,
) {
    let of =
        |(index, &weight): (usize, &f64)| (saliency(weight, factor, first + index, columns), index);
    let mut order: Vec<(f64, usize)> = weight.iter().enumerate().map(of).collect();
    order.sort_by(|left, right| left.0.total_cmp(&right.0));
    order[..weight.len() - n].iter().for_each(|&(_, index)| kept[index] = false);
}
