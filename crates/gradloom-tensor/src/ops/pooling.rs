//! Pooling: maxima and means of windows.
//!
//! Letters: N batch, C channels, H and W (or L) sizes; OH and OW numbers of windows.

use crate::error::OrFail;
use crate::op::{Op, Window2d};
use crate::shape_rules::{self, structured};
use crate::{Shape, Tensor};

/// Options of [`Tensor::max_pool2d`] and [`Tensor::avg_pool2d`]. There is no ceil mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Rows and columns around the input, on both sides; at most half a window.
    pub padding: [usize; 2],
    /// Distance between a window's elements.
    pub dilation: [usize; 2],
    /// Whether a mean counts padding as zeros; otherwise it is over real elements only.
    pub count_include_pad: bool,
}

impl PoolOptions {
    /// Windows of `kernel` elements side by side, without padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        PoolOptions {
            kernel,
            stride: kernel,
            padding: [0, 0],
            dilation: [1, 1],
            count_include_pad: true,
        }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: [usize; 2]) -> Self {
        PoolOptions { stride, ..self }
    }

    /// Sets the padding.
    #[must_use]
    pub fn padding(self, padding: [usize; 2]) -> Self {
        PoolOptions { padding, ..self }
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: [usize; 2]) -> Self {
        PoolOptions { dilation, ..self }
    }

    /// Sets whether a mean counts padding.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        PoolOptions { count_include_pad, ..self }
    }

    #[track_caller]
    fn window(&self, op: &str) -> Window2d {
        for axis in 0..2 {
            let between = self.kernel[axis].saturating_sub(1);
            let extent = self.dilation[axis].saturating_mul(between).saturating_add(1);
            assert!(
                self.padding[axis] <= extent / 2,
                "{op}: padding {:?} is more than half of the window {:?}",
                self.padding,
                self.kernel
            );
        }
        let padding = self.padding.map(|size| [size, size]);
        Window2d { kernel: self.kernel, stride: self.stride, padding, dilation: self.dilation }
    }
}

/// Options of [`Tensor::max_pool1d`] and [`Tensor::avg_pool1d`]. There is no ceil mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool1dOptions {
    /// Length of a window.
    pub kernel: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Elements before and after the input; at most half a window.
    pub padding: usize,
    /// Distance between a window's elements.
    pub dilation: usize,
    /// Whether a mean counts padding as zeros; otherwise it is over real elements only.
    pub count_include_pad: bool,
}

impl Pool1dOptions {
    /// Windows of `kernel` elements side by side, without padding.
    pub fn new(kernel: usize) -> Self {
        Pool1dOptions { kernel, stride: kernel, padding: 0, dilation: 1, count_include_pad: true }
    }

    fn widened(&self) -> PoolOptions {
        PoolOptions {
            kernel: [1, self.kernel],
            stride: [1, self.stride],
            padding: [0, self.padding],
            dilation: [1, self.dilation],
            count_include_pad: self.count_include_pad,
        }
    }
}

impl Tensor {
    /// Maximum of each window: `[N, C, H, W] -> [N, C, OH, OW]`; padding never wins.
    ///
    /// Float dtypes. Panics if no window fits. PyTorch: `F.max_pool2d`.
    #[track_caller]
    #[must_use]
    pub fn max_pool2d(&self, options: &PoolOptions) -> Tensor {
        self.pool_max(options.window("max_pool2d"))
    }

    /// Mean of each window: `[N, C, H, W] -> [N, C, OH, OW]`.
    ///
    /// Float dtypes. Panics if no window fits. PyTorch: `F.avg_pool2d`.
    #[track_caller]
    #[must_use]
    pub fn avg_pool2d(&self, options: &PoolOptions) -> Tensor {
        let window = options.window("avg_pool2d");
        let sum = self.wide().pool_sum(window);
        if options.count_include_pad || options.padding == [0, 0] {
            let [height, width] = window.kernel;
            let count = height as f64 * width as f64;
            return (&sum * &sum.constant_like(1.0 / count)).cast(self.dtype());
        }
        // The counts are the same for every channel of every picture.
        let plane = Shape::new(&[1, 1, self.size(2), self.size(3)]);
        let ones = Tensor::constant(1.0, plane, sum.dtype(), self.device());
        (&sum / &ones.pool_sum(window)).cast(self.dtype())
    }

    /// Maximum of each window: `[N, C, L] -> [N, C, OL]`.
    ///
    /// Float dtypes. Panics if no window fits. PyTorch: `F.max_pool1d`.
    #[track_caller]
    #[must_use]
    pub fn max_pool1d(&self, options: &Pool1dOptions) -> Tensor {
        let shape = self.shape();
        structured::rank("max_pool1d", "an input [N, C, L]", shape, 3).or_fail();
        self.unsqueeze(2).max_pool2d(&options.widened()).squeeze(2)
    }

    /// Mean of each window: `[N, C, L] -> [N, C, OL]`.
    ///
    /// Float dtypes. Panics if no window fits. PyTorch: `F.avg_pool1d`.
    #[track_caller]
    #[must_use]
    pub fn avg_pool1d(&self, options: &Pool1dOptions) -> Tensor {
        let shape = self.shape();
        structured::rank("avg_pool1d", "an input [N, C, L]", shape, 3).or_fail();
        self.unsqueeze(2).avg_pool2d(&options.widened()).squeeze(2)
    }

    /// Means of equal windows that cover the input: `[N, C, H, W] -> [N, C, OH, OW]`.
    ///
    /// Float dtypes. Panics unless OH divides H and OW divides W. PyTorch: `F.adaptive_avg_pool2d`.
    #[track_caller]
    #[must_use]
    pub fn adaptive_avg_pool2d(&self, output: [usize; 2]) -> Tensor {
        const OP: &str = "adaptive_avg_pool2d";
        let shape = self.shape();
        structured::rank(OP, "an input [N, C, H, W]", shape, 4).or_fail();
        let fits = |axis: usize| output[axis] > 0 && shape[axis + 2].is_multiple_of(output[axis]);
        assert!(
            fits(0) && fits(1),
            "{OP}: {output:?} does not divide the height and width of {shape}; \
             only evenly dividing sizes are supported"
        );
        self.avg_pool2d(&PoolOptions::new([shape[2] / output[0], shape[3] / output[1]]))
    }

    /// Mean over height and width: `[N, C, H, W] -> [N, C]`.
    ///
    /// Float dtypes. Panics if there are not four axes. PyTorch: `x.mean((2, 3))`.
    #[track_caller]
    #[must_use]
    pub fn global_avg_pool2d(&self) -> Tensor {
        const OP: &str = "global_avg_pool2d";
        structured::rank(OP, "an input [N, C, H, W]", self.shape(), 4).or_fail();
        self.mean([2, 3])
    }

    /// [`Op::PoolMax`] with any window; for gradient rules.
    ///
    /// Panics if no window fits.
    #[track_caller]
    #[must_use]
    pub fn pool_max(&self, window: Window2d) -> Tensor {
        let shape = structured::pooling("pool_max", self.shape(), &window).or_fail();
        node(Op::PoolMax(window), &[self], shape)
    }

    /// [`Op::PoolMaxScatter`]: values `[N, C, OH, OW]` added where the input's maxima are; for gradient
    /// rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn pool_max_scatter(input: &Tensor, values: &Tensor, window: Window2d) -> Tensor {
        let op = Op::PoolMaxScatter(window);
        check_values(&op, input.shape(), values.shape(), window);
        node(op, &[input, values], *input.shape())
    }

    /// [`Op::PoolMaxGather`]: the source's elements where the input's maxima are; for gradient rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn pool_max_gather(input: &Tensor, source: &Tensor, window: Window2d) -> Tensor {
        let (shape, other) = (input.shape(), source.shape());
        assert!(shape == other, "pool_max_gather: input {shape} and source {other} differ");
        let shape = structured::pooling("pool_max_gather", shape, &window).or_fail();
        node(Op::PoolMaxGather(window), &[input, source], shape)
    }

    /// [`Op::PoolSum`] with any window; for gradient rules.
    ///
    /// Panics if no window fits.
    #[track_caller]
    #[must_use]
    pub fn pool_sum(&self, window: Window2d) -> Tensor {
        let shape = structured::pooling("pool_sum", self.shape(), &window).or_fail();
        node(Op::PoolSum(window), &[self], shape)
    }

    /// [`Op::PoolSumScatter`]: values `[N, C, OH, OW]` added to every element of their windows; for
    /// gradient rules.
    ///
    /// Panics if shapes do not fit.
    #[track_caller]
    #[must_use]
    pub fn pool_sum_scatter(
        values: &Tensor,
        input_shape: impl Into<Shape>,
        window: Window2d,
    ) -> Tensor {
        let shape = input_shape.into();
        let op = Op::PoolSumScatter(window);
        check_values(&op, &shape, values.shape(), window);
        node(op, &[values], shape)
    }
}

#[track_caller]
fn check_values(op: &Op, input: &Shape, values: &Shape, window: Window2d) {
    let name = op.name();
    let output = structured::pooling(name, input, &window).or_fail();
    assert!(output == *values, "{name}: values of input {input} have shape {output}, not {values}");
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
