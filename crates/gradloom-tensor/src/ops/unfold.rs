//! Unfolding: the elements of each window in a column; and folding, which adds columns up where their
//! windows lie. Each is the other's transpose.
//!
//! Axis by axis, as a window is the product of its axes: each element of the windows along an axis is a
//! slice of it with the stride as its step. Windows that do not overlap are a view.
//!
//! Letters: N batch, C channels, D, H and W (or L) sizes, K elements of a window, L number of windows.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::Window;
use crate::ops::per_axis::{Padding, PerAxis};
use crate::shape_rules::windows::{self, Covering};
use crate::shape_rules::{structured, too_large};
use crate::{Shape, Slice, SliceRange, Tensor};

/// Options of [`Tensor::unfold`] and [`Tensor::fold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfoldOptions<const N: usize> {
    /// Elements of a window.
    pub kernel: [usize; N],
    /// Distance between windows.
    pub stride: [usize; N],
    /// Zeros around the input.
    pub padding: Padding<N>,
    /// Distance between a window's elements.
    pub dilation: [usize; N],
}

impl<const N: usize> UnfoldOptions<N> {
    /// Windows of `kernel` elements at distance one, without padding.
    pub fn new(kernel: impl PerAxis<N>) -> Self {
        UnfoldOptions {
            kernel: kernel.per_axis(),
            stride: [1; N],
            padding: Padding::NONE,
            dilation: [1; N],
        }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl PerAxis<N>) -> Self {
        UnfoldOptions { stride: stride.per_axis(), ..self }
    }

    /// Sets the padding.
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding<N>>) -> Self {
        UnfoldOptions { padding: padding.into(), ..self }
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl PerAxis<N>) -> Self {
        UnfoldOptions { dilation: dilation.per_axis(), ..self }
    }

    #[track_caller]
    fn window(&self, op: &str, shape: &Shape) -> Window {
        demand!((1..=3).contains(&N), "{op}: windows of {N} axes; there are those of one to three");
        let place = Covering {
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding.0,
            dilation: self.dilation,
            ceiling: false,
        };
        windows::covering(op, shape, &place).or_fail()
    }
}

impl Tensor {
    /// The elements of each window in a column: `[N, C, ..] -> [N, C K, L]`, channels first, then the
    /// window's elements in row-major order; windows in row-major order. One to three axes.
    ///
    /// Any dtype. Panics if no window fits. PyTorch: `F.unfold` (of two axes).
    #[track_caller]
    #[must_use]
    pub fn unfold<const N: usize>(&self, options: &UnfoldOptions<N>) -> Tensor {
        const OP: &str = "unfold";
        let _called = Called::op(OP);
        let window = options.window(OP, self.shape());
        let shape = windows::pooling(OP, self.shape(), &window).or_fail();
        let around = options.padding.added().map(|[before, after]| (before, after));
        let padding: Vec<(usize, usize)> = [(0, 0); 2].into_iter().chain(around).collect();
        let mut columns = if window.pads() { self.pad(&padding) } else { self.clone() };
        for (place, axis) in window.own().enumerate().rev() {
            // The axes of windows that were made before stand between channels and sizes.
            let made = N - 1 - place;
            let taps = Taps::new(&window, axis, shape[place + 2]);
            columns = taps.split(&columns, 2 + made + place);
        }
        let count = shape[2..].iter().product();
        columns.reshape([shape[0], shape[1] * window.taps(), count])
    }

    /// Columns added up where their windows lie: `[N, C K, L] -> [N, C, ..]` with the sizes `output`. The
    /// transpose of [`Tensor::unfold`]; one to three axes.
    ///
    /// Numbers. Panics if shapes do not fit. PyTorch: `F.fold` (of two axes).
    #[track_caller]
    #[must_use]
    pub fn fold<const N: usize>(&self, output: [usize; N], options: &UnfoldOptions<N>) -> Tensor {
        const OP: &str = "fold";
        let _called = Called::op(OP);
        let from = *self.shape();
        structured::rank(OP, "columns [N, C K, L]", &from, 3).or_fail();
        let result =
            |channels: usize| -> Shape { [from[0], channels].into_iter().chain(output).collect() };
        crate::shape_rules::addressable(OP, &result(from[1])).or_fail();
        let window = options.window(OP, &result(1));
        let shape = windows::pooling(OP, &result(1), &window).or_fail();
        let taps = window
            .kernel
            .iter()
            .try_fold(1usize, |taps, &size| taps.checked_mul(size))
            .ok_or_else(|| too_large(OP, format_args!("windows of {:?}", options.kernel)))
            .or_fail();
        let count: usize = shape[2..].iter().product();
        demand!(
            from[1].is_multiple_of(taps) && from[2] == count,
            "{OP}: {from} is not [N, C x {taps}, {count}], as windows of {:?} over {output:?} are",
            options.kernel
        );
        let split = [from[0], from[1] / taps].into_iter();
        let split = split.chain(options.kernel).chain(shape[2..].iter().copied());
        let mut sums = self.reshape(split.collect::<Shape>());
        for (place, axis) in window.own().enumerate() {
            let padded = output[place] + window.padding[axis][0] + window.padding[axis][1];
            let left = N - 1 - place;
            let taps = Taps::new(&window, axis, shape[place + 2]);
            sums = taps.join(&sums, 2 + left + place, padded);
        }
        for (place, axis) in window.own().enumerate() {
            sums = sums.narrow(place as isize + 2, window.padding[axis][0], output[place]);
        }
        sums
    }
}

/// The elements of windows along one axis.
struct Taps {
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Number of windows.
    count: usize,
}

impl Taps {
    fn new(window: &Window, axis: usize, count: usize) -> Taps {
        let mut taps = Taps {
            kernel: window.kernel[axis],
            stride: window.stride[axis],
            dilation: window.dilation[axis],
            count,
        };
        // To a single window no other is at a distance, however large it is.
        if count == 1 {
            taps.stride = taps.extent();
        }
        taps
    }

    /// Elements from the first to the last of a window.
    fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// `[N, C, .., S, ..] -> [N, C, K, .., L, ..]`, where `axis` has the elements.
    #[track_caller]
    fn split(&self, x: &Tensor, axis: usize) -> Tensor {
        if self.extent() <= self.stride {
            let len = self.count * self.stride;
            let size = x.shape()[axis];
            let whole = if size < len { x.pad(&along(x, axis, 0, len - size)) } else { x.clone() };
            let rows = whole.narrow(axis as isize, 0, len).reshape(inserted(
                &x.shape().with(axis, self.count),
                axis + 1,
                self.stride,
            ));
            let taps = stepped(&rows, axis + 1, 0, self.dilation, self.kernel);
            return moved(&taps, axis + 1, 2);
        }
        let tap = |index: usize| stepped(x, axis, index * self.dilation, self.stride, self.count);
        let taps: Vec<Tensor> = (0..self.kernel).map(tap).collect();
        Tensor::stack(&taps, 2)
    }

    /// `[N, C, K, .., L, ..] -> [N, C, .., size, ..]`, where `axis` of the result has the elements.
    #[track_caller]
    fn join(&self, x: &Tensor, axis: usize, size: usize) -> Tensor {
        if self.extent() <= self.stride {
            let taps = spread(&moved(x, 2, axis + 1), axis + 1, 0, self.dilation, self.stride);
            let len = self.count * self.stride;
            let mut dims: Vec<usize> = taps.shape().to_vec();
            dims.remove(axis + 1);
            dims[axis] = len;
            let joined = taps.reshape(dims);
            return match len < size {
                true => joined.pad(&along(&joined, axis, 0, size - len)),
                false => joined.narrow(axis as isize, 0, size),
            };
        }
        let tap = |index: usize| {
            let tap = x.narrow(2, index, 1).squeeze(2);
            spread(&tap, axis, index * self.dilation, self.stride, size)
        };
        let first = tap(0);
        (1..self.kernel).fold(first, |sum, index| sum + tap(index))
    }
}

/// `count` elements of an axis, `step` apart.
#[track_caller]
fn stepped(x: &Tensor, axis: usize, start: usize, step: usize, count: usize) -> Tensor {
    let ranges = x.shape().iter().enumerate().map(|(other, &size)| {
        let (start, end, step) = match other == axis {
            true => (start, start + (count - 1) * step + 1, step),
            false => (0, size, 1),
        };
        let (start, end) = (Some(start as isize), Some(end as isize));
        SliceRange::Range { start, end, step: step as isize }
    });
    x.slice(Slice::new(ranges.collect()))
}

/// The transpose of [`stepped`]: the elements of an axis `step` apart among `size`, zeros elsewhere.
#[track_caller]
fn spread(x: &Tensor, axis: usize, start: usize, step: usize, size: usize) -> Tensor {
    let count = x.shape()[axis];
    let mut apart = x.clone();
    if step > 1 {
        apart = apart.unsqueeze(axis as isize + 1);
        apart = apart.pad(&along(&apart, axis + 1, 0, step - 1));
        apart = apart.reshape(x.shape().with(axis, count * step));
    }
    let reach = (count - 1) * step + 1;
    let apart = apart.narrow(axis as isize, 0, reach);
    apart.pad(&along(&apart, axis, start, size - start - reach))
}

/// Padding of one axis.
fn along(x: &Tensor, axis: usize, before: usize, after: usize) -> Vec<(usize, usize)> {
    let mut padding = vec![(0, 0); x.rank()];
    padding[axis] = (before, after);
    padding
}

/// An axis moved to another place.
#[track_caller]
fn moved(x: &Tensor, from: usize, to: usize) -> Tensor {
    let mut order: Vec<isize> = (0..x.rank() as isize).collect();
    let axis = order.remove(from);
    order.insert(to, axis);
    x.permute(&order)
}

/// A shape with one more axis.
fn inserted(shape: &Shape, axis: usize, size: usize) -> Shape {
    let mut dims = shape.to_vec();
    dims.insert(axis, size);
    Shape::new(&dims)
}
