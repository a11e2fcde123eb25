//! The naive interpreter: every value of a program over the whole space, in f64. `View::element` and
//! the tables of elementwise ops are the definitions.

use gradloom_plan::{KernelKind, Level, Operation, View};
use gradloom_tensor::op::{Binary, Reduction};
use gradloom_tensor::{DType, Scalar, Shape};

use crate::harness::{Case, from_bytes, to_bytes};

/// The outputs of a case, rounded to their dtypes.
pub(crate) fn run(case: &Case) -> Vec<Vec<f64>> {
    let kernel = &case.kernel;
    let accumulator = match &kernel.kind {
        KernelKind::Map | KernelKind::Reduce | KernelKind::Row => Vec::new(),
        KernelKind::Matmul { lhs, rhs } => matmul(case, lhs, rhs),
        other => crate::structured::reference(case, other),
    };
    let mut values = program(case, &accumulator);
    if let KernelKind::Write { data, axis, start } = &kernel.kind {
        let value = kernel.outputs[0].value;
        values[value] = crate::sequences::written(case, (data, *axis, start), &values[value]);
    }
    kernel
        .outputs
        .iter()
        .map(|output| from_bytes(output.dtype, &to_bytes(output.dtype, &values[output.value])))
        .collect()
}

/// Calls `visit` with every coordinate of a shape in row-major order.
pub(crate) fn for_each(shape: &Shape, mut visit: impl FnMut(&[usize])) {
    let mut coordinate = vec![0; shape.rank()];
    for _ in 0..shape.count() {
        visit(&coordinate);
        for axis in (0..shape.rank()).rev() {
            coordinate[axis] += 1;
            if coordinate[axis] < shape[axis] {
                break;
            }
            coordinate[axis] = 0;
        }
    }
}

fn load(data: &[f64], view: &View) -> Vec<f64> {
    let mut values = Vec::new();
    for_each(&view.shape, |coordinate| {
        values.push(view.element(coordinate).map_or(0.0, |element| data[element]));
    });
    values
}

fn program(case: &Case, accumulator: &[f64]) -> Vec<Vec<f64>> {
    let space = &case.kernel.space;
    let (rows, columns) = (space.rows(), space.columns());
    let mut values: Vec<Vec<f64>> = Vec::new();
    for instruction in &case.kernel.program.instructions {
        let dtype = instruction.dtype;
        let count = if instruction.level == Level::Row { rows } else { rows * columns };
        // An operand at element `i` of this instruction's level.
        let at = |id: usize, i: usize| {
            let operand: &Vec<f64> = &values[id];
            let own_level = case.kernel.program.instructions[id].level;
            match (own_level, instruction.level) {
                (Level::Row, Level::Element) => operand[i / columns.max(1)],
                _ => operand[i],
            }
        };
        let each = |compute: &dyn Fn(usize) -> f64| (0..count).map(compute).collect::<Vec<f64>>();
        let row_view = |all: Vec<f64>| {
            if instruction.level == Level::Row {
                (0..rows).map(|row| all[row * columns]).collect()
            } else {
                all
            }
        };
        let result: Vec<f64> = match instruction.operation {
            Operation::Load { input, view } => row_view(load(&case.inputs[input], &view)),
            Operation::Accumulator => accumulator.to_vec(),
            Operation::Constant(value) => vec![value.as_f64(); count],
            Operation::Argument(argument) => vec![case.arguments[argument].1.as_f64(); count],
            Operation::Index(view) => {
                let mut values = Vec::new();
                for_each(&view.shape, |coordinate| {
                    values.push(view.element(coordinate).map_or(0.0, |element| element as f64));
                });
                row_view(values)
            }
            Operation::Random { index, key } => {
                let key = key.map(|argument| match case.arguments[argument].1 {
                    Scalar::Int(word) => word as u32,
                    other => panic!("key word {other}"),
                });
                each(&|i| f64::from(threefry(key, [at(index, i) as u32, 0])[0]))
            }
            Operation::Unary(op, a) => each(&|i| wrap(dtype, op.reference()(at(a, i)))),
            Operation::Binary(op, a, b) => {
                let operand = case.kernel.program.instructions[a].dtype;
                each(&|i| binary(op, operand, dtype, at(a, i), at(b, i)))
            }
            Operation::Select(c, a, b) => {
                each(&|i| if at(c, i) != 0.0 { at(a, i) } else { at(b, i) })
            }
            Operation::Cast(a) => {
                let from = case.kernel.program.instructions[a].dtype;
                each(&|i| cast(from, dtype, at(a, i)))
            }
            Operation::CheckIndex { value, .. } => each(&|i| at(value, i)),
            Operation::Reduce(reduction, a) => (0..rows)
                .map(|row| reduce(reduction, dtype, &values[a][row * columns..][..columns]))
                .collect(),
        };
        values.push(result);
    }
    values
}

fn binary(op: Binary, operand: DType, dtype: DType, a: f64, b: f64) -> f64 {
    if operand.is_int() {
        let (x, y) = (a as i64, b as i64);
        match op {
            Binary::Div => return if y == 0 { 0.0 } else { wrap(dtype, (x / y) as f64) },
            Binary::Rem => return if y == 0 { 0.0 } else { (x % y) as f64 },
            Binary::Mul => return wrap(dtype, x.wrapping_mul(y) as i32 as f64),
            _ => {}
        }
    }
    wrap(dtype, op.reference()(a, b))
}

/// Integers wrap at 32 bits while they are computed with.
fn wrap(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::I32 => f64::from(value as i64 as i32),
        DType::U32 | DType::U8 => f64::from(value as i64 as u32),
        _ => value,
    }
}

fn cast(from: DType, dtype: DType, value: f64) -> f64 {
    match dtype {
        // Integers keep their lowest bits, floats saturate.
        DType::I32 if from.is_int() => f64::from(value as i64 as i32),
        DType::U32 if from.is_int() => f64::from(value as i64 as u32),
        DType::U8 if from.is_int() => f64::from(value as i64 as u8),
        DType::I32 => f64::from(value as i32),
        DType::U32 => f64::from(value as u32),
        DType::U8 => f64::from(value as u8),
        DType::Bool => f64::from(u8::from(value != 0.0)),
        _ => from_bytes(dtype, &to_bytes(dtype, &[value]))[0],
    }
}

fn reduce(reduction: Reduction, dtype: DType, values: &[f64]) -> f64 {
    match reduction {
        Reduction::Sum => wrap(dtype, values.iter().sum()),
        Reduction::Max => {
            values.iter().fold(lowest(dtype), |a, &b| Binary::Maximum.reference()(a, b))
        }
        Reduction::Min => {
            values.iter().fold(highest(dtype), |a, &b| Binary::Minimum.reference()(a, b))
        }
    }
}

fn lowest(dtype: DType) -> f64 {
    match dtype {
        DType::I32 => f64::from(i32::MIN),
        DType::U32 | DType::U8 | DType::Bool => 0.0,
        _ => f64::NEG_INFINITY,
    }
}

fn highest(dtype: DType) -> f64 {
    match dtype {
        DType::I32 => f64::from(i32::MAX),
        DType::U32 => f64::from(u32::MAX),
        DType::U8 => 255.0,
        DType::Bool => 1.0,
        _ => f64::INFINITY,
    }
}

fn matmul(case: &Case, lhs: &View, rhs: &View) -> Vec<f64> {
    let shape = case.kernel.space.shape;
    let rank = shape.rank();
    let depth = lhs.shape[rank - 1];
    let mut result = Vec::new();
    for_each(&shape, |coordinate| {
        let (mut left, mut right) = (coordinate.to_vec(), coordinate.to_vec());
        let mut sum = 0.0;
        for k in 0..depth {
            left[rank - 1] = k;
            right[rank - 2] = k;
            right[rank - 1] = coordinate[rank - 1];
            let at = |input: usize, view: &View, c: &[usize]| {
                view.element(c).map_or(0.0, |element| case.inputs[input][element])
            };
            sum += at(0, lhs, &left) * at(1, rhs, &right);
        }
        result.push(sum);
    });
    result
}

/// Threefry-2x32-20 by its definition.
fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
    let keys = [key[0], key[1], 0x1BD1_1BDA ^ key[0] ^ key[1]];
    let mut x = [counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1])];
    for round in 0..20 {
        x[0] = x[0].wrapping_add(x[1]);
        x[1] = x[1].rotate_left(ROTATIONS[round % 8]) ^ x[0];
        if round % 4 == 3 {
            let step = round / 4 + 1;
            x[0] = x[0].wrapping_add(keys[step % 3]);
            x[1] = x[1].wrapping_add(keys[(step + 1) % 3]).wrapping_add(step as u32);
        }
    }
    x
}
