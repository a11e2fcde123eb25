//! Reductions of segments: neighbouring elements of an axis, as many for each segment as a tensor says.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{DType, Scalar, Shape, Tensor, shape_rules};

use super::scatter::ScatterReduction;

impl Tensor {
    /// Reduces the segments of an axis, whose lengths are integers `[.., S]`: `[.., N, rest] -> [.., S, rest]`
    /// with the axes before the last of the lengths in common.
    ///
    /// What a segment begins with is `initial`, or what changes nothing: 0, 1, an infinity; a mean of nothing
    /// is NaN then. A mean is the sum, with what it begins with, divided by the length. Floats. Panics if
    /// shapes do not fit; lengths that are negative or do not fill the axis fail the evaluation. PyTorch:
    /// `torch.segment_reduce(lengths=...)`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # use gradloom_tensor::ops::scatter::ScatterReduction;
    /// # fn example(device: &gradloom_tensor::Device) -> gradloom_tensor::Result<()> {
    /// let x = Tensor::from_vec(vec![1f32, 2.0, 3.0], [3], device)?;
    /// let lengths = Tensor::from_vec(vec![2i32, 0, 1], [3], device)?;
    /// let sums = x.segment_reduce(&lengths, ScatterReduction::Sum, None);
    /// assert_eq!(sums.to_vec::<f32>()?, [3.0, 0.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn segment_reduce(
        &self,
        lengths: &Tensor,
        reduction: ScatterReduction,
        initial: Option<f64>,
    ) -> Tensor {
        const OP: &str = "segment_reduce";
        const WRONG: &str = "segment_reduce: lengths do not fill the axis; they are at least 0, and their \
                             sum is its size";
        let _called = Called::op(OP);
        shape_rules::int(OP, lengths.dtype()).or_fail();
        let axis = lengths.axis(OP, -1);
        let size = match self.shape().get(axis) {
            Some(&size) if shape_rules::countable(OP, self.shape(), axis).is_ok() => size,
            _ => Called::fail(format_args!(
                "{OP}: lengths {} do not fit elements {}",
                lengths.shape(),
                self.shape()
            )),
        };
        let mut padding = vec![(0, 0); lengths.rank()];
        padding[axis] = (1, 0);
        // A sum that i32 does not hold passes the size first.
        let each = lengths.check_index(size + 1, WRONG).cast(DType::I32);
        let ends = each.cumsum(-1).check_index(size + 1, WRONG);
        let offsets = ends.pad(&padding);
        let last = offsets.narrow(-1, lengths.shape()[axis], 1);
        let rest = last.neg().add(last.constant_like(size as i64)).check_index(1, WRONG);
        let offsets = offsets.add(rest);
        self.segment_reduce_offsets(&offsets, reduction, initial)
    }

    /// [`Tensor::segment_reduce`] with segment `s` from element `offsets[.., s]` to `offsets[.., s + 1]`,
    /// excluded: offsets `[.., S + 1]`, ascending. Elements before the first and from the last on count for
    /// none. PyTorch: `torch.segment_reduce(offsets=...)`.
    ///
    /// Panics if shapes do not fit; offsets that descend or are outside of the axis fail the evaluation.
    #[track_caller]
    #[must_use]
    pub fn segment_reduce_offsets(
        &self,
        offsets: &Tensor,
        reduction: ScatterReduction,
        initial: Option<f64>,
    ) -> Tensor {
        const OP: &str = "segment_reduce";
        const WRONG: &str = "segment_reduce: offsets descend or are outside of the axis";
        let _called = Called::op(OP);
        let dtype = shape_rules::float(OP, self.dtype()).or_fail();
        shape_rules::int(OP, offsets.dtype()).or_fail();
        let axis = offsets.axis(OP, -1);
        let (shape, given) = (*self.shape(), *offsets.shape());
        demand!(
            axis < shape.rank() && shape[..axis] == given[..axis] && given[axis] > 0,
            "{OP}: offsets {given} do not fit elements {shape}"
        );
        let count = given[axis] - 1;
        shape_rules::countable(OP, &shape, axis).or_fail();
        let offsets = offsets.check_index(shape[axis] + 1, WRONG).cast(DType::I32);
        let (from, to) = (offsets.narrow(-1, 0, count), offsets.narrow(-1, 1, count));
        let descends = to.sub(from).check_index(shape[axis] + 1, WRONG).lt(0).cast(DType::I32);
        // Zeros, which are computed after the check.
        let mut first = vec![(0, 0); offsets.rank()];
        first[axis] = (1, 0);
        let offsets = offsets.add(descends.pad(&first));
        // Those before the first segment and after the last have a place of their own, which is cut off.
        let of_axis = Shape::new(&shape[..=axis]);
        let number = Tensor::iota(of_axis, -1, self.device());
        let segment = offsets.searchsorted(&number, true).sub(1);
        let segment = segment.lt(0).select(segment.constant_like(count as i64), &segment);
        let (nothing, several) = match reduction {
            ScatterReduction::Sum | ScatterReduction::Mean => (0.0, ScatterReduction::Sum),
            ScatterReduction::Prod => (1.0, reduction),
            ScatterReduction::Max => (f64::NEG_INFINITY, reduction),
            ScatterReduction::Min => (f64::INFINITY, reduction),
        };
        let begin = Scalar::Float(initial.unwrap_or(nothing));
        let start =
            Tensor::full(shape.with(axis, count + 1), begin, self.wide().dtype(), self.device());
        let reduced = match axis {
            0 => start.index_reduce(0, &segment, &self.wide(), several, true),
            _ => {
                let mut aligned = shape.to_vec();
                aligned[axis + 1..].fill(1);
                let index = segment.reshape_to(Shape::new(&aligned)).expand_to(shape);
                start.scatter_reduce(axis as isize, &index, &self.wide(), several, true)
            }
        };
        let reduced = reduced.narrow(axis as isize, 0, count);
        if reduction != ScatterReduction::Mean {
            return reduced.cast(dtype);
        }
        let part = |from: usize| offsets.narrow(-1, from, count);
        let lengths = part(1).sub(part(0)).cast(reduced.dtype());
        let mut column = shape.with(axis, count).to_vec();
        column[axis + 1..].fill(1);
        let lengths = lengths.reshape_to(Shape::new(&column));
        let divisor = match initial {
            // What there is of nothing stays as it is.
            Some(_) => lengths.maximum(1.0),
            None => lengths,
        };
        reduced.div(divisor).cast(dtype)
    }
}
