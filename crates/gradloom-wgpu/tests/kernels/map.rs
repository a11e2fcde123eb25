//! Maps: every elementwise op on every dtype, views with masks, vector lanes, casts, random numbers.

use gradloom_plan::{Level, Operation, View};
use gradloom_tensor::elementwise::Accuracy;
use gradloom_tensor::op::{Axes, Binary, Permutation, Unary};
use gradloom_tensor::{DType, Scalar, Shape};

use crate::harness::{Case, integers, numbers};

fn special_values() -> Vec<f64> {
    let mut values = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        2.0,
        1e-7,
        -1e-7,
        1e-3,
        -1e-3,
        0.3,
        -0.3,
        0.41,
        0.7,
        -0.29,
        3.0,
        -3.0,
        8.9,
        10.0,
        -10.0,
        17.5,
        60.0,
        -60.0,
        88.0,
        89.0,
        -87.0,
        -104.0,
        100.0,
        1000.0,
        -1000.0,
        5000.25,
        1e5,
        123456.7,
        1e7,
        1e10,
        -1e10,
        1e20,
        3e38,
        -3e38,
        1.5,
        2.5,
        3.5,
        -2.5,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    values.extend(numbers(400, 1).into_iter().map(|value| value * 8.0));
    values.extend(numbers(200, 2).into_iter().map(|value| value * 1.2));
    values.into_iter().map(|value| f64::from(value as f32)).collect()
}

#[test]
fn every_unary_op_is_accurate_on_floats() {
    let values = special_values();
    for &op in Unary::ALL.iter().filter(|&&op| op != Unary::Not) {
        let (function, nature) = (op.reference(), op.nature());
        // Special functions are made of several others, in f32.
        let ulps = if nature.cost > 8 { 8.0 } else { 4.0 };
        // What stands for a negative argument is the difference of two terms, this among them.
        let term = |x: f64| match nature.accuracy == Accuracy::Reflected && x < 0.0 {
            true => function(-x),
            false => 0.0,
        };
        let mut case = Case::map(&[values.len()]).tolerance(0.0);
        let x = case.input(DType::F32, values.clone());
        let x = case.load(x, View::contiguous(Shape::new(&[values.len()])));
        let y = case.unary(op, x);
        case.output(y);
        for device in crate::harness::devices() {
            let found =
                case.run_on(&device).unwrap_or_else(|error| panic!("{}: {error}", op.name()));
            for (&x, &found) in values.iter().zip(&found[0]) {
                let exact = function(x);
                assert!(
                    within_ulps(found, exact, ulps) || (found - exact).abs() <= ulps * ulp(term(x)),
                    "{}({x:e}): found {found:e}, expected {exact:e}",
                    op.name()
                );
            }
        }
    }
}

/// True if `found` is `exact` to so many units in the last place of f32, or both are tiny.
fn within_ulps(found: f64, exact: f64, ulps: f64) -> bool {
    let rounded = f64::from(exact as f32);
    if found.is_nan() || rounded.is_nan() {
        return found.is_nan() && rounded.is_nan();
    }
    if rounded.is_infinite() || found.is_infinite() {
        return found == rounded || exact.abs() > 3.402e38;
    }
    // Drivers may flush subnormal numbers.
    (found - exact).abs() <= ulps * ulp(exact) || exact.abs() < 1.2e-38 && found.abs() < 1.2e-38
}

/// A unit in the last place of f32, of normal numbers.
fn ulp(value: f64) -> f64 {
    2f64.powi(value.abs().max(1.2e-38).log2().floor() as i32 - 23)
}

#[test]
fn every_binary_op_is_accurate_on_floats() {
    let base = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        3.0,
        -3.0,
        0.5,
        -0.5,
        1.5,
        10.0,
        -7.25,
        0.1,
        33.0,
        1e-3,
        1e6,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for &a in &base {
        for &b in &base {
            left.push(f64::from(a as f32));
            right.push(f64::from(b as f32));
        }
    }
    left.extend(numbers(300, 3).into_iter().map(|value| f64::from((value * 20.0) as f32)));
    right.extend(numbers(300, 4).into_iter().map(|value| f64::from((value * 9.0) as f32)));
    // Positive bases with exponents of any kind.
    left.extend(numbers(300, 5).into_iter().map(|value| f64::from((value + 1.001) as f32)));
    right.extend(numbers(300, 6).into_iter().map(|value| f64::from((value * 40.0) as f32)));
    let shape = Shape::new(&[left.len()]);
    let bits = [Binary::And, Binary::Or, Binary::Xor, Binary::LeftShift, Binary::RightShift];
    for &op in Binary::ALL.iter().filter(|op| !bits.contains(op)) {
        let mut case = Case::map(&shape);
        let a = case.input(DType::F32, left.clone());
        let b = case.input(DType::F32, right.clone());
        let a = case.load(a, View::contiguous(shape));
        let b = case.load(b, View::contiguous(shape));
        let y = case.binary(op, a, b);
        case.output(y);
        for device in crate::harness::devices() {
            let found =
                case.run_on(&device).unwrap_or_else(|error| panic!("{}: {error}", op.name()));
            for ((&a, &b), &found) in left.iter().zip(&right).zip(&found[0]) {
                let exact = op.reference()(a, b);
                assert!(
                    within_ulps(found, exact, 4.0),
                    "{}({a:e}, {b:e}): found {found:e}, expected {exact:e}",
                    op.name()
                );
            }
        }
    }
}

#[test]
fn integer_ops_wrap_and_division_by_zero_is_zero() {
    for dtype in [DType::I32, DType::U32] {
        let low = if dtype == DType::I32 { -50 } else { 0 };
        let mut left = integers(500, low, 50, 7);
        let mut right = integers(500, low, 50, 8);
        if dtype == DType::I32 {
            left.extend([f64::from(i32::MIN), f64::from(i32::MAX), f64::from(i32::MIN)]);
            right.extend([-1.0, 1.0, 0.0]);
        } else {
            left.extend([f64::from(u32::MAX), 5.0]);
            right.extend([1.0, 0.0]);
        }
        let shape = Shape::new(&[left.len()]);
        for &op in Binary::ALL.iter().filter(|&&op| op != Binary::Pow) {
            let mut case = Case::map(&shape);
            let a = case.input(dtype, left.clone());
            let b = case.input(dtype, right.clone());
            let a = case.load(a, View::contiguous(shape));
            let b = case.load(b, View::contiguous(shape));
            let y = case.binary(op, a, b);
            case.output(y);
            case.check();
        }
        for op in [Unary::Neg, Unary::Abs, Unary::Sign, Unary::Relu, Unary::Floor] {
            if dtype == DType::U32 && op == Unary::Neg {
                continue;
            }
            let mut case = Case::map(&shape);
            let a =
                case.input(dtype, left.iter().map(|v| v.max(f64::from(i32::MIN + 1))).collect());
            let a = case.load(a, View::contiguous(shape));
            let y = case.unary(op, a);
            case.output(y);
            case.check();
        }
    }
}

#[test]
fn bool_ops_and_selects() {
    let shape = Shape::new(&[64]);
    for op in [Binary::And, Binary::Or, Binary::Xor, Binary::Eq, Binary::Ne] {
        let mut case = Case::map(&shape);
        let a = case.input(DType::Bool, integers(64, 0, 2, 1));
        let b = case.input(DType::Bool, integers(64, 0, 2, 2));
        let x = case.input(DType::F32, numbers(64, 3));
        let a = case.load(a, View::contiguous(shape));
        let b = case.load(b, View::contiguous(shape));
        let x = case.load(x, View::contiguous(shape));
        let c = case.binary(op, a, b);
        let d = case.unary(Unary::Not, c);
        let minus = case.unary(Unary::Neg, x);
        let chosen = case.push(Operation::Select(c, x, minus), DType::F32, Level::Element);
        case.output(c);
        case.output(d);
        case.output(chosen);
        case.check();
    }
}

#[test]
fn every_cast() {
    let floats: Vec<f64> = [
        0.0,
        0.5,
        -0.5,
        1.49,
        1.5,
        -1.5,
        2.5,
        255.4,
        256.0,
        -3.7,
        65504.0,
        65519.0,
        65520.0,
        1e-8,
        6e-8,
        3e-5,
        1e10,
        -1e10,
        3e9,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1.0009765,
        0.1,
        1.00390625,
        1.01171875,
    ]
    .into_iter()
    .map(|value: f64| f64::from(value as f32))
    .collect();
    let sources = [
        (DType::F32, floats),
        (DType::I32, vec![0.0, 1.0, -1.0, 70000.0, 300.0, 127.0]),
        (DType::U32, vec![0.0, 1.0, 255.0, 256.0, 4294967295.0, 3e9]),
        (DType::U8, vec![0.0, 1.0, 200.0, 255.0]),
        (DType::I8, vec![0.0, 1.0, -1.0, 127.0, -128.0]),
        (DType::Bool, vec![0.0, 1.0]),
        (DType::F16, vec![0.0, 1.5, -2.25, 60000.0]),
        (DType::BF16, vec![0.0, 1.5, -2.25, 1e30]),
    ];
    for (from, values) in sources {
        for to in DType::ALL.into_iter().filter(|to| to.size() < 8) {
            let shape = Shape::new(&[values.len()]);
            let mut case = Case::map(&shape).tolerance(1e-7);
            let x = case.input(from, values.clone());
            let x = case.load(x, View::contiguous(shape));
            let y = case.cast(x, to);
            case.output(y);
            let back = case.cast(y, DType::F32);
            case.output(back);
            let expected = case.expected();
            for device in crate::harness::devices() {
                if !device.capabilities().f16 && (from == DType::F16 || to == DType::F16) {
                    continue;
                }
                let found = case.run_on(&device).unwrap();
                for (found, expected) in found.iter().zip(&expected) {
                    for (f, e) in found.iter().zip(expected) {
                        let same = f == e || f.is_nan() && e.is_nan();
                        assert!(same, "{from} to {to}: found {f}, expected {e}");
                    }
                }
            }
        }
    }
}

#[test]
fn views_permute_slice_flip_pad_and_broadcast() {
    let base = Shape::new(&[6, 5, 8]);
    let values = numbers(base.count(), 11);
    let whole = View::contiguous(base);
    let views = [
        whole,
        whole.permute(&Permutation::new(&[2, 0, 1])),
        whole.slice(&[1, 0, 2], &[2, 1, 3], Shape::new(&[3, 5, 2])),
        whole.flip([0, 2].into_iter().collect::<Axes>()),
        whole.pad(&[1, 2, 0], Shape::new(&[8, 9, 8])),
        whole.pad(&[0, 0, 3], Shape::new(&[6, 5, 12])),
        whole.slice(&[2, 0, 0], &[1, 1, 1], Shape::new(&[1, 5, 8])).expand(Shape::new(&[7, 5, 8])),
        whole
            .pad(&[1, 0, 0], Shape::new(&[8, 5, 8]))
            .flip([0].into_iter().collect())
            .permute(&Permutation::new(&[1, 2, 0])),
        whole.reshape(Shape::new(&[30, 2, 4])).unwrap(),
    ];
    for view in views {
        let mut case = Case::map(&view.shape).tolerance(0.0);
        let x = case.input(DType::F32, values.clone());
        let x = case.load(x, view);
        let index = case.push(Operation::Index(view), DType::I32, Level::Element);
        case.output(x);
        case.output(index);
        case.check();
    }
}

#[test]
fn four_lanes_with_broadcasts_and_masks() {
    // 32 x 64 elements: large enough for four lanes a thread.
    let shape = Shape::new(&[32, 64]);
    for dtype in [DType::F32, DType::F16, DType::BF16, DType::U8, DType::I32] {
        let mut case = Case::map(&shape);
        let values = |count, seed| match dtype.is_float() {
            true => numbers(count, seed),
            false => integers(count, 0, 50, seed),
        };
        let x = case.input(dtype, values(shape.count(), 1));
        let bias = case.input(dtype, values(64, 2));
        let scale = case.input(dtype, values(32, 3));
        let padded = case.input(dtype, values(32 * 50, 4));
        let x = case.load(x, View::contiguous(shape));
        let bias = case.load(bias, View::contiguous(Shape::new(&[1, 64])).expand(shape));
        let scale = case.load(scale, View::contiguous(Shape::new(&[32, 1])).expand(shape));
        let padded = case.load(padded, View::contiguous(Shape::new(&[32, 50])).pad(&[0, 7], shape));
        let a = case.binary(Binary::Mul, x, scale);
        let b = case.binary(Binary::Add, a, bias);
        let c = case.binary(Binary::Add, b, padded);
        case.output(b);
        case.output(c);
        case.check();
    }
}

#[test]
fn arguments_constants_and_random_bits() {
    let shape = Shape::new(&[1000]);
    let mut case = Case::map(&shape);
    case.arguments = vec![
        (DType::F32, Scalar::Float(0.25)),
        (DType::U32, Scalar::Int(0x1319_8a2e)),
        (DType::U32, Scalar::Int(0x0370_7344)),
        (DType::I32, Scalar::Int(-7)),
        (DType::Bool, Scalar::Bool(true)),
    ];
    let index = case.push(Operation::Index(View::contiguous(shape)), DType::I32, Level::Element);
    let random = case.push(Operation::Random { index, key: [1, 2] }, DType::U32, Level::Element);
    let rate = case.push(Operation::Argument(0), DType::F32, Level::Element);
    let whole = case.push(Operation::Argument(3), DType::I32, Level::Element);
    let truth = case.push(Operation::Argument(4), DType::Bool, Level::Element);
    let floats = case.cast(index, DType::F32);
    let scaled = case.binary(Binary::Mul, floats, rate);
    let shifted = case.binary(Binary::Add, index, whole);
    let infinite = case.constant(DType::F32, Scalar::Float(f64::NEG_INFINITY));
    let chosen = case.push(Operation::Select(truth, scaled, infinite), DType::F32, Level::Element);
    for value in [random, scaled, shifted, chosen] {
        case.output(value);
    }
    case.check();
}
