//! Writing a part of a tensor at a place that is itself a tensor: how a sequence's cache grows.

use crate::error::OrFail;
use crate::op::Op;
use crate::shape_rules::structured;
use crate::{Shape, Tensor};

impl Tensor {
    /// This tensor with `update` in place of the elements from `start[b]` along `axis`, for each `b` of
    /// the first axis: data `[B, .., S, ..]`, update `[B, .., T, ..]`, start `[B]` (`i32`).
    ///
    /// [`commit`](crate::commit) writes into the data's memory if nobody else holds it, so a cache
    /// that is filled step by step is never copied. A start outside `0..=S - T` fails the evaluation.
    ///
    /// Panics if shapes or dtypes do not fit, or the axis is the first. The gradient goes to both.
    /// JAX: `vmap(lax.dynamic_update_slice)`.
    #[track_caller]
    #[must_use]
    pub fn write(&self, axis: isize, start: &Tensor, update: &Tensor) -> Tensor {
        let axis = self.axis("write", axis);
        structured::write(self.shape(), update.shape(), start.shape(), axis).or_fail();
        crate::shape_rules::same_dtype("write", self.dtype(), update.dtype()).or_fail();
        let places = self.shape()[axis] - update.shape()[axis] + 1;
        let start = start.checked_index(places, "write");
        let inputs = vec![self.clone(), update.clone(), start];
        Tensor::from_op(Op::Write { axis }, inputs, *self.shape(), self.dtype(), self.device())
    }

    /// The index along `axis` of every element that [`Tensor::write`] writes, in the update's shape.
    #[must_use]
    pub fn written_index(start: &Tensor, axis: usize, shape: Shape) -> Tensor {
        let mut ones = Shape::new(&[start.size(0)]);
        while ones.rank() < shape.rank() {
            ones = ones.iter().copied().chain([1]).collect();
        }
        let first = start.reshape(ones).expand_to(shape);
        &first + &Tensor::iota(shape, axis as isize, start.device())
    }
}
