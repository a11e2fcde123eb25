//! What a dtype holds: constants as they are stored, and the ops whose results have to be rounded or
//! wrapped before anything is computed with them.

use gradloom_tensor::op::{Binary, Reduction, Unary};
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
        Operation::Unary(unary, _) => match unary {
            Unary::Neg => half,
            // The least i8 has no magnitude.
            Unary::Abs => dtype != DType::I8,
            Unary::Sign
            | Unary::Floor
            | Unary::Ceil
            | Unary::Round
            | Unary::Relu
            | Unary::Not
            | Unary::IsNan => true,
            Unary::Sqrt
            | Unary::Rsqrt
            | Unary::Reciprocal
            | Unary::Exp
            | Unary::Expm1
            | Unary::Log
            | Unary::Log1p
            | Unary::Sin
            | Unary::Cos
            | Unary::Tanh
            | Unary::Erf
            | Unary::Sigmoid => false,
        },
        Operation::Binary(binary, ..) => match binary {
            Binary::Maximum
            | Binary::Minimum
            | Binary::Eq
            | Binary::Ne
            | Binary::Lt
            | Binary::Le
            | Binary::And
            | Binary::Or
            | Binary::Xor
            | Binary::RightShift => true,
            // The least i8 divided by -1 is none.
            Binary::Div => dtype == DType::U8,
            Binary::Rem => !half,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Pow | Binary::LeftShift => false,
        },
        Operation::Accumulator
        | Operation::Argument(_)
        | Operation::Index(_)
        | Operation::Random { .. }
        | Operation::Reduce(Reduction::Sum, _) => false,
    }
}
