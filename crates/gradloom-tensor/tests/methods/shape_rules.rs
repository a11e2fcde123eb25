//! The shape rules and their messages.

use gradloom_tensor::op::Axes;
use gradloom_tensor::{DType, Result, Shape, shape_rules};

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
