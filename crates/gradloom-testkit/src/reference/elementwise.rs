//! Elementwise ops of the reference backend, from the closures of the table.

use gradloom_tensor::op::Binary;
use gradloom_tensor::{DType, Op, Tensor};

use super::{Values, round};

pub(super) fn compute(tensor: &Tensor, values: &[Values], operands: &[Tensor]) -> Vec<f64> {
    let dtype = tensor.dtype();
    let store = |value: f64| if dtype.is_float() { value } else { round(dtype, value) };
    match tensor.op() {
        Op::Unary(unary) => values[0].iter().map(|&a| store(unary.reference()(a))).collect(),
        Op::Binary(binary) => {
            let float = operands[0].dtype().is_float();
            let pairs = values[0].iter().zip(values[1].iter());
            pairs
                .map(|(&a, &b)| {
                    store(if float { binary.reference()(a, b) } else { integer(*binary, a, b) })
                })
                .collect()
        }
        Op::Select => (0..tensor.count())
            .map(|i| if values[0][i] != 0.0 { values[1][i] } else { values[2][i] })
            .collect(),
        _ => values[0].iter().map(|&a| cast(operands[0].dtype(), dtype, a)).collect(),
    }
}

/// Integer arithmetic wraps, and division by zero gives 0.
fn integer(binary: Binary, a: f64, b: f64) -> f64 {
    let (x, y) = (a as i64, b as i64);
    match binary {
        Binary::Mul => f64::from(x.wrapping_mul(y) as i32),
        Binary::Div => x.checked_div(y).unwrap_or(0) as f64,
        Binary::Rem => x.checked_rem(y).unwrap_or(0) as f64,
        _ => binary.reference()(a, b),
    }
}

fn cast(from: DType, to: DType, value: f64) -> f64 {
    if to == DType::Bool {
        return f64::from(u8::from(value != 0.0));
    }
    if from.is_float() && to.is_int() {
        // Saturating, as Rust's `as`; NaN gives 0.
        return match to {
            DType::I32 => f64::from(value as i32),
            DType::U32 => f64::from(value as u32),
            _ => f64::from(value as u8),
        };
    }
    round(to, value)
}
