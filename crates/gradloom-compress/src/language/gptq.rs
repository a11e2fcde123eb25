//! GPTQ: columns one after the other, what each loses made good by those after it.
//!
//! Frantar et al., "GPTQ: accurate post-training quantization for generative pre-trained transformers", 2022. The
//! rows of a weight are independent once the factor of the inverse Hessian is known, so blocks of rows go through
//! all columns, in place of the paper's blocks of 128 columns of all rows; the numbers are the same.
//!
//! Where a group begins within a block, the paper's grid is that of the weights as they have become, and the authors'
//! program takes those at the beginning of the block. Neither is always better, so both are tried and each row keeps
//! the one with less error.

use super::rounding::Grid;
use super::{InputStatistics, Matrix, QuantizedMatrix, Scheme};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use gradloom_tensor::{Error, ErrorKind, Result};
use rayon::prelude::*;

/// Columns after which the authors' program brings the others up to date.
const BLOCK: usize = 128;
/// Rows that pass the factor together.
const ROWS: usize = 8;
/// How often damping grows tenfold before a Hessian is given up.
const DAMPINGS: i32 = 4;

/// GPTQ with its options.
#[derive(Clone, Copy, Debug)]
pub struct Gptq {
    scheme: Scheme,
    damping: f64,
    by_activation: bool,
    static_groups: bool,
}

impl Gptq {
    /// Damping of 0.01, columns in their order.
    pub fn new(scheme: Scheme) -> Self {
        Gptq { scheme, damping: 0.01, by_activation: false, static_groups: false }
    }

    /// What is added to the Hessian's diagonal, as a part of its mean.
    ///
    /// # Panics
    /// Unless it is above 0 and finite.
    #[must_use]
    #[track_caller]
    pub fn damping(mut self, part: f64) -> Self {
        assert!(part > 0.0 && part.is_finite(), "gptq: damping of {part}; give a number above 0");
        self.damping = part;
        self
    }

    /// Columns of large inputs first ("act-order"). Groups are then of columns in that order, which is stored with the
    /// weight.
    #[must_use]
    pub fn by_activation(mut self) -> Self {
        self.by_activation = true;
        self
    }

    /// Columns of large inputs first, but groups of neighbours whose grids come from the weight as it was, so no order
    /// need be stored.
    #[must_use]
    pub fn by_activation_static(mut self) -> Self {
        (self.by_activation, self.static_groups) = (true, true);
        self
    }

    /// How weights are quantized.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Quantizes a weight for these inputs. Columns of inputs that are always zero become zero.
    ///
    /// # Errors
    /// If groups do not divide the inputs, the statistics are of another size, of no vectors or without Hessian, or
    /// the Hessian is not positive however much is added to it.
    pub fn quantize(&self, weight: &Matrix, inputs: &InputStatistics) -> Result<QuantizedMatrix> {
        let group = self.scheme.group_of(weight.inputs())?;
        let mut hessian = hessian(weight, inputs)?;
        let size = weight.inputs();
        let dead: Vec<usize> = (0..size).filter(|&at| hessian[at * size + at] <= 0.0).collect();
        dead.iter().for_each(|&at| hessian[at * size + at] = 1.0);
        let mut order: Vec<usize> = (0..size).collect();
        if self.by_activation {
            let diagonal = |at: usize| hessian[at * size + at];
            order.sort_by(|&a, &b| diagonal(b).total_cmp(&diagonal(a)));
        }
        let factor = inverse_factor(&hessian, &order, self.damping)?;
        let in_order = !self.by_activation || self.static_groups || group == size;
        let plan = Columns { order: &order, dead: &dead, factor: &factor, group, in_order };
        let groups = size / group;
        let passed = |late: bool| {
            let mut rows: Vec<Row> = weight.rows().map(|row| Row::new(row, groups)).collect();
            rows.par_chunks_mut(ROWS).for_each(|rows| self.pass(rows, &plan, late));
            rows
        };
        let mut rows = passed(false);
        if !self.static_groups && !group.is_multiple_of(BLOCK) {
            for (row, other) in rows.iter_mut().zip(passed(true)) {
                if other.error < row.error {
                    *row = other;
                }
            }
        }
        let mut result = QuantizedMatrix {
            scheme: self.scheme,
            outputs: weight.outputs(),
            inputs: size,
            codes: Vec::with_capacity(weight.values().len()),
            scales: Vec::new(),
            zeros: Vec::new(),
            order: (!in_order).then(|| places(&order, group)),
        };
        for row in rows {
            result.codes.extend(row.codes);
            result.scales.extend(row.grids.iter().map(|grid| grid.scale));
            result.zeros.extend(row.grids.iter().map(|grid| grid.zero));
        }
        Ok(result)
    }

    /// All columns of a few rows; with grids of the weights as they were at the beginning of a block if `late`.
    fn pass(&self, rows: &mut [Row], plan: &Columns<'_>, late: bool) {
        let Columns { order, factor, group, .. } = *plan;
        let (size, top) = (order.len(), self.scheme.top());
        for row in rows.iter_mut() {
            plan.dead.iter().for_each(|&at| row.weights[at] = 0.0);
            if self.by_activation && plan.in_order {
                for (grid, weights) in row.grids.iter_mut().zip(row.weights.chunks_exact(group)) {
                    *grid =
                        Grid::covering(weights.iter().map(|weight| *weight as f32), self.scheme);
                }
            }
            row.weights = order.iter().map(|&at| row.weights[at]).collect();
        }
        for (step, &at) in order.iter().enumerate() {
            let line = &factor[step * size + step..(step + 1) * size];
            let of_group = if plan.in_order { at / group } else { step / group };
            let begins = step.is_multiple_of(group) && !(self.by_activation && plan.in_order);
            for row in rows.iter_mut() {
                if late && step.is_multiple_of(BLOCK) {
                    row.before.clone_from(&row.weights);
                }
                if begins {
                    let weights = if late { &row.before } else { &row.weights };
                    let weights = weights[step..step + group].iter().map(|weight| *weight as f32);
                    row.grids[of_group] = Grid::covering(weights, self.scheme);
                }
                let (grid, weight) = (row.grids[of_group], row.weights[step]);
                let code = grid.code(weight as f32, top);
                row.codes[at] = code;
                let error = (weight - f64::from(grid.value(code))) / line[0];
                row.error += error * error;
                let later = row.weights[step + 1..].iter_mut().zip(&line[1..]);
                later.for_each(|(weight, share)| *weight -= error * share);
            }
        }
    }
}

/// What all rows share.
struct Columns<'a> {
    order: &'a [usize],
    dead: &'a [usize],
    /// The upper factor of the inverse, in the order of columns.
    factor: &'a [f64],
    group: usize,
    /// Whether groups are of neighbours.
    in_order: bool,
}

struct Row {
    weights: Vec<f64>,
    before: Vec<f64>,
    error: f64,
    codes: Vec<u8>,
    grids: Vec<Grid>,
}

impl Row {
    fn new(weights: &[f32], groups: usize) -> Self {
        let grids = vec![Grid { scale: 1.0, zero: 0.0 }; groups];
        let (codes, weights) =
            (vec![0; weights.len()], weights.iter().copied().map(f64::from).collect());
        Row { weights, before: Vec::new(), error: 0.0, codes, grids }
    }
}

fn hessian(weight: &Matrix, inputs: &InputStatistics) -> Result<Vec<f64>> {
    if inputs.inputs() != weight.inputs() {
        let (found, size) = (inputs.inputs(), weight.inputs());
        return Err(Error::shape(format!(
            "gptq: statistics of {found} inputs for a weight of {size}; does the weight have its inputs first?"
        )));
    }
    if inputs.count() == 0 {
        return Err(Error::invalid("gptq: statistics of no vectors"));
    }
    let missing = || Error::invalid("gptq: no X^T X; calibrate with_hessians");
    inputs.hessian().ok_or_else(missing)
}

/// The group of each input where groups are of columns in an order.
fn places(order: &[usize], group: usize) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(step, &at)| places[at] = (step / group) as u32);
    places
}

/// `U` with `U^T U` the inverse of the damped Hessian in this order, row by row.
pub(crate) fn inverse_factor(hessian: &[f64], order: &[usize], damping: f64) -> Result<Vec<f64>> {
    let size = order.len();
    let mean = (0..size).map(|at| hessian[at * size + at]).sum::<f64>() / size.max(1) as f64;
    for power in 0..DAMPINGS {
        let added = damping * 10f64.powi(power) * mean;
        let damped = Mat::from_fn(size, size, |row, column| {
            let value = hessian[order[row] * size + order[column]];
            if row == column { value + added } else { value }
        });
        let Ok(factor) = damped.llt(Side::Lower) else { continue };
        let Ok(factor) = factor.inverse().llt(Side::Lower) else { continue };
        let lower = factor.L();
        let mut upper = Vec::with_capacity(size * size);
        for row in 0..size {
            upper.extend(
                (0..size).map(|column| if column < row { 0.0 } else { lower[(column, row)] }),
            );
        }
        if upper.iter().all(|value: &f64| value.is_finite()) {
            return Ok(upper);
        }
    }
    Err(Error::new(
        ErrorKind::NotFinite,
        format!(
            "gptq: the Hessian of {size} inputs is not positive, even with {} of its mean added; are the calibration \
             data finite?",
            damping * 10f64.powi(DAMPINGS - 1)
        ),
    ))
}
