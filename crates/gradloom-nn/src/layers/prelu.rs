//! [`Prelu`]: a leaky ReLU whose slope is learnt.

use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// `x` where it is positive, else `x` times a slope that is learnt: one for all, or one of each channel (axis 1).
///
/// PyTorch: `torch.nn.PReLU`. He et al., "Delving deep into rectifiers", 2015.
#[derive(Module, Clone, Debug)]
pub struct Prelu {
    /// `[1]` or `[C]`
    pub weight: Parameter,
}

impl Prelu {
    /// So many slopes, 0.25 at first: 1 for all, or as many as there are channels.
    #[track_caller]
    pub fn new(slopes: usize, init: &mut Init) -> Self {
        Prelu { weight: init.full(slopes, 0.25) }
    }
}

impl Layer for Prelu {
    /// # Panics
    /// If there are several slopes and not as many channels.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("PReLU", self);
        let y = x.prelu(&self.weight);
        ctx.ran("PReLU", self, &y);
        y
    }
}
