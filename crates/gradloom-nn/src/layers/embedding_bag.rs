//! [`EmbeddingBag`]: rows of a table reduced bag by bag.

use crate::functional::{EmbeddingBagOptions, embedding_bag};
use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// The rows of a table `[V, D]` at indices, summed, averaged or their largest for each bag: integers
/// `[B, L] -> [B, D]`, or `[L]` with the offsets at which bags begin. A bag of nothing is zero.
///
/// PyTorch: `torch.nn.EmbeddingBag`.
#[derive(Module, Clone, Debug)]
pub struct EmbeddingBag {
    /// `[V, D]`
    pub weight: Parameter,
    #[module(skip)]
    options: EmbeddingBagOptions,
}

impl EmbeddingBag {
    /// First values as PyTorch's: normal with deviation 1.
    #[track_caller]
    pub fn new(rows: usize, size: usize, options: EmbeddingBagOptions, init: &mut Init) -> Self {
        EmbeddingBag { weight: init.normal([rows, size], 1.0), options }
    }

    /// Bags of indices of one axis that begin at these offsets, and a factor for each index where rows are summed.
    ///
    /// # Panics
    /// If shapes do not fit. An index out of range fails the evaluation.
    #[track_caller]
    pub fn run(&self, indices: &Tensor, offsets: &Tensor, weights: Option<&Tensor>) -> Tensor {
        let (offsets, weights) = (Some(offsets.clone()), weights.cloned());
        let options = EmbeddingBagOptions { offsets, weights, ..self.options.clone() };
        embedding_bag(&self.weight, indices, &options)
    }
}

impl Layer for EmbeddingBag {
    /// Each row of indices is a bag, or as the options' offsets say.
    ///
    /// # Panics
    /// If shapes do not fit. An index out of range fails the evaluation.
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        embedding_bag(&self.weight, x, &self.options)
    }
}
