//! Sizes that no memory has: refused where a shape is made, never wrapped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom_tensor::ops::convolution::ConvTranspose2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{DType, Shape, Tensor, s};

use crate::refusing::{device, leaf};

const HALF: usize = usize::MAX / 2 + 1;

fn refusal<T>(make: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(make()))).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn counts_do_not_wrap() {
    assert_eq!(Shape::new(&[3, 6_148_914_691_236_517_206]).count(), usize::MAX);
    assert_eq!(Shape::new(&[HALF, 2, 0]).count(), 0);
    assert!(Shape::new(&[0, 1 << 40]).is_addressable());
    assert!(!Shape::new(&[0, HALF, HALF]).is_addressable());
    assert!(!Shape::new(&[1 << 60]).is_addressable());
}

#[test]
fn shapes_without_addresses_are_refused_at_the_call() {
    let device = device();
    let x = leaf(&[4], DType::F32, &device);
    let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &device);
    let wrapped = refusal(|| ones(&[3, 6_148_914_691_236_517_206]));
    let expected =
        "constant: shape [3, 6148914691236517206] has more elements than memory has addresses";
    assert_eq!(wrapped, expected);
    refusal(|| ones(&[HALF, 2]));
    refusal(|| ones(&[HALF, 2, 0]));
    assert!(refusal(|| x.pad(&[(usize::MAX, 4)])).starts_with("pad: "));
    refusal(|| x.pad_value(&[(1, usize::MAX)], 1.0));
    refusal(|| x.broadcast_to([HALF, 4]));
    refusal(|| x.unsqueeze(0).matmul(&ones(&[4, 1 << 59])).broadcast_to([64, 1 << 59]));
    assert!(refusal(|| x.repeat(&[HALF])).starts_with("repeat: [9223372036854775808] times"));
    refusal(|| x.repeat(&[1 << 30, 1 << 30, 4]));
    let long = ones(&[1, 1 << 59]);
    refusal(|| Tensor::concat(&vec![&long; 32], 1));
    refusal(|| leaf(&[4], DType::I32, &device).one_hot(usize::MAX));
    refusal(|| Tensor::eye(1 << 31, DType::F32, &device));
    refusal(|| Tensor::arange(usize::MAX, &device));
    refusal(|| x.split(&[usize::MAX, 5], 0));
}

#[test]
fn numbers_that_fit_no_isize_do_not_turn_negative() {
    let device = device();
    let x = leaf(&[4, 3], DType::F32, &device);
    refusal(|| x.reshape([usize::MAX, 3]));
    refusal(|| x.slice(s![usize::MAX]));
    assert_eq!(*x.slice(s![1..usize::MAX]).shape(), [3, 3]);
}

#[test]
fn windows_do_not_wrap() {
    let device = device();
    let x = leaf(&[1, 1, 4, 4], DType::F32, &device);
    refusal(|| x.max_pool2d(&PoolOptions::new([2, 2]).padding([HALF, HALF])));
    let weight = leaf(&[1, 1, 3, 3], DType::F32, &device);
    let options = ConvTranspose2dOptions::default().stride([HALF, 1]);
    assert!(refusal(|| x.conv_transpose2d(&weight, &options)).starts_with("conv_transpose2d: "));
    let options = ConvTranspose2dOptions::default().dilation([HALF, 1]);
    refusal(|| x.conv_transpose2d(&weight, &options));
    let options = ConvTranspose2dOptions::default().groups(HALF);
    refusal(|| x.conv_transpose2d(&weight, &options));
}

#[test]
fn places_that_i32_does_not_count_are_refused() {
    let device = device();
    let x = Tensor::zeros([2, 1 << 31], DType::F32, &device);
    let expected =
        "argmax: axis 1 of shape [2, 2147483648] has 2147483648 elements, more than i32 counts";
    assert_eq!(refusal(|| x.argmax(1)), expected);
    refusal(|| x.argmin(1));
    refusal(|| x.argsort(-1, false));
    refusal(|| x.sort(-1, true));
    refusal(|| x.topk(2, -1, true));
    refusal(|| Tensor::arange(1 << 31, &device));
    refusal(|| x.count_nonzero(..));
    assert_eq!(*x.argmax(0).shape(), [1 << 31]);
    // Told by the largest of them, which does not overflow.
    assert_eq!((x.any(..).rank(), x.all(1).rank()), (0, 1));
}
