//! [`Conv1d`], [`Conv2d`] and [`Conv3d`]: cross-correlation of sequences, pictures and volumes.

use crate::layers::names::names;
use crate::layers::{Layer, add_channel_bias};
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::ConvOptions;
use gradloom_tensor::ops::padding::PadMode;
use gradloom_tensor::ops::per_axis::PerAxis;

/// `y[n, o] = b[o] + sum over c of W[o, c] * x[n, c]` over `N` axes: `[N, C, ..] -> [N, O, ..]` with
/// `W [O, C / groups, K..]` and `b [O]`; `*` is cross-correlation.
///
/// PyTorch: `torch.nn.Conv1d`, `Conv2d` and `Conv3d`.
///
/// ```
/// use gradloom_nn::layers::Conv2d;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// use gradloom_tensor::ops::convolution::Conv2dOptions;
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let layer = Conv2d::new(3, 8, [3, 3], Conv2dOptions::default().padding(1), init);
/// let x = Tensor::zeros([2, 3, 32, 32], DType::F32, &device);
/// assert_eq!(layer.forward(&x, &mut Context::eval()).shape(), &[2, 8, 32, 32]);
/// ```
#[derive(Module, Clone, Debug)]
pub struct Conv<const N: usize> {
    /// `[O, C / groups, K..]`
    pub weight: Parameter,
    /// `[O]`
    pub bias: Option<Parameter>,
    #[module(skip)]
    options: ConvOptions<N>,
    /// Output channels of a group: what stays where whole groups are pruned.
    group_outputs: usize,
    /// What stands around the input, if it is not zeros.
    #[module(skip)]
    padding_mode: Option<PadMode>,
}

names!(Conv: Conv1d, Conv2d, Conv3d);

impl<const N: usize> Conv<N> {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(C / groups * elements of the kernel)`.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: impl PerAxis<N>,
        options: ConvOptions<N>,
        init: &mut Init,
    ) -> Self {
        let shared = grouped(&format!("conv{N}d"), inputs, outputs, options.groups);
        let (shape, bound) = weight([outputs, shared], kernel.per_axis());
        let weight = init.uniform(&shape[..], bound);
        Conv {
            weight,
            bias: Some(init.uniform(outputs, bound)),
            options,
            group_outputs: outputs / options.groups,
            padding_mode: None,
        }
    }

    /// The same layer without a bias, as it stands before a norm.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// Pads with elements of the input instead of zeros. PyTorch: `padding_mode`.
    #[must_use]
    pub fn padding_mode(mut self, mode: PadMode) -> Self {
        self.padding_mode = Some(mode);
        self
    }

    /// The input with what stands around it, and the options that are left then.
    #[track_caller]
    fn padded(&self, x: &Tensor) -> (Tensor, ConvOptions<N>) {
        let options = self.options();
        let Some(mode) = self.padding_mode.filter(|_| x.rank() == N + 2) else {
            return (x.clone(), options);
        };
        let mut padding = vec![[0, 0]; 2];
        padding.extend(options.padding.0);
        (x.pad_mode(&padding, mode), options.padding(0))
    }

    /// Stride, padding, dilation, and as many groups as the weight has.
    pub fn options(&self) -> ConvOptions<N> {
        let groups = match self.options.groups {
            1 => 1,
            _ => self.weight.size(0) / self.group_outputs.max(1),
        };
        self.options.groups(groups)
    }
}

/// The shape of a weight, and the bound of its first values: `1 / sqrt(fan-in)`, where the second
/// channels and the kernel are the fan-in.
pub(super) fn weight<const N: usize>(
    channels: [usize; 2],
    kernel: [usize; N],
) -> (Vec<usize>, f64) {
    let shape = [&channels[..], &kernel[..]].concat();
    let fan_in: f64 = shape[1..].iter().map(|&size| size as f64).product();
    (shape, 1.0 / fan_in.max(1.0).sqrt())
}

/// Input channels per group.
#[track_caller]
pub(super) fn grouped(layer: &str, inputs: usize, outputs: usize, groups: usize) -> usize {
    assert!(
        groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups),
        "{layer}: {groups} groups do not divide {inputs} input and {outputs} output channels"
    );
    inputs / groups
}

macro_rules! layer {
    ($axes:literal, $method:ident, $kind:literal) => {
        impl Layer for Conv<$axes> {
            #[track_caller]
            fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
                let _layer = ctx.enter($kind, self);
                let (x, options) = self.padded(x);
                let weight = &self.weight;
                let y = ctx
                    .compute()
                    .multiply(weight, [&x, weight], |[x, weight]| x.$method(weight, &options));
                let y = add_channel_bias(&y, self.bias.as_ref());
                ctx.ran($kind, self, &y);
                y
            }
        }
    };
}

layer!(1, conv1d, "Conv1d");
layer!(2, conv2d, "Conv2d");
layer!(3, conv3d, "Conv3d");
