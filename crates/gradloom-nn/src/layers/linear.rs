//! [`Linear`]: a matrix product and a bias.

use crate::layers::{Adapter, Layer};
use crate::{Compute, Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// `y = x W^T + b`: `[.., I] -> [.., O]` with `W [O, I]` and `b [O]`.
///
/// PyTorch: `torch.nn.Linear`.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let layer = Linear::new(3, 8, init); // .without_bias()
/// let x = Tensor::zeros([5, 3], DType::F32, &device);
/// assert_eq!(layer.forward(&x, &mut Context::eval()).shape(), &[5, 8]);
/// ```
#[derive(Module, Clone, Debug)]
pub struct Linear {
    /// `[O, I]`
    pub weight: Parameter,
    /// `[O]`
    pub bias: Option<Parameter>,
    /// Beside the weight: empty unless [`lora`](crate::lora) put an update there.
    #[module(flatten)]
    pub adapter: Adapter,
}

impl Linear {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(inputs)`.
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize, init: &mut Init) -> Self {
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        let weight = init.uniform([outputs, inputs], bound);
        Linear::from_parts(weight, Some(init.uniform(outputs, bound)))
    }

    /// Of a weight `[O, I]` and a bias `[O]`.
    pub fn from_parts(weight: Parameter, bias: Option<Parameter>) -> Self {
        Linear { weight, bias, adapter: Adapter::empty() }
    }

    /// The same layer without a bias.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.weight.size(1)
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.weight.size(0)
    }
}

impl Layer for Linear {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("Linear", self);
        let y = project(x, &self.weight, self.bias.as_deref(), &ctx.compute());
        let y = self.adapter.add_to(y, x, ctx);
        ctx.ran("Linear", self, &y);
        y
    }
}

/// `x W^T + b`.
#[track_caller]
pub(super) fn project(
    x: &Tensor,
    weight: &Parameter,
    bias: Option<&Tensor>,
    compute: &Compute,
) -> Tensor {
    let product = compute.multiply(weight, [x, weight], |[x, weight]| x.matmul(&weight.t()));
    match bias {
        Some(bias) => product + bias,
        None => product,
    }
}
