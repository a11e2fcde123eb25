//! Elementwise ops of the reference backend, from the closures of the table.

use gradloom_tensor::{DType, Op, Tensor};

use super::{Values, integers, round};

pub(super) fn compute(tensor: &Tensor, values: &[Values], operands: &[Tensor]) -> Vec<f64> {
    let (from, to) = (operands[0].dtype(), tensor.dtype());
    let store = |value: f64| if to.is_float() { value } else { round(to, value) };
    match tensor.op() {
        Op::Unary(op) if from.is_int() => {
            values[0].iter().map(|&a| integers::unary(*op, from, to, a)).collect()
        }
        Op::Unary(op) => values[0].iter().map(|&a| store(op.reference()(a))).collect(),
        Op::Binary(op) => {
            let pairs = values[0].iter().zip(values[1].iter());
            match from.is_int() {
                true => pairs.map(|(&a, &b)| integers::binary(*op, from, to, a, b)).collect(),
                false => pairs.map(|(&a, &b)| store(op.reference()(a, b))).collect(),
            }
        }
        Op::Select => (0..tensor.count())
            .map(|i| if values[0][i] != 0.0 { values[1][i] } else { values[2][i] })
            .collect(),
        _ => values[0].iter().map(|&a| cast(from, to, a)).collect(),
    }
}

fn cast(from: DType, to: DType, value: f64) -> f64 {
    match to {
        DType::Bool if from.is_float() => f64::from(u8::from(value != 0.0)),
        _ if from.is_float() && to.is_float() => round(to, value),
        _ => integers::cast(from, to, value),
    }
}
