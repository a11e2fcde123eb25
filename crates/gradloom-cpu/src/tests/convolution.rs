//! Convolutions and their transposes: windows, groups, dtypes, epilogues.

use gradloom_plan::{Convolution, Factors, KernelKind, View};
use gradloom_tensor::op::{Binary, Unary, Window};
use gradloom_tensor::{DType, Shape};

use super::{Case, numbers, window};

fn sizes(
    batch: usize,
    channels: usize,
    outputs: usize,
    groups: usize,
    input_size: &[usize],
    window: Window,
) -> Convolution {
    let input_size = window.of(&Shape::new(input_size));
    let output_size = window.output(input_size).expect("windows fit");
    let factors = Factors::of(DType::F32);
    Convolution { window, groups, batch, channels, outputs, input_size, output_size, factors }
}

fn cases() -> Vec<Convolution> {
    let plain = |size: usize| Window::new([size, size]);
    let same = window([3, 3], [1, 1], [[1, 1], [1, 1]], [1, 1]);
    vec![
        sizes(3, 1, 32, 1, &[28, 28], plain(3)),
        sizes(9, 3, 5, 1, &[9, 7], plain(3)),
        sizes(2, 16, 24, 1, &[8, 8], same),
        sizes(2, 6, 10, 2, &[9, 10], same),
        sizes(2, 7, 70, 1, &[6, 5], plain(1)),
        sizes(3, 4, 6, 1, &[11, 12], window([3, 2], [2, 3], [[1, 0], [2, 1]], [1, 1])),
        sizes(2, 4, 8, 1, &[15, 14], window([3, 3], [1, 1], [[2, 2], [2, 2]], [2, 2])),
        sizes(2, 4, 8, 1, &[15, 14], window([3, 3], [2, 2], [[1, 1], [1, 1]], [2, 1])),
        sizes(2, 12, 12, 12, &[10, 11], same),
        sizes(2, 6, 12, 6, &[10, 11], window([3, 3], [2, 2], [[1, 1], [1, 1]], [1, 1])),
        sizes(1, 3, 17, 1, &[5, 40], window([5, 5], [1, 1], [[2, 2], [2, 2]], [1, 1])),
        sizes(2, 2, 3, 1, &[3, 3], window([2, 2], [1, 1], [[3, 3], [3, 3]], [1, 1])),
        sizes(2, 3, 4, 1, &[4, 4], plain(4)),
        sizes(17, 2, 3, 1, &[6, 6], same),
        sizes(0, 2, 3, 1, &[6, 6], same),
        sizes(2, 5, 9, 1, &[40], window([5], [1], [[2, 2]], [1])),
        sizes(3, 4, 6, 2, &[23], window([3], [2], [[0, 3]], [2])),
        sizes(2, 6, 6, 6, &[30], window([7], [1], [[3, 3]], [1])),
    ]
}

/// Volumes: windows that reach several planes, overlap in depth or not, and begin and end in padding.
fn volumes() -> Vec<Convolution> {
    let same = window([3, 3, 3], [1, 1, 1], [[1, 1]; 3], [1, 1, 1]);
    let uneven = window([2, 3, 2], [2, 1, 3], [[1, 0], [0, 2], [1, 1]], [1, 2, 1]);
    let dilated = window([3, 2, 2], [1, 2, 2], [[2, 3], [0, 1], [1, 0]], [2, 1, 3]);
    vec![
        sizes(2, 3, 8, 1, &[5, 9, 7], same),
        sizes(1, 16, 24, 1, &[4, 6, 6], same),
        sizes(3, 4, 6, 2, &[6, 8, 9], uneven),
        sizes(2, 6, 9, 3, &[7, 7, 8], dilated),
        sizes(2, 5, 5, 5, &[4, 6, 11], same),
        sizes(2, 5, 10, 5, &[3, 6, 11], window([1, 3, 3], [1, 1, 1], [[0, 0]; 3], [1, 1, 1])),
        sizes(2, 3, 20, 1, &[6, 4, 4], window([1, 1, 1], [2, 2, 2], [[0, 0]; 3], [1, 1, 1])),
        sizes(1, 2, 3, 1, &[4, 4, 4], Window::new([4, 4, 4])),
        sizes(2, 2, 3, 1, &[2, 2, 2], window([2, 2, 2], [3, 1, 1], [[3, 4]; 3], [1, 1, 1])),
    ]
}

/// The three kernels of a convolution with random operands.
fn kernels(sizes: &Convolution, dtype: DType) -> [Case; 3] {
    let sizes = &Convolution { factors: Factors::of(dtype), ..*sizes };
    let (input, weight, output) = (sizes.input(), sizes.weight(), sizes.output());
    let kinds = [
        (KernelKind::Convolution(*sizes), input, weight, output),
        (KernelKind::ConvolutionInput(*sizes), weight, output, input),
        (KernelKind::ConvolutionWeight(*sizes), input, output, weight),
    ];
    kinds.map(|(kind, first, second, space)| {
        let mut case = Case::new(kind, &space, space.rank());
        case.tolerance = 0.0;
        for (seed, shape) in [(1, first), (2, second)] {
            case.input(dtype, numbers(seed, shape.count()));
        }
        case
    })
}

#[test]
fn convolutions_are_their_sums() {
    for sizes in cases().into_iter().chain(volumes()) {
        for mut case in kernels(&sizes, DType::F32) {
            let value = case.accumulator(DType::F32);
            case.output(value);
            case.check();
        }
    }
}

/// Sizes that are computed by transforms: whole tiles and parts of them, every padding, few and many channels.
fn transformed() -> Vec<Convolution> {
    let padded = |padding: [[usize; 2]; 2]| window([3, 3], [1, 1], padding, [1, 1]);
    vec![
        sizes(2, 32, 64, 1, &[13, 13], Window::new([3, 3])),
        sizes(1, 16, 128, 1, &[12, 12], padded([[1, 1], [1, 1]])),
        sizes(3, 17, 35, 1, &[9, 14], padded([[1, 1], [1, 1]])),
        sizes(1, 50, 16, 1, &[20, 10], padded([[2, 0], [0, 2]])),
        sizes(1, 70, 130, 1, &[9, 30], padded([[0, 1], [2, 2]])),
        sizes(2, 300, 20, 1, &[9, 9], padded([[2, 2], [2, 2]])),
        sizes(1, 20, 20, 1, &[57, 33], padded([[1, 1], [3, 0]])),
        // Few tiles, of several pictures together.
        sizes(19, 18, 40, 1, &[7, 6], padded([[1, 1], [1, 1]])),
        sizes(16, 33, 16, 1, &[4, 4], padded([[0, 1], [1, 0]])),
        sizes(5, 16, 150, 1, &[7, 7], padded([[1, 1], [1, 1]])),
    ]
}

#[test]
fn transforms_give_sums_within_rounding() {
    for sizes in transformed() {
        for mut case in kernels(&sizes, DType::F32) {
            // These numbers are round, so sums one by one would lose nothing; of others they lose half of this.
            case.tolerance = 1e-5;
            let value = case.accumulator(DType::F32);
            case.output(value);
            case.check();
        }
    }
}

#[test]
fn empty_sizes_give_zeros() {
    let padded =
        |kernel: [usize; 2], stride: usize| window(kernel, [stride; 2], [[2, 1], [1, 2]], [1, 1]);
    for stride in [1, 2] {
        for kernel in [[1, 1], [2, 3]] {
            let window = padded(kernel, stride);
            let all = [
                sizes(2, 3, 4, 1, &[0, 3], window),
                sizes(2, 3, 4, 1, &[3, 0], window),
                sizes(2, 4, 4, 4, &[0, 0], window),
                sizes(2, 4, 6, 2, &[0, 2], window),
                sizes(0, 2, 3, 1, &[4, 4], window),
                sizes(0, 3, 3, 3, &[4, 4], window),
                sizes(2, 0, 3, 1, &[4, 4], window),
                sizes(2, 3, 0, 1, &[4, 4], window),
                sizes(2, 0, 0, 2, &[4, 4], window),
                sizes(2, 4, 0, 4, &[4, 4], window),
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
        for sizes in [&cases()[3], &cases()[5], &cases()[8], &volumes()[2]] {
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
    for sizes in [cases()[0], cases()[2], volumes()[0]] {
        let [mut case, _, _] = kernels(&sizes, DType::F32);
        let bias = case.input(DType::F32, numbers(3, sizes.outputs));
        let space = case.kernel.space.shape;
        let view = View::contiguous(sizes.window.shape(1, sizes.outputs, [1; 3])).expand(space);
        let sum = case.accumulator(DType::F32);
        let bias = case.load(bias, view);
        let sum = case.binary(Binary::Add, sum, bias);
        let relu = case.unary(Unary::Relu, sum);
        case.output(relu);
        case.check();
    }
}
