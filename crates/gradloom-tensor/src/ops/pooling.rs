//! Pooling: maxima, means and norms of windows over one to three axes.
//!
//! Letters: N batch, C channels, D, H and W (or L) sizes; OD, OH and OW numbers of windows.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::{Op, Window};
use crate::ops::per_axis::{Padding, PerAxis};
use crate::shape_rules;
use crate::shape_rules::windows::{self, Covering};
use crate::{DType, Shape, Tensor};

/// Options of pooling over `N` axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions<const N: usize = 2> {
    /// Elements of a window.
    pub kernel: [usize; N],
    /// Distance between windows.
    pub stride: [usize; N],
    /// Elements around the input; from zero to half a window.
    pub padding: Padding<N>,
    /// Distance between a window's elements.
    pub dilation: [usize; N],
    /// Whether a last window counts that begins in the input (or in the padding before it) and reaches
    /// beyond its end.
    pub ceil_mode: bool,
    /// Whether a mean counts padding as zeros; otherwise it is over real elements only. What a window
    /// of ceil mode has beyond the padding never counts.
    pub count_include_pad: bool,
    /// What a sum is divided by to be a mean, instead of the number of elements.
    pub divisor: Option<isize>,
}

/// Options of pooling over one axis.
pub type Pool1dOptions = PoolOptions<1>;
/// Options of pooling over three axes.
pub type Pool3dOptions = PoolOptions<3>;

impl<const N: usize> PoolOptions<N> {
    /// Windows of `kernel` elements side by side, without padding.
    pub fn new(kernel: impl PerAxis<N>) -> Self {
        let kernel = kernel.per_axis();
        PoolOptions {
            kernel,
            stride: kernel,
            padding: Padding::NONE,
            dilation: [1; N],
            ceil_mode: false,
            count_include_pad: true,
            divisor: None,
        }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl PerAxis<N>) -> Self {
        PoolOptions { stride: stride.per_axis(), ..self }
    }

    /// Sets the padding.
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding<N>>) -> Self {
        PoolOptions { padding: padding.into(), ..self }
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl PerAxis<N>) -> Self {
        PoolOptions { dilation: dilation.per_axis(), ..self }
    }

    /// Sets whether a last window may reach beyond the input.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        PoolOptions { ceil_mode, ..self }
    }

    /// Sets whether a mean counts padding.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        PoolOptions { count_include_pad, ..self }
    }

    /// Sets what a sum is divided by. PyTorch: `divisor_override`.
    #[must_use]
    pub fn divisor(self, divisor: isize) -> Self {
        PoolOptions { divisor: Some(divisor), ..self }
    }

    /// The gradient of maximum pooling of `x` with these options, `[N, C, ..]`, given that of the maxima: each
    /// added where its maximum is. PyTorch: `max_pool2d_with_indices_backward`.
    ///
    /// Panics if no window fits, or shapes or dtypes do not.
    #[track_caller]
    #[must_use]
    pub fn max_gradient(&self, x: &Tensor, gradient: &Tensor) -> Tensor {
        shape_rules::float("max_gradient", x.dtype()).or_fail();
        Tensor::pool_max_scatter(x, gradient, self.window("max_gradient", x.shape()))
    }

    #[track_caller]
    fn window(&self, op: &str, shape: &Shape) -> Window {
        let place = Covering {
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding.0,
            dilation: self.dilation,
            ceiling: self.ceil_mode,
        };
        windows::half_padding(op, &place).or_fail();
        windows::covering(op, shape, &place).or_fail()
    }
}

/// The methods of pooling over one number of axes, with a layout before and after for their docs.
macro_rules! pools {
    ($axes:literal: $max:ident, $with_indices:ident, $avg:ident, $lp:ident; $from:literal, $to:literal) => {
        impl Tensor {
            #[doc = concat!(
                "Maximum of each window: `", $from, " -> ", $to, "`; padding never wins, NaN does.\n\n",
                "Float dtypes. Panics if no window fits. PyTorch: `F.", stringify!($max), "`."
            )]
            #[track_caller]
            #[must_use]
            pub fn $max(&self, options: &PoolOptions<$axes>) -> Tensor {
                let op = stringify!($max);
                maximum(op, self, options.window(op, self.shape()))
            }

            #[doc = concat!(
                "[`Tensor::", stringify!($max), "`], and where in its plane each maximum is (`i32`, ",
                "the first in row-major order; 0 for a window that meets no element).\n\n",
                "Float dtypes. Panics if no window fits or a plane has more elements than i32 counts. ",
                "PyTorch: `F.", stringify!($max), "(.., return_indices=True)`."
            )]
            #[track_caller]
            #[must_use]
            pub fn $with_indices(&self, options: &PoolOptions<$axes>) -> (Tensor, Tensor) {
                let op = stringify!($with_indices);
                let window = options.window(op, self.shape());
                (maximum(op, self, window), indices(op, self, window))
            }

            #[doc = concat!(
                "Mean of each window: `", $from, " -> ", $to, "`.\n\n",
                "Float dtypes. Panics if no window fits. PyTorch: `F.", stringify!($avg), "`."
            )]
            #[track_caller]
            #[must_use]
            pub fn $avg(&self, options: &PoolOptions<$axes>) -> Tensor {
                mean(stringify!($avg), self, options).cast(self.dtype())
            }

            #[doc = concat!(
                "Norm of each window, `(sum of x^power)^(1 / power)`: `", $from, " -> ", $to, "`. ",
                "As in PyTorch no magnitude is taken: an odd power of negative numbers may give NaN; a ",
                "window cut off by the end (`ceil_mode`) has its mean times the elements of a whole one; ",
                "and the gradient where the sum is zero is zero.\n\n",
                "Float dtypes. Panics if no window fits or the power is not positive and finite. ",
                "PyTorch: `F.", stringify!($lp), "`."
            )]
            #[track_caller]
            #[must_use]
            pub fn $lp(&self, power: f64, options: &PoolOptions<$axes>) -> Tensor {
                norm(stringify!($lp), self, power, options)
            }
        }
    };
}

pools!(1: max_pool1d, max_pool1d_with_indices, avg_pool1d, lp_pool1d;
    "[N, C, L]", "[N, C, OL]");
pools!(2: max_pool2d, max_pool2d_with_indices, avg_pool2d, lp_pool2d;
    "[N, C, H, W]", "[N, C, OH, OW]");
pools!(3: max_pool3d, max_pool3d_with_indices, avg_pool3d, lp_pool3d;
    "[N, C, D, H, W]", "[N, C, OD, OH, OW]");

#[track_caller]
fn maximum(op: &str, x: &Tensor, window: Window) -> Tensor {
    shape_rules::float(op, x.dtype()).or_fail();
    x.pool_max(window)
}

/// Integers up to here are f32 without rounding.
const EXACT_MAX: usize = 1 << 24;

/// The place of each window's maximum: what stands there in a tensor that counts its elements.
#[track_caller]
pub(crate) fn indices(op: &str, x: &Tensor, window: Window) -> Tensor {
    let sizes = window.of(x.shape());
    let count: usize = sizes.iter().product();
    demand!(
        i32::try_from(count).is_ok(),
        "{op}: a plane of {} has more elements than i32 counts",
        x.shape()
    );
    let wide = x.wide();
    let at_maxima = |numbers: Tensor| {
        let source = numbers.cast(wide.dtype()).broadcast_to(*x.shape());
        Tensor::pool_max_gather(&wide, &source, window).cast(DType::I32)
    };
    let plane = window.shape(1, 1, sizes);
    if count <= EXACT_MAX {
        return at_maxima(Tensor::arange(count, x.device()).reshape(plane));
    }
    // Each coordinate on its own, as the whole number would be rounded.
    let coordinates = (2..plane.rank()).map(|axis| {
        let axis = axis as isize;
        (plane[axis as usize], at_maxima(Tensor::iota(plane, axis, x.device())))
    });
    let flat = coordinates.reduce(|(_, before), (size, place)| {
        (size, &before * &before.constant_like(size as i32) + &place)
    });
    flat.map_or_else(|| Called::fail(format_args!("{op}: a window without axes")), |(_, flat)| flat)
}

/// Means in the compute type.
#[track_caller]
pub(crate) fn mean<const N: usize>(op: &str, x: &Tensor, options: &PoolOptions<N>) -> Tensor {
    shape_rules::float(op, x.dtype()).or_fail();
    let window = options.window(op, x.shape());
    let sum = x.wide().pool_sum(window);
    let scaled = |divisor: f64| &sum * &sum.constant_like(1.0 / divisor);
    if let Some(divisor) = options.divisor {
        demand!(divisor != 0, "{op}: a divisor of zero");
        return scaled(divisor as f64);
    }
    let padding = options.padding.added();
    let whole = window == window.padding(padding);
    if whole && (options.count_include_pad || !window.pads()) {
        return scaled(window.kernel.iter().map(|&size| size as f64).product());
    }
    // The counts are the same for every channel of every picture.
    let (mut sizes, mut counted) = (window.of(x.shape()), window);
    if options.count_include_pad {
        for axis in window.own() {
            let [before, after] = padding[axis - (3 - N)];
            sizes[axis] += before + after;
            counted.padding[axis] = [0, window.padding[axis][1] - after];
        }
    }
    let ones = Tensor::constant(window.shape(1, 1, sizes), 1.0, sum.dtype(), x.device());
    let counts = ones.pool_sum(counted);
    // A window that meets nothing has the mean 0.
    sum / counts.maximum(counts.constant_like(1.0))
}

#[track_caller]
fn norm<const N: usize>(op: &str, x: &Tensor, power: f64, options: &PoolOptions<N>) -> Tensor {
    demand!(
        power > 0.0 && power.is_finite(),
        "{op}: the power {power} must be positive and finite"
    );
    shape_rules::float(op, x.dtype()).or_fail();
    let options = PoolOptions { count_include_pad: true, divisor: None, ..*options };
    let mean = mean(op, &x.wide().powf(power), &options);
    let count: f64 = options.kernel.iter().map(|&size| size as f64).product();
    // The root has no derivative at zero.
    let zero = mean.eq(0.0);
    let sum = zero.select(mean.constant_like(1.0), &mean * &mean.constant_like(count));
    zero.select(mean.constant_like(0.0), sum.powf(1.0 / power)).cast(x.dtype())
}

impl Tensor {
    /// Mean over height and width: `[N, C, H, W] -> [N, C]`.
    ///
    /// Float dtypes. Panics if there are not four axes. PyTorch: `x.mean((2, 3))`.
    #[track_caller]
    #[must_use]
    pub fn global_avg_pool2d(&self) -> Tensor {
        let _called = Called::op("global_avg_pool2d");
        windows::input("global_avg_pool2d", self.shape(), 2).or_fail();
        self.mean([2, 3])
    }

    /// [`Op::PoolMax`] with any window; for gradient rules.
    ///
    /// Panics if no window fits.
    #[track_caller]
    #[must_use]
    pub fn pool_max(&self, window: Window) -> Tensor {
        let shape = windows::pooling("pool_max", self.shape(), &window).or_fail();
        node(Op::PoolMax(window), &[self], shape)
    }

    /// [`Op::PoolMaxScatter`]: values `[N, C, windows..]` added where the input's maxima are; for gradient
    /// rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn pool_max_scatter(input: &Tensor, values: &Tensor, window: Window) -> Tensor {
        let op = Op::PoolMaxScatter(window);
        check_values(&op, input.shape(), values.shape(), window);
        node(op, &[input, values], *input.shape())
    }

    /// [`Op::PoolMaxGather`]: the source's elements where the input's maxima are; for gradient rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn pool_max_gather(input: &Tensor, source: &Tensor, window: Window) -> Tensor {
        let (shape, other) = (input.shape(), source.shape());
        demand!(shape == other, "pool_max_gather: input {shape} and source {other} differ");
        let shape = windows::pooling("pool_max_gather", shape, &window).or_fail();
        node(Op::PoolMaxGather(window), &[input, source], shape)
    }

    /// [`Op::PoolSum`] with any window; for gradient rules.
    ///
    /// Panics if no window fits.
    #[track_caller]
    #[must_use]
    pub fn pool_sum(&self, window: Window) -> Tensor {
        let shape = windows::pooling("pool_sum", self.shape(), &window).or_fail();
        node(Op::PoolSum(window), &[self], shape)
    }

    /// [`Op::PoolSumScatter`]: values `[N, C, windows..]` added to every element of their windows; for
    /// gradient rules.
    ///
    /// Panics if shapes do not fit.
    #[track_caller]
    #[must_use]
    pub fn pool_sum_scatter(
        values: &Tensor,
        input_shape: impl Into<Shape>,
        window: Window,
    ) -> Tensor {
        let shape = input_shape.into();
        let op = Op::PoolSumScatter(window);
        check_values(&op, &shape, values.shape(), window);
        node(op, &[values], shape)
    }
}

#[track_caller]
fn check_values(op: &Op, input: &Shape, values: &Shape, window: Window) {
    let name = op.name();
    let output = windows::pooling(name, input, &window).or_fail();
    demand!(output == *values, "{name}: values of input {input} have shape {output}, not {values}");
}

#[track_caller]
fn node(op: Op, operands: &[&Tensor], shape: Shape) -> Tensor {
    let first = operands[0];
    let dtype = shape_rules::float(op.name(), first.dtype()).or_fail();
    for operand in operands {
        shape_rules::same_dtype(op.name(), dtype, operand.dtype()).or_fail();
    }
    let inputs = operands.iter().map(|&operand| operand.clone()).collect();
    Tensor::from_op(op, inputs, shape, dtype, first.device())
}
