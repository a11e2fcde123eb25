//! Maximum pooling with a given number of windows whose places are drawn. Graham, "Fractional max-pooling", 2014.
//!
//! Windows begin at `floor((i + u) a) - floor(u a)` with one number `u` for each channel and axis, and
//! `a = (size - kernel) / (windows - 1)`; the last ends at the end. Their elements are gathered side by side.
//!
//! Letters: N batch, C channels, D, H and W sizes.

use crate::called::demand;
use crate::error::OrFail;
use crate::{DType, Key, Shape, Tensor, shape_rules};

impl Tensor {
    /// Maxima of `output` windows along H and W, and where in its plane each is (`i32`):
    /// `[N, C, H, W] -> [N, C, OH, OW]`. Places are those of `draws`, numbers in `0.0..1.0` `[N, C, 2]`, the
    /// first of W and the second of H ([`Tensor::fractional_draws`] makes them).
    ///
    /// Float dtypes. Panics if shapes do not fit or a window does not. PyTorch: `F.fractional_max_pool2d`.
    #[track_caller]
    #[must_use]
    pub fn fractional_max_pool2d(
        &self,
        kernel: [usize; 2],
        output: [usize; 2],
        draws: &Tensor,
    ) -> (Tensor, Tensor) {
        pooled("fractional_max_pool2d", self, kernel, output, draws, [1, 0])
    }

    /// [`Tensor::fractional_max_pool2d`] of volumes, with draws of D, H and W:
    /// `[N, C, D, H, W] -> [N, C, OD, OH, OW]`. PyTorch: `F.fractional_max_pool3d`.
    ///
    /// Panics as it does.
    #[track_caller]
    #[must_use]
    pub fn fractional_max_pool3d(
        &self,
        kernel: [usize; 3],
        output: [usize; 3],
        draws: &Tensor,
    ) -> (Tensor, Tensor) {
        pooled("fractional_max_pool3d", self, kernel, output, draws, [0, 1, 2])
    }

    /// Numbers in `0.0..1.0` for the windows of fractional pooling of this tensor `[N, C, ..]`: one for each
    /// channel and axis, f32.
    ///
    /// Panics if there is no axis after the first two.
    #[track_caller]
    #[must_use]
    pub fn fractional_draws(&self, key: Key) -> Tensor {
        let shape = self.shape();
        demand!(shape.rank() > 2, "fractional_draws: needs [N, C, ..], got {shape}");
        let draws = [shape[0], shape[1], shape.rank() - 2];
        Tensor::uniform(key, draws, 0.0, 1.0, self.device())
    }
}

#[track_caller]
fn pooled<const N: usize>(
    op: &'static str,
    x: &Tensor,
    kernel: [usize; N],
    output: [usize; N],
    draws: &Tensor,
    order: [usize; N],
) -> (Tensor, Tensor) {
    shape_rules::float(op, x.dtype()).or_fail();
    let shape = *x.shape();
    demand!(shape.rank() == N + 2, "{op}: needs [N, C, ..] with {N} axes, got {shape}");
    let expected = [shape[0], shape[1], N];
    demand!(
        draws.shape()[..] == expected && draws.dtype().is_float(),
        "{op}: draws of {shape} are floats {expected:?}, got {} {}",
        draws.dtype(),
        draws.shape()
    );
    let plane: usize = shape[2..].iter().product();
    demand!(i32::try_from(plane).is_ok(), "{op}: a plane of {shape} has more than i32 counts");
    for axis in 0..N {
        let (size, kernel, output) = (shape[axis + 2], kernel[axis], output[axis]);
        demand!(
            kernel > 0 && output > 0 && kernel <= size && output <= size - kernel + 1,
            "{op}: {output} windows of {kernel} elements in an axis of {size}"
        );
    }
    // The elements of all windows, and their places in the plane.
    let (mut taken, mut number) = (x.clone(), Tensor::arange(plane, x.device()));
    number = number.reshape_to(Shape::new(&[&[1, 1], &shape[2..]].concat())).expand_to(shape);
    for axis in 0..N {
        let draw = draws.narrow(2, order[axis], 1).detach();
        let places = starts(&draw, shape[axis + 2], kernel[axis], output[axis]);
        let count = kernel[axis] * output[axis];
        let offset = Tensor::arange(kernel[axis], x.device());
        let places = places.unsqueeze(-1).add(offset);
        let wanted = taken.shape().with(axis + 2, count);
        let mut aligned = vec![1; N + 2];
        (aligned[0], aligned[1], aligned[axis + 2]) = (shape[0], shape[1], count);
        let index = places.reshape_to(Shape::new(&aligned)).expand_to(wanted);
        taken = taken.gather_checked(axis + 2, &index);
        number = number.gather_checked(axis + 2, &index);
    }
    // [N, C, OH, KH, OW, KW] -> [N, C, OH, OW, KH KW]
    let mut split = vec![shape[0], shape[1]];
    let mut arranged: Vec<isize> = vec![0, 1];
    arranged.extend((0..N as isize).map(|axis| 2 + 2 * axis));
    arranged.extend((0..N as isize).map(|axis| 3 + 2 * axis));
    for axis in 0..N {
        split.extend([output[axis], kernel[axis]]);
    }
    let whole: Vec<usize> = [&shape[..2], &output[..], &[kernel.iter().product()]].concat();
    let windows = |x: &Tensor| {
        x.reshape_to(Shape::new(&split)).permute(&arranged).reshape_to(Shape::new(&whole))
    };
    let (taken, number) = (windows(&taken), windows(&number));
    let place = taken.detach().argmax_keepdim(-1);
    let at = |x: &Tensor| x.gather_checked(N + 2, &place).squeeze(-1);
    (at(&taken), at(&number))
}

/// Where windows begin, `[N, C, windows]` i32.
#[track_caller]
fn starts(draw: &Tensor, size: usize, kernel: usize, output: usize) -> Tensor {
    let (n, c) = (draw.shape()[0], draw.shape()[1]);
    let shape = Shape::new(&[n, c, output]);
    let number = Tensor::iota(shape, -1, draw.device());
    let last = (size - kernel) as i64;
    if output == 1 {
        return number.constant_like(last);
    }
    let draw = draw.wide();
    let step = last as f64 / (output - 1) as f64;
    let far = |places: Tensor| places.mul(step).trunc();
    let begin = far(number.cast(draw.dtype()).add(&draw)).sub(far(draw.clone()));
    let begin = begin.cast(DType::I32).maximum(0).minimum(last);
    number.eq(output as i64 - 1).select(number.constant_like(last), begin)
}
