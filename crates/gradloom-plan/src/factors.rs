//! [`Factors`]: what products and convolutions multiply.

use gradloom_tensor::DType;

use crate::kernel::{Kernel, KernelKind};

/// What products and convolutions multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Factors {
    /// The dtype of both operands. Floats that are stored as another become this one as they are read:
    /// each element is what a cast makes of it.
    pub dtype: DType,
    /// The graph nodes of such casts, see [`Prepared::nodes`](crate::Prepared::nodes).
    pub casts: [Option<usize>; 2],
}

impl Factors {
    /// Operands that are stored in the dtype that they are multiplied in.
    pub fn of(dtype: DType) -> Factors {
        Factors { dtype, casts: [None; 2] }
    }

    /// True if stored elements of a dtype can become factors of another as they are read: floats whose
    /// arithmetic is that of f32.
    pub fn reads(stored: DType, dtype: DType) -> bool {
        let narrow = |dtype: DType| dtype.is_float() && dtype != DType::F64;
        stored == dtype || narrow(stored) && narrow(dtype)
    }
}

impl KernelKind {
    /// What a product or a convolution multiplies.
    pub fn factors(&self) -> Option<Factors> {
        match self {
            KernelKind::Matmul { factors, .. } => Some(*factors),
            KernelKind::Convolution(sizes)
            | KernelKind::ConvolutionInput(sizes)
            | KernelKind::ConvolutionWeight(sizes) => Some(sizes.factors),
            _ => None,
        }
    }
}

impl Kernel {
    /// The cast that a product or a convolution makes of an operand, if it makes one: its node, and the
    /// dtype that it casts to.
    pub(crate) fn cast_on_read(&self, operand: usize) -> Option<(usize, DType)> {
        let Factors { dtype, casts } = self.kind.factors()?;
        casts.get(operand).copied().flatten().map(|node| (node, dtype))
    }
}
