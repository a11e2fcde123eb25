//! Convolutions and their transposes: windows, groups, dtypes, epilogues.

use gradloom_plan::{Convolution, KernelKind, View};
use gradloom_tensor::op::{Binary, Unary, Window2d};
use gradloom_tensor::{DType, Shape};

use super::{Case, numbers};

fn sizes(
    batch: usize,
    channels: usize,
    outputs: usize,
    groups: usize,
    input_size: [usize; 2],
    window: Window2d,
) -> Convolution {
    let output_size = window.output(input_size).expect("windows fit");
    Convolution { window, groups, batch, channels, outputs, input_size, output_size }
}

fn cases() -> Vec<Convolution> {
    let window = |kernel: [usize; 2], stride, padding, dilation| Window2d {
        kernel,
        stride,
        padding,
        dilation,
    };
    let plain = |size: usize| Window2d::new([size, size]);
    let same = window([3, 3], [1, 1], [[1, 1], [1, 1]], [1, 1]);
    vec![
        sizes(3, 1, 32, 1, [28, 28], plain(3)),
        sizes(2, 32, 64, 1, [13, 13], plain(3)),
        sizes(9, 3, 5, 1, [9, 7], plain(3)),
        sizes(2, 16, 24, 1, [8, 8], same),
        sizes(2, 6, 10, 2, [9, 10], same),
        sizes(2, 7, 70, 1, [6, 5], plain(1)),
        sizes(3, 4, 6, 1, [11, 12], window([3, 2], [2, 3], [[1, 0], [2, 1]], [1, 1])),
        sizes(2, 4, 8, 1, [15, 14], window([3, 3], [1, 1], [[2, 2], [2, 2]], [2, 2])),
        sizes(2, 4, 8, 1, [15, 14], window([3, 3], [2, 2], [[1, 1], [1, 1]], [2, 1])),
        sizes(2, 12, 12, 12, [10, 11], same),
        sizes(2, 6, 12, 6, [10, 11], window([3, 3], [2, 2], [[1, 1], [1, 1]], [1, 1])),
        sizes(1, 3, 17, 1, [5, 40], window([5, 5], [1, 1], [[2, 2], [2, 2]], [1, 1])),
        sizes(2, 2, 3, 1, [3, 3], window([2, 2], [1, 1], [[3, 3], [3, 3]], [1, 1])),
        sizes(2, 3, 4, 1, [4, 4], plain(4)),
        sizes(17, 2, 3, 1, [6, 6], same),
        sizes(0, 2, 3, 1, [6, 6], same),
    ]
}

/// The three kernels of a convolution with random operands.
fn kernels(sizes: &Convolution, dtype: DType) -> [Case; 3] {
    let [height, width] = sizes.input_size;
    let [out_height, out_width] = sizes.output_size;
    let [ky, kx] = sizes.window.kernel;
    let input = [sizes.batch, sizes.channels, height, width];
    let weight = [sizes.outputs, sizes.channels / sizes.groups, ky, kx];
    let output = [sizes.batch, sizes.outputs, out_height, out_width];
    let kinds = [
        (KernelKind::Convolution(*sizes), input, weight, output),
        (KernelKind::ConvolutionInput(*sizes), weight, output, input),
        (KernelKind::ConvolutionWeight(*sizes), input, output, weight),
    ];
    kinds.map(|(kind, first, second, space)| {
        let mut case = Case::new(kind, &space, 4);
        case.tolerance = 0.0;
        for (seed, shape) in [(1, first), (2, second)] {
            case.input(dtype, numbers(seed, shape.iter().product()));
        }
        case
    })
}

#[test]
fn convolutions_are_their_sums() {
    for sizes in cases() {
        for mut case in kernels(&sizes, DType::F32) {
            let value = case.accumulator(DType::F32);
            case.output(value);
            case.check();
        }
    }
}

#[test]
fn empty_sizes_give_zeros() {
    let padded = |kernel: [usize; 2], stride: usize| Window2d {
        kernel,
        stride: [stride; 2],
        padding: [[2, 1], [1, 2]],
        dilation: [1, 1],
    };
    for stride in [1, 2] {
        for kernel in [[1, 1], [2, 3]] {
            let window = padded(kernel, stride);
            let all = [
                sizes(2, 3, 4, 1, [0, 3], window),
                sizes(2, 3, 4, 1, [3, 0], window),
                sizes(2, 4, 4, 4, [0, 0], window),
                sizes(2, 4, 6, 2, [0, 2], window),
                sizes(0, 2, 3, 1, [4, 4], window),
                sizes(0, 3, 3, 3, [4, 4], window),
                sizes(2, 0, 3, 1, [4, 4], window),
                sizes(2, 3, 0, 1, [4, 4], window),
                sizes(2, 0, 0, 2, [4, 4], window),
                sizes(2, 4, 0, 4, [4, 4], window),
            ];
            for sizes in &all {
                for dtype in [DType::F32, DType::BF16, DType::F64] {
                    for mut case in kernels(sizes, dtype) {
                        let value = case.accumulator(dtype);
                        case.output(value);
                        case.check();
                    }
                }
            }
        }
    }
}

#[test]
fn other_floats() {
    for dtype in [DType::F64, DType::F16, DType::BF16] {
        for sizes in [&cases()[4], &cases()[6], &cases()[9]] {
            for mut case in kernels(sizes, dtype) {
                let value = case.accumulator(dtype);
                case.output(value);
                case.check();
            }
        }
    }
}

#[test]
fn bias_and_relu_follow() {
    for sizes in [cases()[0], cases()[3]] {
        let [mut case, _, _] = kernels(&sizes, DType::F32);
        let bias = case.input(DType::F32, numbers(3, sizes.outputs));
        let view = View::contiguous(Shape::new(&[1, sizes.outputs, 1, 1]));
        let view = view.expand(case.kernel.space.shape);
        let sum = case.accumulator(DType::F32);
        let bias = case.load(bias, view);
        let sum = case.binary(Binary::Add, sum, bias);
        let relu = case.unary(Unary::Relu, sum);
        case.output(relu);
        case.check();
    }
}
