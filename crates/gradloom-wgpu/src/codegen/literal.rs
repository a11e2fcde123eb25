//! Constants, types and conversions as WGSL text.

use gradloom_tensor::op::Reduction;
use gradloom_tensor::{DType, Scalar};

/// The WGSL type that values of `dtype` are computed in.
pub(crate) fn compute_type(dtype: DType) -> &'static str {
    match dtype.compute() {
        DType::I32 | DType::I64 | DType::I8 => "i32",
        DType::U32 | DType::U8 => "u32",
        DType::Bool => "bool",
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => "f32",
    }
}

/// The WGSL type of elements of `dtype` where each takes a word.
pub(crate) fn word_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 | DType::F64 => "f32",
        DType::I32 | DType::I64 | DType::I8 => "i32",
        DType::U32 | DType::U8 | DType::Bool => "u32",
    }
}

/// A float constant that every WGSL compiler takes as it is.
pub(crate) fn float(value: f32) -> String {
    let bits = value.to_bits();
    if value.is_normal() || bits == 0 {
        format!("{value:?}f")
    } else {
        // Infinities, NaN, subnormals and the negative zero are no constant expressions everywhere.
        format!("gl_bits({bits}u)")
    }
}

/// A constant of the compute type of `dtype`.
pub(crate) fn scalar(value: Scalar, dtype: DType) -> String {
    match dtype.compute() {
        DType::I32 | DType::I64 | DType::I8 => integer(value.as_i64() as i32),
        DType::U32 | DType::U8 => format!("{}u", value.as_i64() as u32),
        DType::Bool => value.as_bool().to_string(),
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => float(value.as_f64() as f32),
    }
}

/// The 32 bits of a constant of the compute type of `dtype`.
pub(crate) fn word(value: Scalar, dtype: DType) -> u32 {
    match dtype.compute() {
        DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 => value.as_i64() as u32,
        DType::Bool => u32::from(value.as_bool()),
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => (value.as_f64() as f32).to_bits(),
    }
}

fn integer(value: i32) -> String {
    if value == i32::MIN { "i32(-2147483648)".to_owned() } else { format!("{value}i") }
}

/// What a reduction of nothing gives.
pub(crate) fn identity(reduction: Reduction, dtype: DType) -> String {
    match (reduction, dtype) {
        (Reduction::Sum, _) => scalar(Scalar::Int(0), dtype),
        (Reduction::Max, DType::I32 | DType::I64) => integer(i32::MIN),
        (Reduction::Min, DType::I32 | DType::I64) => integer(i32::MAX),
        (Reduction::Max, DType::I8) => integer(i8::MIN.into()),
        (Reduction::Min, DType::I8) => integer(i8::MAX.into()),
        (Reduction::Max, DType::U32 | DType::U8) => "0u".to_owned(),
        (Reduction::Min, DType::U32) => "0xffffffffu".to_owned(),
        (Reduction::Min, DType::U8) => "255u".to_owned(),
        (Reduction::Max, DType::Bool) => "false".to_owned(),
        (Reduction::Min, DType::Bool) => "true".to_owned(),
        (Reduction::Max, DType::F32 | DType::F64 | DType::F16 | DType::BF16) => {
            "-gl_inf()".to_owned()
        }
        (Reduction::Min, DType::F32 | DType::F64 | DType::F16 | DType::BF16) => {
            "gl_inf()".to_owned()
        }
    }
}

/// Two values of a reduction combined; `lhs` comes first in order.
pub(crate) fn combine(reduction: Reduction, dtype: DType, lhs: &str, rhs: &str) -> String {
    let compute = dtype.compute();
    match (reduction, compute) {
        (Reduction::Sum | Reduction::Max, DType::Bool) => format!("({lhs} | {rhs})"),
        (Reduction::Min, DType::Bool) => format!("({lhs} & {rhs})"),
        (Reduction::Sum, _) => format!("({lhs} + {rhs})"),
        (Reduction::Max, DType::I32 | DType::U32) => format!("max({lhs}, {rhs})"),
        (Reduction::Min, DType::I32 | DType::U32) => format!("min({lhs}, {rhs})"),
        (Reduction::Max, _) => format!("gl_max({lhs}, {rhs})"),
        (Reduction::Min, _) => format!("gl_min({lhs}, {rhs})"),
    }
}

/// A value of a compute type as a 32-bit word.
pub(crate) fn to_word(dtype: DType, value: &str) -> String {
    match dtype {
        DType::U32 | DType::U8 => value.to_owned(),
        DType::Bool => format!("select(0u, 1u, {value})"),
        DType::I32
        | DType::I64
        | DType::I8
        | DType::F32
        | DType::F64
        | DType::F16
        | DType::BF16 => {
            format!("bitcast<u32>({value})")
        }
    }
}

/// The value of a compute type that a 32-bit word holds.
pub(crate) fn from_word(dtype: DType, word: &str) -> String {
    match dtype {
        DType::U32 | DType::U8 => word.to_owned(),
        DType::Bool => format!("({word} != 0u)"),
        DType::I32 | DType::I64 | DType::I8 => format!("bitcast<i32>({word})"),
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => format!("bitcast<f32>({word})"),
    }
}

/// The lowest byte of an `i32` with its sign.
pub(crate) fn signed_byte(value: &str) -> String {
    format!("(({value} << 24u) >> 24u)")
}
