//! Integers at their corners on every device: every op of two against plain Rust, conversions between all
//! dtypes, 64 bits that stay 64 bits, and types that a device refuses by name.

use gradloom::Element;
use gradloom::bf16;
use gradloom::prelude::*;

use crate::{cpus, devices, gpus};

/// An integer dtype as a Rust type.
trait Integer: Element + PartialEq {
    const BITS: i64;

    fn of(value: i64) -> Self;
    fn wide(self) -> i64;
}

macro_rules! integers {
    ($($type:ty),*) => {
        $(impl Integer for $type {
            const BITS: i64 = <$type>::BITS as i64;

            fn of(value: i64) -> Self {
                value as $type
            }

            fn wide(self) -> i64 {
                self as i64
            }
        })*
    };
}

integers!(i8, i32, i64, u8, u32);

/// Zero, ones, both ends and their neighbours, shifts by the width and numbers in between.
fn corners<T: Integer>() -> Vec<T> {
    let (least, largest) = T::DTYPE.int_range().unwrap();
    let width = T::BITS;
    let inner = [0, 1, 2, 3, 5, 7, -1, -2, -3, -7, width - 1, width, 31, 32, 33, 63, 64, 100, -100];
    let ends = [least, least + 1, least + 2, largest, largest - 1, largest / 2, largest / 3 * 2];
    let all = inner.into_iter().chain(ends);
    all.filter(|value| (least..=largest).contains(value)).map(T::of).collect()
}

/// What an op is, as the documentation of `ops/elementwise/integer.rs` says it.
fn expected(op: &str, width: i64, a: i64, b: i64) -> i64 {
    let wide = (i128::from(a), i128::from(b));
    let low = |value: i128| value as i64;
    let shifts = (0..width).contains(&b);
    match op {
        "add" => low(wide.0 + wide.1),
        "sub" => low(wide.0 - wide.1),
        "mul" => low(wide.0.wrapping_mul(wide.1)),
        "div" | "rem" | "floor_divide" | "remainder" if b == 0 => 0,
        "div" => low(wide.0 / wide.1),
        "rem" => low(wide.0 % wide.1),
        "floor_divide" => {
            let (quotient, rest) = (wide.0 / wide.1, wide.0 % wide.1);
            low(quotient - i128::from(rest != 0 && (rest < 0) != (b < 0)))
        }
        "remainder" => {
            let rest = wide.0.rem_euclid(wide.1.abs());
            low(if b < 0 && rest != 0 { rest + wide.1 } else { rest })
        }
        "maximum" => a.max(b),
        "minimum" => a.min(b),
        "bitand" => a & b,
        "bitor" => a | b,
        "bitxor" => a ^ b,
        "left_shift" => {
            if shifts {
                a << b
            } else {
                0
            }
        }
        "right_shift" => a >> if shifts { b } else { 63 },
        other => panic!("{other}"),
    }
}

type Operation = (&'static str, fn(&Tensor, &Tensor) -> Tensor);

const OPERATIONS: [Operation; 15] = [
    ("add", |a, b| a.add(b)),
    ("sub", |a, b| a.sub(b)),
    ("mul", |a, b| a.mul(b)),
    ("div", |a, b| a.div(b)),
    ("rem", |a, b| a.rem(b)),
    ("floor_divide", |a, b| a.floor_divide(b)),
    ("remainder", |a, b| a.remainder(b)),
    ("maximum", |a, b| a.maximum(b)),
    ("minimum", |a, b| a.minimum(b)),
    ("bitand", |a, b| a.bitand(b)),
    ("bitor", |a, b| a.bitor(b)),
    ("bitxor", |a, b| a.bitxor(b)),
    ("left_shift", |a, b| a.left_shift(b)),
    ("right_shift", |a, b| a.right_shift(b)),
    ("rem", |a, b| a.fmod(b)),
];

/// Every op on every pair of corners, alone and followed by one that sees whether its value has wrapped.
fn every_op<T: Integer>(device: &Device) {
    let corners = corners::<T>();
    let count = corners.len();
    let a: Vec<T> = (0..count * count).map(|at| corners[at / count]).collect();
    let b: Vec<T> = (0..count * count).map(|at| corners[at % count]).collect();
    let on = |values: &[T]| Tensor::from_slice(values, values.len(), device).unwrap();
    let (x, y) = (on(&a), on(&b));
    let results: Vec<Tensor> = OPERATIONS
        .iter()
        .flat_map(|(_, run)| {
            let result = run(&x, &y);
            let halved = result.div(2);
            [result, halved]
        })
        .collect();
    // The first is read alone, before all others share a plan.
    for ((name, run), pair) in OPERATIONS.iter().zip(results.chunks(2)) {
        let alone = run(&x, &y).to_vec::<T>().unwrap();
        let (together, halved) = (pair[0].to_vec::<T>().unwrap(), pair[1].to_vec::<T>().unwrap());
        for at in 0..a.len() {
            let wide = expected(name, T::BITS, a[at].wide(), b[at].wide());
            let wanted = T::of(wide);
            let context = format!("{}: {name} of {:?} and {:?}", device.name(), a[at], b[at]);
            assert!(alone[at] == wanted, "{context} is {:?}, not {wanted:?}", alone[at]);
            assert!(together[at] == wanted, "{context} is {:?} beside others", together[at]);
            let half = T::of(wanted.wide() / 2);
            assert!(halved[at] == half, "{context}, halved, is {:?}, not {half:?}", halved[at]);
        }
    }
    for at in 0..count {
        let value = corners[at];
        let one = on(&[value]);
        let check = |name: &str, found: Tensor, wanted: i64| {
            let found = found.to_vec::<T>().unwrap()[0];
            let context = format!("{}: {name} of {value:?}", device.name());
            assert!(found == T::of(wanted), "{context} is {found:?}");
        };
        check("neg", one.neg(), value.wide().wrapping_neg());
        check("abs", one.abs(), value.wide().wrapping_abs());
        check("sign", one.sign(), value.wide().signum());
        check("relu", one.relu(), value.wide().max(0));
        check("bitnot", one.bitnot(), !value.wide());
    }
    let compared = [x.lt(&y), x.le(&y), x.eq(&y), x.ne(&y), x.gt(&y), x.ge(&y)];
    let wanted: [fn(i64, i64) -> bool; 6] =
        [|a, b| a < b, |a, b| a <= b, |a, b| a == b, |a, b| a != b, |a, b| a > b, |a, b| a >= b];
    for (found, wanted) in compared.iter().zip(wanted) {
        let all: Vec<bool> = a.iter().zip(&b).map(|(a, b)| wanted(a.wide(), b.wide())).collect();
        assert_eq!(found.to_vec::<bool>().unwrap(), all, "{}", device.name());
    }
}

/// The CPU at each level, the interpreter, the reference, and every GPU.
fn everywhere() -> Vec<Device> {
    let mut all = cpus();
    all.push(gradloom_plan::interpret::device());
    all.push(gradloom_testkit::reference::device());
    all.extend(gpus());
    all
}

#[test]
fn arithmetic_on_corners_is_the_same_everywhere() {
    for device in everywhere() {
        every_op::<i8>(&device);
        every_op::<i32>(&device);
        every_op::<u8>(&device);
        every_op::<u32>(&device);
        if device.capabilities().i64 {
            every_op::<i64>(&device);
        }
    }
}

/// Conversions between two integer dtypes, on all corners.
fn conversions<A: Integer, B: Integer>(device: &Device) {
    let corners = corners::<A>();
    let x = Tensor::from_slice(&corners, corners.len(), device).unwrap();
    let found = x.cast(B::DTYPE).to_vec::<B>().unwrap();
    for (value, found) in corners.iter().zip(found) {
        let wanted = B::of(value.wide());
        assert!(found == wanted, "{}: {value:?} is {found:?}, not {wanted:?}", device.name());
    }
    let truths: Vec<bool> = corners.iter().map(|value| value.wide() != 0).collect();
    assert_eq!(x.cast(DType::Bool).to_vec::<bool>().unwrap(), truths);
    let floats: Vec<f32> = corners.iter().map(|value| value.wide() as f32).collect();
    assert_eq!(x.cast(DType::F32).to_vec::<f32>().unwrap(), floats, "{}", device.name());
    let brains: Vec<bf16> = corners.iter().map(|value| exact_brain(value.wide())).collect();
    assert_eq!(x.cast(DType::BF16).to_vec::<bf16>().unwrap(), brains, "{}", device.name());
    let truth = Tensor::new([true, false], device).unwrap().cast(A::DTYPE);
    assert!(truth.to_vec::<A>().unwrap() == [A::of(1), A::of(0)]);
}

/// The nearest bf16, ties to even, by looking at both neighbours.
fn exact_brain(value: i64) -> bf16 {
    let near = bf16::from_f64(value as f64);
    let neighbours = [near.to_bits().wrapping_sub(1), near.to_bits(), near.to_bits() + 1];
    let distance = |candidate: &bf16| {
        let whole = candidate.to_f64() as i128;
        ((whole - i128::from(value)).abs(), candidate.to_bits() & 1)
    };
    let finite = neighbours.map(bf16::from_bits).into_iter().filter(|found| found.is_finite());
    let whole = finite.filter(|found| found.to_f64().fract() == 0.0);
    whole.min_by_key(distance).unwrap_or(near)
}

#[test]
fn integers_convert_between_all_dtypes() {
    fn from<A: Integer>(device: &Device) {
        conversions::<A, i8>(device);
        conversions::<A, i32>(device);
        conversions::<A, u8>(device);
        conversions::<A, u32>(device);
        if device.capabilities().i64 {
            conversions::<A, i64>(device);
        }
    }
    for device in everywhere().iter().filter(|device| device.name() != "reference") {
        from::<i8>(device);
        from::<i32>(device);
        from::<u8>(device);
        from::<u32>(device);
        if device.capabilities().i64 {
            from::<i64>(device);
        }
    }
}

#[test]
fn floats_become_integers_cut_off_and_saturated() {
    const FLOATS: [f32; 14] = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        0.9,
        -0.9,
        127.5,
        -128.5,
        255.9,
        -1.0,
        3e9,
        -3e9,
        1e30,
    ];
    fn check<T: Integer>(device: &Device) {
        let x = Tensor::from_slice(&FLOATS, FLOATS.len(), device).unwrap();
        let (least, largest) = T::DTYPE.int_range().unwrap();
        let found = x.cast(T::DTYPE).to_vec::<T>().unwrap();
        for (value, found) in FLOATS.iter().zip(found) {
            let wanted = T::of((*value as i64).clamp(least, largest));
            assert!(found == wanted, "{}: {value} is {found:?}, not {wanted:?}", device.name());
        }
    }
    for device in everywhere() {
        check::<i8>(&device);
        check::<i32>(&device);
        check::<u8>(&device);
        check::<u32>(&device);
        if device.capabilities().i64 {
            check::<i64>(&device);
        }
    }
}

#[test]
fn quotients_of_floats_round_down_with_their_divisor() {
    let (a, b) =
        ([7.0f32, -7.0, 7.0, -7.0, 1.0, 0.9, -0.0], [2.0f32, 2.0, -2.0, -2.0, 0.1, 0.1, 3.0]);
    for device in everywhere() {
        let on = |values: &[f32]| Tensor::from_slice(values, values.len(), &device).unwrap();
        let (x, y) = (on(&a), on(&b));
        let floor = x.floor_divide(&y).to_vec::<f32>().unwrap();
        // As PyTorch: 0.1 is a little more than a tenth, so it goes into one only nine times.
        assert_eq!(floor, [3.0, -4.0, -4.0, 3.0, 9.0, 8.0, 0.0], "{}", device.name());
        let rest = x.remainder(&y).to_vec::<f32>().unwrap();
        assert_eq!(rest[..4], [1.0, 1.0, -1.0, -1.0]);
        assert!((rest[4] - 0.1).abs() < 1e-6 && rest[6] == 0.0, "{rest:?}");
        let by_zero = on(&[1.0, -1.0, 0.0]).floor_divide(on(&[0.0, 0.0, 0.0]));
        let by_zero = by_zero.to_vec::<f32>().unwrap();
        assert_eq!(by_zero[..2], [f32::INFINITY, f32::NEG_INFINITY]);
        assert!(by_zero[2].is_nan());
        let whole = Tensor::new([7i32, -7], &device).unwrap();
        assert_eq!(whole.true_divide(2).to_vec::<f32>().unwrap(), [3.5, -3.5]);
        assert_eq!(on(&[7.5, -7.5]).trunc_divide(2.0).to_vec::<f32>().unwrap(), [3.0, -3.0]);
    }
}

#[test]
fn wide_integers_keep_their_bits_through_every_kind_of_kernel() {
    let far = 1i64 << 60;
    let values = vec![far + 1, -far - 3, 5, far + 3, i64::MIN, i64::MAX];
    for device in everywhere().iter().filter(|device| device.capabilities().i64) {
        let x = Tensor::from_vec(values.clone(), [2, 3], device).unwrap();
        let list = |tensor: Tensor| tensor.to_vec::<i64>().unwrap();
        assert_eq!(list(x.sum(1)), [3, far + 2]);
        let columns = [0, 1, 2].map(|at| values[at].wrapping_add(values[at + 3]));
        assert_eq!(list(x.sum(0)), columns);
        assert_eq!(list(x.max(..)), [i64::MAX]);
        assert_eq!(list(x.min(1)), [-far - 3, i64::MIN]);
        assert_eq!(x.argmax(1).to_vec::<i32>().unwrap(), [0, 2]);
        assert_eq!(x.argmin(0).to_vec::<i32>().unwrap(), [0, 1, 0]);
        assert_eq!(list(x.cumsum(1))[..3], [far + 1, -2, 3]);
        assert_eq!(list(x.reshape([6]).sort(0, false).0)[..3], [i64::MIN, -far - 3, 5]);
        assert_eq!(x.reshape([6]).argsort(0, true).to_vec::<i32>().unwrap(), [5, 3, 0, 2, 1, 4]);
        assert_eq!(list(Tensor::concat(&[&x.t(), &x.t()], 1))[..2], [values[0], values[3]]);
        assert_eq!(list(x.pad(&[(0, 0), (1, 0)]))[..2], [0, values[0]]);
        assert_eq!(list(x.add(i64::MAX))[2], 5i64.wrapping_add(i64::MAX));
        assert_eq!(list(x.ge(0).select(&x, far + 7))[1], far + 7);
        let largest = [values[0], values[0], values[0], i64::MAX, i64::MAX, i64::MAX];
        let below: Vec<i64> =
            values.iter().zip(largest).map(|(value, most)| value.wrapping_sub(most)).collect();
        assert_eq!(list(&x - x.max_keepdim(1)), below);
        let index = Tensor::new([2i64, 0], device).unwrap();
        assert_eq!(list(x.index_select(1, &index))[..2], [values[2], values[0]]);
        let places = Tensor::new([[1i64, 1, 0], [0, 0, 0]], device).unwrap();
        let onto = Tensor::scatter_add_zeros([2, 2], 1, &places, &x);
        assert_eq!(list(onto), [5, -2, far + 2, 0]);
        let full = Tensor::full([2], far + 5, DType::I64, device);
        assert_eq!(list(full.mul(3)), [(far + 5).wrapping_mul(3); 2]);
        assert_eq!(list(Tensor::constant([1], far + 9, DType::I64, device)), [far + 9]);
        assert!(format!("{x}").contains(&(far + 1).to_string()));
    }
}

#[test]
fn wide_indices_are_checked_before_they_are_narrowed() {
    for device in everywhere().iter().filter(|device| device.capabilities().i64) {
        let table = Tensor::new([[1f32, 2.0], [3.0, 4.0]], device).unwrap();
        let at = |index: i64| Tensor::new([index], device).unwrap();
        assert_eq!(table.embedding(&at(1)).to_vec::<f32>().unwrap(), [3.0, 4.0]);
        for index in [1i64 << 32, -1, i64::MIN, 2] {
            let error = table.embedding(&at(index)).eval().unwrap_err();
            assert!(error.is_index_out_of_range(), "{error}");
            assert!(error.to_string().contains(&format!("index {index} ")), "{error}");
        }
        let logits = Tensor::new([[0f32, 1.0]], device).unwrap();
        let loss = logits.cross_entropy(&at(1)).item().unwrap();
        assert!((loss - 0.313_261).abs() < 1e-5);
        assert!(logits.cross_entropy(&at((1 << 32) + 1)).eval().is_err());
    }
}

#[test]
fn products_of_bytes_are_exact_and_wrap_in_32_bits() {
    let bytes = |count: usize, step: i64| -> Vec<i8> {
        (0..count as i64).map(|index| (index * step % 257 - 128) as i8).collect()
    };
    for device in devices() {
        for [m, k, n] in [[1, 1, 1], [3, 65, 7], [64, 128, 64], [70, 516, 34], [9, 0, 6]] {
            let (x, y) = (bytes(m * k, 37), bytes(k * n, 101));
            let exact: Vec<i32> = (0..m * n)
                .map(|index| {
                    let (row, column) = (index / n, index % n);
                    (0..k).map(|i| i32::from(x[row * k + i]) * i32::from(y[i * n + column])).sum()
                })
                .collect();
            // Both orders in memory.
            let stored = |values: &[i8], [rows, columns]: [usize; 2]| {
                let turned = (0..rows * columns).map(|at| values[at % rows * columns + at / rows]);
                let turned = Tensor::from_vec(turned.collect(), [columns, rows], &device);
                let straight = Tensor::from_vec(values.to_vec(), [rows, columns], &device);
                [straight.unwrap(), turned.unwrap().t()]
            };
            let ([x, left], [y, right]) = (stored(&x, [m, k]), stored(&y, [k, n]));
            for (x, y) in [(&x, &y), (&left, &y), (&x, &right), (&left, &right)] {
                let product = x.matmul_as(y, DType::I32);
                assert_eq!(product.to_vec::<i32>().unwrap(), exact, "{m} {k} {n} on {device:?}");
            }
        }
        let least = Tensor::full([5, 1 << 17], -128, DType::I8, &device);
        let product = least.matmul_as(&least.t(), DType::I32);
        assert_eq!(product.to_vec::<i32>().unwrap(), [i32::MIN; 25]);
    }
}

#[test]
fn wide_integers_are_refused_by_name_where_they_are_absent() {
    for device in gpus() {
        let error = Tensor::new([1i64], &device).unwrap_err();
        assert!(error.is_unsupported() && error.to_string().contains("i32"), "{error}");
        assert!(error.to_string().contains(&device.name()), "{error}");
        let x = Tensor::new([1i32, 2], &device).unwrap();
        let line = line!() + 1;
        let wide = x.cast(DType::I64) * 2;
        let error = wide.eval().unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        let text = error.to_string();
        let names =
            text.starts_with("cast: i64 (made at") && text.contains(&format!("integers.rs:{line}"));
        assert!(names && text.contains("cast to i32") && text.contains(&device.name()), "{text}");
        assert_eq!(x.to_vec::<i32>().unwrap(), [1, 2]);
        // Also where they are but places.
        let picked = x.take(0, &x.cast(DType::I64)).eval().unwrap_err();
        assert!(picked.is_unsupported() && picked.to_string().starts_with("cast: i64"), "{picked}");
        let moved = x.to_device(&Device::cpu()).cast(DType::I64).to_device(&device);
        let (line, error) = (line!() - 1, moved.eval().unwrap_err().to_string());
        assert!(
            error.starts_with("to_device") && error.contains(&format!("integers.rs:{line}")),
            "{error}"
        );
        assert!(error.contains(&device.name()), "{error}");
    }
}

#[test]
fn promoted_operands_are_those_of_the_cast_ones() {
    for device in devices() {
        let bytes = Tensor::new([200u8, 100, 3], &device).unwrap();
        let signed = Tensor::new([-100i8, 100, -3], &device).unwrap();
        assert_eq!((&bytes + &signed).to_vec::<i32>().unwrap(), [100, 200, 0]);
        assert_eq!((&signed * 0.5).to_vec::<f32>().unwrap(), [-50.0, 50.0, -1.5]);
        let half = Tensor::new([0.5f32, 1.0, 2.0], &device).unwrap().cast(DType::BF16);
        assert_eq!((&half * &bytes).dtype(), DType::BF16);
        assert_eq!(signed.lt(&bytes).to_vec::<bool>().unwrap(), [true, false, true]);
        let joined = Tensor::concat(&[&bytes, &signed], 0).to_vec::<i32>().unwrap();
        assert_eq!(joined, [200, 100, 3, -100, 100, -3]);
        let truth = signed.lt(0);
        assert_eq!((&truth + 1).to_vec::<i32>().unwrap(), [2, 1, 2]);
        assert_eq!(truth.select(&bytes, 0.5).to_vec::<f32>().unwrap(), [200.0, 0.5, 3.0]);
    }
}
