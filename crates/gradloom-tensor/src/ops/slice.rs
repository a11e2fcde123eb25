//! Slicing with NumPy's rules: `x.slice(s![.., 1..3, -1])`, and its simpler forms.

use std::ops::{Range, RangeFrom, RangeFull, RangeTo};

use crate::called::{Called, demand};
use crate::op::{Axes, Op};
use crate::shape::RANK_MAX;
use crate::{Shape, Tensor};

/// What a slice does with one axis. The macro [`s!`](crate::s) makes these from ranges and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceRange {
    /// Elements from `start` towards `end`, excluded; negative bounds count from the end, and bounds
    /// outside are moved to the nearest that exists.
    Range {
        /// First index; `None` is where the step's direction begins.
        start: Option<isize>,
        /// First index that is not taken; `None` is beyond the last.
        end: Option<isize>,
        /// Distance between elements; negative goes backwards.
        step: isize,
    },
    /// One index; the axis disappears.
    Index(isize),
    /// A new axis of size one.
    NewAxis,
}

/// In [`s!`](crate::s): a new axis of size one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewAxis;

/// What [`Tensor::slice`] takes: one entry per axis, missing ones take everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice(Vec<SliceRange>);

impl Slice {
    /// From one entry per axis.
    pub fn new(ranges: Vec<SliceRange>) -> Self {
        Slice(ranges)
    }
}

impl SliceRange {
    /// The same range with another step.
    ///
    /// # Panics
    /// If the step is 0, or this is no range.
    #[track_caller]
    #[must_use]
    pub fn with_step(self, step: isize) -> Self {
        demand!(step != 0, "slice: the step is 0");
        match self {
            SliceRange::Range { start, end, .. } => SliceRange::Range { start, end, step },
            other => Called::fail(format_args!("slice: a step needs a range, not {other:?}")),
        }
    }
}

impl From<NewAxis> for SliceRange {
    fn from(_: NewAxis) -> Self {
        SliceRange::NewAxis
    }
}

impl From<RangeFull> for SliceRange {
    fn from(_: RangeFull) -> Self {
        SliceRange::Range { start: None, end: None, step: 1 }
    }
}

/// The number, or the largest `isize` instead of one that would come out negative.
fn saturated<N: TryInto<isize>>(number: N) -> isize {
    number.try_into().unwrap_or(isize::MAX)
}

macro_rules! slice_range_from {
    ($($number:ty),*) => {
        $(impl From<$number> for SliceRange {
            fn from(index: $number) -> Self {
                SliceRange::Index(saturated(index))
            }
        }

        impl From<Range<$number>> for SliceRange {
            fn from(range: Range<$number>) -> Self {
                let (start, end) = (Some(saturated(range.start)), Some(saturated(range.end)));
                SliceRange::Range { start, end, step: 1 }
            }
        }

        impl From<RangeFrom<$number>> for SliceRange {
            fn from(range: RangeFrom<$number>) -> Self {
                SliceRange::Range { start: Some(saturated(range.start)), end: None, step: 1 }
            }
        }

        impl From<RangeTo<$number>> for SliceRange {
            fn from(range: RangeTo<$number>) -> Self {
                SliceRange::Range { start: None, end: Some(saturated(range.end)), step: 1 }
            }
        })*
    };
}

slice_range_from!(isize, i32, usize);

/// A [`Slice`] in NumPy's notation with Rust's ranges: `s![.., 1..3, -1, ..;2, NewAxis]`.
///
/// A number takes one index and drops its axis, a range takes some, `;` gives a step (negative goes
/// backwards: `..;-1` reverses), [`NewAxis`] adds an axis, and axes that are not named are whole.
#[macro_export]
macro_rules! s {
    // A range like `4..1` is backwards on purpose when its step is negative.
    (@range $range:expr) => {{
        #[allow(clippy::reversed_empty_ranges, reason = "such a range may go backwards")]
        let range = $crate::SliceRange::from($range);
        range
    }};
    (@parse [$($done:expr,)*]) => {
        $crate::Slice::new(::std::vec![$($done),*])
    };
    (@parse [$($done:expr,)*] $range:expr ; $step:expr) => {
        $crate::s!(@parse [$($done,)* $crate::s!(@range $range).with_step($step),])
    };
    (@parse [$($done:expr,)*] $range:expr ; $step:expr, $($rest:tt)*) => {
        $crate::s!(@parse [$($done,)* $crate::s!(@range $range).with_step($step),] $($rest)*)
    };
    (@parse [$($done:expr,)*] $range:expr) => {
        $crate::s!(@parse [$($done,)* $crate::s!(@range $range),])
    };
    (@parse [$($done:expr,)*] $range:expr, $($rest:tt)*) => {
        $crate::s!(@parse [$($done,)* $crate::s!(@range $range),] $($rest)*)
    };
    ($($entries:tt)*) => {
        $crate::s!(@parse [] $($entries)*)
    };
}

/// Start, step and count of what is taken along one axis, and whether it is then reversed.
pub(super) struct Taken {
    pub(super) start: usize,
    pub(super) step: usize,
    pub(super) count: usize,
    pub(super) reversed: bool,
}

impl Taken {
    /// NumPy's rule for a range over `size` elements.
    pub(super) fn new(start: Option<isize>, end: Option<isize>, step: isize, size: usize) -> Taken {
        let size = size as isize;
        // Going backwards, the end of everything is before index 0.
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let bound = |bound: isize| {
            (if bound < 0 { bound.saturating_add(size) } else { bound }).clamp(low, high)
        };
        let start = start.map_or(if step > 0 { low } else { high }, bound);
        let end = end.map_or(if step > 0 { high } else { low }, bound);
        let distance = if step > 0 { end - start } else { start - end };
        let stride = step.unsigned_abs();
        let count = (distance.max(0) as usize).div_ceil(stride);
        if count == 0 {
            return Taken { start: 0, step: 1, count, reversed: false };
        }
        let reach = (count - 1) * stride;
        let start = if step > 0 { start as usize } else { start as usize - reach };
        Taken { start, step: if count == 1 { 1 } else { stride }, count, reversed: step < 0 }
    }
}

impl Tensor {
    /// Part of the tensor, as [`s!`](crate::s) says.
    ///
    /// Panics if more axes are named than there are, or a single index is out of range. PyTorch:
    /// `x[...]`, with NumPy's negative steps.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// use gradloom_tensor::s;
    ///
    /// let x = Tensor::arange(6, &device).reshape([2, 3]);
    /// assert_eq!(x.slice(s![.., 1..]).to_vec::<i32>()?, [1, 2, 4, 5]);
    /// assert_eq!(x.slice(s![1, ..2]).to_vec::<i32>()?, [3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn slice(&self, slice: Slice) -> Tensor {
        let mut starts = [0; RANK_MAX];
        let mut steps = [1; RANK_MAX];
        let mut taken = *self.shape();
        let mut reversed = Axes::NONE;
        let mut sizes = Vec::new();
        let mut axis = 0;
        for entry in slice.0 {
            if entry == SliceRange::NewAxis {
                sizes.push(1);
                continue;
            }
            demand!(axis < self.rank(), "slice: more entries than axes of shape {}", self.shape());
            let size = self.shape()[axis];
            let part = match entry {
                SliceRange::Range { start, end, step } => Taken::new(start, end, step, size),
                SliceRange::Index(index) => self.single("slice", index, axis),
                SliceRange::NewAxis => unreachable!("handled above"),
            };
            starts[axis] = part.start;
            steps[axis] = part.step;
            taken = taken.with(axis, part.count);
            if part.reversed {
                reversed = reversed.iter().chain([axis]).collect();
            }
            if !matches!(entry, SliceRange::Index(_)) {
                sizes.push(part.count);
            }
            axis += 1;
        }
        sizes.extend_from_slice(&self.shape()[axis..]);
        self.slice_raw(starts, steps, taken).flip_axes(reversed).reshape(sizes)
    }

    /// `length` elements of an axis from `start` on.
    ///
    /// Panics if they are not all there. PyTorch: `torch.narrow`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::arange(5, &device);
    /// assert_eq!(x.narrow(0, 1, 3).to_vec::<i32>()?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn narrow(&self, axis: isize, start: usize, length: usize) -> Tensor {
        let index = self.axis("narrow", axis);
        let size = self.shape()[index];
        demand!(
            start.checked_add(length).is_some_and(|end| end <= size),
            "narrow: {length} elements from {start} do not fit axis {axis} of size {size}"
        );
        let mut starts = [0; RANK_MAX];
        starts[index] = if length == 0 { 0 } else { start };
        self.slice_raw(starts, [1; RANK_MAX], self.shape().with(index, length))
    }

    /// One index of an axis, which disappears; negative indices count from the end.
    ///
    /// Panics if the index is out of range. PyTorch: `torch.select`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::arange(6, &device).reshape([2, 3]);
    /// assert_eq!(x.index(0, -1).to_vec::<i32>()?, [3, 4, 5]);
    /// assert_eq!(x.index(1, 0).to_vec::<i32>()?, [0, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn index(&self, axis: isize, index: isize) -> Tensor {
        let position = self.axis("index", axis);
        let start = self.single("index", index, position).start;
        self.narrow(axis, start, 1).squeeze(axis)
    }

    /// Consecutive parts of the given sizes along an axis.
    ///
    /// Panics if the sizes do not add up to the axis. PyTorch: `torch.split` with a list.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let parts = Tensor::arange(5, &device).split(&[2, 3], 0);
    /// assert_eq!(parts[1].to_vec::<i32>()?, [2, 3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn split(&self, sizes: &[usize], axis: isize) -> Vec<Tensor> {
        let size = self.shape()[self.axis("split", axis)];
        let total = sizes.iter().fold(0, |total: usize, &size| total.saturating_add(size));
        demand!(total == size, "split: {sizes:?} add up to {total}, but axis {axis} has {size}");
        let mut parts = Vec::with_capacity(sizes.len());
        let mut start = 0;
        for &length in sizes {
            parts.push(self.narrow(axis, start, length));
            start += length;
        }
        parts
    }

    /// At most `count` consecutive parts along an axis, of equal size but for the last; an axis of size 0
    /// gives `count` parts without elements.
    ///
    /// Panics if `count` is 0 or the axis is out of range. PyTorch: `torch.chunk`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let parts = Tensor::arange(6, &device).chunk(3, 0);
    /// assert_eq!((parts.len(), parts[2].to_vec::<i32>()?), (3, vec![4, 5]));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn chunk(&self, count: usize, axis: isize) -> Vec<Tensor> {
        let _called = Called::op("chunk");
        demand!(count > 0, "chunk: the number of parts is 0");
        demand!(i32::try_from(count).is_ok(), "chunk: {count} parts are more than i32 counts");
        let size = self.shape()[self.axis("chunk", axis)];
        if size == 0 {
            return vec![self.clone(); count];
        }
        let length = size.div_ceil(count);
        let sizes: Vec<usize> =
            (0..size).step_by(length).map(|start| length.min(size - start)).collect();
        self.split(&sizes, axis)
    }

    #[track_caller]
    fn single(&self, op: &str, index: isize, axis: usize) -> Taken {
        let size = self.shape()[axis];
        let place = if index < 0 { index.saturating_add(size as isize) } else { index };
        demand!(
            place >= 0 && (place as usize) < size,
            "{op}: index {index} out of range for axis {axis} of size {size}"
        );
        Taken { start: place as usize, step: 1, count: 1, reversed: false }
    }

    /// [`Op::Slice`] with counts from `shape`; the caller has checked that all elements exist.
    #[track_caller]
    pub(crate) fn slice_raw(
        &self,
        starts: [usize; RANK_MAX],
        steps: [usize; RANK_MAX],
        shape: Shape,
    ) -> Tensor {
        self.view(Op::Slice { starts, steps }, shape, shape == *self.shape())
    }
}

#[cfg(test)]
#[expect(clippy::allow_attributes, reason = "the macro cannot expect a lint that may not fire")]
mod tests {
    use super::NewAxis;
    use crate::ops::structured_tests::leaf;
    use crate::{Op, Shape, Tensor};

    #[test]
    fn slices_have_the_sizes_numpy_gives() {
        let x = leaf([5, 6]);
        assert_eq!(*x.slice(s![.., 1..3]).shape(), [5, 2]);
        assert_eq!(*x.slice(s![4]).shape(), [6]);
        assert_eq!(*x.slice(s![-1, NewAxis, ..;2]).shape(), [1, 3]);
        assert_eq!(*x.slice(s![1..;2, ..-1]).shape(), [2, 5]);
        assert_eq!(*x.slice(s![-3..-1, 2..100]).shape(), [2, 4]);
        assert_eq!(*x.slice(s![3..1, ..]).shape(), [0, 6]);
        assert_eq!(*x.slice(s![..;-1, 4..1;-2]).shape(), [5, 2]);
        assert_eq!(*x.slice(s![-100..100, 10..]).shape(), [5, 0]);
        assert_eq!(*x.slice(s![0usize, 0isize]).shape(), Shape::SCALAR);
        assert_eq!(*x.slice(s![]).shape(), [5, 6]);
        assert_eq!(x.slice(s![.., 0..6,]).id(), x.id());
    }

    /// The indices that a slice of a vector takes, read off its nodes.
    fn taken(x: &Tensor, y: &Tensor) -> Vec<usize> {
        if y.id() == x.id() {
            return (0..x.count()).collect();
        }
        let mut taken = taken(x, &y.inputs()[0]);
        match y.op() {
            Op::Slice { starts, steps } => {
                (0..y.count()).map(|place| taken[starts[0] + place * steps[0]]).collect()
            }
            Op::Flip(_) => {
                taken.reverse();
                taken
            }
            other => panic!("a slice of a vector has no {}", other.name()),
        }
    }

    #[test]
    fn slices_take_the_elements_numpy_takes() {
        let x = leaf([7]);
        assert_eq!(taken(&x, &x.slice(s![1..6;2])), [1, 3, 5]);
        assert_eq!(taken(&x, &x.slice(s![..;3])), [0, 3, 6]);
        assert_eq!(taken(&x, &x.slice(s![..;-1])), [6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(taken(&x, &x.slice(s![..;-4])), [6, 2]);
        assert_eq!(taken(&x, &x.slice(s![5..1;-2])), [5, 3]);
        assert_eq!(taken(&x, &x.slice(s![-2..;-3])), [5, 2]);
        assert_eq!(taken(&x, &x.slice(s![..3;-1])), [6, 5, 4]);
        assert_eq!(taken(&x, &x.slice(s![-1..-100;-5])), [6, 1]);
    }

    #[test]
    #[should_panic(expected = "slice: index 5 out of range for axis 0 of size 5")]
    fn single_index_out_of_range_panics() {
        let _ = leaf([5]).slice(s![5]);
    }

    #[test]
    #[should_panic(expected = "slice: more entries than axes of shape [5]")]
    fn slice_with_too_many_entries_panics() {
        let _ = leaf([5]).slice(s![.., 0]);
    }

    #[test]
    #[should_panic(expected = "slice: the step is 0")]
    fn slice_step_zero_panics() {
        let _ = leaf([5]).slice(s![..;0]);
    }
}
