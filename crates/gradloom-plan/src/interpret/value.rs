//! Numbers of a dtype: what is kept of one when it is stored, converted, computed or summed.
//!
//! A number is a f64, which holds every value of every dtype but i64. An i64 is kept as the f64 of the same
//! 64 bits ([`to_bits`], [`from_bits`]): what only moves numbers need not know, and zero is zero. Whatever
//! computes with numbers asks their dtype first.

use gradloom_tensor::op::{Binary, Reduction, Unary};
use gradloom_tensor::{DType, Scalar, rounding};

/// An i64 as numbers of that dtype are kept.
pub fn to_bits(value: i64) -> f64 {
    f64::from_bits(value as u64)
}

/// The i64 that a number of that dtype is.
pub fn from_bits(value: f64) -> i64 {
    value.to_bits() as i64
}

/// True for all numbers that are no NaN and no infinity.
pub fn is_finite(dtype: DType, value: f64) -> bool {
    dtype == DType::I64 || value.is_finite()
}

/// What an element of `dtype` keeps of a number: floats are rounded (ties to even), integers wrap, truth
/// values are 0 and 1.
pub fn store(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F64 | DType::I64 => value,
        DType::F32 => f64::from(value as f32),
        DType::F16 => rounding::to_f16(value).to_f64(),
        DType::BF16 => rounding::to_bf16(value).to_f64(),
        DType::I32 | DType::I8 | DType::U32 | DType::U8 => dtype.wrap(value as i64) as f64,
        DType::Bool => f64::from(u8::from(value != 0.0)),
    }
}

/// A value of `from` as `to`: integers wrap, floats that become integers are cut off towards zero and
/// saturate, and NaN becomes 0.
pub fn cast(from: DType, to: DType, value: f64) -> f64 {
    if from.is_float() {
        return match to.int_range() {
            Some((least, largest)) if to != DType::Bool => {
                whole(to, (value as i64).clamp(least, largest))
            }
            _ => store(to, value),
        };
    }
    let value = integer(from, value);
    match to {
        DType::F64 => value as f64,
        DType::F32 => f64::from(value as f32),
        DType::F16 | DType::BF16 => store(to, rounding::whole_to_odd(value)),
        DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 | DType::Bool => {
            whole(to, value)
        }
    }
}

/// What an instruction of `dtype` gives where its op gives `value`.
pub(super) fn compute(dtype: DType, value: f64) -> f64 {
    store(dtype.compute(), value)
}

/// A constant or argument as an instruction of `dtype` reads it.
pub(super) fn scalar(dtype: DType, value: Scalar) -> f64 {
    match dtype {
        DType::I64 => to_bits(value.as_i64()),
        _ => store(dtype, value.cast(dtype).as_f64()),
    }
}

/// The integer or truth value that a number of `dtype` is.
pub(super) fn integer(dtype: DType, value: f64) -> i64 {
    if dtype == DType::I64 { from_bits(value) } else { value as i64 }
}

/// What an element of an integer dtype (or bool) keeps of an integer.
fn whole(dtype: DType, value: i64) -> f64 {
    if dtype == DType::I64 { to_bits(value) } else { dtype.wrap(value) as f64 }
}

pub(super) fn unary(op: Unary, operand: DType, dtype: DType, value: f64) -> f64 {
    if !operand.is_int() {
        return compute(dtype, op.reference()(value));
    }
    let value = integer(operand, value);
    // What means nothing for integers leaves them as they are.
    let result = op.integers().map_or(value, |of| of(value));
    whole(dtype.compute(), result)
}

/// An op on operands of dtype `operands` with a result of dtype `dtype`.
pub(super) fn binary(op: Binary, operands: DType, dtype: DType, lhs: f64, rhs: f64) -> f64 {
    if !operands.is_int() {
        return compute(dtype, op.reference()(lhs, rhs));
    }
    let result = op.integers()(integer(operands, lhs), integer(operands, rhs));
    whole(dtype.compute(), result)
}

/// A sum in the making: floats in f64, integers modulo a power of two.
#[derive(Clone, Copy)]
pub(super) enum Sum {
    Float(f64),
    /// Of terms of this dtype.
    Whole(DType, i64),
}

impl Sum {
    /// Nothing yet, of terms of this dtype.
    pub(super) fn of(dtype: DType) -> Sum {
        if dtype.is_float() { Sum::Float(0.0) } else { Sum::Whole(dtype, 0) }
    }

    pub(super) fn add(&mut self, term: f64) {
        match self {
            Sum::Float(sum) => *sum += term,
            Sum::Whole(dtype, sum) => *sum = sum.wrapping_add(integer(*dtype, term)),
        }
    }

    pub(super) fn add_product(&mut self, lhs: f64, rhs: f64) {
        match self {
            Sum::Float(sum) => *sum += lhs * rhs,
            Sum::Whole(dtype, sum) => {
                let product = integer(*dtype, lhs).wrapping_mul(integer(*dtype, rhs));
                *sum = sum.wrapping_add(product);
            }
        }
    }

    /// The sum as `dtype` computes with it.
    pub(super) fn value(self, dtype: DType) -> f64 {
        match self {
            Sum::Float(sum) => compute(dtype, sum),
            Sum::Whole(_, sum) => whole(dtype.compute(), sum),
        }
    }
}

/// Combines values of a dtype.
pub(super) fn reduce(reduction: Reduction, dtype: DType, values: impl Iterator<Item = f64>) -> f64 {
    let extreme = |op: Binary, first: f64, values: &mut dyn Iterator<Item = f64>| {
        values.fold(first, |best, value| binary(op, dtype, dtype, best, value))
    };
    let mut values = values;
    match reduction {
        Reduction::Sum => {
            let mut sum = Sum::of(dtype);
            values.for_each(|value| sum.add(value));
            sum.value(dtype)
        }
        Reduction::Max => extreme(Binary::Maximum, least(dtype), &mut values),
        Reduction::Min => extreme(Binary::Minimum, largest(dtype), &mut values),
    }
}

/// The maximum of nothing.
pub(super) fn least(dtype: DType) -> f64 {
    match dtype.int_range() {
        Some((least, _)) => whole(dtype, least),
        None => f64::NEG_INFINITY,
    }
}

/// The minimum of nothing.
fn largest(dtype: DType) -> f64 {
    match dtype.int_range() {
        Some((_, largest)) => whole(dtype, largest),
        None => f64::INFINITY,
    }
}

/// Numbers that compare as those of a dtype do: of i64 the place of each among all of them.
pub(super) fn comparable(dtype: DType, values: Vec<f64>) -> Vec<f64> {
    if dtype != DType::I64 {
        return values;
    }
    let mut order: Vec<i64> = values.iter().map(|&value| from_bits(value)).collect();
    order.sort_unstable();
    let place = |value: f64| order.partition_point(|&other| other < from_bits(value)) as f64;
    values.into_iter().map(place).collect()
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
        assert_eq!(cast(DType::F32, DType::I8, -300.0), -128.0);
        assert_eq!(cast(DType::I32, DType::I8, 200.0), -56.0);
        assert_eq!(binary(Binary::Div, DType::I8, DType::I8, -128.0, -1.0), 128.0);
    }

    #[test]
    fn wide_integers_keep_all_their_bits() {
        let largest = to_bits(i64::MAX);
        let add = |lhs, rhs| binary(Binary::Add, DType::I64, DType::I64, lhs, rhs);
        assert_eq!(from_bits(add(largest, to_bits(1))), i64::MIN);
        let mut sum = Sum::of(DType::I64);
        sum.add(largest);
        sum.add_product(to_bits(1 << 53), to_bits(2));
        assert_eq!(from_bits(sum.value(DType::I64)), i64::MAX.wrapping_add(1 << 54));
        assert_eq!(cast(DType::I64, DType::I32, to_bits((1 << 32) + 7)), 7.0);
        assert_eq!(from_bits(cast(DType::F64, DType::I64, 1e300)), i64::MAX);
        assert_eq!(cast(DType::I64, DType::F64, to_bits((1 << 53) + 1)), 9_007_199_254_740_992.0);
        let values = [3, -1, i64::MAX, -1].map(to_bits).to_vec();
        assert_eq!(comparable(DType::I64, values), [2.0, 0.0, 3.0, 0.0]);
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
