//! Covariances, medians and quantiles, the most frequent elements, and slopes of sampled functions.

use super::elementwise::Operand;
use crate::called::{Called, demand};
use crate::{DType, Shape, Tensor, shape_rules};

/// Between which neighbours a quantile lies, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// On the line between them.
    #[default]
    Linear,
    /// The lower one.
    Lower,
    /// The higher one.
    Higher,
    /// The mean of both.
    Midpoint,
    /// The nearer one; of two that are as near the one with the even place.
    Nearest,
}

/// What covariances are weighted with, and what is taken off their divisor. PyTorch: the options of `cov`.
#[derive(Clone, Debug)]
pub struct CovOptions {
    correction: f64,
    frequencies: Option<Tensor>,
    importances: Option<Tensor>,
}

impl Default for CovOptions {
    fn default() -> Self {
        CovOptions { correction: 1.0, frequencies: None, importances: None }
    }
}

impl CovOptions {
    /// Divides by the number of observations less this: 1 by default. PyTorch: `correction`.
    #[must_use]
    pub fn correction(self, correction: f64) -> Self {
        CovOptions { correction, ..self }
    }

    /// How often each observation was made, `[N]` of integers. PyTorch: `fweights`.
    #[must_use]
    pub fn frequencies(self, frequencies: &Tensor) -> Self {
        CovOptions { frequencies: Some(frequencies.clone()), ..self }
    }

    /// How much each observation counts, `[N]` of floats. PyTorch: `aweights`.
    #[must_use]
    pub fn importances(self, importances: &Tensor) -> Self {
        CovOptions { importances: Some(importances.clone()), ..self }
    }
}

impl Tensor {
    /// Covariances of variables, the rows, over observations, the columns: `[V, N] -> [V, V]`; of one
    /// variable, `[N]` or a number, its variance `[]`. Floats only. PyTorch: `cov`.
    ///
    /// Panics if there are more axes, or weights are not `[N]`.
    #[track_caller]
    #[must_use]
    pub fn cov(&self, options: &CovOptions) -> Tensor {
        let rows = self.variables("cov");
        let [variables, observations] = [rows.size(0), rows.size(1)];
        for weights in [&options.frequencies, &options.importances].into_iter().flatten() {
            let shape = weights.shape();
            demand!(
                weights.count() == observations && shape.rank() <= 1,
                "cov: weights {shape} for {observations} observations"
            );
        }
        // With weights much cancels, in the divisor and between the terms of gradients: as exactly as the device can.
        let weighs = options.frequencies.is_some() || options.importances.is_some();
        let rows = if weighs { rows.cast(rows.finest()) } else { rows };
        let as_floats = |weights: &Option<Tensor>| {
            let given = weights.as_ref();
            given.map(|weights| weights.cast(rows.dtype()).reshape_to([observations].into()))
        };
        let (frequencies, importances) =
            (as_floats(&options.frequencies), as_floats(&options.importances));
        let weights = match (&frequencies, &importances) {
            (Some(often), Some(much)) => Some(often.mul(much)),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let total = match &weights {
            Some(weights) => weights.sum(..),
            None => Tensor::constant((), observations as f64, rows.dtype(), rows.device()),
        };
        // Reliability weights are corrected by their mean weight.
        let taken = match (&importances, &weights) {
            (Some(much), Some(weights)) => {
                weights.mul(much).sum(..).div(&total).mul(options.correction)
            }
            _ => total.constant_like(options.correction),
        };
        let divisor = total.sub(taken).maximum(0.0);
        let weighted =
            |x: &Tensor| weights.as_ref().map_or_else(|| x.clone(), |weights| x.mul(weights));
        let centred = rows.sub(weighted(&rows).sum_keepdim(1).div(&total));
        let products = weighted(&centred).matmul(&centred.t()).div(divisor).cast(self.dtype());
        if variables == 1 { products.reshape_to(Shape::SCALAR) } else { products }
    }

    /// Correlations of variables, the rows, over observations, the columns: `[V, N] -> [V, V]`; of one
    /// variable `[]`. Floats only. PyTorch: `corrcoef`.
    ///
    /// Panics if there are more axes.
    #[track_caller]
    #[must_use]
    pub fn corrcoef(&self) -> Tensor {
        let rows = self.variables("corrcoef");
        let variables = rows.size(0);
        let covariances =
            rows.cov(&CovOptions::default()).reshape_to([variables, variables].into());
        let scale = covariances.diagonal(0, 0, 1).rsqrt();
        let found = covariances.mul(scale.unsqueeze(0)).mul(scale.unsqueeze(1));
        let found = found.clamp(-1.0, 1.0).cast(self.dtype());
        if variables == 1 { found.reshape_to(Shape::SCALAR) } else { found }
    }

    /// The widest floats of the device, for what cancels.
    pub(crate) fn finest(&self) -> DType {
        if self.device().capabilities().f64 { DType::F64 } else { self.dtype().compute() }
    }

    #[track_caller]
    fn variables(&self, op: &str) -> Tensor {
        self.require_float(op);
        let rank = self.rank();
        demand!(rank <= 2, "{op}: needs variables [V, N], not shape {}", self.shape());
        let x = self.wide();
        if rank == 2 { x } else { x.reshape_to([1, self.count()].into()) }
    }

    /// The median along an axis of what is not NaN (the lower of the two in the middle) and its index; NaN if
    /// all are. The axis is dropped. PyTorch: `nanmedian`.
    ///
    /// Panics on bool, and on an axis without elements.
    #[track_caller]
    #[must_use]
    pub fn nanmedian(&self, axis: isize) -> (Tensor, Tensor) {
        let _called = Called::op("nanmedian");
        demand!(self.size(axis) > 0, "nanmedian: axis {axis} has no elements");
        let order = self.argsort(axis, false);
        // NaN come last.
        let count = self.is_nan().logical_not().cast(DType::I32).sum_keepdim(axis);
        let middle = count.sub(1).div(2).maximum(0);
        let index = order.gather(axis, &middle);
        (self.gather(axis, &index).squeeze(axis), index.squeeze(axis))
    }

    /// Quantiles along an axis, each `0 <= q <= 1`: `[Q, ..]` with the axis dropped. NaN if there is one;
    /// floats only. PyTorch: `quantile`, NumPy's `quantile`.
    ///
    /// Panics on an axis without elements, or if a `q` is outside of its range.
    #[track_caller]
    #[must_use]
    pub fn quantiles(&self, q: &[f64], axis: isize, interpolation: Interpolation) -> Tensor {
        self.quantiles_at("quantiles", numbers("quantiles", q), axis, interpolation, false)
    }

    /// As [`Tensor::quantiles`], for parts `[Q]` of floats that are themselves computed; gradients flow to them,
    /// too, where interpolation is linear. Those outside of 0 to 1 are taken as the nearer end. PyTorch:
    /// `quantile` of a tensor.
    ///
    /// Panics as [`Tensor::quantiles`], and if the parts are no line.
    #[track_caller]
    #[must_use]
    pub fn quantiles_of(&self, q: &Tensor, axis: isize, interpolation: Interpolation) -> Tensor {
        let parts = computed("quantiles_of", q);
        self.quantiles_at("quantiles_of", parts, axis, interpolation, false)
    }

    /// As [`Tensor::quantiles`], of what is not NaN; NaN where all are. PyTorch: `nanquantile`.
    ///
    /// Panics as [`Tensor::quantiles`].
    #[track_caller]
    #[must_use]
    pub fn nanquantiles(&self, q: &[f64], axis: isize, interpolation: Interpolation) -> Tensor {
        self.quantiles_at("nanquantiles", numbers("nanquantiles", q), axis, interpolation, true)
    }

    /// As [`Tensor::quantiles_of`], of what is not NaN; NaN where all are. PyTorch: `nanquantile` of a tensor.
    ///
    /// Panics as [`Tensor::quantiles_of`].
    #[track_caller]
    #[must_use]
    pub fn nanquantiles_of(&self, q: &Tensor, axis: isize, interpolation: Interpolation) -> Tensor {
        let parts = computed("nanquantiles_of", q);
        self.quantiles_at("nanquantiles_of", parts, axis, interpolation, true)
    }

    #[track_caller]
    fn quantiles_at(
        &self,
        op: &'static str,
        q: Vec<Operand>,
        axis: isize,
        interpolation: Interpolation,
        without_nan: bool,
    ) -> Tensor {
        let _called = Called::op(op);
        self.require_float(op);
        let size = self.size(axis);
        demand!(size > 0, "{op}: axis {axis} has no elements");
        let sorted = self.wide().movedim(axis, -1).sort(-1, false).0;
        let greatest = sorted.narrow(-1, size - 1, 1).squeeze(-1).unsqueeze(0);
        let last = match without_nan {
            true => sorted.is_nan().logical_not().cast(sorted.dtype()).sum(-1).plus(-1.0),
            false => Tensor::constant((), (size - 1) as f64, sorted.dtype(), self.device()),
        };
        let found = sorted.at_shares(q, &last.maximum(0.0).detach(), interpolation);
        match without_nan {
            true => found.cast(self.dtype()),
            false => greatest.is_nan().select(&greatest, found).cast(self.dtype()),
        }
    }

    /// The elements of sorted rows at parts of the place of their last: `[.., N]`, `[..]` or one for all.
    #[track_caller]
    fn at_shares(&self, q: Vec<Operand>, last: &Tensor, interpolation: Interpolation) -> Tensor {
        let rows = shape_rules::without(self.shape(), [self.rank() - 1].into_iter().collect());
        let at = |place: &Tensor| {
            let place = place.cast(DType::I32).expand_to(rows);
            self.gather(-1, &place.unsqueeze(-1)).squeeze(-1)
        };
        let parts = q.into_iter().map(|q| {
            let place = last.mul(q);
            let (low, high) = (place.floor(), place.ceil());
            match interpolation {
                Interpolation::Lower => at(&low),
                Interpolation::Higher => at(&high),
                Interpolation::Nearest => at(&place.round()),
                Interpolation::Midpoint => at(&low).add(at(&high)).times(0.5),
                Interpolation::Linear => {
                    let (below, above) = (at(&low), at(&high));
                    below.add(above.sub(&below).mul(place.sub(low)))
                }
            }
        });
        let parts: Vec<Tensor> = parts.collect();
        if parts.is_empty() {
            let none: Shape = std::iter::once(0).chain(rows.iter().copied()).collect();
            return Tensor::zeros(none, self.dtype(), self.device());
        }
        Tensor::stack(&parts, 0)
    }

    /// The most frequent element along an axis (the smallest of several) and the index (`i32`) of the last
    /// such, which alone gets the gradient. Each NaN is an element of its own. The axis is dropped. PyTorch:
    /// `mode`.
    ///
    /// Panics on bool, and on an axis without elements.
    #[track_caller]
    #[must_use]
    pub fn mode(&self, axis: isize) -> (Tensor, Tensor) {
        let _called = Called::op("mode");
        let size = self.size(axis);
        demand!(size > 0, "mode: axis {axis} has no elements");
        let (sorted, order) = self.detach().sort(axis, false);
        let place = Tensor::iota(*self.shape(), axis, self.device());
        let before = sorted.narrow(axis, 0, size - 1);
        let begins = sorted.narrow(axis, 1, size - 1).ne(before);
        let first =
            Tensor::ones(self.shape().with(self.axis("mode", axis), 1), DType::Bool, self.device());
        let begins = Tensor::concat(&[first, begins], axis);
        // How many equal ones have come, at each place: the run that is longest first wins.
        let (start, _) = begins.select(&place, 0).cummax(axis);
        let last = place.sub(start).argmax_keepdim(axis);
        let index = order.gather(axis, &last);
        (self.gather(axis, &index).squeeze(axis), index.squeeze(axis))
    }

    /// The slope along an axis of a function that this tensor samples, at each element: differences of the two
    /// neighbours, and at the ends of the element and its neighbour. `edge_order` 2 uses three elements at the
    /// ends, too. The distance is one number, or the coordinates `[N]`. Floats only. PyTorch: `gradient`,
    /// which takes several axes.
    ///
    /// Panics if the axis has not more elements than `edge_order`, which is 1 or 2, or coordinates do not fit.
    #[track_caller]
    #[must_use]
    pub fn gradient(&self, axis: isize, spacing: impl Into<Operand>, edge_order: usize) -> Tensor {
        let _called = Called::op("gradient");
        self.require_float("gradient");
        let size = self.size(axis);
        demand!(matches!(edge_order, 1 | 2), "gradient: edge order {edge_order} is not 1 or 2");
        demand!(
            size > edge_order,
            "gradient: {size} elements along axis {axis}; edge order {edge_order} needs {}",
            edge_order + 1
        );
        let x = self.wide();
        let steps = self.steps(axis, spacing.into());
        // Slopes between neighbours.
        let between = x.narrow(axis, 1, size - 1).sub(x.narrow(axis, 0, size - 1)).div(&steps);
        let part = |from: &Tensor, start: usize, length: usize| from.narrow(axis, start, length);
        let (left, right) = (part(&steps, 0, size - 2), part(&steps, 1, size - 2));
        // Of the parabola through three elements.
        let inside = part(&between, 0, size - 2)
            .mul(&right)
            .add(part(&between, 1, size - 2).mul(&left))
            .div(left.add(&right));
        let (mut first, mut last) = (part(&between, 0, 1), part(&between, size - 2, 1));
        if edge_order == 2 {
            let bend = |at: usize| {
                let (one, other) = (part(&between, at, 1), part(&between, at + 1, 1));
                other.sub(one).div(part(&steps, at, 1).add(part(&steps, at + 1, 1)))
            };
            first = first.sub(bend(0).mul(part(&steps, 0, 1)));
            last = last.add(bend(size - 3).mul(part(&steps, size - 2, 1)));
        }
        Tensor::concat(&[first, inside, last], axis).cast(self.dtype())
    }

    /// Distances between neighbours along an axis, in the shape of one of the tensor's lines.
    #[track_caller]
    fn steps(&self, axis: isize, spacing: Operand) -> Tensor {
        let size = self.size(axis);
        let line = {
            let mut line = vec![1; self.rank()];
            line[self.axis("gradient", axis)] = size - 1;
            Shape::new(&line)
        };
        let dtype = self.wide().dtype();
        match spacing {
            Operand::Scalar(distance) => {
                Tensor::full(line, distance.as_f64(), dtype, self.device())
            }
            Operand::Tensor(distance) if distance.rank() == 0 => {
                distance.cast(dtype).expand_to(line)
            }
            Operand::Tensor(points) => {
                demand!(
                    points.shape()[..] == [size],
                    "gradient: coordinates {} of {size} elements along axis {axis}",
                    points.shape()
                );
                let points = points.cast(dtype);
                let steps = points.narrow(0, 1, size - 1).sub(points.narrow(0, 0, size - 1));
                steps.reshape_to(line)
            }
        }
    }
}

/// Numbers between 0 and 1.
#[track_caller]
fn numbers(op: &str, q: &[f64]) -> Vec<Operand> {
    for q in q {
        demand!((0.0..=1.0).contains(q), "{op}: {q} is not between 0 and 1");
    }
    q.iter().map(|&q| Operand::from(q)).collect()
}

/// Numbers of a line, taken as between 0 and 1.
#[track_caller]
fn computed(op: &str, q: &Tensor) -> Vec<Operand> {
    q.require_float(op);
    demand!(q.rank() == 1, "{op}: the parts are a line [Q], not {}", q.shape());
    let q = q.wide().clamp(0.0, 1.0);
    (0..q.count()).map(|index| Operand::from(q.index(0, index as isize))).collect()
}
