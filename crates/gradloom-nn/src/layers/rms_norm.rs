//! [`RmsNorm`]: mean square one over the last axis.

use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// `y = x / sqrt(mean(x^2) + epsilon) * weight` over the last axis.
///
/// PyTorch: `torch.nn.RMSNorm`. Zhang, Sennrich, "Root mean square layer normalization", 2019.
#[derive(Module, Clone, Debug)]
pub struct RmsNorm {
    /// The size of the last axis.
    pub weight: Parameter,
    epsilon: f64,
}

impl RmsNorm {
    /// Over a last axis of this size; epsilon is 1e-6.
    #[track_caller]
    pub fn new(size: usize, init: &mut Init) -> Self {
        RmsNorm { weight: init.ones(size), epsilon: 1e-6 }
    }

    /// Sets what keeps the root from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl Layer for RmsNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("RMSNorm", self);
        let y = x.rms_norm(Some(&self.weight), self.epsilon);
        ctx.ran("RMSNorm", self, &y);
        y
    }
}
