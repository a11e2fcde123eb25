//! Reductions of segments: neighbouring elements of an axis, as many for each segment as a tensor says.

use crate::error::OrFail;
use crate::{DType, Scalar, Shape, Tensor, shape_rules};

use super::scatter::ScatterReduction;

impl Tensor {
    /// Reduces the segments of an axis, whose lengths are integers `[.., S]`: `[.., N, rest] -> [.., S, rest]`
    /// with the axes before the last of the lengths in common. Elements beyond the last segment count for none.
    ///
    /// What a segment begins with is `initial`, or what changes nothing: 0, 1, an infinity; a mean of nothing
    /// is NaN then. A mean is the sum, with what it begins with, divided by the length. Floats. Panics if
    /// shapes do not fit. PyTorch: `torch.segment_reduce(lengths=...)`.
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
        shape_rules::int("segment_reduce", lengths.dtype()).or_fail();
        let axis = lengths.axis("segment_reduce", -1);
        let mut padding = vec![(0, 0); lengths.rank()];
        padding[axis] = (1, 0);
        let offsets = lengths.cast(DType::I32).cumsum(-1).pad(&padding);
        self.segment_reduce_offsets(&offsets, reduction, initial)
    }

    /// [`Tensor::segment_reduce`] with segment `s` from element `offsets[.., s]` to `offsets[.., s + 1]`,
    /// excluded: offsets `[.., S + 1]`, ascending. PyTorch: `torch.segment_reduce(offsets=...)`.
    ///
    /// Panics if shapes do not fit.
    #[track_caller]
    #[must_use]
    pub fn segment_reduce_offsets(
        &self,
        offsets: &Tensor,
        reduction: ScatterReduction,
        initial: Option<f64>,
    ) -> Tensor {
        const OP: &str = "segment_reduce";
        let dtype = shape_rules::float(OP, self.dtype()).or_fail();
        shape_rules::int(OP, offsets.dtype()).or_fail();
        let axis = offsets.axis(OP, -1);
        let (shape, given) = (*self.shape(), *offsets.shape());
        assert!(
            axis < shape.rank() && shape[..axis] == given[..axis] && given[axis] > 0,
            "{OP}: offsets {given} do not fit elements {shape}"
        );
        let count = given[axis] - 1;
        let offsets = offsets.cast(DType::I32);
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
