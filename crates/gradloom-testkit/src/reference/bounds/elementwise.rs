//! Errors of elementwise ops. Those of i64, whose elements are bits, are zero or infinite.

use gradloom_tensor::elementwise::{Accuracy, Variation};
use gradloom_tensor::op::{Binary, Unary};
use gradloom_tensor::{DType, Op};

use super::{Arithmetic, Known, Node, SIGN_OPEN, at_least, is_single, rounding};
use crate::reference::whole;

pub(super) fn errors(
    arithmetic: Arithmetic,
    node: &Node<'_>,
    inputs: &[Known],
    values: &[f64],
) -> Vec<f64> {
    let dtype = node.tensor.dtype();
    let from = node.operands[0].dtype();
    let at = |operand: usize, index: usize| {
        let input = &inputs[operand];
        Within { value: input.values[index], error: input.errors[index] }
    };
    // A factor of zero hides what an operand's error says of the sign.
    let open = |index: usize| {
        let doubtful = inputs.iter().any(|input| input.errors[index] != 0.0);
        if doubtful && values[index] == 0.0 && dtype.is_float() { SIGN_OPEN } else { 0.0 }
    };
    let every = |error: &dyn Fn(usize) -> f64| {
        (0..values.len()).map(|index| at_least(error(index), open(index))).collect()
    };
    match node.tensor.op() {
        Op::Unary(op) => every(&|index| unary(arithmetic, *op, from, at(0, index), values[index])),
        Op::Binary(op) if op.is_comparison() => {
            every(&|index| comparison(*op, at(0, index), at(1, index)))
        }
        Op::Binary(op) if from.is_float() => every(&|index| {
            binary(arithmetic, *op, from, [at(0, index), at(1, index)], values[index])
        }),
        Op::Binary(op) => every(&|index| integer(*op, from, at(0, index), at(1, index))),
        Op::Select => every(&|index| {
            let (condition, yes, no) = (at(0, index), at(1, index), at(2, index));
            match (condition.error > 0.0, condition.value != 0.0) {
                (false, true) => yes.error,
                (false, false) => no.error,
                (true, _) if dtype == DType::I64 => f64::INFINITY,
                (true, _) => yes.farthest(values[index]).max(no.farthest(values[index])),
            }
        }),
        _ if from == DType::I64 => every(&|index| cast_wide(dtype, at(0, index))),
        _ if dtype == DType::I64 => every(&|index| cast_to_wide(from, at(0, index))),
        _ => every(&|index| cast(from, dtype, at(0, index), values[index])),
    }
}

/// A number known within an error.
#[derive(Clone, Copy)]
struct Within {
    value: f64,
    error: f64,
}

impl Within {
    fn ends(self) -> [f64; 2] {
        [self.value - self.error, self.value + self.error]
    }

    fn is_exact(self) -> bool {
        self.error == 0.0
    }

    /// Distance of the farthest possible number from `other`.
    fn farthest(self, other: f64) -> f64 {
        if self.value == other || (self.value.is_nan() && other.is_nan()) {
            return self.error;
        }
        finite_or_infinite((self.value - other).abs() + self.error)
    }
}

fn finite_or_infinite(error: f64) -> f64 {
    if error.is_nan() { f64::INFINITY } else { error }
}

/// The largest distance of results from `value`; results that are no numbers are infinitely far.
fn spread(results: &[f64], value: f64) -> f64 {
    let distance = |&result: &f64| if result == value { 0.0 } else { (result - value).abs() };
    results.iter().map(distance).map(finite_or_infinite).fold(0.0, f64::max)
}

fn unary(arithmetic: Arithmetic, op: Unary, dtype: DType, a: Within, value: f64) -> f64 {
    if op == Unary::IsNan {
        return if a.error.is_infinite() { 1.0 } else { 0.0 };
    }
    if a.error.is_infinite() {
        return f64::INFINITY;
    }
    let (function, nature) = (op.reference(), op.nature());
    let propagated = match nature.variation {
        _ if a.is_exact() => 0.0,
        Variation::Slope(slope) if nature.accuracy == Accuracy::Periodic => {
            (slope * a.error).min(2.0)
        }
        Variation::Slope(slope) => slope * a.error,
        Variation::Pole if a.value.abs() <= a.error => f64::INFINITY,
        Variation::Poles if has_pole(a) => f64::INFINITY,
        Variation::Even if a.value.abs() <= a.error => {
            let [low, high] = a.ends().map(function);
            spread(&[low, function(0.0), high], value)
        }
        Variation::Pole | Variation::Poles | Variation::Even | Variation::Monotonic => {
            spread(&a.ends().map(function), value)
        }
    };
    if !dtype.is_float() {
        return propagated;
    }
    let units = match nature.accuracy {
        Accuracy::Exact => 0.0,
        Accuracy::Quotient
            if arithmetic == Arithmetic::Host && a.is_exact() && is_single(value) =>
        {
            0.0
        }
        Accuracy::Basic => arithmetic.basic(),
        Accuracy::Quotient => arithmetic.division(),
        Accuracy::TwoQuotients => 2.0 * arithmetic.division(),
        Accuracy::Exponential => arithmetic.elementary() + arithmetic.argument() * a.value.abs(),
        Accuracy::Elementary | Accuracy::ThroughZero | Accuracy::Reflected | Accuracy::Periodic => {
            arithmetic.elementary()
        }
        Accuracy::Remainder | Accuracy::Power => unreachable!("{}: of two operands", op.name()),
    };
    // Where a result is near zero, its error is that of the argument or of the terms that cancel.
    let near_zero = match nature.accuracy {
        Accuracy::Periodic => arithmetic.argument() * (1.0 + a.value.abs()),
        Accuracy::ThroughZero => arithmetic.basic(),
        Accuracy::Reflected if a.value < 0.0 => {
            arithmetic.basic() + arithmetic.elementary() * reflected(function(-a.value))
        }
        Accuracy::Reflected => arithmetic.basic(),
        _ => 0.0,
    };
    if a.is_exact() && a.value == 0.0 && value == 0.0 {
        // Formulas that begin with a sum lose the sign of -0.
        let keeps = matches!(op, Unary::Neg | Unary::Abs) || a.value.is_sign_positive();
        return if keeps { 0.0 } else { SIGN_OPEN };
    }
    let largest = value.abs() + propagated;
    propagated + rounding(dtype, units, largest) + rounding(dtype, near_zero, 1.0)
}

/// True if zero or a negative integer lies within.
fn has_pole(a: Within) -> bool {
    let [low, high] = a.ends();
    low <= 0.0 && low.ceil() <= high.min(0.0)
}

/// Size of the term that a function's reflection subtracts; one that is infinite leaves no result.
fn reflected(term: f64) -> f64 {
    if term.is_finite() { term.abs() } else { 0.0 }
}

fn comparison(op: Binary, a: Within, b: Within) -> f64 {
    if a.is_exact() && b.is_exact() {
        return 0.0;
    }
    if a.error.is_infinite() || b.error.is_infinite() {
        return 1.0;
    }
    let ([a_low, a_high], [b_low, b_high]) = (a.ends(), b.ends());
    let apart = match op {
        Binary::Le => a_high <= b_low || a_low > b_high,
        Binary::Lt => a_high < b_low || a_low >= b_high,
        _ => a_high < b_low || a_low > b_high,
    };
    let unordered = a.value.is_nan() || b.value.is_nan();
    if apart || unordered { 0.0 } else { 1.0 }
}

fn binary(
    arithmetic: Arithmetic,
    op: Binary,
    dtype: DType,
    [a, b]: [Within; 2],
    value: f64,
) -> f64 {
    if a.error.is_infinite() || b.error.is_infinite() {
        return f64::INFINITY;
    }
    let (function, nature) = (op.reference(), op.nature());
    let exact = a.is_exact() && b.is_exact();
    let corners = || {
        let ([a_low, a_high], [b_low, b_high]) = (a.ends(), b.ends());
        let results = [(a_low, b_low), (a_low, b_high), (a_high, b_low), (a_high, b_high)];
        spread(&results.map(|(a, b)| function(a, b)), value)
    };
    let propagated = match nature.variation {
        _ if nature.accuracy == Accuracy::Remainder => return remainder(dtype, a, b),
        _ if exact => 0.0,
        Variation::Slope(slope) => slope * (a.error + b.error),
        Variation::Pole if b.value.abs() <= b.error => f64::INFINITY,
        _ if nature.accuracy == Accuracy::Power && a.value <= a.error => f64::INFINITY,
        Variation::Pole | Variation::Poles | Variation::Even | Variation::Monotonic => corners(),
    };
    let units = match nature.accuracy {
        Accuracy::Exact | Accuracy::Remainder => 0.0,
        Accuracy::Basic if exact && is_single(value) => 0.0,
        Accuracy::Quotient if exact && is_single(value) && arithmetic == Arithmetic::Host => 0.0,
        Accuracy::Basic => arithmetic.basic(),
        Accuracy::Quotient => arithmetic.division(),
        Accuracy::TwoQuotients => 2.0 * arithmetic.division(),
        Accuracy::Elementary | Accuracy::ThroughZero | Accuracy::Reflected | Accuracy::Periodic => {
            arithmetic.elementary()
        }
        Accuracy::Exponential => arithmetic.elementary() + arithmetic.argument() * a.value.abs(),
        Accuracy::Power => {
            let logarithm = (b.value * a.value.abs().ln()).abs();
            let logarithm = if logarithm.is_finite() { logarithm } else { 0.0 };
            2.0 * arithmetic.elementary() + 2.0 * arithmetic.argument() * logarithm
        }
    };
    // Which of two zeros is the larger is open.
    if matches!(op, Binary::Maximum | Binary::Minimum) && value == 0.0 && a.value == b.value {
        return at_least(propagated, SIGN_OPEN);
    }
    propagated + rounding(dtype, units, value)
}

/// `a - b trunc(a / b)`: exact operands of which the quotient is no whole number but for rounding.
fn remainder(dtype: DType, a: Within, b: Within) -> f64 {
    if a.value.is_nan() || b.value.is_nan() || a.value.is_infinite() || b.value == 0.0 {
        return if a.is_exact() && b.is_exact() { 0.0 } else { f64::INFINITY };
    }
    // A divisor below the normal numbers may be zero.
    if b.value.abs() < 2.0 * f64::from(f32::MIN_POSITIVE) {
        return f64::INFINITY;
    }
    let quotient = a.value / b.value;
    if a.is_exact() && b.is_exact() && is_single(quotient) && quotient.abs() < 1e6 {
        return rounding(dtype, 1.0, a.value % b.value);
    }
    let least = b.value.abs() - b.error;
    if least <= 0.0 {
        return f64::INFINITY;
    }
    let doubt = rounding(dtype, 8.0, quotient) + (a.error + quotient.abs() * b.error) / least;
    if (quotient - doubt).trunc() != (quotient + doubt).trunc() || quotient.abs() > 1e6 {
        return f64::INFINITY;
    }
    a.error + quotient.abs() * b.error + rounding(dtype, 8.0, a.value)
}

/// Integers and truth values: exact, or within whole numbers as long as nothing wraps.
fn integer(op: Binary, dtype: DType, a: Within, b: Within) -> f64 {
    if a.is_exact() && b.is_exact() {
        return 0.0;
    }
    if dtype == DType::Bool {
        return 1.0;
    }
    if dtype == DType::I64 {
        return f64::INFINITY;
    }
    let ([a_low, a_high], [b_low, b_high]) = (a.ends(), b.ends());
    let function = op.reference();
    let results = match op {
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Maximum | Binary::Minimum => {
            [(a_low, b_low), (a_low, b_high), (a_high, b_low), (a_high, b_high)]
                .map(|(a, b)| function(a, b))
        }
        _ => return f64::INFINITY,
    };
    let [least, largest] = range(dtype);
    match results.iter().all(|&result| result >= least && result <= largest) {
        true => spread(&results, function(a.value, b.value)),
        false => f64::INFINITY,
    }
}

/// Of an integer dtype that f64 holds.
fn range(dtype: DType) -> [f64; 2] {
    let (least, largest) = dtype.int_range().unwrap_or_default();
    [least as f64, largest as f64]
}

/// Of an i64.
fn cast_wide(to: DType, a: Within) -> f64 {
    if !a.is_exact() {
        return if to == DType::Bool { 1.0 } else { f64::INFINITY };
    }
    let value = whole(DType::I64, a.value);
    // As it is, or rounded once: of f32 the reference keeps more.
    match to {
        DType::F32 if (value as f32) as i128 != i128::from(value) => {
            rounding(DType::F32, 1.01, value as f64)
        }
        _ => 0.0,
    }
}

/// To an i64.
fn cast_to_wide(from: DType, a: Within) -> f64 {
    let [low, high] = a.ends().map(f64::trunc);
    let open = from.is_float() && !a.is_exact() && low != high;
    let wraps = !from.is_float() && !a.is_exact();
    if open || wraps || a.error.is_infinite() { f64::INFINITY } else { 0.0 }
}

fn cast(from: DType, to: DType, a: Within, value: f64) -> f64 {
    if a.error.is_infinite() {
        return if to == DType::Bool { 1.0 } else { f64::INFINITY };
    }
    match to {
        DType::Bool => f64::from(u8::from(!a.is_exact() && a.value.abs() <= a.error)),
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => {
            if from == to || to == DType::F64 || (a.is_exact() && is_single(a.value)) {
                return a.error;
            }
            if to == DType::F32 {
                return a.error + rounding(DType::F32, 1.0, a.value);
            }
            // Rounded once, also from types that have numbers which f32 has not.
            spread(&a.ends().map(|end| super::round(to, end)), value)
        }
        _ if a.is_exact() => 0.0,
        _ if from.is_float() => {
            let [least, largest] = range(to);
            spread(&a.ends().map(|end| end.trunc().clamp(least, largest)), value)
        }
        _ => {
            let [least, largest] = range(to);
            let inside = a.ends().iter().all(|&end| end >= least && end <= largest);
            if inside { a.error } else { f64::INFINITY }
        }
    }
}
