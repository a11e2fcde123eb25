//! [`LayerNorm`]: mean zero and variance one over the last axes.

use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::{Shape, Tensor};

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` over the last axes.
///
/// PyTorch: `torch.nn.LayerNorm`. Ba, Kiros, Hinton, "Layer normalization", 2016.
#[derive(Module, Clone, Debug)]
pub struct LayerNorm {
    /// The shape of the last axes.
    pub weight: Option<Parameter>,
    /// The same shape.
    pub bias: Option<Parameter>,
    axes: usize,
    epsilon: f64,
}

impl LayerNorm {
    /// Over the last axes, which have this shape; epsilon is 1e-5.
    #[track_caller]
    pub fn new(shape: impl Into<Shape>, init: &mut Init) -> Self {
        let shape = shape.into();
        let (weight, bias) = (Some(init.ones(shape)), Some(init.zeros(shape)));
        LayerNorm { weight, bias, axes: shape.rank(), epsilon: 1e-5 }
    }

    /// Sets what keeps the root from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// The same layer without a bias.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// The same layer without weight and bias. PyTorch: `elementwise_affine=False`.
    #[must_use]
    pub fn without_affine(mut self) -> Self {
        (self.weight, self.bias) = (None, None);
        self
    }
}

impl Layer for LayerNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("LayerNorm", self);
        let y = x.layer_norm(self.axes, self.weight.as_deref(), self.bias.as_deref(), self.epsilon);
        ctx.ran("LayerNorm", self, &y);
        y
    }
}
