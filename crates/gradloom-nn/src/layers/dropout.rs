//! [`Dropout`]: elements left out at random while learning.

use crate::layers::Layer;
use crate::{Context, Module};
use gradloom_tensor::Tensor;

/// In training, each element is zero with probability `p`, else divided by `1 - p`; otherwise the
/// input itself.
///
/// PyTorch: `torch.nn.Dropout`. Srivastava et al., "Dropout", 2014.
#[derive(Module, Clone, Copy, Debug)]
pub struct Dropout {
    p: f64,
}

impl Dropout {
    /// Leaves elements out with probability `p`.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        assert!((0.0..=1.0).contains(&p), "dropout: {p} is no probability; give one in 0..=1");
        Dropout { p }
    }

    /// The probability.
    pub fn probability(&self) -> f64 {
        self.p
    }
}

impl Layer for Dropout {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        if !ctx.is_training() || self.p == 0.0 {
            return x.clone();
        }
        if self.p == 1.0 {
            return x.zeros_like();
        }
        let kept = Tensor::bernoulli(ctx.key(), 1.0 - self.p, x.shape(), x.device());
        let scaled = (x.wide() * (1.0 / (1.0 - self.p))).cast(x.dtype());
        kept.select(scaled, x.zeros_like())
    }
}
