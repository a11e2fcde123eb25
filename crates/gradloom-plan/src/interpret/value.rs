//! Numbers of a dtype: what is kept of one when it is stored, converted, computed or summed.

use gradloom_tensor::op::{Binary, Reduction, Unary};
use gradloom_tensor::{DType, Scalar, rounding};

/// What an element of `dtype` keeps of a number: floats are rounded (ties to even), integers wrap, truth
/// values are 0 and 1.
pub fn store(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F64 => value,
        DType::F32 => f64::from(value as f32),
        DType::F16 => rounding::to_f16(value).to_f64(),
        DType::BF16 => rounding::to_bf16(value).to_f64(),
        DType::I32 => f64::from(value as i64 as i32),
        DType::U32 => f64::from(value as i64 as u32),
        DType::U8 => f64::from(value as i64 as u8),
        DType::Bool => f64::from(u8::from(value != 0.0)),
    }
}

/// A value of `from` as `to`: integers wrap, floats that become integers are cut off towards zero and
/// saturate, and NaN becomes 0.
pub fn cast(from: DType, to: DType, value: f64) -> f64 {
    match to {
        DType::I32 if from.is_float() => f64::from(value as i32),
        DType::U32 if from.is_float() => f64::from(value as u32),
        DType::U8 if from.is_float() => f64::from(value as u8),
        _ => store(to, value),
    }
}

/// What an instruction of `dtype` gives where its op gives `value`.
pub(super) fn compute(dtype: DType, value: f64) -> f64 {
    store(dtype.compute(), value)
}

/// A constant or argument as an instruction of `dtype` reads it.
pub(super) fn scalar(dtype: DType, value: Scalar) -> f64 {
    store(dtype, value.cast(dtype).as_f64())
}

pub(super) fn unary(op: Unary, dtype: DType, value: f64) -> f64 {
    compute(dtype, op.reference()(value))
}

/// An op on operands of dtype `operands` with a result of dtype `dtype`.
pub(super) fn binary(op: Binary, operands: DType, dtype: DType, lhs: f64, rhs: f64) -> f64 {
    if operands.is_int() {
        let (lhs, rhs) = (lhs as i64, rhs as i64);
        match op {
            // Products of 32 bits are no f64.
            Binary::Mul => return wrap(dtype, lhs.wrapping_mul(rhs)),
            Binary::Div => return if rhs == 0 { 0.0 } else { wrap(dtype, lhs / rhs) },
            Binary::Rem => return if rhs == 0 { 0.0 } else { wrap(dtype, lhs % rhs) },
            Binary::Add
            | Binary::Sub
            | Binary::Pow
            | Binary::Maximum
            | Binary::Minimum
            | Binary::Eq
            | Binary::Ne
            | Binary::Lt
            | Binary::Le
            | Binary::And
            | Binary::Or
            | Binary::Xor => {}
        }
    }
    compute(dtype, op.reference()(lhs, rhs))
}

/// The lowest 32 bits as an integer dtype computes with them.
fn wrap(dtype: DType, value: i64) -> f64 {
    match dtype {
        DType::I32 => f64::from(value as i32),
        _ => f64::from(value as u32),
    }
}

/// A sum in the making: floats in f64, integers modulo a power of two.
#[derive(Clone, Copy)]
pub(super) enum Sum {
    Float(f64),
    Whole(i64),
}

impl Sum {
    /// Nothing yet, of terms of this dtype.
    pub(super) fn of(dtype: DType) -> Sum {
        if dtype.is_float() { Sum::Float(0.0) } else { Sum::Whole(0) }
    }

    pub(super) fn add(&mut self, term: f64) {
        match self {
            Sum::Float(sum) => *sum += term,
            Sum::Whole(sum) => *sum = sum.wrapping_add(term as i64),
        }
    }

    pub(super) fn add_product(&mut self, lhs: f64, rhs: f64) {
        match self {
            Sum::Float(sum) => *sum += lhs * rhs,
            Sum::Whole(sum) => *sum = sum.wrapping_add((lhs as i64).wrapping_mul(rhs as i64)),
        }
    }

    /// The sum as `dtype` computes with it.
    pub(super) fn value(self, dtype: DType) -> f64 {
        match self {
            Sum::Float(sum) => compute(dtype, sum),
            Sum::Whole(sum) => wrap(dtype, sum),
        }
    }
}

/// Combines values of a dtype.
pub(super) fn reduce(reduction: Reduction, dtype: DType, values: impl Iterator<Item = f64>) -> f64 {
    match reduction {
        Reduction::Sum => {
            let mut sum = Sum::of(dtype);
            values.for_each(|value| sum.add(value));
            sum.value(dtype)
        }
        Reduction::Max => values.fold(least(dtype), Binary::Maximum.reference()),
        Reduction::Min => values.fold(largest(dtype), Binary::Minimum.reference()),
    }
}

/// The maximum of nothing.
pub(super) fn least(dtype: DType) -> f64 {
    match dtype {
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => f64::NEG_INFINITY,
        DType::I32 => f64::from(i32::MIN),
        DType::U32 | DType::U8 | DType::Bool => 0.0,
    }
}

/// The minimum of nothing.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => f64::INFINITY,
        DType::I32 => f64::from(i32::MAX),
        DType::U32 => f64::from(u32::MAX),
        DType::U8 => f64::from(u8::MAX),
        DType::Bool => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_wrap_only_where_they_are_stored_or_converted() {
        let difference = binary(Binary::Sub, DType::U8, DType::U8, 100.0, 200.0);
        assert_eq!(difference, f64::from(u32::MAX - 99));
        assert_eq!(cast(DType::U8, DType::U8, difference), 156.0);
        assert_eq!(store(DType::U8, difference), 156.0);
        assert_eq!(cast(DType::F32, DType::U8, 300.0), 255.0);
        assert_eq!(cast(DType::F32, DType::I32, f64::NAN), 0.0);
    }

    #[test]
    fn halves_are_rounded_to_even_and_overflow() {
        assert_eq!(store(DType::F16, 2049.0), 2048.0);
        assert_eq!(store(DType::F16, 65_520.0), f64::INFINITY);
        assert_eq!(compute(DType::F16, 65_520.0), 65_520.0);
        assert_eq!(store(DType::BF16, 257.0), 256.0);
    }

    #[test]
    fn products_and_sums_of_integers_keep_their_lowest_bits() {
        let product = binary(Binary::Mul, DType::U32, DType::U32, 4_294_967_295.0, 4_294_967_295.0);
        assert_eq!(product, 1.0);
        let mut sum = Sum::of(DType::I32);
        sum.add_product(2_147_483_647.0, 2_147_483_647.0);
        sum.add(2.0);
        assert_eq!(sum.value(DType::I32), 3.0);
    }
}
