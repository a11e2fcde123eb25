//! [`Embedding`]: a row of a table for each index.

use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// What keeps a row of zeros from a division by zero, as PyTorch has it.
const NORM_MARGIN: f64 = 1e-7;

/// Row `i` of a table for each index `i`: integers `[..] -> [.., D]` with a table `[V, D]`.
///
/// PyTorch: `torch.nn.Embedding`.
///
/// ```
/// use gradloom_nn::layers::Embedding;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let words = Embedding::new(100, 16, init);
/// let tokens = Tensor::new([[5, 6, 7], [8, 9, 0]], &device)?;
/// assert_eq!(words.forward(&tokens, &mut Context::eval()).shape(), &[2, 3, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct Embedding {
    /// `[V, D]`
    pub weight: Parameter,
    padding: Option<usize>,
    max_norm: Option<f64>,
}

impl Embedding {
    /// First values as PyTorch's: normal with deviation 1.
    #[track_caller]
    pub fn new(rows: usize, size: usize, init: &mut Init) -> Self {
        Embedding::from_weight(init.normal([rows, size], 1.0))
    }

    /// Of a table `[V, D]`. PyTorch: `Embedding.from_pretrained`.
    pub fn from_weight(weight: Parameter) -> Self {
        Embedding { weight, padding: None, max_norm: None }
    }

    /// The row of an index that stands for nothing: zero at first, and never learnt. PyTorch: `padding_idx`.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    #[track_caller]
    pub fn padding(mut self, index: usize) -> Self {
        let rows = self.weight.size(0);
        assert!(index < rows, "embedding: padding {index} of {rows} rows");
        let is_padding = Tensor::iota([rows, 1], 0, self.weight.device()).eq(index as i32);
        let weight = is_padding.select(self.weight.zeros_like(), self.weight.tensor());
        self.weight.set(&weight);
        self.padding = Some(index);
        self
    }

    /// Rows longer than this are as short as this where they are read; a gradient passes as if they were not
    /// shortened. PyTorch: `max_norm`, which shortens them in the table.
    #[must_use]
    pub fn max_norm(mut self, max_norm: f64) -> Self {
        self.max_norm = Some(max_norm);
        self
    }
}

impl Layer for Embedding {
    /// # Panics
    /// If the input is no integer tensor. An index out of range fails the evaluation.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("Embedding", self);
        let mut rows = self.weight.embedding(x);
        if let Some(longest) = self.max_norm {
            let length = rows.wide().square().sum_keepdim(-1).sqrt();
            let factor = (longest / (length + NORM_MARGIN)).minimum(1.0).cast(rows.dtype());
            rows = &rows + (&rows * factor - &rows).detach();
        }
        if let Some(index) = self.padding {
            rows = x.ne(index as i32).unsqueeze(-1).select(&rows, rows.detach());
        }
        ctx.ran("Embedding", self, &rows);
        rows
    }
}
