//! [`LayerNorm`]: mean zero and variance one over the last axes.

use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::{Shape, Tensor};

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` over the last axes.
///
/// PyTorch: `torch.nn.LayerNorm`. Ba, Kiros, Hinton, "Layer normalization", 2016.
///
/// ```
/// use gradloom_nn::layers::LayerNorm;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let norm = LayerNorm::new(2, init);
/// let x = Tensor::new([[1.0f32, 3.0]], &device)?;
/// let y = norm.forward(&x, &mut Context::eval()).to_vec::<f32>()?;
/// assert!((y[0] + 1.0).abs() < 1e-4 && (y[1] - 1.0).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
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
