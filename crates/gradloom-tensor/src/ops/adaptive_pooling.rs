//! Adaptive pooling: a given number of windows that cover the input as evenly as they can. Window `i` of
//! `O` over `S` elements is `floor(i S / O) .. ceil((i + 1) S / O)`.
//!
//! Sizes that divide are ordinary windows. Others are taken axis by axis, as a mean of means and a
//! maximum of maxima are those of the whole box, with the elements of each window side by side.
//!
//! Letters: N batch, C channels, D, H and W (or L) sizes.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::Window;
use crate::ops::pooling::{PoolOptions, indices, mean};
use crate::shape_rules::{self, windows};
use crate::{Tensor, shape::Shape};

/// The methods over one number of axes, with a layout for their docs.
macro_rules! adaptive {
    ($axes:literal: $avg:ident, $max:ident, $with_indices:ident; $from:literal, $to:literal) => {
        impl Tensor {
            #[doc = concat!(
                "Means of `output` windows along each axis: `", $from, " -> ", $to, "`.\n\n",
                "Float dtypes. Panics if a size is zero. PyTorch: `F.", stringify!($avg), "`."
            )]
            #[track_caller]
            #[must_use]
            pub fn $avg(&self, output: [usize; $axes]) -> Tensor {
                let op = stringify!($avg);
                match equal_windows(op, self, output) {
                    Some(options) => mean(op, self, &options),
                    None => means(self, output),
                }
                .cast(self.dtype())
            }

            #[doc = concat!(
                "Maxima of `output` windows along each axis: `", $from, " -> ", $to, "`; NaN wins.\n\n",
                "Float dtypes. Panics if a size is zero. PyTorch: `F.", stringify!($max), "`."
            )]
            #[track_caller]
            #[must_use]
            pub fn $max(&self, output: [usize; $axes]) -> Tensor {
                maxima(stringify!($max), self, output).0
            }

            #[doc = concat!(
                "[`Tensor::", stringify!($max), "`], and where in its plane each maximum is (`i32`, ",
                "the first in row-major order).\n\n",
                "Float dtypes. Panics if a size is zero or a plane has more elements than i32 counts. ",
                "PyTorch: `F.", stringify!($max), "(.., return_indices=True)`."
            )]
            #[track_caller]
            #[must_use]
            pub fn $with_indices(&self, output: [usize; $axes]) -> (Tensor, Tensor) {
                maxima(stringify!($with_indices), self, output)
            }
        }
    };
}

adaptive!(1: adaptive_avg_pool1d, adaptive_max_pool1d, adaptive_max_pool1d_with_indices;
    "[N, C, L]", "[N, C, OL]");
adaptive!(2: adaptive_avg_pool2d, adaptive_max_pool2d, adaptive_max_pool2d_with_indices;
    "[N, C, H, W]", "[N, C, OH, OW]");
adaptive!(3: adaptive_avg_pool3d, adaptive_max_pool3d, adaptive_max_pool3d_with_indices;
    "[N, C, D, H, W]", "[N, C, OD, OH, OW]");

/// Ordinary windows side by side, if the output's sizes divide the input's.
#[track_caller]
fn equal_windows<const N: usize>(
    op: &str,
    x: &Tensor,
    output: [usize; N],
) -> Option<PoolOptions<N>> {
    shape_rules::float(op, x.dtype()).or_fail();
    let sizes = windows::sizes::<N>(op, x.shape()).or_fail();
    demand!(!output.contains(&0), "{op}: output {output:?} must be at least 1 along each axis");
    let mut shape = *x.shape();
    for (axis, &size) in output.iter().enumerate() {
        shape = shape.with(axis + 2, size);
        // Windows are counted and written down, their first elements in i32.
        shape_rules::countable(op, &shape, axis + 2).or_fail();
        demand!(sizes[axis] > 0, "{op}: axis {} of shape {} has no elements", axis + 2, x.shape());
    }
    shape_rules::addressable(op, &shape).or_fail();
    let divides = (0..N).all(|axis| sizes[axis].is_multiple_of(output[axis]));
    divides.then(|| {
        PoolOptions::new(std::array::from_fn::<_, N, _>(|axis| sizes[axis] / output[axis]))
    })
}

/// The windows along one axis.
struct Along {
    size: usize,
    output: usize,
}

impl Along {
    fn start(&self, window: usize) -> usize {
        (window as u128 * self.size as u128 / self.output as u128) as usize
    }

    fn end(&self, window: usize) -> usize {
        ((window as u128 + 1) * self.size as u128).div_ceil(self.output as u128) as usize
    }

    fn windows(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        (0..self.output).map(|window| self.start(window)..self.end(window))
    }

    fn longest(&self) -> usize {
        self.windows().map(|window| window.len()).max().unwrap_or(0)
    }

    /// `[.., S, ..] -> [.., O, longest, ..]`; shorter windows have their last element again.
    #[track_caller]
    fn split(&self, x: &Tensor, axis: usize) -> Tensor {
        let longest = self.longest();
        if self.size.is_multiple_of(self.output) {
            let (before, after) = (&x.shape()[..axis], &x.shape()[axis + 1..]);
            return x.reshape([before, &[self.output, longest], after].concat());
        }
        let mut places = Vec::with_capacity(self.output * longest);
        for window in self.windows() {
            let place = |offset: usize| (window.start + offset).min(window.end - 1) as i32;
            places.extend((0..longest).map(place));
        }
        let places = Tensor::from_slice(&places, [self.output, longest], x.device()).or_fail();
        x.take(axis as isize, &places)
    }

    /// A column of numbers, one for each window, that stands at `axis` of `rank` axes.
    #[track_caller]
    fn column<T: crate::Element>(&self, numbers: &[T], axis: usize, like: &Tensor) -> Tensor {
        let shape = Shape::new(&vec![1; like.rank()]).with(axis, self.output);
        Tensor::from_slice(numbers, shape, like.device()).or_fail()
    }
}

/// Means in the compute type, axis by axis.
#[track_caller]
fn means<const N: usize>(x: &Tensor, output: [usize; N]) -> Tensor {
    let mut means = x.wide();
    for (place, &output) in output.iter().enumerate() {
        let axis = place + 2;
        let along = Along { size: means.shape()[axis], output };
        let split = along.split(&means, axis);
        let lens: Vec<i32> = along.windows().map(|window| window.len() as i32).collect();
        let lens = along.column(&lens, axis, &split);
        let row = Shape::new(&vec![1; split.rank()]).with(axis + 1, along.longest());
        let within = Tensor::iota(row, axis as isize + 1, x.device());
        let sum = within.lt(&lens).select(&split, split.constant_like(0.0)).sum(axis as isize + 1);
        means = sum / lens.squeeze(axis as isize + 1).cast(means.dtype());
    }
    means
}

/// Maxima and their places in the plane.
#[track_caller]
fn maxima<const N: usize>(op: &str, x: &Tensor, output: [usize; N]) -> (Tensor, Tensor) {
    if let Some(PoolOptions { kernel, .. }) = equal_windows(op, x, output) {
        let window = Window::new(kernel).stride(kernel);
        return (x.pool_max(window), indices(op, x, window));
    }
    let sizes = windows::sizes::<N>(op, x.shape()).or_fail();
    let count =
        sizes.iter().try_fold(1i32, |count, &size| count.checked_mul(size.try_into().ok()?));
    demand!(count.is_some(), "{op}: a plane of {} has more elements than i32 counts", x.shape());
    let mut maxima = x.clone();
    let mut places: Option<Tensor> = None;
    let mut inner = 1;
    // From the last axis, so that of equal maxima the first in row-major order wins.
    for place in (0..N).rev() {
        let axis = place + 2;
        let along = Along { size: sizes[place], output: output[place] };
        let split = along.split(&maxima, axis);
        let best = split.argmax_keepdim(axis as isize + 1);
        let starts: Vec<i32> =
            (0..output[place]).map(|window| along.start(window) as i32).collect();
        let starts = along.column(&starts, axis, &best);
        let own = (&best + &starts) * inner;
        let own = own.squeeze(axis as isize + 1);
        places = Some(match places {
            None => own,
            Some(further) => own + pick(&along.split(&further, axis), axis, &best),
        });
        maxima = pick(&split, axis, &best);
        inner *= sizes[place] as i32;
    }
    (maxima, places.unwrap_or_else(|| Called::fail(format_args!("{op}: no axes"))))
}

/// The element of each window that `best` names.
#[track_caller]
fn pick(split: &Tensor, axis: usize, best: &Tensor) -> Tensor {
    split.gather_checked(axis + 1, best).squeeze(axis as isize + 1)
}
