//! Programs of kernels with a kind of their own.

use gradloom_plan::View;
use gradloom_plan::trial::{Trial, numbers};
use gradloom_tensor::op::Binary;
use gradloom_tensor::{DType, Scalar};

/// An epilogue that is not the identity: the plain value, and `2 acc + x`.
pub(super) fn finish(trial: &mut Trial, dtype: DType) {
    let acc = trial.accumulator(dtype);
    trial.output(acc);
    let shape = trial.kernel.space.shape;
    let added = numbers(shape.count(), 99).into_iter().map(|value| (value * 8.0).round());
    let added = trial.input(dtype, added.collect());
    let added = trial.load(added, View::contiguous(shape));
    let two = trial.constant(dtype, Scalar::Int(2));
    let double = trial.binary(Binary::Mul, acc, two);
    let sum = trial.binary(Binary::Add, double, added);
    trial.output(sum);
}

/// Stores what the kernel's kind computes.
pub(super) fn store(trial: &mut Trial, dtype: DType) {
    let acc = trial.accumulator(dtype);
    trial.output(acc);
}
