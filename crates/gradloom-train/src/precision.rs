//! [`Precision`]: in which dtype a model multiplies. Weights and optimizers stay in f32.

use gradloom_nn::Compute;
use gradloom_tensor::DType;

/// In which dtype a model multiplies while it learns.
///
/// With halves, products, convolutions and attention read their operands as 16 bits, add in 32 and give results of
/// 16 bits, as under PyTorch's autocast; everything else is f32: norms, softmax, losses, exponentials, sums, and
/// what lies between layers. Weights, gradients, running statistics and what the optimizer remembers are f32, so
/// small steps are not lost. What a model of one's own multiplies without a layer of
/// [`nn`](gradloom_nn::layers) is f32 unless it asks [`Context::compute`](gradloom_nn::Context::compute).
///
/// Layers are left out by their weights: `model.set_full_precision(true, |name| name.starts_with("head."))`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// In the dtype of the weights.
    #[default]
    Full,
    /// In bf16, which has the range of f32: nothing else is needed. PyTorch: `autocast(dtype=bfloat16)`.
    Bf16,
    /// In f16, whose range is small: the loss is scaled; see [`LossScaler`](crate::LossScaler). PyTorch:
    /// `autocast(dtype=float16)` with `GradScaler`.
    F16,
}

impl Precision {
    /// The dtype of products, if it is not that of the weights.
    pub fn dtype(self) -> Option<DType> {
        match self {
            Precision::Full => None,
            Precision::Bf16 => Some(DType::BF16),
            Precision::F16 => Some(DType::F16),
        }
    }

    /// What a [`Context`](gradloom_nn::Context) is told of it.
    pub fn compute(self) -> Compute {
        self.dtype().map_or(Compute::full(), Compute::narrow)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Precision::Full => "full precision",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        }
    }
}
