//! What the columns of a table do: partial dependence, and importance by permutation.

use gradloom_tensor::{Error, Key, Result, Tensor};

use crate::draws::Draws;
use crate::{Forward, Inputs, Target, rows};

/// A target while one column takes the same value in all rows.
#[derive(Clone, Debug, PartialEq)]
pub struct PartialDependence {
    /// The values of the column.
    pub grid: Vec<f64>,
    /// The mean target over all rows at each value.
    pub mean: Vec<f64>,
    /// The target of each row at each value: individual conditional expectation, `[N][grid]`.
    pub each: Vec<Vec<f64>>,
}

/// Partial dependence of a target on a column of features `[N, D]`, with the curve of each row.
///
/// Friedman, "Greedy function approximation", 2001; Goldstein et al., "Peeking inside the black box", 2013. As
/// `sklearn.inspection.partial_dependence(method="brute", kind="both")`.
///
/// # Errors
/// If the features are not one tensor `[N, D]` with such a column, or the grid is empty or not finite.
pub fn partial_dependence(
    forward: &Forward,
    inputs: &Inputs,
    target: &Target,
    column: usize,
    grid: &[f64],
) -> Result<PartialDependence> {
    let op = "partial_dependence";
    inputs.check(op)?;
    let x = table(op, inputs, column)?;
    if grid.is_empty() || grid.iter().any(|value| !value.is_finite()) {
        return Err(Error::invalid(format!("{op}: a grid of {grid:?}; it needs finite values")));
    }
    let n = x.shape()[0];
    let mut each = vec![Vec::with_capacity(grid.len()); n];
    for &value in grid {
        let set = Tensor::full([n], value, x.dtype(), x.device());
        let changed = inputs.with_features(vec![x.select_scatter(&set, 1, column as isize)]);
        let found = rows::numbers(&target.select(&forward.run(&changed.all())?, n)?)?;
        each.iter_mut().zip(found).for_each(|(curve, value)| curve.push(value));
    }
    let mean = |at: usize| each.iter().map(|curve| curve[at]).sum::<f64>() / n as f64;
    let mean = (0..grid.len()).map(mean).collect();
    Ok(PartialDependence { grid: grid.to_vec(), mean, each })
}

/// `count` evenly spaced values between the 5th and the 95th percentile of a column, or all its values where
/// these are fewer: the grid of scikit-learn.
///
/// # Errors
/// As [`partial_dependence`], or if fewer than two values are asked for.
pub fn quantile_grid(inputs: &Inputs, column: usize, count: usize) -> Result<Vec<f64>> {
    let op = "quantile_grid";
    inputs.check(op)?;
    let x = table(op, inputs, column)?;
    let mut values = rows::numbers(&x.index(1, column as isize))?;
    if count < 2 || values.iter().any(|value| !value.is_finite()) {
        return Err(Error::invalid(format!(
            "{op}: {count} values of a column; all must be finite"
        )));
    }
    values.sort_by(f64::total_cmp);
    let mut distinct = values.clone();
    distinct.dedup();
    if distinct.len() < count {
        return Ok(distinct);
    }
    // The quantiles of Cunnane, with both plotting positions at 0.4.
    let quantile = |q: f64| {
        let place = values.len() as f64 * q + 0.4 + q * 0.2;
        let low = place.clamp(1.0, (values.len() - 1).max(1) as f64).floor();
        let (at, share) = (low as usize, (place - low).clamp(0.0, 1.0));
        values[at - 1] + share * (values[at.min(values.len() - 1)] - values[at - 1])
    };
    let (low, high) = (quantile(0.05), quantile(0.95));
    let step = (high - low) / (count - 1) as f64;
    Ok((0..count).map(|at| low + at as f64 * step).collect())
}

fn table<'t>(op: &str, inputs: &'t Inputs, column: usize) -> Result<&'t Tensor> {
    match &inputs.features[..] {
        [x] if x.rank() == 2 && column < x.shape()[1] => Ok(x),
        [x] => {
            let shape = x.shape();
            Err(Error::shape(format!("{op}: column {column} of features of shape {shape}")))
        }
        features => {
            let count = features.len();
            Err(Error::invalid(format!("{op}: {count} tensors of features; it needs one [N, D]")))
        }
    }
}

/// How much a score falls if a column is mixed up.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// The mean over repeats.
    pub mean: f64,
    /// The standard deviation over repeats, of the whole and not of a sample.
    pub deviation: f64,
    /// The fall in each repeat.
    pub each: Vec<f64>,
}

/// Permutation importance of each column of a table `[N, D]` for a score, of which more is better. The order of
/// the rows in each repeat of a column comes from `key`.
///
/// Breiman, "Random forests", 2001; Fisher, Rudin, Dominici, "All models are wrong, but many are useful", 2018.
/// As `sklearn.inspection.permutation_importance`.
///
/// # Errors
/// If the table is not `[N, D]` with two rows or more, there are no repeats, or the score's own.
pub fn permutation_importance(
    table: &Tensor,
    repeats: usize,
    key: Key,
    mut score: impl FnMut(&Tensor) -> Result<f64>,
) -> Result<Vec<Importance>> {
    let op = "permutation_importance";
    let [n, d] = table.shape()[..] else {
        return Err(Error::shape(format!("{op}: a table of shape {}, not [N, D]", table.shape())));
    };
    if n < 2 || repeats == 0 {
        return Err(Error::invalid(format!(
            "{op}: {n} rows, {repeats} repeats; 2 and 1 are the fewest"
        )));
    }
    let whole = score(table)?;
    let mut draws = Draws::new(key);
    let mut found = Vec::with_capacity(d);
    for column in 0..d {
        let mut each = Vec::with_capacity(repeats);
        for _ in 0..repeats {
            let order = draws.permutation(n).into_iter().map(|row| row as i32).collect();
            let order = Tensor::from_vec(order, [n], table.device())?;
            let mixed = table.index(1, column as isize).index_select(0, &order);
            each.push(whole - score(&table.select_scatter(&mixed, 1, column as isize))?);
        }
        let mean = each.iter().sum::<f64>() / repeats as f64;
        let square = each.iter().map(|fall| (fall - mean).powi(2)).sum::<f64>();
        found.push(Importance { mean, deviation: (square / repeats as f64).sqrt(), each });
    }
    Ok(found)
}
