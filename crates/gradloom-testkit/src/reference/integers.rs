//! Integers of the reference: exact at every width.
//!
//! Elements are f64, which holds every integer dtype but i64; an i64 is kept as the f64 of its 64 bits, so
//! that views move it unseen. What computes with integers takes them out and puts them back here.

use gradloom_tensor::op::{ArgReduction, Binary, Reduction, Unary};
use gradloom_tensor::{DType, Op, Scalar, Shape, Tensor, rounding};

use super::lines::lines;
use super::{Values, coordinate, linear, reduced_index};

/// The integer or truth value that an element of a dtype is.
pub(crate) fn whole(dtype: DType, element: f64) -> i64 {
    match dtype {
        DType::I64 => element.to_bits() as i64,
        _ => element as i64,
    }
}

/// An integer as an element of a dtype, which keeps its lowest bits.
pub(crate) fn element(dtype: DType, value: i64) -> f64 {
    match dtype {
        DType::I64 => f64::from_bits(value as u64),
        _ => dtype.wrap(value) as f64,
    }
}

/// A number as an element of an integer dtype.
pub(super) fn scalar(dtype: DType, value: Scalar) -> f64 {
    element(dtype, value.as_i64())
}

pub(super) fn unary(op: Unary, from: DType, to: DType, a: f64) -> f64 {
    let a = whole(from, a);
    let result = match op {
        Unary::Neg => a.wrapping_neg(),
        Unary::Abs => a.wrapping_abs(),
        Unary::Sign => a.signum(),
        Unary::Relu => a.max(0),
        Unary::Not => i64::from(a == 0),
        Unary::IsNan => 0,
        Unary::Floor | Unary::Ceil | Unary::Round => a,
        op => unreachable!("reference: {} of {from}", op.name()),
    };
    element(to, result)
}

/// Arithmetic wraps, division by zero gives 0, and shifts beyond the width shift everything out.
pub(super) fn binary(op: Binary, from: DType, to: DType, a: f64, b: f64) -> f64 {
    let (a, b) = (whole(from, a), whole(from, b));
    let width = 8 * from.size() as i64;
    let shifts = (0..width).contains(&b);
    let result = match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div if b == 0 => 0,
        Binary::Div => a.wrapping_div(b),
        Binary::Rem if b == 0 => 0,
        Binary::Rem => a.wrapping_rem(b),
        Binary::Maximum => a.max(b),
        Binary::Minimum => a.min(b),
        Binary::Eq => i64::from(a == b),
        Binary::Ne => i64::from(a != b),
        Binary::Lt => i64::from(a < b),
        Binary::Le => i64::from(a <= b),
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::LeftShift => {
            if shifts {
                a << b
            } else {
                0
            }
        }
        Binary::RightShift if shifts => a >> b,
        Binary::RightShift => {
            if a < 0 {
                -1
            } else {
                0
            }
        }
        Binary::Pow => unreachable!("reference: {} of {from}", op.name()),
    };
    element(to, result)
}

/// From or to an integer: floats are cut off and saturate, integers wrap, what becomes a half is rounded
/// once.
pub(super) fn cast(from: DType, to: DType, a: f64) -> f64 {
    match (from.is_float(), to.is_float()) {
        (true, _) => {
            let (least, largest) = to.int_range().unwrap_or_default();
            element(to, (a as i64).clamp(least, largest))
        }
        (false, false) => element(to, whole(from, a)),
        (false, true) => match to {
            DType::F16 | DType::BF16 => rounding::whole_to_odd(whole(from, a)),
            _ => whole(from, a) as f64,
        },
    }
}

/// Reductions, sums at indices and orders of i64.
pub(super) fn structured(tensor: &Tensor, values: &[Values], shapes: &[Shape]) -> Vec<f64> {
    let all = |operand: usize| -> Vec<i64> {
        values[operand].iter().map(|&value| whole(DType::I64, value)).collect()
    };
    let elements = |values: Vec<i64>| -> Vec<f64> {
        values.into_iter().map(|value| element(DType::I64, value)).collect()
    };
    let shape = tensor.shape();
    match tensor.op() {
        Op::Reduce(reduction, _) => elements(reduce(*reduction, &all(0), &shapes[0], shape)),
        Op::Scan { axis, reverse } => {
            let all = all(0);
            lines(&shapes[0], *axis, |line| {
                let mut sum = 0i64;
                let mut sums: Vec<f64> = vec![0.0; line.len()];
                for step in 0..line.len() {
                    let place = if *reverse { line.len() - 1 - step } else { step };
                    sum = sum.wrapping_add(all[line[place]]);
                    sums[place] = element(DType::I64, sum);
                }
                sums
            })
        }
        Op::ScatterAdd { axis } => {
            let updates = all(1);
            let mut sums = vec![0i64; shape.count()];
            for (position, &update) in updates.iter().enumerate() {
                let mut at = coordinate(&shapes[0], position);
                at[*axis] = values[0][position] as usize;
                let sum = &mut sums[linear(shape, &at)];
                *sum = sum.wrapping_add(update);
            }
            elements(sums)
        }
        Op::ArgReduce(reduction, axis) => {
            let all = all(0);
            lines(&shapes[0], *axis, |line| {
                let list = line.iter().map(|&index| all[index]);
                let best = match reduction {
                    ArgReduction::Max => list.clone().max(),
                    ArgReduction::Min => list.clone().min(),
                };
                let first = list.enumerate().find(|(_, value)| Some(*value) == best);
                vec![first.map_or(0, |(position, _)| position) as f64]
            })
        }
        Op::ArgSort { axis, descending } => {
            let all = all(0);
            lines(&shapes[0], *axis, |line| {
                let mut order: Vec<usize> = (0..line.len()).collect();
                order.sort_by(|&a, &b| {
                    let ascending = all[line[a]].cmp(&all[line[b]]);
                    if *descending { ascending.reverse() } else { ascending }
                });
                order.into_iter().map(|position| position as f64).collect()
            })
        }
        op => unreachable!("reference: {} of i64", op.name()),
    }
}

fn reduce(reduction: Reduction, values: &[i64], from: &Shape, to: &Shape) -> Vec<i64> {
    let start = match reduction {
        Reduction::Sum => 0,
        Reduction::Max => i64::MIN,
        Reduction::Min => i64::MAX,
    };
    let mut out = vec![start; to.count()];
    for (index, &value) in values.iter().enumerate() {
        let slot = &mut out[reduced_index(from, to, index)];
        *slot = match reduction {
            Reduction::Sum => slot.wrapping_add(value),
            Reduction::Max => value.max(*slot),
            Reduction::Min => value.min(*slot),
        };
    }
    out
}
