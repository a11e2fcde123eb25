//! Narrow types: what a value of f16, bf16 or u8 is between two fused ops, for every value there is and
//! the middles between neighbours.

use gradloom_plan::{Factors, KernelKind, Level, Operation, Space, View};
use gradloom_tensor::op::{Binary, Unary};
use gradloom_tensor::{DType, Scalar, Shape, Tensor, bf16, f16, rounding};

use crate::harness::{Case, alone, devices, numbers};

/// The numbers of `bits` (in increasing order of bits), the middles to their neighbours, and what lies
/// one f32 to both sides of those.
fn with_middles(value: impl Fn(u16) -> f32) -> Vec<f64> {
    let mut values = Vec::new();
    for bits in 0..=u16::MAX {
        let (low, high) = (f64::from(value(bits)), f64::from(value(bits.wrapping_add(1))));
        values.push(low);
        let middle = ((low + high) / 2.0) as f32;
        if middle.is_finite() && bits & 0x7fff != 0x7fff {
            let word = middle.to_bits();
            let near = [word.saturating_sub(1), word, word + 1];
            values.extend(near.map(|word| f64::from(f32::from_bits(word))));
        }
    }
    // Where rounding goes to infinity: the largest f16 is 65504.
    values.extend([65_519.996, 65_520.0, 65_520.004, -65_519.996, -65_520.0, 1e10, -1e30, 3.4e38]);
    values
}

/// Checks `cast` to `dtype` from f32, and to itself of a value that is not one of it.
#[track_caller]
fn rounds(dtype: DType, values: &[f64], nearest: impl Fn(f32) -> f32) {
    let mut case = Case::map(&[values.len()]);
    let x = case.input(DType::F32, values.to_vec());
    let x = case.load(x, View::contiguous(Shape::new(&[values.len()])));
    let down = case.cast(x, dtype);
    let down = case.cast(down, DType::F32);
    case.output(down);
    // What an op on two halves computes, before it is rounded.
    let computed = case.push(Operation::Unary(Unary::Neg, x), dtype, Level::Element);
    let rounded = case.push(Operation::Cast(computed), dtype, Level::Element);
    let rounded = case.cast(rounded, DType::F32);
    case.output(rounded);
    for device in devices() {
        let found = case.run_on(&device).unwrap();
        for (position, &value) in values.iter().enumerate() {
            let expected = nearest(value as f32);
            for (output, expected) in [(0, expected), (1, -expected)] {
                let found = found[output][position] as f32;
                let same =
                    found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
                assert!(same, "{value:e} to {dtype}: found {found:e}, right {expected:e}");
            }
        }
    }
}

#[test]
fn every_f16_and_every_middle_is_rounded_to_even() {
    let values = with_middles(|bits| f16::from_bits(bits).to_f32());
    rounds(DType::F16, &values, |value| f16::from_f32(value).to_f32());
}

#[test]
fn every_bf16_and_every_middle_is_rounded_to_even() {
    let values = with_middles(|bits| bf16::from_bits(bits).to_f32());
    // Subnormal numbers of f32 are zero on some devices.
    let normal = |value: &f64| *value == 0.0 || value.is_nan() || value.abs() > 1.3e-38;
    let values: Vec<f64> = values.into_iter().filter(normal).collect();
    rounds(DType::BF16, &values, |value| bf16::from_f32(value).to_f32());
}

#[test]
fn every_f16_is_stored_and_loaded_as_it_is() {
    let values: Vec<f64> = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f64()).collect();
    let mut case = Case::map(&[values.len()]);
    let x = case.input(DType::F16, values.clone());
    let x = case.load(x, View::contiguous(Shape::new(&[values.len()])));
    case.output(x);
    let wide = case.cast(x, DType::F32);
    case.output(wide);
    for device in devices().into_iter().filter(|device| device.capabilities().f16) {
        let found = case.run_on(&device).unwrap();
        for (position, &value) in values.iter().enumerate() {
            for found in [found[0][position], found[1][position]] {
                let same = found.to_bits() == value.to_bits() || (found.is_nan() && value.is_nan());
                assert!(same, "found {found:e}, right {value:e}");
            }
        }
    }
}

#[test]
fn elements_take_their_own_bytes() {
    let _alone = alone();
    for device in devices() {
        for dtype in DType::ALL.into_iter().filter(|dtype| dtype.size() < 8) {
            let bytes = (1 << 20) * dtype.size() as u64;
            let in_use = || device.backend().statistics().bytes_in_use;
            let before = in_use();
            let uploaded = device.backend().upload(dtype, &vec![1; bytes as usize]).unwrap();
            assert_eq!(in_use() - before, bytes, "{dtype}");
            let made = Tensor::full([1 << 20], 1, DType::I32, &device).cast(dtype);
            made.eval().unwrap();
            assert_eq!(in_use() - before, 2 * bytes, "{dtype}");
            drop(uploaded);
        }
    }
}

#[test]
fn i8_wraps_between_ops() {
    let mut case = Case::map(&[256 * 256]);
    let both: Vec<(i8, i8)> =
        (0..=u16::MAX).map(|bits| ((bits >> 8) as i8, bits as u8 as i8)).collect();
    let a = case.input(DType::I8, both.iter().map(|&(a, _)| f64::from(a)).collect());
    let b = case.input(DType::I8, both.iter().map(|&(_, b)| f64::from(b)).collect());
    let view = View::contiguous(Shape::new(&[256 * 256]));
    let (a, b) = (case.load(a, view), case.load(b, view));
    let two = case.constant(DType::I8, Scalar::Int(2));
    type Exact = fn(i8, i8) -> i8;
    let ops: [(Binary, Exact); 7] = [
        (Binary::Sub, i8::wrapping_sub),
        (Binary::Add, i8::wrapping_add),
        (Binary::Mul, i8::wrapping_mul),
        (Binary::Div, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }),
        (Binary::Rem, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }),
        (Binary::LeftShift, |a, b| if (0..8).contains(&b) { a << b } else { 0 }),
        (Binary::RightShift, |a, b| a >> if (0..8).contains(&b) { b } else { 7 }),
    ];
    for (op, _) in ops {
        let wide = case.binary(op, a, b);
        let narrow = case.push(Operation::Cast(wide), DType::I8, Level::Element);
        let half = case.binary(Binary::Div, narrow, two);
        case.output(half);
    }
    for device in devices() {
        let found = case.run_on(&device).unwrap();
        for (output, (op, exact)) in found.iter().zip(ops) {
            for (position, &(a, b)) in both.iter().enumerate() {
                let right = f64::from(exact(a, b) / 2);
                assert_eq!(output[position], right, "{} of {a} and {b}", op.name());
            }
        }
    }
}

#[test]
fn u8_wraps_between_ops() {
    let mut case = Case::map(&[256 * 256]);
    let both: Vec<(u8, u8)> = (0..=u16::MAX).map(|bits| ((bits >> 8) as u8, bits as u8)).collect();
    let a = case.input(DType::U8, both.iter().map(|&(a, _)| f64::from(a)).collect());
    let b = case.input(DType::U8, both.iter().map(|&(_, b)| f64::from(b)).collect());
    let view = View::contiguous(Shape::new(&[256 * 256]));
    let (a, b) = (case.load(a, view), case.load(b, view));
    let two = case.constant(DType::U8, Scalar::Int(2));
    type Exact = fn(u8, u8) -> u8;
    let ops: [(Binary, Exact); 3] = [
        (Binary::Sub, u8::wrapping_sub),
        (Binary::Add, u8::wrapping_add),
        (Binary::Mul, u8::wrapping_mul),
    ];
    for (op, _) in ops {
        let wide = case.binary(op, a, b);
        let narrow = case.push(Operation::Cast(wide), DType::U8, Level::Element);
        let half = case.binary(Binary::Div, narrow, two);
        case.output(half);
        let more =
            case.push(Operation::Binary(Binary::Lt, two, narrow), DType::Bool, Level::Element);
        case.output(more);
        let float = case.cast(narrow, DType::F32);
        case.output(float);
    }
    for device in devices() {
        let found = case.run_on(&device).unwrap();
        for (outputs, (_, exact)) in found.chunks_exact(3).zip(ops) {
            for (position, &(a, b)) in both.iter().enumerate() {
                let right = exact(a, b);
                let right = [f64::from(right / 2), f64::from(u8::from(right > 2)), right.into()];
                let found = [outputs[0][position], outputs[1][position], outputs[2][position]];
                assert_eq!(found, right, "{a} and {b}");
            }
        }
    }
}

/// An epilogue or row program that rounds a value to `dtype`, multiplies by 64 and keeps f32.
fn round_and_scale(case: &mut Case, value: usize, dtype: DType, level: Level) {
    let rounded = case.push(Operation::Cast(value), dtype, level);
    let wide = case.push(Operation::Cast(rounded), DType::F32, level);
    let scale = case.constant(DType::F32, Scalar::Float(64.0));
    let scaled = case.push(Operation::Binary(Binary::Mul, wide, scale), DType::F32, level);
    case.output(scaled);
}

fn nearest(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F16 => rounding::to_f16(value).to_f64(),
        _ => rounding::to_bf16(value).to_f64(),
    }
}

#[test]
fn products_and_sums_are_rounded_once_at_their_end() {
    for dtype in [DType::F16, DType::BF16] {
        // Whole numbers: their sums are exact in f32 and in the type of products.
        let whole = |count, seed| -> Vec<f64> {
            numbers(count, seed).into_iter().map(|value| (value * 60.0).round()).collect()
        };
        for (m, n, k) in [(40, 36, 50), (2, 7, 90)] {
            let space = Space::elements(Shape::new(&[m, n]));
            let lhs = View::contiguous(Shape::new(&[m, k]));
            let rhs = View::contiguous(Shape::new(&[k, n]));
            let kind = KernelKind::Matmul { lhs, rhs, factors: Factors::of(dtype) };
            let mut case = Case::new(kind, space);
            let (a, b) = (whole(m * k, 1), whole(k * n, 2));
            case.input(dtype, a.clone());
            case.input(dtype, b.clone());
            let product = case.accumulator(dtype);
            round_and_scale(&mut case, product, dtype, Level::Element);
            let exact = |m: usize, j: usize| (0..k).map(|i| a[m * k + i] * b[i * n + j]).sum();
            let right: Vec<f64> = (0..m * n)
                .map(|index| nearest(dtype, exact(index / n, index % n)) * 64.0)
                .collect();
            check_on_all(&case, dtype, &right);
        }
        let mut case = Case::reduce(&[9, 700], 1);
        let x = whole(9 * 700, 3);
        let input = case.input(dtype, x.clone());
        let loaded = case.load(input, View::contiguous(Shape::new(&[9, 700])));
        let sum = case.reduction(gradloom_tensor::op::Reduction::Sum, loaded);
        round_and_scale(&mut case, sum, dtype, Level::Row);
        let sums = x.chunks(700).map(|row| nearest(dtype, row.iter().sum()) * 64.0);
        check_on_all(&case, dtype, &sums.collect::<Vec<f64>>());
    }
}

#[track_caller]
fn check_on_all(case: &Case, dtype: DType, right: &[f64]) {
    for device in devices() {
        if dtype != DType::F16 || device.capabilities().f16 {
            assert_eq!(case.run_on(&device).unwrap()[0], right, "{dtype}");
        }
    }
}
