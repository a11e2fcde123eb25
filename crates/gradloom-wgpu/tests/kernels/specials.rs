//! NaN and infinities that fused kernels make: no device may take `x - x` or `0 * x` for zero.

use gradloom_plan::{Level, Operation, ValueId, View};
use gradloom_tensor::op::{Binary, Reduction, Unary};
use gradloom_tensor::{DType, Scalar, Shape, Tensor};

use crate::harness::{Case, devices, share};

const INFINITY: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

fn operands() -> Vec<(f64, f64)> {
    let values = [0.0, -0.0, 1.0, -1.0, 2.5, INFINITY, -INFINITY, NAN];
    values.iter().flat_map(|&a| values.iter().map(move |&b| (a, b))).collect()
}

/// Runs a program over two operands, of which it is also told that `x` is `x`.
#[track_caller]
fn agrees(
    what: &str,
    build: impl Fn(&mut Case, ValueId, ValueId) -> ValueId,
    exact: fn(f64, f64) -> f64,
) {
    let pairs = operands();
    let mut case = Case::map(&[pairs.len()]);
    let a = case.input(DType::F32, pairs.iter().map(|pair| pair.0).collect());
    let b = case.input(DType::F32, pairs.iter().map(|pair| pair.1).collect());
    let view = View::contiguous(Shape::new(&[pairs.len()]));
    let (a, b) = (case.load(a, view), case.load(b, view));
    let y = build(&mut case, a, b);
    case.output(y);
    for device in devices() {
        let found = &case.run_on(&device).unwrap()[0];
        for (&(a, b), &found) in pairs.iter().zip(found) {
            let right = exact(a, b);
            let near = (found - right).abs() <= 1e-6 * right.abs();
            let same = found == right || (found.is_nan() && right.is_nan()) || near;
            assert!(same, "{what} of {a} and {b}: found {found}, right {right}");
        }
    }
}

fn float(case: &mut Case, value: f64) -> ValueId {
    case.constant(DType::F32, Scalar::Float(value))
}

#[test]
fn differences_of_a_value_and_itself() {
    agrees("a - a", |case, a, _| case.binary(Binary::Sub, a, a), |a, _| a - a);
    agrees("a - b", |case, a, b| case.binary(Binary::Sub, a, b), |a, b| a - b);
    let negative = |case: &mut Case, a: ValueId, _| {
        let minus = case.unary(Unary::Neg, a);
        case.binary(Binary::Add, a, minus)
    };
    agrees("a + -a", negative, |a, _| a + -a);
    let turned = |case: &mut Case, a: ValueId, b: ValueId| {
        let sum = case.binary(Binary::Add, a, b);
        case.binary(Binary::Sub, sum, a)
    };
    agrees("(a + b) - a", turned, |a, b| (a + b) - a);
}

#[test]
fn products_with_zero() {
    agrees("a * b", |case, a, b| case.binary(Binary::Mul, a, b), |a, b| a * b);
    for zero in [0.0, -0.0] {
        let right = move |case: &mut Case, a: ValueId, _| {
            let zero = float(case, zero);
            case.binary(Binary::Mul, a, zero)
        };
        agrees("a * 0", right, |a, _| a * 0.0);
        let left = move |case: &mut Case, a: ValueId, _| {
            let zero = float(case, zero);
            case.binary(Binary::Mul, zero, a)
        };
        agrees("0 * a", left, |a, _| a * 0.0);
    }
    let difference = |case: &mut Case, a: ValueId, b: ValueId| {
        let zero = case.binary(Binary::Sub, a, a);
        case.binary(Binary::Mul, zero, b)
    };
    agrees("(a - a) * b", difference, |a, b| (a - a) * b);
}

#[test]
fn quotients_of_zeros_and_infinities() {
    agrees("a / b", |case, a, b| case.binary(Binary::Div, a, b), |a, b| a / b);
    agrees("a / a", |case, a, _| case.binary(Binary::Div, a, a), |a, _| a / a);
    for divisor in [0.0, -0.0, 2.0, INFINITY] {
        let by = move |case: &mut Case, a: ValueId, _| {
            let divisor = float(case, divisor);
            case.binary(Binary::Div, a, divisor)
        };
        let exact: fn(f64, f64) -> f64 = match divisor {
            INFINITY => |a, _| a / INFINITY,
            2.0 => |a, _| a / 2.0,
            _ if divisor.is_sign_negative() => |a, _| a / -0.0,
            _ => |a, _| a / 0.0,
        };
        agrees(&format!("a / {divisor}"), by, exact);
    }
    let zero_by = |case: &mut Case, a: ValueId, _| {
        let zero = float(case, 0.0);
        case.binary(Binary::Div, zero, a)
    };
    agrees("0 / a", zero_by, |a, _| 0.0 / a);
    let constants = |case: &mut Case, _, _| {
        let zero = case.push(Operation::Constant(Scalar::Float(0.0)), DType::F32, Level::Element);
        case.push(Operation::Binary(Binary::Div, zero, zero), DType::F32, Level::Element)
    };
    agrees("0 / 0", constants, |_, _| NAN);
    agrees("1 / a", |case, a, _| case.unary(Unary::Reciprocal, a), |a, _| 1.0 / a);
}

#[test]
fn functions_outside_their_domain() {
    agrees("sqrt", |case, a, _| case.unary(Unary::Sqrt, a), |a, _| a.sqrt());
    agrees("log", |case, a, _| case.unary(Unary::Log, a), |a, _| a.ln());
    agrees("remainder", |case, a, b| case.binary(Binary::Rem, a, b), |a, b| a % b);
    let nan = |case: &mut Case, a: ValueId, _| {
        let difference = case.binary(Binary::Sub, a, a);
        let nan = case.unary(Unary::IsNan, difference);
        case.cast(nan, DType::F32)
    };
    agrees("is_nan(a - a)", nan, |a, _| f64::from(u8::from((a - a).is_nan())));
}

#[test]
fn comparisons_and_extremes() {
    type Exact = fn(f64, f64) -> f64;
    let truth: [(Binary, Exact); 4] = [
        (Binary::Eq, |a, b| f64::from(u8::from(a == b))),
        (Binary::Ne, |a, b| f64::from(u8::from(a != b))),
        (Binary::Lt, |a, b| f64::from(u8::from(a < b))),
        (Binary::Le, |a, b| f64::from(u8::from(a <= b))),
    ];
    for (op, exact) in truth {
        let between = move |case: &mut Case, a: ValueId, b: ValueId| {
            let truth = case.binary(op, a, b);
            case.cast(truth, DType::F32)
        };
        agrees(op.name(), between, exact);
        let same: Exact = match op {
            Binary::Eq | Binary::Le => |a, _| f64::from(u8::from(!a.is_nan())),
            Binary::Ne => |a, _| f64::from(u8::from(a.is_nan())),
            _ => |_, _| 0.0,
        };
        agrees(op.name(), move |case, a, _| between(case, a, a), same);
    }
    agrees(
        "maximum",
        |case, a, b| case.binary(Binary::Maximum, a, b),
        |a, b| if a.is_nan() || b.is_nan() { NAN } else { a.max(b) },
    );
    agrees(
        "minimum",
        |case, a, b| case.binary(Binary::Minimum, a, b),
        |a, b| if a.is_nan() || b.is_nan() { NAN } else { a.min(b) },
    );
}

#[test]
fn rows_of_infinities_give_nan() {
    // A softmax without its exponential: the row less its largest element.
    let mut case = Case::row(&[4, 3], 1);
    let values =
        [INFINITY, 1.0, 2.0, -INFINITY, -INFINITY, -INFINITY, NAN, 0.0, 1.0, 5.0, 6.0, 7.0];
    let x = case.input(DType::F32, values.to_vec());
    let x = case.load(x, View::contiguous(Shape::new(&[4, 3])));
    let largest = case.reduction(Reduction::Max, x);
    let difference = case.binary(Binary::Sub, x, largest);
    case.output(difference);
    case.check();
}

#[test]
fn the_variance_of_one_element_is_nan() {
    let _shared = share();
    for device in devices() {
        for values in [vec![3.0f32], vec![0.0], vec![f32::INFINITY]] {
            let x = Tensor::from_slice(&values, [1], &device).unwrap();
            assert!(x.var(0, 1).to_vec::<f32>().unwrap()[0].is_nan(), "{values:?}");
            let x = Tensor::from_slice(&values, [1, 1], &device).unwrap();
            assert!(x.std(1, 1).to_vec::<f32>().unwrap()[0].is_nan(), "{values:?}");
        }
        let wide = Tensor::from_slice(&[1.0f32, 2.0, 3.0], [3, 1], &device).unwrap();
        assert!(wide.var(1, 1).to_vec::<f32>().unwrap().iter().all(|value| value.is_nan()));
    }
}
