//! [`Precision`]: in which dtype a model computes. Weights and optimizers stay in f32.

use gradloom_nn::module::for_each_tensor;
use gradloom_nn::{Module, Parameter, Path, Role};
use gradloom_tensor::{DType, Tensor};

/// In which dtype a model computes while it learns.
///
/// With halves, the model runs on rounded copies of its f32 weights: products and convolutions read 16 bits
/// and add in 32, norms compute in 32, running statistics and the loss stay in 32. Gradients, and what the
/// optimizer remembers, are f32, so small steps are not lost.
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
    /// The dtype of computations, if it is not that of the weights.
    pub fn dtype(self) -> Option<DType> {
        match self {
            Precision::Full => None,
            Precision::Bf16 => Some(DType::BF16),
            Precision::F16 => Some(DType::F16),
        }
    }

    /// The model that computes: with weights of f32 rounded, through which gradients reach the weights. `None`
    /// if that is the model itself.
    #[track_caller]
    pub fn of_model<M: Module + Clone>(self, model: &M) -> Option<M> {
        let dtype = self.dtype()?;
        let mut tensors = Vec::new();
        model.visit(&mut Path::root(), &mut |_, parameter: &Parameter| {
            let rounds = parameter.role() != Role::State && parameter.dtype() == DType::F32;
            let rounds = rounds && !parameter.is_quantized();
            tensors.push(if rounds { parameter.cast(dtype) } else { parameter.tensor().clone() });
        });
        Some(with_tensors(model, tensors))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Precision::Full => "full precision",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        }
    }
}

/// A copy of a model with other tensors, in the order of its visit, of any dtype.
pub(crate) fn with_tensors<M: Module + Clone>(model: &M, tensors: Vec<Tensor>) -> M {
    let mut copy = model.clone();
    let mut tensors = tensors.into_iter();
    for_each_tensor(&mut copy, &mut |own| {
        if let Some(tensor) = tensors.next() {
            *own = tensor;
        }
    });
    copy
}
