//! Writing whole slices of an axis, which an index of one axis names.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{DType, Shape, Tensor, shape_rules};

use super::elementwise::Operand;
use super::scatter::{Places, ScatterReduction};

impl Tensor {
    /// As [`Tensor::scatter_reduce`], with an index of one axis that names slices of this tensor along `axis`,
    /// one for each slice of the updates. PyTorch: `torch.Tensor.index_reduce`.
    ///
    /// Panics if shapes or dtypes do not fit; an index out of range fails the evaluation.
    #[track_caller]
    #[must_use]
    pub fn index_reduce(
        &self,
        axis: isize,
        index: &Tensor,
        updates: &Tensor,
        reduction: ScatterReduction,
        include_self: bool,
    ) -> Tensor {
        const OP: &str = "index_reduce";
        let (line, places, updates) = slices(OP, self, axis, index, updates);
        let reduced = line.scattered(OP, &places, &updates, reduction, include_self);
        reduced.reshape_to(*self.shape())
    }

    /// This tensor plus `alpha` (a whole number beside integers) times the updates, each slice of which is added to the slice along `axis` that
    /// an index of one axis names. PyTorch: `torch.index_add`.
    ///
    /// Panics if shapes or dtypes do not fit; an index out of range fails the evaluation.
    #[track_caller]
    #[must_use]
    pub fn index_add(&self, axis: isize, index: &Tensor, updates: &Tensor, alpha: f64) -> Tensor {
        const OP: &str = "index_add";
        let dtype = shape_rules::same_dtype(OP, self.dtype(), updates.dtype()).or_fail();
        shape_rules::number(OP, dtype).or_fail();
        let (line, places, updates) = slices(OP, self, axis, index, updates);
        let _called = Called::op(OP);
        let updates = if alpha == 1.0 { updates } else { updates.mul(updates.full_like(alpha)) };
        line.add(places.sums(&updates)).reshape_to(*self.shape())
    }

    /// This tensor with the slices of the updates in place of those along `axis` that an index of one axis
    /// names; the last of several stays. PyTorch: `torch.index_copy`.
    ///
    /// Panics if shapes or dtypes do not fit; an index out of range fails the evaluation.
    #[track_caller]
    #[must_use]
    pub fn index_copy(&self, axis: isize, index: &Tensor, updates: &Tensor) -> Tensor {
        const OP: &str = "index_copy";
        shape_rules::same_dtype(OP, self.dtype(), updates.dtype()).or_fail();
        let (line, places, updates) = slices(OP, self, axis, index, updates);
        places.sorted(&updates).write_last(&line).reshape_to(*self.shape())
    }

    /// This tensor with `value`, a number or a tensor of no axes, in the slices along `axis` that an index of
    /// one axis names; negative ones count from the end. PyTorch: `torch.index_fill`.
    ///
    /// Panics if shapes or dtypes do not fit; an index out of range fails the evaluation.
    #[track_caller]
    #[must_use]
    pub fn index_fill(&self, axis: isize, index: &Tensor, value: impl Into<Operand>) -> Tensor {
        const OP: &str = "index_fill";
        let _called = Called::op(OP);
        let line = self.atleast_1d();
        let at = line.axis(OP, axis);
        let index = index.atleast_1d();
        demand!(index.rank() == 1, "{OP}: the index has shape {}, not one axis", index.shape());
        let named = Tensor::ones([index.count()], DType::I32, self.device());
        let size = line.shape()[at];
        shape_rules::int(OP, index.dtype()).or_fail();
        let counts = Tensor::scatter_add_zeros([size], 0, &index.counted_from_end(size), &named);
        let mut aligned = vec![1; line.rank()];
        aligned[at] = size;
        let there = counts.gt(0).reshape_to(Shape::new(&aligned)).expand_to(*line.shape());
        let value = match value.into() {
            Operand::Tensor(value) => {
                demand!(value.rank() == 0, "{OP}: the value has shape {}, not []", value.shape());
                Operand::Tensor(value)
            }
            number => number,
        };
        line.masked_fill(&there, value).reshape_to(*self.shape())
    }
}

/// A tensor, its places by an index of one axis, and the updates; those without axes as lines.
#[track_caller]
fn slices(
    op: &'static str,
    x: &Tensor,
    axis: isize,
    index: &Tensor,
    updates: &Tensor,
) -> (Tensor, Places, Tensor) {
    let (line, index, updates) = (x.atleast_1d(), index.atleast_1d(), updates.atleast_1d());
    let at = line.axis(op, axis);
    let expected = line.shape().with(at, index.count());
    demand!(
        index.rank() == 1 && *updates.shape() == expected,
        "{op}: updates of an index {} along axis {axis} of {} have shape {expected}, not {}",
        index.shape(),
        x.shape(),
        updates.shape()
    );
    let places = Places::of_lines(op, &line, at, &index);
    (line, places, updates)
}
