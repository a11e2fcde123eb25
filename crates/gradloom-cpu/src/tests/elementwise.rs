//! Map kernels: every op, dtype and way to read.

use gradloom_plan::View;
use gradloom_plan::program::{Level as Rank, Operation};
use gradloom_tensor::op::{Axes, Binary, Permutation, Unary};
use gradloom_tensor::{DType, Key, Scalar, Shape};

use super::{Case, integers, numbers, wide};
use crate::simd::Level;

const FLOATS: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];
const SIZES: [usize; 4] = [1, 7, 1024, 50_001];

#[test]
fn unary_ops_are_their_references() {
    for dtype in FLOATS {
        for &op in Unary::ALL.iter().filter(|&&op| op != Unary::Not) {
            let mut case = Case::map(&[1500]);
            let mut values = numbers(3, 1500);
            if matches!(op, Unary::Sqrt | Unary::Rsqrt | Unary::Log | Unary::Reciprocal) {
                values.iter_mut().for_each(|value| *value = value.abs() + 0.125);
            }
            if dtype == DType::F32 {
                values[..4].copy_from_slice(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0]);
            }
            let a = case.whole(dtype, values);
            let result = case.unary(op, a);
            case.output(result);
            case.check();
        }
    }
}

#[test]
fn binary_ops_are_their_references_for_slices_and_scalars() {
    for dtype in FLOATS {
        for &op in Binary::ALL {
            let bits =
                [Binary::And, Binary::Or, Binary::Xor, Binary::LeftShift, Binary::RightShift];
            if bits.contains(&op) {
                continue;
            }
            let mut case = Case::map(&[1100]);
            let positive = op == Binary::Pow;
            let fit = |values: Vec<f64>| -> Vec<f64> {
                values.into_iter().map(|v| if positive { v.abs() + 0.5 } else { v }).collect()
            };
            let a = case.whole(dtype, fit(numbers(5, 1100)));
            let b = case.whole(dtype, fit(numbers(6, 1100)));
            let c = case.constant(1.5, dtype);
            for (lhs, rhs) in [(a, b), (a, c), (c, b), (a, a)] {
                let result = case.binary(op, lhs, rhs);
                case.output(result);
            }
            case.check();
        }
    }
}

#[test]
fn integer_ops_wrap_and_never_divide_by_zero() {
    for (dtype, low, high) in [(DType::I32, -9, 10), (DType::U32, 0, 20), (DType::U8, 0, 200)] {
        for &op in Binary::ALL.iter().filter(|&&op| op != Binary::Pow) {
            let mut case = Case::map(&[700]);
            let a = case.whole(dtype, integers(1, 700, low, high));
            let b = case.whole(dtype, integers(2, 700, low, high));
            let zero = case.constant(0.0, dtype);
            for (lhs, rhs) in [(a, b), (a, zero)] {
                let result = case.binary(op, lhs, rhs);
                case.output(result);
            }
            case.check();
        }
    }
    let mut case = Case::map(&[2]);
    let a = case.whole(DType::I32, vec![f64::from(i32::MIN), f64::from(i32::MAX)]);
    let b = case.whole(DType::I32, vec![-1.0, 2.0]);
    for op in [Binary::Mul, Binary::Add, Binary::Sub] {
        let result = case.binary(op, a, b);
        case.output(result);
    }
    case.check();
}

#[test]
fn truth_values_combine_and_choose() {
    let mut case = Case::map(&[3000]);
    let a = case.whole(DType::Bool, integers(1, 3000, 0, 2));
    let b = case.whole(DType::Bool, integers(2, 3000, 0, 2));
    let x = case.whole(DType::F32, numbers(3, 3000));
    let one = case.constant(1.0, DType::F32);
    for op in [Binary::And, Binary::Or, Binary::Xor, Binary::Eq, Binary::Ne] {
        let value = case.binary(op, a, b);
        case.output(value);
        let chosen = case.select(value, x, one);
        case.output(chosen);
        let chosen = case.select(value, one, x);
        case.output(chosen);
    }
    let not = case.unary(Unary::Not, a);
    case.output(not);
    case.check();
}

#[test]
fn casts_between_all_dtypes() {
    for from in DType::ALL {
        for to in DType::ALL {
            let mut case = Case::map(&[600]);
            let mut values = match from {
                DType::Bool => integers(1, 600, 0, 2),
                DType::I32 => integers(1, 600, -300, 300),
                DType::I8 => integers(1, 600, -128, 128),
                DType::I64 => {
                    let far = integers(1, 600, -300, 300).into_iter();
                    wide(far.map(|value| value * 12_345_678_901_234_567.0).collect())
                }
                DType::U32 | DType::U8 => integers(1, 600, 0, 256),
                _ => numbers(4, 600),
            };
            if from == DType::F32 {
                values[..5].copy_from_slice(&[f64::NAN, 3e9, -3e9, 300.0, f64::INFINITY]);
            }
            let a = case.whole(from, values);
            let value = case.cast(a, to);
            case.output(value);
            case.check();
        }
    }
}

#[test]
fn views_of_every_kind_are_read() {
    let base = View::contiguous(Shape::new(&[6, 10, 8]));
    let permuted = base.permute(&Permutation::new(&[2, 0, 1]));
    let views = [
        (base, 480),
        (permuted, 480),
        (base.slice(&[1, 0, 1], &[2, 3, 2], Shape::new(&[2, 4, 3])), 480),
        (base.flip(Axes::all(3)), 480),
        (base.pad(&[1, 2, 3], Shape::new(&[9, 14, 12])), 480),
        (View::contiguous(Shape::new(&[1, 10, 1])).expand(Shape::new(&[6, 10, 8])), 10),
        (View::contiguous(Shape::new(&[1, 1, 1])).expand(Shape::new(&[6, 10, 8])), 1),
        (View::contiguous(Shape::new(&[1, 1, 8])).expand(Shape::new(&[50, 90, 8])), 8),
    ];
    for (view, len) in views {
        for dtype in DType::ALL {
            let mut case = Case::map(&view.shape);
            let values = if dtype.is_float() { numbers(1, len) } else { integers(1, len, 0, 2) };
            let input = case.input(dtype, values);
            let value = case.load(input, view);
            case.output(value);
            let index = case.push(Operation::Index(view), DType::I32, Rank::Element);
            case.output(index);
            case.check();
        }
    }
}

#[test]
fn long_and_short_programs_reuse_registers_correctly() {
    for size in SIZES {
        let mut case = Case::map(&[size]);
        let a = case.whole(DType::F32, numbers(1, size));
        let b = case.whole(DType::F32, numbers(2, size));
        let sum = case.binary(Binary::Add, a, b);
        let tanh = case.unary(Unary::Tanh, sum);
        let product = case.binary(Binary::Mul, tanh, sum);
        let positive = case.binary(Binary::Lt, a, b);
        let chosen = case.select(positive, product, tanh);
        let half = case.cast(chosen, DType::F16);
        let again = case.binary(Binary::Maximum, product, chosen);
        let last = case.binary(Binary::Sub, again, sum);
        for value in [sum, half, positive, last, chosen] {
            case.output(value);
        }
        // The same value twice.
        case.output(last);
        case.check();
    }
}

#[test]
fn arguments_and_uniform_values_are_computed_once() {
    let mut case = Case::map(&[2000]);
    case.arguments = vec![Scalar::Float(0.5), Scalar::Float(-2.0)];
    let rate = case.push(Operation::Argument(0), DType::F32, Rank::Row);
    let other = case.push(Operation::Argument(1), DType::F32, Rank::Row);
    let factor = case.binary(Binary::Mul, rate, other);
    let factor = case.unary(Unary::Exp, factor);
    let a = case.whole(DType::F32, numbers(1, 2000));
    let value = case.binary(Binary::Mul, a, factor);
    case.output(value);
    case.output(factor);
    case.check();
}

#[test]
fn an_output_may_take_the_memory_of_an_input() {
    for dtype in [DType::F32, DType::F16] {
        let mut case = Case::map(&[40_000]);
        let a = case.whole(dtype, numbers(1, 40_000));
        let b = case.whole(dtype, numbers(2, 40_000));
        let sum = case.binary(Binary::Add, a, b);
        let difference = case.binary(Binary::Sub, a, sum);
        case.output(sum);
        case.output(difference);
        case.in_place = vec![(0, 0), (1, 1)];
        case.check();
    }
}

#[test]
fn random_words_come_from_the_counter() {
    let key = Key::new(42).words();
    let mut case = Case::map(&[3000]);
    case.arguments = key.map(|word| Scalar::Int(i64::from(word))).to_vec();
    let view = View::contiguous(Shape::new(&[3000]));
    let index = case.push(Operation::Index(view), DType::I32, Rank::Element);
    let random = Operation::Random { index, key: [0, 1] };
    let value = case.push(random, DType::U32, Rank::Element);
    case.output(value);
    case.check();
    let level = crate::simd::Level::best();
    let words = super::decode(DType::U32, &case.run(level, 1)[0]);
    assert_eq!(words, super::decode(DType::U32, &case.run(level, 3)[0]));
    let mean = words.iter().sum::<f64>() / 3000.0 / 2f64.powi(32);
    assert!((mean - 0.5).abs() < 0.02, "{mean}");
}

#[test]
fn nothing_happens_in_an_empty_space() {
    let mut case = Case::map(&[4, 0, 3]);
    let a = case.whole(DType::F32, Vec::new());
    let value = case.unary(Unary::Exp, a);
    case.output(value);
    case.check();
}

#[test]
fn operands_across_memory_are_copied_in_blocks() {
    let permuted = |shape: &[usize], order: &[usize]| {
        View::contiguous(Shape::new(shape)).permute(&Permutation::new(order))
    };
    let views = [
        permuted(&[70, 130], &[1, 0]),
        permuted(&[3, 40, 50], &[0, 2, 1]),
        permuted(&[2, 16, 20, 12], &[0, 2, 3, 1]),
        permuted(&[2, 20, 12, 16], &[0, 3, 1, 2]),
        permuted(&[20, 12, 3, 16], &[3, 2, 1, 0]),
        permuted(&[300, 200], &[1, 0]),
        permuted(&[90, 100], &[1, 0]).slice(&[3, 10], &[1, 1], Shape::new(&[80, 70])),
    ];
    for view in views {
        assert!(crate::kernels::transposed::COPIES.copy_of(&view).is_some(), "{view:?}");
        for dtype in [DType::F32, DType::F16, DType::U8, DType::F64] {
            let len = view.extent().map_or(0, |(_, last)| last as usize + 1);
            let values = if dtype.is_float() { numbers(1, len) } else { integers(1, len, 0, 200) };
            let mut case = Case::map(&view.shape);
            let input = case.input(dtype, values);
            let a = case.load(input, view);
            case.output(a);
            case.check();
            // As an operand among others it is read where it lies.
            let b = case.whole(dtype, integers(2, view.shape.count(), 0, 2));
            let larger = case.binary(Binary::Maximum, a, b);
            case.output(larger);
            case.check();
        }
    }
}

#[test]
fn a_repeated_operand_across_memory() {
    let shape = Shape::new(&[90, 5, 80]);
    let view = View::contiguous(Shape::new(&[1, 80, 90])).permute(&Permutation::new(&[2, 0, 1]));
    let mut case = Case::map(&shape);
    let input = case.input(DType::F32, numbers(1, 7200));
    let a = case.load(input, view.expand(shape));
    case.output(a);
    case.check();
}

/// What is computed in one pass has the bits of what is computed step by step, and written out after each.
#[test]
fn chains_have_the_bits_of_their_steps() {
    for shape in [[2, 3, 700], [5, 4, 49], [1, 1, 3]] {
        let count: usize = shape.iter().product();
        let make = |apart: bool, in_place: bool| {
            let mut case = Case::map(&shape);
            let mut values = numbers(21, count);
            values[..3].copy_from_slice(&[f64::NAN, -0.0, f64::NEG_INFINITY]);
            let x = case.whole(DType::F32, values);
            let channels = View::contiguous(Shape::new(&[1, shape[1], 1]));
            let channels = channels.expand(Shape::new(&shape));
            let [scale, shift] = [22, 23].map(|seed| {
                let input = case.input(DType::F32, numbers(seed, shape[1]));
                case.load(input, channels)
            });
            let beside = case.whole(DType::F32, numbers(24, count));
            let [zero, six] = [0.0, 6.0].map(|value| case.constant(value, DType::F32));
            let mut steps = vec![case.binary(Binary::Mul, x, scale)];
            steps.push(case.binary(Binary::Add, shift, steps[0]));
            steps.push(case.binary(Binary::Sub, beside, steps[1]));
            steps.push(case.binary(Binary::Sub, steps[2], scale));
            let clamped = steps[3];
            let (low, high) =
                (case.binary(Binary::Le, clamped, zero), case.binary(Binary::Le, six, clamped));
            let inner = case.select(high, six, clamped);
            steps.push(case.select(low, zero, inner));
            steps.push(case.binary(Binary::Add, steps[4], x));
            steps.push(case.unary(Unary::Relu, steps[5]));
            let outputs = if apart { &steps[..] } else { &steps[6..] };
            outputs.iter().for_each(|&value| case.output(value));
            if in_place {
                case.in_place = vec![(0, 0)];
            }
            case
        };
        make(false, false).check();
        for level in Level::available() {
            let apart = make(true, false).run(level, 1).pop();
            assert_eq!(make(false, false).run(level, 1).pop(), apart, "{}", level.name());
            assert_eq!(make(false, true).run(level, 1).pop(), apart, "{} in place", level.name());
        }
    }
}
