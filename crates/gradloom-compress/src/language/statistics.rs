//! [`Statistics`]: what the inputs of a model's weights are like.

use std::collections::BTreeMap;
use std::sync::Arc;

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use gradloom_tensor::{Error, ErrorKind, Result};
use rayon::prelude::*;

/// Rows of a weight whose products are summed by one thread.
const ROWS: usize = 64;

/// Sums over the inputs `[.., I]` of one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct InputStatistics {
    /// Number of vectors.
    pub(super) count: u64,
    /// Sums of squares: `[I]`.
    pub(super) squares: Vec<f64>,
    /// Sums of magnitudes: `[I]`.
    pub(super) magnitudes: Vec<f64>,
    /// Largest magnitudes: `[I]`.
    pub(super) largest: Vec<f32>,
    /// `sum x x^T`, row by row: `[I, I]`, empty if it was not asked for.
    pub(super) products: Vec<f64>,
}

impl InputStatistics {
    /// Of no vectors of this length.
    pub fn new(inputs: usize, with_products: bool) -> Self {
        InputStatistics {
            count: 0,
            squares: vec![0.0; inputs],
            magnitudes: vec![0.0; inputs],
            largest: vec![0.0; inputs],
            products: if with_products { vec![0.0; inputs * inputs] } else { Vec::new() },
        }
    }

    /// With vectors `[N, I]` added.
    ///
    /// # Errors
    /// If they are no whole vectors, or not finite.
    pub fn add(&mut self, vectors: &[f32]) -> Result<()> {
        let inputs = self.inputs();
        if inputs == 0 || !vectors.len().is_multiple_of(inputs) {
            return Err(Error::shape(format!(
                "statistics: {} numbers are no vectors of {inputs}",
                vectors.len()
            )));
        }
        if vectors.iter().any(|value| !value.is_finite()) {
            return Err(Error::new(ErrorKind::NotFinite, "statistics: an input is not finite"));
        }
        for vector in vectors.chunks_exact(inputs) {
            self.count += 1;
            for (place, &value) in vector.iter().enumerate() {
                self.squares[place] += f64::from(value) * f64::from(value);
                self.magnitudes[place] += f64::from(value.abs());
                self.largest[place] = self.largest[place].max(value.abs());
            }
        }
        if !self.products.is_empty() {
            self.add_products(vectors);
        }
        Ok(())
    }

    fn add_products(&mut self, vectors: &[f32]) {
        let inputs = self.inputs();
        let wide: Vec<f64> = vectors.iter().copied().map(f64::from).collect();
        let rows = MatRef::from_row_major_slice(&wide, wide.len() / inputs, inputs);
        let sums = MatMut::from_row_major_slice_mut(&mut self.products, inputs, inputs);
        let (full, lower) = (BlockStructure::Rectangular, BlockStructure::TriangularLower);
        let (columns, accumulation) = (rows.transpose(), Accum::Add);
        triangular::matmul(sums, lower, accumulation, columns, full, rows, full, 1.0, Par::Seq);
        for row in 0..inputs {
            for column in 0..row {
                self.products[column * inputs + row] = self.products[row * inputs + column];
            }
        }
    }

    /// I: length of a vector.
    pub fn inputs(&self) -> usize {
        self.squares.len()
    }

    /// Number of vectors.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean square of each input: the importance of a column of the weight.
    pub fn mean_squares(&self) -> Vec<f32> {
        self.squares.iter().map(|sum| (sum / self.count.max(1) as f64) as f32).collect()
    }

    /// The mean magnitude of each input.
    pub fn mean_magnitudes(&self) -> Vec<f32> {
        self.magnitudes.iter().map(|sum| (sum / self.count.max(1) as f64) as f32).collect()
    }

    /// The largest magnitude of each input.
    pub fn largest(&self) -> &[f32] {
        &self.largest
    }

    /// `X^T X / N`, row by row; none if it was not asked for.
    pub fn hessian(&self) -> Option<Vec<f64>> {
        let count = self.count.max(1) as f64;
        (!self.products.is_empty()).then(|| self.products.iter().map(|sum| sum / count).collect())
    }

    /// The mean square of `(W - Q) x` over the inputs, summed over outputs: the error of a layer.
    ///
    /// # Panics
    /// If the matrices are of other shapes, or `X^T X` was not asked for.
    #[track_caller]
    pub fn error(&self, weight: &super::Matrix, other: &super::Matrix) -> f64 {
        let inputs = self.inputs();
        let fits = |matrix: &super::Matrix| {
            matrix.inputs() == inputs && matrix.outputs() == weight.outputs()
        };
        assert!(fits(weight) && fits(other), "error: matrices of other shapes");
        assert!(!self.products.is_empty(), "error: needs X^T X; ask the calibration for Hessians");
        let inputs = inputs.max(1);
        let rows = weight.values().par_chunks(ROWS * inputs);
        let sum: f64 = rows
            .zip(other.values().par_chunks(ROWS * inputs))
            .map(|(rows, other)| {
                let difference: Vec<f64> =
                    rows.iter().zip(other).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
                self.squares_of(&difference)
            })
            .collect::<Vec<f64>>()
            .into_iter()
            .sum();
        sum.max(0.0) / self.count.max(1) as f64
    }

    /// The sum of `|d x|^2` over vectors and rows `d`: `[N, I]`.
    fn squares_of(&self, rows: &[f64]) -> f64 {
        let inputs = self.inputs();
        let products = MatRef::from_row_major_slice(&self.products, inputs, inputs);
        let matrix = MatRef::from_row_major_slice(rows, rows.len() / inputs, inputs);
        let mut half = vec![0.0; rows.len()];
        let target = MatMut::from_row_major_slice_mut(&mut half, rows.len() / inputs, inputs);
        // `X^T X` is symmetric: what is below its diagonal counts twice.
        let (full, lower) = (BlockStructure::Rectangular, BlockStructure::TriangularLower);
        let accumulation = Accum::Replace;
        triangular::matmul(
            target,
            full,
            accumulation,
            matrix,
            full,
            products,
            lower,
            1.0,
            Par::Seq,
        );
        let diagonal = |row: &[f64]| -> f64 {
            let squares = row.iter().enumerate();
            squares.map(|(at, value)| self.products[at * (inputs + 1)] * value * value).sum()
        };
        2.0 * dot(&half, rows) - rows.chunks_exact(inputs).map(diagonal).sum::<f64>()
    }
}

/// In eight sums side by side.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Statistics by the names of weights; weights of one input share theirs.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    pub(super) inputs: BTreeMap<String, Arc<InputStatistics>>,
    /// Weights of one input together, in the order in which they are read.
    pub(super) stages: Vec<Vec<String>>,
}

impl Statistics {
    /// Of a weight, by its name.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn of(&self, weight: &str) -> Result<&InputStatistics> {
        self.inputs.get(weight).map(Arc::as_ref).ok_or_else(|| {
            let message = format!(
                "statistics: no input of {weight} was seen; calibrate with a run that reads it"
            );
            Error::new(ErrorKind::Missing, message)
        })
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.inputs.keys().map(String::as_str)
    }

    /// Weights that read one input, in the order in which the model reads them.
    pub fn stages(&self) -> &[Vec<String>] {
        &self.stages
    }
}
