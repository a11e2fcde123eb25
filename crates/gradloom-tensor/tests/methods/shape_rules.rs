//! The shape rules and their messages.

use std::panic::AssertUnwindSafe;

use gradloom_tensor::op::{Axes, Window};
use gradloom_tensor::shape_rules::structured;
use gradloom_tensor::shape_rules::windows::{self, Placement};
use gradloom_tensor::{DType, Key, Result, Shape, Tensor, shape_rules};

use crate::refusing::device;

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert!(error.is_shape());
    error.to_string()
}

#[test]
fn broadcast_aligns_at_the_last_axis() {
    let rule = |lhs: &[usize], rhs: &[usize]| {
        shape_rules::broadcast("add", &Shape::new(lhs), &Shape::new(rhs))
    };
    assert_eq!(rule(&[2, 3], &[3]).unwrap(), [2, 3]);
    assert_eq!(rule(&[2, 1], &[1, 4]).unwrap(), [2, 4]);
    assert_eq!(rule(&[], &[5]).unwrap(), [5]);
    assert_eq!(rule(&[0, 3], &[1, 3]).unwrap(), [0, 3]);
    assert_eq!(message(rule(&[2, 3], &[4])), "add: shapes [2, 3] and [4] do not broadcast");
    assert!(rule(&[0], &[2]).is_err());
}

#[test]
fn broadcast_to_never_shrinks() {
    let rule = |from: &[usize], to: &[usize]| {
        shape_rules::broadcast_to("broadcast_to", &Shape::new(from), &Shape::new(to))
    };
    assert_eq!(rule(&[3, 1], &[2, 3, 4]).unwrap(), [2, 3, 4]);
    assert_eq!(rule(&[1], &[0]).unwrap(), [0]);
    assert_eq!(
        message(rule(&[2, 3], &[3])),
        "broadcast_to: shape [2, 3] cannot be repeated to [3]"
    );
    assert!(rule(&[2], &[1]).is_err());
}

#[test]
fn reshape_finds_the_open_size() {
    let rule = |from: &[usize], to: &[isize]| shape_rules::reshape(&Shape::new(from), to);
    assert_eq!(rule(&[2, 6], &[3, -1]).unwrap(), [3, 4]);
    assert_eq!(rule(&[], &[-1]).unwrap(), [1]);
    assert_eq!(rule(&[0, 3], &[-1, 3]).unwrap(), [0, 3]);
    for (to, expected) in [
        (&[5isize][..], "reshape: [2, 3] (6 elements) does not fit [5], which has 5"),
        (&[4, -1], "reshape: [2, 3] (6 elements) does not fit [4, -1]; 6 is not divisible by 4"),
        (&[-1, -1], "reshape: [2, 3] (6 elements) does not fit [-1, -1]; only one size may be -1"),
        (
            &[6, -2],
            "reshape: [2, 3] (6 elements) does not fit [6, -2]; sizes are not negative, except one -1",
        ),
    ] {
        assert_eq!(message(rule(&[2, 3], to)), expected);
    }
    assert!(rule(&[0], &[0, -1]).is_err());
    assert!(rule(&[1], &[isize::MAX, isize::MAX, 4]).is_err());
}

#[test]
fn axes_count_from_the_end_and_are_distinct() {
    assert_eq!(shape_rules::axis("sum", -1, 3).unwrap(), 2);
    assert_eq!(shape_rules::new_axis("unsqueeze", -1, 2).unwrap(), 2);
    let axes = shape_rules::axes("sum", &[-1, 0], 3).unwrap();
    assert_eq!(axes.iter().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(
        message(shape_rules::axes("sum", &[1, -1], 2)),
        "sum: axis 1 is named twice in [1, -1]"
    );
    assert_eq!(
        message(shape_rules::axis("sum", 2, 2)),
        "sum: axis 2 out of range for a tensor of 2 axes"
    );
    assert!(shape_rules::axis("sum", isize::MIN, 2).is_err());
}

#[test]
fn permute_names_each_axis_once() {
    let (shape, order) = shape_rules::permute(&Shape::new(&[2, 3, 4]), &[-1, 0, 1]).unwrap();
    assert_eq!(shape, [4, 2, 3]);
    assert_eq!(order.iter().collect::<Vec<_>>(), [2, 0, 1]);
    assert!(shape_rules::permute(&Shape::new(&[2, 3]), &[0]).is_err());
    assert!(shape_rules::permute(&Shape::new(&[2, 3]), &[0, 0]).is_err());
}

#[test]
fn reduced_axes_keep_size_one() {
    let shape = Shape::new(&[2, 3, 4]);
    let axes: Axes = [0, 2].into_iter().collect();
    assert_eq!(shape_rules::reduce("sum", &shape, axes).unwrap(), [1, 3, 1]);
    assert_eq!(shape_rules::without(&shape, axes), [3]);
    assert!(shape_rules::reduce("sum", &Shape::new(&[2]), axes).is_err());
}

#[test]
fn dtype_rules_say_what_to_do() {
    assert_eq!(
        message(shape_rules::same_dtype("add", DType::F32, DType::I32)),
        "add: dtypes differ: f32 and i32; convert one with cast"
    );
    assert_eq!(
        message(shape_rules::float("exp", DType::I32)),
        "exp: needs a floating-point tensor, not i32; convert with cast"
    );
    assert!(shape_rules::int("bitand", DType::Bool).is_err());
    assert!(shape_rules::boolean("logical_and", DType::U8).is_err());
    assert!(shape_rules::number("add", DType::Bool).is_err());
}

const HUGE: usize = usize::MAX / 3 + 1;

#[test]
fn counts_that_overflow_are_no_counts() {
    assert_eq!(Shape::new(&[3, HUGE]).count(), usize::MAX);
    assert_eq!(Shape::new(&[HUGE, 3, 0]).count(), 0);
    assert!(!Shape::new(&[HUGE, 3, 0]).is_addressable() && Shape::new(&[7, 0, 2]).is_addressable());
    let expected =
        "zeros: shape [3, 6148914691236517206] has more elements than memory has addresses";
    assert_eq!(message(shape_rules::addressable("zeros", &Shape::new(&[3, HUGE]))), expected);
}

#[test]
fn sizes_that_overflow_are_errors() {
    let plane = Shape::new(&[1, 1, 4, 4]);
    let pad = |padding: &[(usize, usize)]| shape_rules::pad(&Shape::new(&[4]), padding);
    assert_eq!(pad(&[(1, 2)]).unwrap(), [7]);
    assert!(
        message(pad(&[(usize::MAX, 4)])).starts_with("pad: [(18446744073709551615, 4)] around [4]")
    );
    let shapes = [Shape::new(&[2, usize::MAX]), Shape::new(&[2, 3])];
    assert!(message(structured::concat(&shapes, 1)).starts_with("concat: [2, "));
    let window = Window::new([2, 2]);
    for place in [
        window.padding([[usize::MAX, 4], [0, 0]]),
        window.padding([[0, 0], [4, usize::MAX]]),
        window.dilation([usize::MAX, 1]),
    ] {
        assert!(place.output([1, 4, 4]).is_none());
        assert!(windows::pooling("pool", &plane, &place).is_err());
        let weight = Shape::new(&[1, 1, 2, 2]);
        assert!(windows::convolution("convolution", &plane, &weight, &place, 1).is_err());
    }
    let weight = Shape::new(&[1, 1, 2, 2]);
    let place = Placement {
        stride: [1, 1],
        padding: [[0, 0]; 2],
        output_padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
    };
    for place in [
        Placement { stride: [usize::MAX, 1], ..place },
        Placement { dilation: [1, usize::MAX], ..place },
        Placement { padding: [[isize::MIN, 0], [0, 0]], ..place },
        Placement { padding: [[isize::MAX, isize::MAX], [0, 0]], ..place },
    ] {
        let transposed = windows::transposed("transposed", &plane, &weight, &place);
        let reached = transposed.as_ref().map(|made| made.zeros[0][0]);
        assert!(reached.unwrap_or(usize::MAX) >= isize::MAX as usize, "{transposed:?}");
    }
    let (input, weight) = (Shape::new(&[1, 2, 4, 4]), Shape::new(&[2, HUGE, 2, 2]));
    let place = Window::new([2, 2]);
    assert!(windows::convolution("convolution", &input, &weight, &place, 2).is_err());
}

/// Calls that would need more memory than there are addresses: each panics and says so.
#[test]
fn shapes_without_addresses_panic_at_the_call() {
    let device = device();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &device);
    let (row, column) = (zeros(&[1, 1 << 40]), zeros(&[1 << 40, 1]));
    let calls: [&dyn Fn() -> Tensor; 12] = [
        &|| zeros(&[3, HUGE]),
        &|| Tensor::full([1 << 40, 1 << 40], 1.0, DType::F32, &device),
        &|| Tensor::random_bits(Key::new(0), [HUGE, 3], &device),
        &|| zeros(&[4]).pad(&[(usize::MAX, 4)]),
        &|| zeros(&[4]).pad(&[(1 << 62, 1 << 62)]),
        &|| zeros(&[4]).repeat(&[usize::MAX]),
        &|| zeros(&[4]).repeat(&[1 << 31, 1 << 31, 8]),
        &|| zeros(&[1, 2]).broadcast_to([HUGE, 2]),
        &|| column.matmul(&row),
        &|| &row + &column,
        &|| Tensor::zeros([1 << 40], DType::I32, &device).one_hot(1 << 30),
        &|| Tensor::concat(&[zeros(&[1 << 59]), zeros(&[1 << 59]), zeros(&[1 << 59])], 0),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        let refused = std::panic::catch_unwind(AssertUnwindSafe(call));
        let cause = refused.err().unwrap_or_else(|| panic!("call {number} is not refused"));
        let text = cause.downcast_ref::<String>().expect("a message");
        assert!(text.contains("elements"), "call {number}: {text}");
    }
}

#[test]
fn axes_longer_than_i32_counts_have_no_indices() {
    let device = device();
    let long = Tensor::zeros([1 << 31], DType::F32, &device);
    let calls: [&dyn Fn() -> Tensor; 9] = [
        &|| long.argmax(0),
        &|| long.argmin_keepdim(-1),
        &|| long.argsort(0, true),
        &|| long.sort(0, false).0,
        &|| long.topk(3, 0, true).1,
        &|| Tensor::arange(1 << 31, &device),
        &|| Tensor::arange_range(0.0, 1e12, 1.0, DType::F32, &device),
        &|| Tensor::permutation(Key::new(0), 1 << 31, &device),
        &|| long.count_nonzero(..),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        let refused = std::panic::catch_unwind(AssertUnwindSafe(call));
        let cause = refused.err().unwrap_or_else(|| panic!("call {number} is not refused"));
        let text = cause.downcast_ref::<String>().expect("a message");
        assert!(text.contains("i32 counts"), "call {number}: {text}");
    }
    let rows = Tensor::zeros([1 << 31, 2], DType::F32, &device);
    assert_eq!(*rows.argmax(1).shape(), [1 << 31]);
    assert_eq!(*long.any(0).shape(), []);
}
