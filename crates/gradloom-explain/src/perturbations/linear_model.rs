//! [`LinearModel`]: what LIME and KernelSHAP put in place of a model near a sample.

use faer::Mat;
use gradloom_tensor::{Error, Result};

/// Rounds of coordinate descent, at most.
const ROUNDS_MAX: usize = 100_000;
/// How far coefficients still move, relative to the largest, when the descent ends.
const STILL: f64 = 1e-12;

/// `y = intercept + x . coefficients`, fitted on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    /// One for each column.
    pub coefficients: Vec<f64>,
    /// The value where all columns are zero.
    pub intercept: f64,
}

/// Centred rows, scaled by the roots of their weights.
struct Centred {
    rows: Vec<Vec<f64>>,
    answers: Vec<f64>,
    means: Vec<f64>,
    mean: f64,
}

impl Centred {
    fn new(op: &str, rows: &[Vec<f64>], answers: &[f64], weights: &[f64]) -> Result<Self> {
        let (count, columns) = (rows.len(), rows.first().map_or(0, Vec::len));
        let fits = count > 0
            && columns > 0
            && answers.len() == count
            && weights.len() == count
            && rows.iter().all(|row| row.len() == columns);
        let total: f64 = weights.iter().sum();
        let adds_up = total > 0.0 && total.is_finite();
        if !(fits && adds_up) || weights.iter().any(|w| w.is_nan() || *w < 0.0) {
            return Err(Error::invalid(format!(
                "{op}: {count} rows of {columns} columns with {} answers and {} weights of sum {total}; it \
                 needs rows of one length, an answer and a weight for each, not all of them 0",
                answers.len(),
                weights.len()
            )));
        }
        let finite = rows.iter().flatten().chain(answers).all(|number| number.is_finite());
        if !finite {
            return Err(Error::invalid(format!(
                "{op}: a row or an answer is not finite; the model gives NaN or infinity for a variant"
            )));
        }
        let mean_of = |of: &dyn Fn(usize) -> f64| {
            weights.iter().enumerate().map(|(row, weight)| weight * of(row)).sum::<f64>() / total
        };
        let means: Vec<f64> =
            (0..columns).map(|column| mean_of(&|row| rows[row][column])).collect();
        let mean = mean_of(&|row| answers[row]);
        let roots = weights.iter().map(|weight| (weight * count as f64 / total).sqrt());
        let scaled = rows.iter().zip(answers).zip(roots).map(|((row, answer), root)| {
            let row: Vec<f64> = row.iter().zip(&means).map(|(x, mean)| root * (x - mean)).collect();
            (row, root * (answer - mean))
        });
        let (rows, answers) = scaled.unzip();
        Ok(Centred { rows, answers, means, mean })
    }

    fn model(&self, coefficients: Vec<f64>) -> LinearModel {
        let at_means: f64 = coefficients.iter().zip(&self.means).map(|(c, mean)| c * mean).sum();
        LinearModel { coefficients, intercept: self.mean - at_means }
    }
}

impl LinearModel {
    /// The least weighted sum of squares; of several the one with the least coefficients.
    ///
    /// As `sklearn.linear_model.LinearRegression`.
    ///
    /// # Errors
    /// If sizes do not fit, weights are negative or all zero, or a number is not finite.
    pub fn least_squares(rows: &[Vec<f64>], answers: &[f64], weights: &[f64]) -> Result<Self> {
        let centred = Centred::new("least_squares", rows, answers, weights)?;
        let (count, columns) = (centred.rows.len(), centred.means.len());
        let matrix = Mat::from_fn(count, columns, |row, column| centred.rows[row][column]);
        let failed = |error| Error::invalid(format!("least_squares: {error:?} of the rows"));
        let svd = matrix.thin_svd().map_err(failed)?;
        let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
        let largest = (0..s.nrows()).map(|at| s[at]).fold(0.0, f64::max);
        let mut coefficients = vec![0.0; columns];
        for at in (0..s.nrows()).filter(|&at| s[at] > largest * 1e-12) {
            let along: f64 = (0..count).map(|row| u[(row, at)] * centred.answers[row]).sum();
            for (column, coefficient) in coefficients.iter_mut().enumerate() {
                *coefficient += v[(column, at)] * along / s[at];
            }
        }
        Ok(centred.model(coefficients))
    }

    /// The least of `1 / (2 n) sum w (y - model(x))^2 + alpha sum |c|`, with weights of mean 1, by coordinate
    /// descent. As `sklearn.linear_model.Lasso`.
    ///
    /// # Errors
    /// As [`least_squares`](LinearModel::least_squares), or if alpha is negative or not finite.
    pub fn lasso(rows: &[Vec<f64>], answers: &[f64], weights: &[f64], alpha: f64) -> Result<Self> {
        if !(alpha >= 0.0 && alpha.is_finite()) {
            return Err(Error::invalid(format!(
                "lasso: alpha is {alpha}; it must not be negative"
            )));
        }
        let centred = Centred::new("lasso", rows, answers, weights)?;
        let (count, columns) = (centred.rows.len(), centred.means.len());
        let column =
            |column: usize| -> Vec<f64> { centred.rows.iter().map(|row| row[column]).collect() };
        let by_column: Vec<Vec<f64>> = (0..columns).map(column).collect();
        let squares: Vec<f64> =
            by_column.iter().map(|column| column.iter().map(|x| x * x).sum()).collect();
        let bound = alpha * count as f64;
        let mut rest = centred.answers.clone();
        let mut coefficients = vec![0.0_f64; columns];
        for _ in 0..ROUNDS_MAX {
            let (mut moved, mut largest) = (0.0_f64, 0.0_f64);
            for (at, x) in by_column.iter().enumerate().filter(|(at, _)| squares[*at] > 0.0) {
                let old = coefficients[at];
                let along: f64 = x.iter().zip(&rest).map(|(x, rest)| x * rest).sum();
                let along = along + old * squares[at];
                let new = along.signum() * (along.abs() - bound).max(0.0) / squares[at];
                if new != old {
                    rest.iter_mut().zip(x).for_each(|(rest, x)| *rest -= (new - old) * x);
                    coefficients[at] = new;
                }
                moved = moved.max((new - old).abs());
                largest = largest.max(new.abs());
            }
            if moved <= largest * STILL {
                break;
            }
        }
        Ok(centred.model(coefficients))
    }
}
