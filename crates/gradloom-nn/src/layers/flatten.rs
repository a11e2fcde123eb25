//! [`Flatten`]: all axes but the first as one.

use crate::layers::Layer;
use crate::{Context, Module};
use gradloom_tensor::Tensor;

/// `[N, ..] -> [N, F]`. PyTorch: `torch.nn.Flatten`.
#[derive(Module, Clone, Copy, Debug, Default)]
pub struct Flatten;

impl Layer for Flatten {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        if x.rank() < 2 { x.unsqueeze(-1) } else { x.flatten(1, -1) }
    }
}
