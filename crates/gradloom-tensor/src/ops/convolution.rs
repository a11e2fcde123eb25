//! Convolutions over one and two axes and their transposes. A bias is no argument: layers add it.
//!
//! Letters: N batch, C input channels, O output channels, H and W (or L) sizes, K kernel.

use crate::error::OrFail;
use crate::op::{Groups, Op, Window2d};
use crate::shape_rules::{self, structured};
use crate::{Shape, Tensor};

/// Options of [`Tensor::conv2d`]; the default is stride 1, no padding, dilation 1, one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Distance between windows, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zeros on both sides, vertical and horizontal.
    pub padding: [usize; 2],
    /// Distance between a window's elements.
    pub dilation: [usize; 2],
    /// Number of independent groups of channels.
    pub groups: Groups,
}

/// Options of [`Tensor::conv1d`]; the default is stride 1, no padding, dilation 1, one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dOptions {
    /// Distance between windows.
    pub stride: usize,
    /// Zeros on both sides.
    pub padding: usize,
    /// Distance between a window's elements.
    pub dilation: usize,
    /// Number of independent groups of channels.
    pub groups: Groups,
}

/// Options of [`Tensor::conv_transpose2d`]; the default is stride 1, no padding, dilation 1, one
/// group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTranspose2dOptions {
    /// Distance between windows on the output, vertical and horizontal.
    pub stride: [usize; 2],
    /// Rows and columns cut from both sides of the output.
    pub padding: [usize; 2],
    /// Rows and columns added at the end of the output; below the stride.
    pub output_padding: [usize; 2],
    /// Distance between a window's elements.
    pub dilation: [usize; 2],
    /// Number of independent groups of channels.
    pub groups: Groups,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Conv2dOptions { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

impl Default for Conv1dOptions {
    fn default() -> Self {
        Conv1dOptions { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

impl Default for ConvTranspose2dOptions {
    fn default() -> Self {
        let Conv2dOptions { stride, padding, dilation, groups } = Conv2dOptions::default();
        ConvTranspose2dOptions { stride, padding, output_padding: [0, 0], dilation, groups }
    }
}

macro_rules! builder {
    ($options:ident: $($(#[$doc:meta])* $field:ident: $type:ty),*) => {
        impl $options {
            $($(#[$doc])*
            #[must_use]
            pub fn $field(self, $field: $type) -> Self {
                $options { $field, ..self }
            })*
        }
    };
}

builder!(Conv2dOptions:
    /// Sets the stride.
    stride: [usize; 2],
    /// Sets the padding.
    padding: [usize; 2],
    /// Sets the dilation.
    dilation: [usize; 2],
    /// Sets the number of groups.
    groups: Groups
);

builder!(Conv1dOptions:
    /// Sets the stride.
    stride: usize,
    /// Sets the padding.
    padding: usize,
    /// Sets the dilation.
    dilation: usize,
    /// Sets the number of groups.
    groups: Groups
);

builder!(ConvTranspose2dOptions:
    /// Sets the stride.
    stride: [usize; 2],
    /// Sets the padding.
    padding: [usize; 2],
    /// Sets the output padding.
    output_padding: [usize; 2],
    /// Sets the dilation.
    dilation: [usize; 2],
    /// Sets the number of groups.
    groups: Groups
);

/// The window of a weight `[.., KH, KW]` with the same padding on both sides.
fn window(
    weight: &Shape,
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
) -> Window2d {
    let [.., height, width] = *weight.dims() else { return Window2d::new([0, 0]) };
    let padding = padding.map(|size| [size, size]);
    Window2d { kernel: [height, width], stride, padding, dilation }
}

impl Tensor {
    /// Cross-correlation `[N, C, H, W]`, weight `[O, C / groups, KH, KW]` -> `[N, O, OH, OW]`.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv2d` without bias.
    #[track_caller]
    #[must_use]
    pub fn conv2d(&self, weight: &Tensor, options: &Conv2dOptions) -> Tensor {
        let Conv2dOptions { stride, padding, dilation, groups } = *options;
        let window = window(weight.shape(), stride, padding, dilation);
        Tensor::conv2d_forward(self, weight, window, groups)
    }

    /// Cross-correlation `[N, C, L]`, weight `[O, C / groups, K]` -> `[N, O, OL]`.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv1d` without bias.
    #[track_caller]
    #[must_use]
    pub fn conv1d(&self, weight: &Tensor, options: &Conv1dOptions) -> Tensor {
        structured::rank("conv1d", "an input [N, C, L]", self.shape(), 3)
            .and_then(|()| {
                structured::rank("conv1d", "a weight [O, C / groups, K]", weight.shape(), 3)
            })
            .or_fail();
        let options = Conv2dOptions {
            stride: [1, options.stride],
            padding: [0, options.padding],
            dilation: [1, options.dilation],
            groups: options.groups,
        };
        self.unsqueeze(2).conv2d(&weight.unsqueeze(2), &options).squeeze(2)
    }

    /// The transpose of [`Tensor::conv2d`] in its input: `[N, C, H, W]`, weight
    /// `[C, O / groups, KH, KW]` -> `[N, O, OH, OW]`,
    /// `OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1`.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.conv_transpose2d` without bias.
    #[track_caller]
    #[must_use]
    pub fn conv_transpose2d(&self, weight: &Tensor, options: &ConvTranspose2dOptions) -> Tensor {
        let ConvTranspose2dOptions { stride, padding, output_padding, dilation, groups } = *options;
        let window = window(weight.shape(), stride, padding, dilation);
        let (input, kernel) = (self.shape(), weight.shape());
        let shape =
            structured::convolution_transpose(input, kernel, &window, output_padding, groups)
                .or_fail();
        Tensor::conv2d_input(weight, self, shape, window, groups)
    }

    /// [`Op::Convolution`] with any window; for gradient rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn conv2d_forward(
        input: &Tensor,
        weight: &Tensor,
        window: Window2d,
        groups: Groups,
    ) -> Tensor {
        let shape =
            structured::convolution(input.shape(), weight.shape(), &window, groups).or_fail();
        node(Op::Convolution(window, groups), input, weight, shape)
    }

    /// [`Op::ConvolutionInput`]: the gradient in the input, of `input_shape`, from the weight and the
    /// output's gradient; for gradient rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn conv2d_input(
        weight: &Tensor,
        gradient: &Tensor,
        input_shape: impl Into<Shape>,
        window: Window2d,
        groups: Groups,
    ) -> Tensor {
        let shape = input_shape.into();
        check_gradient(&shape, weight.shape(), gradient.shape(), window, groups);
        node(Op::ConvolutionInput(window, groups), weight, gradient, shape)
    }

    /// [`Op::ConvolutionWeight`]: the gradient in the weight, of `weight_shape`, from the input and
    /// the output's gradient; for gradient rules.
    ///
    /// Panics if shapes or dtypes do not fit.
    #[track_caller]
    #[must_use]
    pub fn conv2d_weight(
        input: &Tensor,
        gradient: &Tensor,
        weight_shape: impl Into<Shape>,
        window: Window2d,
        groups: Groups,
    ) -> Tensor {
        let shape = weight_shape.into();
        check_gradient(input.shape(), &shape, gradient.shape(), window, groups);
        node(Op::ConvolutionWeight(window, groups), input, gradient, shape)
    }
}

#[track_caller]
fn check_gradient(
    input: &Shape,
    weight: &Shape,
    gradient: &Shape,
    window: Window2d,
    groups: Groups,
) {
    let output = structured::convolution(input, weight, &window, groups).or_fail();
    assert!(
        output == *gradient,
        "convolution: the output of input {input} and weight {weight} is {output}, not {gradient}"
    );
}

#[track_caller]
fn node(op: Op, first: &Tensor, second: &Tensor, shape: Shape) -> Tensor {
    let dtype = shape_rules::same_dtype(op.name(), first.dtype(), second.dtype())
        .and_then(|dtype| shape_rules::float(op.name(), dtype))
        .or_fail();
    Tensor::from_op(op, vec![first.clone(), second.clone()], shape, dtype, first.device())
}
