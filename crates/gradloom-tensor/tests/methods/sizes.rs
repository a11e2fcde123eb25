//! Sizes and places that no number of their kind holds, given to methods: refused, never wrapped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom_tensor::ops::convolution::ConvTranspose2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{DType, Tensor, s};

use crate::refusing::{device, leaf};

const HALF: usize = usize::MAX / 2 + 1;

fn refusal<T>(make: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(make()))).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn numbers_that_fit_no_isize_do_not_turn_negative() {
    let device = device();
    let x = leaf(&[4, 3], DType::F32, &device);
    refusal(|| x.reshape([usize::MAX, 3]));
    refusal(|| x.split(&[usize::MAX, 5], 0));
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
fn truth_of_more_elements_than_i32_counts_is_told() {
    let x = Tensor::zeros([2, 1 << 31], DType::F32, &device());
    // By the largest of them, which does not overflow.
    assert_eq!((x.any(..).rank(), x.all(1).rank()), (0, 1));
}
