//! [`Unfold`] and [`Fold`]: the elements of each window in a column, and columns added up.

use crate::layers::Layer;
use crate::{Context, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::unfold::UnfoldOptions;

/// The elements of each window in a column: `[N, C, ..] -> [N, C K, L]`, over one to three axes. PyTorch:
/// `torch.nn.Unfold` (of two axes).
#[derive(Module, Clone, Debug)]
pub struct Unfold<const N: usize>(#[module(skip)] pub UnfoldOptions<N>);

impl<const N: usize> Layer for Unfold<N> {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        x.unfold(&self.0)
    }
}

/// Columns added up where their windows lie: `[N, C K, L] -> [N, C, ..]`, over one to three axes. PyTorch:
/// `torch.nn.Fold` (of two axes).
#[derive(Module, Clone, Debug)]
pub struct Fold<const N: usize> {
    /// Sizes of the result.
    #[module(skip)]
    pub output: [usize; N],
    /// Where windows lie.
    #[module(skip)]
    pub options: UnfoldOptions<N>,
}

impl<const N: usize> Layer for Fold<N> {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        x.fold(self.output, &self.options)
    }
}
