//! What a dtype holds: constants as they are stored, and the ops whose results have to be rounded or
//! wrapped before anything is computed with them.

use gradloom_tensor::elementwise::{Accuracy, Nature};
use gradloom_tensor::op::Reduction;
use gradloom_tensor::{DType, Scalar, rounding};

use crate::program::Operation;

/// A constant as its dtype holds it.
pub(crate) fn as_held(value: Scalar, dtype: DType) -> Scalar {
    match dtype {
        DType::F64 => Scalar::Float(value.as_f64()),
        DType::F32 => Scalar::Float(f64::from(value.as_f64() as f32)),
        DType::F16 => Scalar::Float(rounding::to_f16(value.as_f64()).to_f64()),
        DType::BF16 => Scalar::Float(rounding::to_bf16(value.as_f64()).to_f64()),
        DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 => {
            Scalar::Int(dtype.wrap(value.as_i64()))
        }
        DType::Bool => Scalar::Bool(value.as_bool()),
    }
}

/// True if an op on values of a dtype gives a value of the dtype, so that nothing is rounded or wrapped.
pub(crate) fn stays_in_range(operation: &Operation, dtype: DType) -> bool {
    let half = matches!(dtype, DType::F16 | DType::BF16);
    if !half && !matches!(dtype, DType::U8 | DType::I8) {
        return true;
    }
    match operation {
        Operation::Load { .. }
        | Operation::Constant(_)
        | Operation::Select(..)
        | Operation::Cast(_)
        | Operation::CheckIndex { .. }
        | Operation::Reduce(Reduction::Max | Reduction::Min, _) => true,
        Operation::Unary(unary, _) => keeps(unary.nature(), dtype),
        Operation::Binary(binary, ..) => keeps(binary.nature(), dtype),
        Operation::Accumulator
        | Operation::Argument(_)
        | Operation::Index(_)
        | Operation::Random { .. }
        | Operation::Reduce(Reduction::Sum, _) => false,
    }
}

/// True if an elementwise op leaves nothing to round or wrap.
fn keeps(nature: Nature, dtype: DType) -> bool {
    match dtype.is_float() {
        true => nature.accuracy == Accuracy::Exact,
        false => !nature.wraps.of(dtype),
    }
}
