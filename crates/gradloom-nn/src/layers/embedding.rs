//! [`Embedding`]: a row of a table for each index.

use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// Row `i` of a table for each index `i`: integers `[..] -> [.., D]` with a table `[V, D]`.
///
/// PyTorch: `torch.nn.Embedding`, without its `padding_idx`.
#[derive(Module, Clone, Debug)]
pub struct Embedding {
    /// `[V, D]`
    pub weight: Parameter,
}

impl Embedding {
    /// First values as PyTorch's: normal with deviation 1.
    #[track_caller]
    pub fn new(rows: usize, size: usize, init: &mut Init) -> Self {
        Embedding { weight: init.normal([rows, size], 1.0) }
    }
}

impl Layer for Embedding {
    /// # Panics
    /// If the input is no integer tensor. An index out of range fails the evaluation.
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        self.weight.embedding(x)
    }
}
