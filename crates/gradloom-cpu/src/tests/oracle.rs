//! The naive interpreter: every instruction over the whole space, in f64.

use gradloom_plan::View;
use gradloom_plan::program::{Level as Rank, Operation};
use gradloom_tensor::DType;
use gradloom_tensor::op::Reduction;

use super::{Case, decode, encode};

/// Coordinates of an element of a shape.
pub(crate) fn coordinate(shape: &[usize], mut linear: usize) -> Vec<usize> {
    let mut coordinate = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        coordinate[axis] = linear % shape[axis];
        linear /= shape[axis];
    }
    coordinate
}

/// The elements of a view of a buffer, zero where masked.
pub(crate) fn elements(view: &View, values: &[f64]) -> Vec<f64> {
    (0..view.shape.count())
        .map(|linear| {
            view.element(&coordinate(&view.shape, linear)).map_or(0.0, |element| values[element])
        })
        .collect()
}

/// What the kernel's own work gives, before its program.
fn accumulate(case: &Case) -> Vec<f64> {
    use gradloom_plan::KernelKind;
    match &case.kernel.kind {
        KernelKind::Matmul { lhs, rhs } => super::matmul::reference(case, lhs, rhs),
        KernelKind::Map | KernelKind::Reduce | KernelKind::Row => Vec::new(),
        KernelKind::Convolution(_)
        | KernelKind::ConvolutionInput(_)
        | KernelKind::ConvolutionWeight(_) => super::convolution::reference(case),
        _ => super::structured::reference(case),
    }
}

/// All outputs of a case.
pub(crate) fn evaluate(case: &Case) -> Vec<Vec<f64>> {
    let kernel = &case.kernel;
    let shape = kernel.space.shape;
    let columns = kernel.space.columns();
    let accumulator = accumulate(case);
    let mut values: Vec<Vec<f64>> = Vec::new();
    for instruction in &kernel.program.instructions {
        let dtype = instruction.dtype;
        let each = |f: &dyn Fn(usize) -> f64| (0..shape.count()).map(f).collect::<Vec<f64>>();
        let of = |id: usize| kernel.program.instructions[id].dtype;
        let value = match instruction.operation {
            Operation::Load { input, view } => elements(&view, &case.inputs[input]),
            Operation::Accumulator => accumulator.clone(),
            Operation::Constant(scalar) => each(&|_| {
                if dtype == DType::F32 {
                    f64::from(scalar.as_f64() as f32)
                } else {
                    scalar.as_f64()
                }
            }),
            Operation::Argument(index) => each(&|_| case.arguments[index].as_f64()),
            Operation::Index(view) => each(&|linear| {
                view.element(&coordinate(&shape, linear)).map_or(0.0, |element| element as f64)
            }),
            Operation::Random { .. } => unreachable!("random words have their own test"),
            Operation::Unary(op, a) => each(&|i| wrap(dtype, op.reference()(values[a][i]))),
            Operation::Binary(op, a, b) => {
                let integer = of(a).is_int();
                each(&|i| {
                    let (a, b) = (values[a][i], values[b][i]);
                    let value = op.reference()(a, b);
                    let divides = matches!(op.name(), "div" | "rem");
                    let value = if integer && divides && b == 0.0 { 0.0 } else { value };
                    let value = if integer { value.trunc() } else { value };
                    wrap(dtype, value)
                })
            }
            Operation::Select(c, a, b) => {
                each(&|i| if values[c][i] != 0.0 { values[a][i] } else { values[b][i] })
            }
            Operation::Cast(a) => each(&|i| cast(of(a), dtype, values[a][i])),
            Operation::CheckIndex { value, .. } => values[value].clone(),
            Operation::Reduce(reduction, a) => {
                // Repeated along the row, so that every value has an element everywhere.
                let rows = kernel.space.rows();
                let mut reduced = Vec::new();
                for row in 0..rows {
                    let elements = &values[a][row * columns..(row + 1) * columns];
                    let value = wrap(dtype, reduce(reduction, dtype, elements));
                    reduced.extend(std::iter::repeat_n(value, columns.max(1)));
                }
                reduced
            }
        };
        values.push(value);
    }
    let reducing = kernel.space.kept < shape.rank();
    kernel
        .outputs
        .iter()
        .map(|output| {
            let value = &values[output.value];
            let row = kernel.program.instructions[output.value].level == Rank::Row;
            let step = if reducing && row { columns.max(1) } else { 1 };
            let stored: Vec<f64> = value.iter().step_by(step).copied().collect();
            match output.dtype {
                DType::U8 | DType::Bool => decode(output.dtype, &encode(output.dtype, &stored)),
                _ => stored,
            }
        })
        .collect()
}

fn reduce(reduction: Reduction, dtype: DType, values: &[f64]) -> f64 {
    let extreme = |identity: f64, better: fn(f64, f64) -> bool| {
        values.iter().fold(identity, |a, &b| if b.is_nan() || better(b, a) { b } else { a })
    };
    let (least, largest) = match dtype {
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DType::U32 => (0.0, f64::from(u32::MAX)),
        DType::U8 => (0.0, 255.0),
        DType::Bool => (0.0, 1.0),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    match reduction {
        Reduction::Sum => values.iter().sum(),
        Reduction::Max => extreme(least, |b, a| b > a),
        Reduction::Min => extreme(largest, |b, a| b < a),
    }
}

/// Integers wrap at 32 bits; u8 only when stored.
pub(crate) fn wrap(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::I32 => f64::from(value as i64 as i32),
        DType::U32 | DType::U8 => f64::from(value as i64 as u32),
        _ => value,
    }
}

fn cast(from: DType, to: DType, value: f64) -> f64 {
    let integer = from.is_int() || from == DType::Bool;
    match to {
        DType::Bool => f64::from(u8::from(value != 0.0)),
        DType::I32 if integer => f64::from(value as i64 as i32),
        DType::U32 if integer => f64::from(value as i64 as u32),
        DType::U8 if integer => f64::from(value as i64 as u8),
        DType::I32 => f64::from(value as i32),
        DType::U32 => f64::from(value as u32),
        DType::U8 => f64::from(value as u8),
        DType::F16 | DType::BF16 | DType::F32 => decode(to, &encode(to, &[value]))[0],
        DType::F64 => value,
    }
}
