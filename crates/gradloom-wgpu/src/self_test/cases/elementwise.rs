//! Maps: functions, special numbers, integers, narrow elements, views, arguments.

use gradloom_plan::trial::{Trial, integers, numbers};
use gradloom_plan::{Level, Operation, View};
use gradloom_tensor::op::{Axes, Binary, Permutation, Unary};
use gradloom_tensor::{DType, Scalar, Shape};

use crate::self_test::case::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = functions();
    cases.push(Case::of("special numbers", special_numbers()));
    cases.push(Case::of("integers that wrap", integers_that_wrap()));
    cases.push(Case::of("casts", casts()));
    cases.push(Case::of("views", views()));
    cases.push(Case::of("arguments and random bits", arguments()));
    for dtype in [DType::F32, DType::I32, DType::F16, DType::BF16, DType::U8, DType::I8] {
        cases.push(Case::of(format!("lanes of {dtype}"), lanes(dtype, [32, 64])));
        if dtype.size() < 4 {
            cases.push(Case::of(format!("odd {dtype}"), lanes(dtype, [5, 7])));
        }
    }
    cases
}

/// Sums of functions, some at a time: each wrong one shows in a sum.
fn functions() -> Vec<Case> {
    // Of the order of one on all floats in between.
    let bounded = [
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Sigmoid,
        Unary::Erf,
        Unary::Exp,
        Unary::Abs,
        Unary::Sqrt,
        Unary::Log,
        Unary::Floor,
        Unary::Round,
        Unary::Sign,
    ];
    bounded
        .chunks(4)
        .enumerate()
        .map(|(position, ops)| {
            let mut trial = Trial::map(&[257]).tolerance(2e-5);
            let x = trial.input(DType::F32, numbers(257, 1).into_iter().map(|x| x * 9.0).collect());
            let x = trial.load(x, View::contiguous(Shape::new(&[257])));
            // Roots and logarithms of negative numbers are NaN everywhere.
            let positive = trial.unary(Unary::Abs, x);
            let values: Vec<usize> = ops
                .iter()
                .map(|&op| {
                    let of = matches!(op, Unary::Sqrt | Unary::Log);
                    trial.unary(op, if of { positive } else { x })
                })
                .collect();
            for value in values {
                trial.output(value);
            }
            Case::of(format!("functions {position}"), trial)
        })
        .collect()
}

fn special_numbers() -> Trial {
    let base = [0.0, -0.0, 1.0, -2.5, 3e38, -3e38, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let pairs = base.iter().flat_map(|&a| base.iter().map(move |&b| (a, b)));
    let (left, right): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let shape = Shape::new(&[left.len()]);
    let mut trial = Trial::map(&shape).tolerance(1e-6);
    let [a, b] = [left, right].map(|values| {
        let input = trial.input(DType::F32, values);
        trial.load(input, View::contiguous(shape))
    });
    let minimum = trial.binary(Binary::Minimum, a, b);
    let maximum = trial.binary(Binary::Maximum, a, b);
    let nan = trial.unary(Unary::IsNan, a);
    let less = trial.binary(Binary::Lt, a, b);
    let zero = trial.constant(DType::F32, Scalar::Float(0.0));
    let zeros = trial.binary(Binary::Mul, a, zero);
    let difference = trial.binary(Binary::Sub, a, b);
    let chosen = trial.push(Operation::Select(less, difference, zeros), DType::F32, Level::Element);
    let relu = trial.unary(Unary::Relu, b);
    let sum = trial.binary(Binary::Add, chosen, relu);
    for value in [minimum, maximum, nan, sum] {
        trial.output(value);
    }
    trial
}

fn integers_that_wrap() -> Trial {
    let mut left = integers(61, -50, 50, 7);
    let mut right = integers(61, -50, 50, 8);
    left.extend([f64::from(i32::MIN), f64::from(i32::MAX), f64::from(i32::MIN), 5.0]);
    right.extend([-1.0, 1.0, 0.0, 40.0]);
    let shape = Shape::new(&[left.len()]);
    let mut trial = Trial::map(&shape).tolerance(0.0);
    let [a, b] = [left, right].map(|values| {
        let input = trial.input(DType::I32, values);
        trial.load(input, View::contiguous(shape))
    });
    let quotient = trial.binary(Binary::Div, a, b);
    let remainder = trial.binary(Binary::Rem, a, b);
    let product = trial.binary(Binary::Mul, a, b);
    let shifted = trial.binary(Binary::LeftShift, a, b);
    let right = trial.binary(Binary::RightShift, a, b);
    let mixed = trial.binary(Binary::Xor, product, shifted);
    let mixed = trial.binary(Binary::Add, mixed, right);
    for value in [quotient, remainder, mixed] {
        trial.output(value);
    }
    trial
}

fn casts() -> Trial {
    let values = vec![
        0.0,
        0.5,
        -1.5,
        2.5,
        255.4,
        -3.7,
        65519.0,
        65520.0,
        6e-8,
        3e9,
        -1e10,
        1.003_906_25,
        0.1,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e30,
    ];
    let shape = Shape::new(&[values.len()]);
    let mut trial = Trial::map(&shape).tolerance(0.0);
    let x = trial.input(DType::F32, values);
    let x = trial.load(x, View::contiguous(shape));
    for dtype in [DType::F16, DType::BF16, DType::I8, DType::I32] {
        let narrow = trial.cast(x, dtype);
        trial.output(narrow);
    }
    trial
}

fn views() -> Trial {
    let base = Shape::new(&[6, 5, 8]);
    let whole = View::contiguous(base);
    let out = Shape::new(&[5, 6, 8]);
    let turned = whole.permute(&Permutation::new(&[1, 0, 2]));
    let flipped = turned.flip([0, 2].into_iter().collect::<Axes>());
    let padded = View::contiguous(Shape::new(&[3, 6, 5])).pad(&[1, 0, 2], out);
    let spread = View::contiguous(Shape::new(&[1, 6, 1])).expand(out);
    let mut trial = Trial::map(&out).tolerance(1e-6);
    let x = trial.input(DType::F32, numbers(base.count(), 1));
    let y = trial.input(DType::F32, numbers(90, 2));
    let z = trial.input(DType::F32, numbers(6, 3));
    let loads = [trial.load(x, turned), trial.load(x, flipped), trial.load(y, padded)];
    let z = trial.load(z, spread);
    let sum = trial.binary(Binary::Add, loads[0], loads[2]);
    let product = trial.binary(Binary::Mul, loads[1], z);
    let index = trial.push(Operation::Index(flipped), DType::I32, Level::Element);
    for value in [sum, product, index] {
        trial.output(value);
    }
    trial
}

fn arguments() -> Trial {
    let shape = Shape::new(&[321]);
    let mut trial = Trial::map(&shape).tolerance(0.0);
    trial.arguments = vec![
        (DType::F32, Scalar::Float(0.25)),
        (DType::U32, Scalar::Int(0x1319_8a2e)),
        (DType::U32, Scalar::Int(0x0370_7344)),
        (DType::Bool, Scalar::Bool(true)),
    ];
    let index = trial.push(Operation::Index(View::contiguous(shape)), DType::I32, Level::Element);
    let random = trial.push(Operation::Random { index, key: [1, 2] }, DType::U32, Level::Element);
    let rate = trial.push(Operation::Argument(0), DType::F32, Level::Element);
    let truth = trial.push(Operation::Argument(3), DType::Bool, Level::Element);
    let floats = trial.cast(index, DType::F32);
    let scaled = trial.binary(Binary::Mul, floats, rate);
    let infinite = trial.constant(DType::F32, Scalar::Float(f64::NEG_INFINITY));
    let chosen = Operation::Select(truth, scaled, infinite);
    let chosen = trial.push(chosen, DType::F32, Level::Element);
    trial.output(random);
    trial.output(chosen);
    trial
}

/// Products and sums of views that repeat, with four elements for a thread where that is possible.
fn lanes(dtype: DType, [rows, columns]: [usize; 2]) -> Trial {
    let shape = Shape::new(&[rows, columns]);
    let mut trial = Trial::map(&shape).tolerance(1e-6);
    let values = |count, seed| match dtype.is_float() {
        true => numbers(count, seed),
        false => integers(count, 0, 50, seed),
    };
    let x = trial.input(dtype, values(shape.count(), 1));
    let bias = trial.input(dtype, values(columns, 2));
    let scale = trial.input(dtype, values(rows, 3));
    let x = trial.load(x, View::contiguous(shape));
    let bias = trial.load(bias, View::contiguous(Shape::new(&[1, columns])).expand(shape));
    let scale = trial.load(scale, View::contiguous(Shape::new(&[rows, 1])).expand(shape));
    let product = trial.binary(Binary::Mul, x, scale);
    let sum = trial.binary(Binary::Add, product, bias);
    trial.output(product);
    trial.output(sum);
    trial
}
