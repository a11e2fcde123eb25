//! Convolutions and pools, with their transposes.

use gradloom_plan::trial::{Trial, integers, numbers};
use gradloom_plan::{Convolution, Factors, KernelKind, Pool};
use gradloom_tensor::op::Window;
use gradloom_tensor::{DType, Shape};

use super::epilogue::finish;
use crate::self_test::case::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let padded = Window::new([3, 3]).padding([[1, 1], [1, 1]]);
    let uneven = Window::new([3, 2]).stride([2, 3]).padding([[1, 0], [0, 1]]).dilation([2, 1]);
    let volume = Window::new([2, 3, 2]).stride([2, 1, 3]).padding([[1, 0], [0, 2], [1, 1]]);
    let of = |window, groups, channels, outputs| Sizes { window, groups, channels, outputs };
    for (name, sizes, dtype) in [
        ("convolution", of(padded, 1, 5, 7), DType::F32),
        ("uneven convolution", of(uneven, 1, 4, 6), DType::F32),
        ("convolution of volumes", of(volume, 2, 4, 6), DType::F32),
        ("depthwise convolution", of(padded, 6, 6, 6), DType::F32),
        ("convolution of f16", of(padded, 1, 5, 7), DType::F16),
    ] {
        for (part, trial) in ["", ", its input", ", its weight"].into_iter().zip(sizes.all(dtype)) {
            cases.push(Case::of(format!("{name}{part}"), trial));
        }
    }
    let overlapping = Window::new([3, 3]).stride([2, 1]).padding([[1, 1], [0, 1]]);
    for window in [Window::new([2, 2]).stride([2, 2]), overlapping] {
        cases.extend(pools(window));
    }
    cases
}

struct Sizes {
    window: Window,
    groups: usize,
    channels: usize,
    outputs: usize,
}

impl Sizes {
    /// The convolution and the gradients of both operands.
    fn all(&self, dtype: DType) -> [Trial; 3] {
        let Sizes { window, groups, channels, outputs } = *self;
        let input_size = window.of(&Shape::new(&[5, 13, 14]));
        let output_size = window.output(input_size).unwrap_or(input_size);
        let factors = Factors::of(dtype);
        let sizes = Convolution {
            window,
            groups,
            batch: 3,
            channels,
            outputs,
            input_size,
            output_size,
            factors,
        };
        let (input, weight, output) = (sizes.input(), sizes.weight(), sizes.output());
        [
            (KernelKind::Convolution(sizes), output, [input, weight]),
            (KernelKind::ConvolutionInput(sizes), input, [weight, output]),
            (KernelKind::ConvolutionWeight(sizes), weight, [input, output]),
        ]
        .map(|(kind, shape, operands)| {
            let tolerance = if dtype == DType::F32 { 1e-4 } else { 2e-2 };
            let mut trial = Trial::structured(kind, shape).tolerance(tolerance);
            for (operand, seed) in operands.iter().zip(1..) {
                trial.input(dtype, numbers(operand.count(), seed));
            }
            finish(&mut trial, dtype);
            trial
        })
    }
}

/// The five kernels of pooling. Few different values, so that ties for the maximum are common.
fn pools(window: Window) -> Vec<Case> {
    let input_size = window.of(&Shape::new(&[5, 9, 8]));
    let output_size = window.output(input_size).unwrap_or(input_size);
    let pool = Pool { window, planes: 6, input_size, output_size };
    let (input, output) = (window.shape(2, 3, input_size), window.shape(2, 3, output_size));
    let mut data = integers(input.count(), 0, 4, 3);
    data[17] = f64::NAN;
    let (few, floats) = (|| data.clone(), |shape: Shape| numbers(shape.count(), 4));
    [
        ("max pool", KernelKind::PoolMax(pool), output, vec![few()]),
        (
            "max pool, its input",
            KernelKind::PoolMaxScatter(pool),
            input,
            vec![few(), floats(output)],
        ),
        (
            "max pool, its winners",
            KernelKind::PoolMaxGather(pool),
            output,
            vec![few(), floats(input)],
        ),
        ("sum pool", KernelKind::PoolSum(pool), output, vec![floats(input)]),
        ("sum pool, its input", KernelKind::PoolSumScatter(pool), input, vec![floats(output)]),
    ]
    .into_iter()
    .map(|(name, kind, shape, operands)| {
        let mut trial = Trial::structured(kind, shape);
        for operand in operands {
            trial.input(DType::F32, operand);
        }
        finish(&mut trial, DType::F32);
        Case::of(name, trial)
    })
    .collect()
}
