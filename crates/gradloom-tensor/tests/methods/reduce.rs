//! Reductions: which axes stay, which dtype comes out.

use gradloom_tensor::op::Reduction;
use gradloom_tensor::{DType, Op};

use crate::refusing::{device, leaf};

#[test]
fn reductions_drop_their_axes_and_keepdim_keeps_them() {
    let device = device();
    let x = leaf(&[2, 3, 4], DType::F32, &device);
    assert_eq!(*x.sum(1).shape(), [2, 4]);
    assert_eq!(*x.sum_keepdim(1).shape(), [2, 1, 4]);
    assert_eq!(*x.mean([0, -1]).shape(), [3]);
    assert_eq!(x.max(..).rank(), 0);
    assert_eq!(*x.var([0isize, 1].as_slice(), 1).shape(), [4]);
    assert_eq!(*x.std_keepdim(-1, 0).shape(), [2, 3, 1]);
    assert_eq!(*x.logsumexp(-1).shape(), [2, 3]);
    assert_eq!(x.norm(..).shape().rank(), 0);
    assert_eq!(*x.argmax(1).shape(), [2, 4]);
    assert_eq!(*x.argmin_keepdim(-2).shape(), [2, 1, 4]);
    assert_eq!(x.cumsum(2).shape(), x.shape());
}

#[test]
fn a_reduction_is_a_node_that_keeps_axes_and_a_reshape() {
    let device = device();
    let x = leaf(&[2, 3], DType::F32, &device);
    let y = x.sum(0);
    assert!(matches!(y.op(), Op::Reshape));
    assert!(matches!(y.inputs()[0].op(), Op::Reduce(Reduction::Sum, axes) if axes.contains(0)));
    let nothing: [i32; 0] = [];
    assert_eq!(x.sum(nothing).id(), x.id());
    assert_eq!(leaf(&[], DType::F32, &device).sum(..).rank(), 0);
}

#[test]
fn sums_of_small_dtypes_are_i32() {
    let device = device();
    assert_eq!(leaf(&[2], DType::Bool, &device).sum(0).dtype(), DType::I32);
    assert_eq!(leaf(&[2], DType::U8, &device).cumsum(0).dtype(), DType::I32);
    assert_eq!(leaf(&[2], DType::U32, &device).sum(0).dtype(), DType::U32);
    assert_eq!(leaf(&[2], DType::F16, &device).count_nonzero(0).dtype(), DType::I32);
    assert_eq!(leaf(&[2], DType::F32, &device).any(0).dtype(), DType::Bool);
    assert_eq!(leaf(&[2], DType::Bool, &device).all(0).dtype(), DType::Bool);
    assert_eq!(leaf(&[2], DType::F32, &device).argmax(0).dtype(), DType::I32);
}

#[test]
#[should_panic(expected = "max: axis 0 of shape [0, 3] has no elements")]
fn the_maximum_of_nothing_panics() {
    let _ = leaf(&[0, 3], DType::F32, &device()).max(0);
}

#[test]
#[should_panic(expected = "sum: axis 2 out of range for a tensor of 2 axes")]
fn an_axis_out_of_range_panics() {
    let _ = leaf(&[2, 3], DType::F32, &device()).sum(2);
}

#[test]
#[should_panic(expected = "sum: axis 0 is named twice in [0, -2]")]
fn an_axis_named_twice_panics() {
    let _ = leaf(&[2, 3], DType::F32, &device()).sum_keepdim([0, -2]);
}

#[test]
#[should_panic(expected = "mean: needs a floating-point tensor, not u8; convert with cast")]
fn the_mean_of_integers_panics() {
    let _ = leaf(&[2, 3], DType::U8, &device()).mean(..);
}

#[test]
#[should_panic(expected = "argmin: axis -3 out of range")]
fn argmin_names_itself() {
    let _ = leaf(&[2, 3], DType::F32, &device()).argmin(-3);
}
