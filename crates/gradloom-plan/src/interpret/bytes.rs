//! Elements as bytes in host order, and as numbers.

use gradloom_tensor::{DType, Element, Scalar, bf16, f16, rounding};

use super::value::{from_bits, to_bits};

/// Elements in host order as numbers, those of i64 as [`to_bits`] keeps them.
pub fn numbers(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    fn all<T: Element>(bytes: &[u8]) -> Vec<f64> {
        T::from_bytes(bytes).into_iter().map(|value| Into::<Scalar>::into(value).as_f64()).collect()
    }
    match dtype {
        DType::F32 => all::<f32>(bytes),
        DType::F64 => all::<f64>(bytes),
        DType::F16 => all::<f16>(bytes),
        DType::BF16 => all::<bf16>(bytes),
        DType::I32 => all::<i32>(bytes),
        DType::I64 => i64::from_bytes(bytes).into_iter().map(to_bits).collect(),
        DType::I8 => all::<i8>(bytes),
        DType::U32 => all::<u32>(bytes),
        DType::U8 => all::<u8>(bytes),
        DType::Bool => all::<bool>(bytes),
    }
}

/// Numbers as elements in host order, rounded to the dtype.
pub fn bytes(dtype: DType, values: &[f64]) -> Vec<u8> {
    fn all<T: Element>(values: &[f64], convert: impl Fn(f64) -> T) -> Vec<u8> {
        let converted: Vec<T> = values.iter().map(|&value| convert(value)).collect();
        T::to_bytes(&converted).into_owned()
    }
    match dtype {
        DType::F32 => all(values, |value| value as f32),
        DType::F64 => all(values, |value| value),
        DType::F16 => all(values, rounding::to_f16),
        DType::BF16 => all(values, rounding::to_bf16),
        DType::I32 => all(values, |value| value as i32),
        DType::I64 => all(values, from_bits),
        DType::I8 => all(values, |value| value as i8),
        DType::U32 => all(values, |value| value as u32),
        DType::U8 => all(values, |value| value as u8),
        DType::Bool => all(values, |value| value != 0.0),
    }
}
