//! Parts of a tensor replaced by other elements: what a slice, an index or a diagonal would give; and views
//! by strides, and writing through them.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{Shape, Tensor, shape_rules};

use super::slice::SliceRange;

impl Tensor {
    /// This tensor with `source` in place of what a range takes along an axis, `s![..]`'s entries:
    /// `x.slice_scatter(&source, 0, 2..6)`, with a step `SliceRange::from(2..6).with_step(2)`.
    /// PyTorch: `torch.slice_scatter`.
    ///
    /// Panics if the axis is out of range, the entry is no range, or the source has not the shape and dtype of
    /// what it replaces.
    #[track_caller]
    #[must_use]
    pub fn slice_scatter(
        &self,
        source: &Tensor,
        axis: isize,
        range: impl Into<SliceRange>,
    ) -> Tensor {
        const OP: &str = "slice_scatter";
        let at = self.axis(OP, axis);
        shape_rules::same_dtype(OP, self.dtype(), source.dtype()).or_fail();
        let SliceRange::Range { start, end, step } = range.into() else {
            Called::fail(format_args!(
                "{OP}: needs a range; for one index there is `select_scatter`"
            ));
        };
        let size = self.shape()[at];
        demand!(step != 0, "{OP}: a step of 0");
        let taken = super::slice::Taken::new(start, end, step, size);
        let expected = self.shape().with(at, taken.count);
        let given = source.shape();
        demand!(*given == expected, "{OP}: the source has shape {given}, not {expected}");
        if taken.count == 0 {
            return self.clone();
        }
        let source = if taken.reversed { source.flip(axis) } else { source.clone() };
        let after = |from: usize| self.narrow(axis, from, size - from);
        if taken.step == 1 {
            let parts =
                [self.narrow(axis, 0, taken.start), source, after(taken.start + taken.count)];
            return Tensor::concat(&parts, axis);
        }
        // Which element of the source stands at each place, if one does.
        let place = Tensor::iota([size], 0, self.device()).sub(taken.start as i64);
        let number = place.div(taken.step as i64);
        let inside = place.ge(0).logical_and(number.lt(taken.count as i64));
        let there = inside.logical_and(number.mul(taken.step as i64).eq(&place));
        let number = number.maximum(0).minimum(taken.count as i64 - 1);
        let mut aligned = vec![1; self.rank()];
        aligned[at] = size;
        let there = there.reshape_to(Shape::new(&aligned)).expand_to(*self.shape());
        there.select(source.take(axis, &number), self)
    }

    /// This tensor with `source` in place of one index of an axis, negative from the end. PyTorch:
    /// `torch.select_scatter`.
    ///
    /// Panics if the axis or index is out of range, or the source has not the shape and dtype of what it
    /// replaces.
    #[track_caller]
    #[must_use]
    pub fn select_scatter(&self, source: &Tensor, axis: isize, index: isize) -> Tensor {
        const OP: &str = "select_scatter";
        let _called = Called::op(OP);
        let at = self.axis(OP, axis);
        let size = self.shape()[at];
        let place = if index < 0 { index.saturating_add(size as isize) } else { index };
        demand!(
            (0..size as isize).contains(&place),
            "{OP}: index {index} out of range for axis {axis} of size {size}"
        );
        let expected = shape_rules::without(self.shape(), [at].into_iter().collect());
        let given = source.shape();
        demand!(*given == expected, "{OP}: the source has shape {given}, not {expected}");
        let column = source.reshape_to(self.shape().with(at, 1));
        self.slice_scatter(&column, axis, place..place + 1)
    }

    /// This tensor with `source` in place of the [`diagonal`](Tensor::diagonal) of two axes. PyTorch:
    /// `torch.diagonal_scatter`.
    ///
    /// Panics if the axes are equal or out of range, or the source has not the shape and dtype of the diagonal.
    #[track_caller]
    #[must_use]
    pub fn diagonal_scatter(
        &self,
        source: &Tensor,
        offset: isize,
        first: isize,
        second: isize,
    ) -> Tensor {
        const OP: &str = "diagonal_scatter";
        let (a, b) = (self.axis(OP, first), self.axis(OP, second));
        demand!(a != b, "{OP}: one axis, {first}, has no diagonal");
        shape_rules::same_dtype(OP, self.dtype(), source.dtype()).or_fail();
        let expected = *self.diagonal(offset, first, second).shape();
        let given = source.shape();
        demand!(*given == expected, "{OP}: the source has shape {given}, not {expected}");
        let length = expected[expected.rank() - 1];
        if length == 0 {
            return self.clone();
        }
        let mut order: Vec<isize> = (0..self.rank() as isize).collect();
        order.retain(|&axis| axis != a as isize && axis != b as isize);
        order.extend([a as isize, b as isize]);
        let mut back = vec![0; order.len()];
        for (place, &axis) in order.iter().enumerate() {
            back[axis as usize] = place as isize;
        }
        let matrices = self.permute(&order);
        let (rows, columns) = (self.shape()[a], self.shape()[b]);
        let matrix = Shape::new(&[rows, columns]);
        let along = |axis: isize| Tensor::iota(matrix, axis, self.device());
        let there = along(1).sub(along(0)).eq(offset as i64);
        // The diagonal as a column beside the rows that it meets, so that each row has its own element.
        let down = offset.min(0).unsigned_abs();
        let mut padding = vec![(0, 0); source.rank()];
        padding[source.rank() - 1] = (down, rows - down - length);
        let column = source.pad(&padding).unsqueeze(-1).expand_to(*matrices.shape());
        there.expand_to(*matrices.shape()).select(column, &matrices).permute(&back)
    }

    /// Elements of this tensor in row-major order by strides: element `[i, j, ..]` of the result is number
    /// `offset + i strides[0] + j strides[1] + ..`. Windows may overlap. A copy, and PyTorch's
    /// `torch.as_strided` of a tensor that lies in memory in row-major order.
    ///
    /// Panics if an element is named that is not there, or there is not one stride for each size.
    #[track_caller]
    #[must_use]
    pub fn as_strided(&self, sizes: &[usize], strides: &[usize], offset: usize) -> Tensor {
        let _called = Called::op("as_strided");
        let place = self.strided("as_strided", sizes, strides, offset);
        let line = self.reshape_to(Shape::new(&[self.count()]));
        if place.count() == 0 {
            return line.narrow(0, 0, 0).reshape_to(*place.shape());
        }
        line.take(0, &place)
    }

    /// This tensor with `source` in place of the elements that [`Tensor::as_strided`] with the sizes of the
    /// source would give; the last of several at one place stays. PyTorch: `torch.as_strided_scatter`.
    ///
    /// Panics if an element is named that is not there, or dtypes differ.
    #[track_caller]
    #[must_use]
    pub fn as_strided_scatter(&self, source: &Tensor, strides: &[usize], offset: usize) -> Tensor {
        let _called = Called::op("as_strided_scatter");
        let place = self.strided("as_strided_scatter", source.shape(), strides, offset);
        self.put(&place, source, false)
    }

    #[track_caller]
    fn strided(&self, op: &str, sizes: &[usize], strides: &[usize], offset: usize) -> Tensor {
        demand!(
            sizes.len() == strides.len(),
            "{op}: {} strides for {} sizes",
            strides.len(),
            sizes.len()
        );
        let shape = Shape::new(sizes);
        let reach = sizes.iter().zip(strides).try_fold(offset, |reach, (&size, &stride)| {
            stride.checked_mul(size.saturating_sub(1)).and_then(|far| reach.checked_add(far))
        });
        demand!(
            shape.count() == 0 || reach.is_some_and(|reach| reach < self.count()),
            "{op}: sizes {sizes:?} by strides {strides:?} from {offset} reach beyond the {} elements \
             of shape {}",
            self.count(),
            self.shape()
        );
        demand!(
            i32::try_from(self.count()).is_ok(),
            "{op}: shape {} has more elements than i32 counts",
            self.shape()
        );
        let start = if shape.count() == 0 { 0 } else { offset as i64 };
        let zero = Tensor::zeros(shape, crate::DType::I32, self.device());
        let mut place = zero.add(zero.constant_like(start));
        for (axis, &stride) in strides.iter().enumerate().filter(|&(axis, _)| sizes[axis] > 1) {
            let step = Tensor::iota(shape, axis as isize, self.device());
            place = place.add(step.mul(step.constant_like(stride as i64)));
        }
        place
    }
}
