//! Counts of elements between edges.

use crate::called::{Called, demand};
use crate::{DType, Shape, Tensor};

/// How many bins there are, or where their edges are.
#[derive(Clone, Debug)]
pub enum Bins {
    /// So many of equal width, from the least to the greatest element, or a half to both sides of them if they
    /// are equal; from 0 to 1 without elements.
    Count(usize),
    /// So many of equal width between two numbers.
    Range {
        /// How many.
        count: usize,
        /// The first edge.
        low: f64,
        /// The last edge.
        high: f64,
    },
    /// The edges `[B + 1]`, none below the one before it.
    Edges(Tensor),
}

impl From<usize> for Bins {
    fn from(count: usize) -> Bins {
        Bins::Count(count)
    }
}

impl From<&Tensor> for Bins {
    fn from(edges: &Tensor) -> Bins {
        Bins::Edges(edges.clone())
    }
}

impl Tensor {
    /// How many elements are in each of `count` bins of equal width between `low` and `high`: `[count]`, in
    /// this dtype. A bin has its lower edge, the last one both. If `low` and `high` are equal, the least and the
    /// greatest element take their place, or one to both sides if those are equal, too. Elements outside and NaN
    /// are not counted. Floats only; no gradient. PyTorch: `histc`.
    ///
    /// Panics without bins, or if `low` is above `high`. If the elements make the range and are not all finite,
    /// the evaluation fails.
    #[track_caller]
    #[must_use]
    pub fn histc(&self, count: usize, low: f64, high: f64) -> Tensor {
        let op = "histc";
        self.require_float(op);
        check_range(op, count, low, high, self.dtype());
        let x = self.detach().cast(self.finest()).flat();
        let edges = match low == high && x.count() > 0 {
            true => x.range_edges(op, count, 1.0),
            false => x.edges_between(count, low, high, 1.0),
        };
        x.counted_between(&[edges], None).cast(self.dtype())
    }

    /// How many elements are in each bin, `[B]` in this dtype, and the edges of the bins `[B + 1]`. A bin has
    /// its lower edge, the last one both; elements outside and NaN are not counted. With weights, one for each
    /// element, their sums; with `density` divided by the total and the widths, so that the integral is 1.
    /// Floats only; gradients go to the weights. PyTorch: `histogram`.
    ///
    /// Panics without bins, if the range is empty or edges are no line, or if weights have another shape. If
    /// the elements make the range and are not all finite, the evaluation fails.
    #[track_caller]
    #[must_use]
    pub fn histogram(
        &self,
        bins: impl Into<Bins>,
        weight: Option<&Tensor>,
        density: bool,
    ) -> (Tensor, Tensor) {
        let _called = Called::op("histogram");
        self.require_float("histogram");
        if let Some(weight) = weight {
            let (own, given) = (self.shape(), weight.shape());
            demand!(own == given, "histogram: weights {given} of elements {own}");
        }
        let points = self.reshape_to([self.count(), 1].into());
        let weight = weight.map(|weight| weight.reshape_to([weight.count()].into()));
        let (counts, mut edges) = points.histogramdd(&[bins.into()], weight.as_ref(), density);
        (counts, edges.remove(0))
    }

    /// [`Tensor::histogram`] of points `[.., D]`, whose last axis is that of the coordinates: counts
    /// `[B1, .., BD]`, and the edges along each. Weights are one for each point, `[..]`. PyTorch:
    /// `histogramdd`.
    ///
    /// Panics as [`Tensor::histogram`], and unless there are bins for each coordinate.
    #[track_caller]
    #[must_use]
    pub fn histogramdd(
        &self,
        bins: &[Bins],
        weight: Option<&Tensor>,
        density: bool,
    ) -> (Tensor, Vec<Tensor>) {
        let op = Called::name_or("histogramdd");
        self.require_float(op);
        demand!(
            self.shape().last() == Some(&bins.len()) && !bins.is_empty(),
            "{op}: bins of {} coordinates for points {}",
            bins.len(),
            self.shape()
        );
        let points = self.count() / bins.len();
        let x = self.detach().cast(self.finest()).reshape_to([points, bins.len()].into());
        let weight = weight.map(|weight| {
            demand!(
                weight.count() == points,
                "{op}: {} weights of {points} points",
                weight.count()
            );
            weight.cast(x.dtype()).reshape_to([points].into())
        });
        let mut edges = Vec::new();
        for (axis, bins) in bins.iter().enumerate() {
            let line = x.index(1, axis as isize);
            edges.push(match bins {
                Bins::Count(count) => {
                    check_range(op, *count, 0.0, 0.0, self.dtype());
                    match points {
                        0 => line.edges_between(*count, 0.0, 1.0, 0.5),
                        _ => line.range_edges(op, *count, 0.5),
                    }
                }
                Bins::Range { count, low, high } => {
                    check_range(op, *count, *low, *high, self.dtype());
                    line.edges_between(*count, *low, *high, 0.5)
                }
                Bins::Edges(edges) => {
                    let shape = edges.shape();
                    demand!(
                        shape.rank() == 1 && shape[0] >= 2,
                        "{op}: edges are two or more in a line, not {shape}"
                    );
                    edges.detach().cast(x.dtype())
                }
            });
        }
        let mut counts = x.counted_between(&edges, weight.as_ref());
        if density {
            counts = counts.div(counts.sum(..));
            for (axis, edges) in edges.iter().enumerate() {
                let count = edges.count() - 1;
                let widths = edges.narrow(0, 1, count).sub(edges.narrow(0, 0, count));
                let mut shape = vec![1; counts.rank()];
                shape[axis] = count;
                counts = counts.div(widths.reshape_to(Shape::new(&shape)));
            }
        }
        let edges = edges.into_iter().map(|edges| edges.cast(self.dtype())).collect();
        (counts.cast(self.dtype()), edges)
    }

    /// All elements in a line.
    #[track_caller]
    pub(crate) fn flat(&self) -> Tensor {
        self.reshape_to([self.count()].into())
    }

    /// Edges of bins between the least and the greatest element, or `apart` to both sides if they are equal.
    #[track_caller]
    fn range_edges(&self, op: &str, count: usize, apart: f64) -> Tensor {
        let (low, high) = (self.min(..), self.max(..));
        let finite = low.is_finite().logical_and(high.is_finite());
        let nothing = finite.zero_if_true(match op {
            "histc" => "histc: elements that are not finite have no range; give one",
            "histogram" => "histogram: elements that are not finite have no range; give one",
            _ => "histogramdd: elements that are not finite have no range; give one",
        });
        let low = low.add(nothing.cast(low.dtype()));
        let equal = low.eq(&high);
        let low = equal.select(low.plus(-apart), &low);
        let high = equal.select(high.plus(apart), &high);
        Tensor::linspace_between(&low, &high, count + 1)
    }

    /// Edges of bins between two numbers, or `apart` to both sides if they are equal.
    #[track_caller]
    fn edges_between(&self, count: usize, low: f64, high: f64, apart: f64) -> Tensor {
        let apart = if low == high { apart } else { 0.0 };
        Tensor::linspace(low - apart, high + apart, count + 1, self.dtype(), self.device())
    }

    /// Points `[N, D]` (or `[N]`) counted between edges along each coordinate.
    #[track_caller]
    fn counted_between(&self, edges: &[Tensor], weight: Option<&Tensor>) -> Tensor {
        let points = self.shape()[0];
        let sizes: Vec<usize> = edges.iter().map(|edges| edges.count() - 1).collect();
        let total: usize = sizes.iter().product();
        let outside = |inside: &Tensor| inside.logical_not();
        let (mut place, mut none) = (None, None);
        for (axis, edges) in edges.iter().enumerate() {
            let x = if self.rank() == 1 { self.clone() } else { self.index(1, axis as isize) };
            let count = sizes[axis];
            let (first, last) = (edges.narrow(0, 0, 1), edges.narrow(0, count, 1));
            let inside = x.ge(first).logical_and(x.le(last));
            // NaN is after all edges, and outside.
            let bin = edges.searchsorted(&x, true).sub(1).clamp(0, count as i64 - 1);
            place = Some(match place {
                None => bin,
                Some(place) => Tensor::mul(&place, count as i64).add(bin),
            });
            none = Some(match none {
                None => outside(&inside),
                Some(none) => Tensor::logical_or(&none, outside(&inside)),
            });
        }
        let (Some(place), Some(none)) = (place, none) else {
            Called::fail(format_args!("histogramdd: no coordinates"));
        };
        let ones = || Tensor::ones([points], self.dtype(), self.device());
        let weight = weight.cloned().unwrap_or_else(ones);
        // What is outside has a place of its own, which is dropped.
        let place = none.select(total as i64, place);
        let counts = Tensor::scatter_add_zeros([total + 1], 0, &place, &weight);
        counts.narrow(0, 0, total).reshape_to(Shape::new(&sizes))
    }

    /// `count` numbers at equal distances from one number to another, `[] -> [count]`, both included: as
    /// [`Tensor::linspace`], between what is computed. Floats meet in their dtype, integers become f32. PyTorch:
    /// `linspace` of tensors.
    ///
    /// Panics if an end has more than one element.
    #[track_caller]
    #[must_use]
    pub fn linspace_between(start: &Tensor, end: &Tensor, count: usize) -> Tensor {
        let _called = Called::op("linspace");
        for (name, tensor) in [("start", start), ("end", end)] {
            let shape = tensor.shape();
            demand!(tensor.count() == 1, "linspace: the {name} has shape {shape}, not one element");
        }
        let met = start.result_type(end);
        let dtype = if met.is_float() { met } else { DType::F32 };
        let number = |x: &Tensor| x.cast(dtype).wide().reshape_to(Shape::SCALAR);
        let (start, end) = (number(start), number(end));
        let index = Tensor::arange(count, start.device());
        let compute = index.cast(start.dtype());
        if count < 2 {
            return compute.add(&start).cast(dtype);
        }
        // Half the distance, as that of two large numbers of different signs is infinite.
        let half = end.times(0.5).sub(start.times(0.5)).times(1.0 / (count - 1) as f64);
        let forward = compute.mul(&half).times(2.0).add(&start);
        // The second half counts back from the end, so that both ends are exact.
        let backward = compute.plus(-((count - 1) as f64)).mul(&half).times(2.0).add(&end);
        index.lt(index.constant_like((count / 2) as i64)).select(forward, backward).cast(dtype)
    }

    /// Powers of a base, at equal distances of their exponents from `start` to `end`, both included; floats
    /// only. PyTorch: `logspace`.
    ///
    /// Panics if the base is not positive.
    #[track_caller]
    #[must_use]
    pub fn logspace(
        start: f64,
        end: f64,
        count: usize,
        base: f64,
        dtype: DType,
        device: &crate::Device,
    ) -> Tensor {
        let _called = Called::op("logspace");
        check_base(base);
        let exponents = Tensor::linspace(start, end, count, dtype.compute(), device);
        exponents.mul(base.log2()).exp2().cast(dtype)
    }

    /// As [`Tensor::logspace`], between what is computed: `[] -> [count]`. PyTorch: `logspace` of tensors.
    ///
    /// Panics if an end has more than one element, or the base is not positive.
    #[track_caller]
    #[must_use]
    pub fn logspace_between(start: &Tensor, end: &Tensor, count: usize, base: f64) -> Tensor {
        let _called = Called::op("logspace");
        check_base(base);
        let exponents = Tensor::linspace_between(start, end, count);
        exponents.wide().mul(base.log2()).exp2().cast(exponents.dtype())
    }
}

#[track_caller]
fn check_base(base: f64) {
    demand!(base > 0.0 && base.is_finite(), "logspace: the base {base} is not a positive number");
}

#[track_caller]
fn check_range(op: &str, count: usize, low: f64, high: f64, dtype: DType) {
    demand!(count > 0, "{op}: no bins");
    demand!(
        i32::try_from(count).is_ok_and(|count| count < i32::MAX),
        "{op}: {count} bins, more than i32 counts"
    );
    let holds = |end: f64| end.is_finite() && (dtype == DType::F64 || (end as f32).is_finite());
    demand!(
        low <= high && holds(low) && holds(high),
        "{op}: no range from {low} to {high} in {dtype}"
    );
}
