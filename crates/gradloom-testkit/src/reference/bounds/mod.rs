//! How far an honest device may be from the reference, element by element.
//!
//! Each node's error is what its operands' errors become (exactly, by the ends of intervals, or to
//! first order), plus the device's own rounding, whose size stands in [`Arithmetic`] once for every
//! family of ops. Where all operands are exact and the result is a number of the compute type, IEEE
//! arithmetic has no error at all, and none is allowed. f16 and bf16 are rounded at each op, so their
//! errors are those of the rounded ends. What rounding decides (a comparison of near values, the
//! index of a maximum, an overflow) has an infinite error, or an error of 1 if it is a truth value.

mod elementwise;
mod indices;
mod products;
mod sequences;

use std::sync::Arc;

use gradloom_tensor::{DType, Op, Shape, Tensor, summation};

use crate::woven::Woven;

use super::{Known, Values, round, views};

/// A kind of device, by how well it computes. Figures are units of half a last place of the compute
/// type (2^-24 in f32), relative to the result unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// IEEE arithmetic and good elementary functions.
    Host,
    /// What WGSL promises: division within 2.5 last places, and exponentials that lose accuracy with
    /// the size of the argument.
    Gpu,
}

impl Arithmetic {
    /// Addition, subtraction, multiplication.
    fn basic(self) -> f64 {
        1.01
    }

    /// Division, reciprocal and square root.
    fn division(self) -> f64 {
        match self {
            Arithmetic::Host => 1.01,
            Arithmetic::Gpu => 6.0,
        }
    }

    /// Exponentials, logarithms, trigonometric and error functions.
    fn elementary(self) -> f64 {
        match self {
            Arithmetic::Host => 8.0,
            Arithmetic::Gpu => 16.0,
        }
    }

    /// More for each unit of the argument of an exponential, an angle or a power's logarithm.
    fn argument(self) -> f64 {
        match self {
            Arithmetic::Host => 2.0,
            Arithmetic::Gpu => 6.0,
        }
    }

    /// Sums of `count` terms, relative to the sum of their magnitudes: one rounding for each addition,
    /// which all go the same way where terms are equal.
    fn sum(self, count: usize) -> f64 {
        8.0 + summation::additions(count) as f64
    }

    /// As [`Arithmetic::sum`] for sums of products, which are rounded too where they are not fused.
    fn products(self, count: usize) -> f64 {
        let in_tiles = self == Arithmetic::Gpu;
        8.0 + summation::additions_of_products(count, in_tiles) as f64
    }

    /// Products with a matrix in blocks, relative to the sum of magnitudes of the terms, and again with the
    /// largest of 32 in the place of each element of the other operand: the processor rounds it to 16 bits
    /// for each block of 32.
    fn blocks(self) -> f64 {
        1e-4
    }
}

/// One node with its operands.
pub(super) struct Node<'a> {
    pub(super) tensor: &'a Tensor,
    pub(super) operands: &'a [Tensor],
    pub(super) shapes: &'a [Shape],
}

/// The node's elements as a device stores them, with their errors; `values` are exact results.
pub(super) fn compute(
    arithmetic: Arithmetic,
    node: &Node<'_>,
    inputs: &[Known],
    values: Vec<f64>,
) -> Known {
    let tensor = node.tensor;
    let dtype = tensor.dtype();
    let errors = match tensor.op() {
        Op::Buffer
        | Op::Placeholder
        | Op::Transfer
        | Op::Constant(_)
        | Op::Argument(_)
        | Op::Iota { .. }
        | Op::Random { .. } => {
            return leaf(dtype, &values);
        }
        Op::CheckIndex { .. }
        | Op::Reshape
        | Op::Loop(_)
        | Op::Detach(_)
        | Op::Custom(_)
        | Op::Barrier => {
            return inputs[0].clone();
        }
        Op::Permute(_)
        | Op::Expand
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Flip(_)
        | Op::Concat { .. } => views::compute(tensor, &all_errors(inputs), node.shapes),
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast => {
            elementwise::errors(arithmetic, node, inputs, &values)
        }
        Op::Reduce(..)
        | Op::Scan { .. }
        | Op::PoolSum(_)
        | Op::PoolSumScatter(_)
        | Op::ScatterAdd { .. }
        | Op::Matmul
        | Op::Convolution(..)
        | Op::ConvolutionInput(..)
        | Op::ConvolutionWeight(..) => products::errors(arithmetic, node, inputs, &values),
        Op::ArgReduce(..)
        | Op::ArgSort { .. }
        | Op::PoolMax(_)
        | Op::PoolMaxScatter(_)
        | Op::PoolMaxGather(_)
        | Op::Gather { .. } => indices::errors(arithmetic, node, inputs, &values),
        Op::Call(call) => match Woven::of(call) {
            Some(woven) => woven
                .weave(&all_errors(inputs).iter().map(|errors| &errors[..]).collect::<Vec<_>>()),
            None if !dtype.is_float() && inputs.iter().all(Known::is_exact) => {
                vec![0.0; values.len()]
            }
            // What such an op does to an error is not known.
            None => vec![f64::INFINITY; values.len()],
        },
        Op::Write { .. } | Op::Dequantize(_) | Op::Attention(_) => {
            sequences::errors(arithmetic, node, inputs, &values)
        }
    };
    let (values, errors) =
        values.iter().zip(&errors).map(|(&value, &error)| settle(dtype, value, error)).unzip();
    Known { values: Arc::new(values), errors: Arc::new(errors) }
}

fn leaf(dtype: DType, values: &[f64]) -> Known {
    let exact = |&value: &f64| match dtype {
        DType::F32 => f64::from(value as f32),
        _ => round(dtype, value),
    };
    let values: Vec<f64> = values.iter().map(exact).collect();
    let errors = Arc::new(vec![0.0; values.len()]);
    Known { values: Arc::new(values), errors }
}

fn all_errors(inputs: &[Known]) -> Vec<Values> {
    inputs.iter().map(|input| input.errors.clone()).collect()
}

/// The least error of a zero whose sign is open: a sum is -0 or not depending on where adding begins, and a
/// quotient by it is one infinity or the other.
const SIGN_OPEN: f64 = f64::from_bits(1);

/// An error, or that of an open sign; NaN stays what it is.
fn at_least(error: f64, open: f64) -> f64 {
    if error < open { open } else { error }
}

/// Half a last place of the type that `dtype` is computed in, relative; more of f64, in which the
/// reference itself rounds.
fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 2f64.powi(-51),
        _ => 2f64.powi(-24),
    }
}

/// `units` of rounding of a result; numbers below the normal ones may also become zero.
fn rounding(dtype: DType, units: f64, value: f64) -> f64 {
    if !value.is_finite() {
        return 0.0;
    }
    units * unit(dtype) * value.abs() + flushed(value)
}

/// How far a number below the normal ones of f32 is from the zero that it may become.
fn flushed(value: f64) -> f64 {
    let least = f64::from(f32::MIN_POSITIVE);
    if value != 0.0 && value.abs() < 2.0 * least { least } else { 0.0 }
}

/// True if f32 has the number, so that IEEE arithmetic on exact operands gives it in any compute type.
fn is_single(value: f64) -> bool {
    f64::from(value as f32) == value
}

/// A value that is known within an error, as it is stored in a dtype. The value is what exact arithmetic
/// gives, not yet rounded: near a tie it decides which neighbours of it an honest device may store.
fn settle(dtype: DType, value: f64, error: f64) -> (f64, f64) {
    let error = if error.is_nan() { f64::INFINITY } else { error };
    if value.is_nan() || error.is_infinite() {
        return (value, error);
    }
    match dtype {
        DType::F64 => (value, error),
        DType::F32 => {
            // Beyond half a last place above the largest number is infinity.
            let limit = f64::from(f32::MAX) * (1.0 + 2f64.powi(-25));
            if value.abs() > limit {
                let surely = value.is_infinite() || value.abs() - error > limit;
                let error = if surely { 0.0 } else { f64::INFINITY };
                return (f64::INFINITY.copysign(value), error);
            }
            (value, if value.abs() + error > limit { f64::INFINITY } else { error })
        }
        DType::F16 | DType::BF16 => {
            let stored = round(dtype, value);
            let ends = [round(dtype, value - error), round(dtype, value + error)];
            if ends == [stored, stored] {
                // The sign of a zero may be open.
                return (stored, if stored == 0.0 { error.min(SIGN_OPEN) } else { 0.0 });
            }
            let far = ends.map(|end| (end - stored).abs());
            (stored, if far[0].is_finite() { far[0].max(far[1]) } else { f64::INFINITY })
        }
        DType::Bool => (value, if error > 0.0 { 1.0 } else { 0.0 }),
        DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 => (value, error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{bounded, elements_and_errors};
    use super::*;

    /// `1 + 2^-11` is halfway between 1 and the next f16, `1 + 2^-10`.
    const TIE: f64 = 1.0 + 1.0 / 2048.0;
    const NEXT: f64 = 1.0 + 1.0 / 1024.0;

    #[test]
    fn near_a_tie_both_neighbours_are_honest() {
        let small = 2f64.powi(-24);
        for value in [TIE - small / 2.0, TIE, TIE + small / 2.0] {
            let (stored, error) = settle(DType::F16, value, small);
            for neighbour in [1.0, NEXT] {
                assert!((neighbour - stored).abs() <= error, "{value}: {stored} +- {error}");
            }
        }
        assert_eq!(settle(DType::F16, TIE - 2.0 * small, small), (1.0, 0.0));
        assert_eq!(settle(DType::F16, TIE + 2.0 * small, small), (NEXT, 0.0));
        assert_eq!(settle(DType::F16, TIE, 0.0), (1.0, 0.0));
    }

    #[test]
    fn the_sum_of_halves_is_rounded_after_its_error() {
        // Exactly the tie, which f32 cannot tell from its neighbours when a term is inexact.
        let device = bounded(Arithmetic::Host);
        let parts = Tensor::from_vec(vec![1.0f32 / 3.0; 3], [3], &device).unwrap().cast(DType::F16);
        let third = parts.sum(0);
        let (values, errors) = elements_and_errors(&third).unwrap();
        let exact = 3.0 * round(DType::F16, 1.0 / 3.0);
        assert_eq!(values[0], round(DType::F16, exact));
        assert_eq!(errors[0], 0.0, "three halves add up exactly in f32");
    }

    #[test]
    fn the_sign_of_a_sum_of_nothing_stays_open() {
        let device = bounded(Arithmetic::Host);
        let zeros = Tensor::from_vec(vec![0.0f32, -0.0], [2], &device).unwrap();
        let third = Tensor::from_vec(vec![1.0f32 / 3.0], [1], &device).unwrap();
        let scaled = zeros.sum_keepdim(0) * &third;
        let product = scaled.reshape([1, 1]).matmul(&third.reshape([1, 1]));
        for (what, zero) in [("scaled", &scaled), ("product", &product)] {
            let (values, errors) = elements_and_errors(&zero.reciprocal()).unwrap();
            assert!(values[0].is_infinite() && errors[0].is_infinite(), "{what}: {errors:?}");
        }
    }

    #[test]
    fn long_sums_of_the_reference_are_as_exact_as_short_ones() {
        let device = bounded(Arithmetic::Host);
        let parts = Tensor::from_vec(vec![0.1f64; 100_000], [100_000], &device).unwrap();
        let (values, _) = elements_and_errors(&parts.sum(0)).unwrap();
        // The f64 next to a tenth is this much larger.
        let exact = 10_000.0 + 100_000.0 * 5.551115123125783e-18;
        assert!((values[0] - exact).abs() <= 2e-12, "{:e}", values[0] - exact);
    }
}
