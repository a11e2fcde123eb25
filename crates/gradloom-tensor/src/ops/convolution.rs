//! Convolutions over one to three axes and their transposes. A bias is no argument: layers add it.
//!
//! Letters: N batch, C input channels, O output channels, D, H and W (or L) sizes, K kernel.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::{Groups, Op, Window};
use crate::ops::per_axis::{Padding, PerAxis};
use crate::ops::single_point;
use crate::shape_rules;
use crate::shape_rules::windows::{self, Placement, Transposed};
use crate::{Shape, Tensor};

/// Options of [`Tensor::conv1d`], [`Tensor::conv2d`] and [`Tensor::conv3d`]; the default is stride 1, no
/// padding, dilation 1, one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Distance between windows.
    pub stride: [usize; N],
    /// Zeros around the input; below zero, elements cut off it.
    pub padding: Padding<N>,
    /// Distance between a window's elements.
    pub dilation: [usize; N],
    /// Number of independent groups of channels.
    pub groups: Groups,
}

/// Options of [`Tensor::conv1d`].
pub type Conv1dOptions = ConvOptions<1>;
/// Options of [`Tensor::conv2d`].
pub type Conv2dOptions = ConvOptions<2>;
/// Options of [`Tensor::conv3d`].
pub type Conv3dOptions = ConvOptions<3>;

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        ConvOptions { stride: [1; N], padding: Padding::NONE, dilation: [1; N], groups: 1 }
    }
}

/// Options of [`Tensor::conv_transpose1d`], [`Tensor::conv_transpose2d`] and
/// [`Tensor::conv_transpose3d`]; the default is stride 1, no padding, dilation 1, one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTransposeOptions<const N: usize> {
    /// Distance between windows on the output.
    pub stride: [usize; N],
    /// Elements cut off the output on each side; below zero, zeros added to it.
    pub padding: Padding<N>,
    /// Elements added at the end of each axis of the output; below the stride or the dilation.
    pub output_padding: [usize; N],
    /// Distance between a window's elements.
    pub dilation: [usize; N],
    /// Number of independent groups of channels.
    pub groups: Groups,
}

/// Options of [`Tensor::conv_transpose1d`].
pub type ConvTranspose1dOptions = ConvTransposeOptions<1>;
/// Options of [`Tensor::conv_transpose2d`].
pub type ConvTranspose2dOptions = ConvTransposeOptions<2>;
/// Options of [`Tensor::conv_transpose3d`].
pub type ConvTranspose3dOptions = ConvTransposeOptions<3>;

impl<const N: usize> Default for ConvTransposeOptions<N> {
    fn default() -> Self {
        let ConvOptions { stride, padding, dilation, groups } = ConvOptions::default();
        ConvTransposeOptions { stride, padding, output_padding: [0; N], dilation, groups }
    }
}

macro_rules! builder {
    ($options:ident) => {
        impl<const N: usize> $options<N> {
            /// Sets the stride.
            #[must_use]
            pub fn stride(self, stride: impl PerAxis<N>) -> Self {
                $options { stride: stride.per_axis(), ..self }
            }

            /// Sets the padding.
            #[must_use]
            pub fn padding(self, padding: impl Into<Padding<N>>) -> Self {
                $options { padding: padding.into(), ..self }
            }

            /// Sets the dilation.
            #[must_use]
            pub fn dilation(self, dilation: impl PerAxis<N>) -> Self {
                $options { dilation: dilation.per_axis(), ..self }
            }

            /// Sets the number of groups.
            #[must_use]
            pub fn groups(self, groups: Groups) -> Self {
                $options { groups, ..self }
            }
        }
    };
}

builder!(ConvOptions);
builder!(ConvTransposeOptions);

impl<const N: usize> ConvTransposeOptions<N> {
    /// Sets the output padding.
    #[must_use]
    pub fn output_padding(self, output_padding: impl PerAxis<N>) -> Self {
        ConvTransposeOptions { output_padding: output_padding.per_axis(), ..self }
    }
}

impl Tensor {
    /// Cross-correlation `[N, C, L]`, weight `[O, C / groups, K]` -> `[N, O, OL]`.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv1d` without bias.
    #[track_caller]
    #[must_use]
    pub fn conv1d(&self, weight: &Tensor, options: &Conv1dOptions) -> Tensor {
        convolve("conv1d", self, weight, options)
    }

    /// Cross-correlation `[N, C, H, W]`, weight `[O, C / groups, KH, KW]` -> `[N, O, OH, OW]`.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv2d` without bias.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// use gradloom_tensor::ops::convolution::Conv2dOptions;
    ///
    /// let x = Tensor::ones([1, 1, 4, 4], DType::F32, &device);
    /// let weight = Tensor::ones([8, 1, 3, 3], DType::F32, &device);
    /// let y = x.conv2d(&weight, &Conv2dOptions::default().padding(1));
    /// assert_eq!(y.shape()[..], [1, 8, 4, 4]);
    /// assert_eq!(y.max(..).item()?, 9.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn conv2d(&self, weight: &Tensor, options: &Conv2dOptions) -> Tensor {
        convolve("conv2d", self, weight, options)
    }

    /// Cross-correlation `[N, C, D, H, W]`, weight `[O, C / groups, KD, KH, KW]` ->
    /// `[N, O, OD, OH, OW]`.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv3d` without bias.
    #[track_caller]
    #[must_use]
    pub fn conv3d(&self, weight: &Tensor, options: &Conv3dOptions) -> Tensor {
        convolve("conv3d", self, weight, options)
    }

    /// The transpose of [`Tensor::conv1d`] in its input: `[N, C, L]`, weight `[C, O / groups, K]` ->
    /// `[N, O, OL]`, `OL = (L - 1) stride - padding before and after + dilation (K - 1) +
    /// output_padding + 1`.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv_transpose1d` without bias.
    #[track_caller]
    #[must_use]
    pub fn conv_transpose1d(&self, weight: &Tensor, options: &ConvTranspose1dOptions) -> Tensor {
        transpose("conv_transpose1d", self, weight, options)
    }

    /// The transpose of [`Tensor::conv2d`] in its input: `[N, C, H, W]`, weight
    /// `[C, O / groups, KH, KW]` -> `[N, O, OH, OW]`, sizes as of [`Tensor::conv_transpose1d`].
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv_transpose2d` without bias.
    #[track_caller]
    #[must_use]
    pub fn conv_transpose2d(&self, weight: &Tensor, options: &ConvTranspose2dOptions) -> Tensor {
        transpose("conv_transpose2d", self, weight, options)
    }

    /// The transpose of [`Tensor::conv3d`] in its input: `[N, C, D, H, W]`, weight
    /// `[C, O / groups, KD, KH, KW]` -> `[N, O, OD, OH, OW]`, sizes as of [`Tensor::conv_transpose1d`].
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv_transpose3d` without bias.
    #[track_caller]
    #[must_use]
    pub fn conv_transpose3d(&self, weight: &Tensor, options: &ConvTranspose3dOptions) -> Tensor {
        let _called = Called::op("conv_transpose3d");
        transpose("conv_transpose3d", self, weight, options)
    }

    /// [`Op::Convolution`] with any window; for gradient rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn convolution(input: &Tensor, weight: &Tensor, window: Window, groups: Groups) -> Tensor {
        let op = Op::Convolution(window, groups);
        let shape = windows::convolution(op.name(), input.shape(), weight.shape(), &window, groups)
            .or_fail();
        node(op.name(), op, input, weight, shape)
    }

    /// [`Op::ConvolutionInput`]: the gradient in the input, of `input_shape`, from the weight and the
    /// output's gradient; for gradient rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn convolution_input(
        weight: &Tensor,
        gradient: &Tensor,
        input_shape: impl Into<Shape>,
        window: Window,
        groups: Groups,
    ) -> Tensor {
        let (op, shape) = (Op::ConvolutionInput(window, groups), input_shape.into());
        check_gradient(op.name(), &shape, weight.shape(), gradient.shape(), window, groups);
        node(op.name(), op, weight, gradient, shape)
    }

    /// [`Op::ConvolutionWeight`]: the gradient in the weight, of `weight_shape`, from the input and
    /// the output's gradient; for gradient rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn convolution_weight(
        input: &Tensor,
        gradient: &Tensor,
        weight_shape: impl Into<Shape>,
        window: Window,
        groups: Groups,
    ) -> Tensor {
        let (op, shape) = (Op::ConvolutionWeight(window, groups), weight_shape.into());
        check_gradient(op.name(), input.shape(), &shape, gradient.shape(), window, groups);
        node(op.name(), op, input, gradient, shape)
    }
}

#[track_caller]
fn convolve<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    options: &ConvOptions<N>,
) -> Tensor {
    let ConvOptions { stride, padding, dilation, groups } = *options;
    let kernel = windows::kernel::<N>(op, input.shape(), weight.shape()).or_fail();
    let window = Window::new(kernel).stride(stride).padding(padding.added()).dilation(dilation);
    let input = cropped(op, input, &padding);
    let shape = windows::convolution(op, input.shape(), weight.shape(), &window, groups).or_fail();
    let node = node(op, Op::Convolution(window, groups), &input, weight, shape);
    single_point::of_one_window(&node, &window, groups).unwrap_or(node)
}

/// The input without what a padding below zero cuts off.
#[track_caller]
fn cropped<const N: usize>(op: &str, input: &Tensor, padding: &Padding<N>) -> Tensor {
    let mut rest = input.clone();
    for (axis, [before, after]) in padding.cut().into_iter().enumerate() {
        let size = input.size(axis as isize + 2);
        let left = size.checked_sub(before).and_then(|left| left.checked_sub(after));
        let Some(left) = left else {
            Called::fail(format_args!(
                "{op}: padding {:?} cuts more than there is off {}",
                padding.0,
                input.shape()
            ));
        };
        if left < size {
            rest = rest.narrow(axis as isize + 2, before, left);
        }
    }
    rest
}

#[track_caller]
fn transpose<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    options: &ConvTransposeOptions<N>,
) -> Tensor {
    let ConvTransposeOptions { stride, padding, output_padding, dilation, groups } = *options;
    let place = Placement { stride, padding: padding.0, output_padding, dilation, groups };
    let transposed = windows::transposed(op, input.shape(), weight.shape(), &place).or_fail();
    let Transposed { window, shape, zeros } = transposed;
    let made = node(op, Op::ConvolutionInput(window, groups), weight, input, shape);
    let made = single_point::from_one_point(&made, &window, groups).unwrap_or(made);
    if zeros == [[0, 0]; N] {
        return made;
    }
    let around = zeros.map(|[before, after]| (before, after));
    let padding: Vec<(usize, usize)> = [(0, 0); 2].into_iter().chain(around).collect();
    made.pad(&padding)
}

#[track_caller]
fn check_gradient(
    op: &str,
    input: &Shape,
    weight: &Shape,
    gradient: &Shape,
    window: Window,
    groups: Groups,
) {
    let output = windows::convolution(op, input, weight, &window, groups).or_fail();
    demand!(
        output == *gradient,
        "{op}: the output of input {input} and weight {weight} is {output}, not {gradient}"
    );
}

#[track_caller]
fn node(name: &str, op: Op, first: &Tensor, second: &Tensor, shape: Shape) -> Tensor {
    let dtype = shape_rules::same_dtype(name, first.dtype(), second.dtype())
        .and_then(|dtype| shape_rules::float(name, dtype))
        .or_fail();
    Tensor::from_op(op, vec![first.clone(), second.clone()], shape, dtype, first.device())
}
