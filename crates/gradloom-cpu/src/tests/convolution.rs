//! Convolutions and their transposes: windows, groups, dtypes, epilogues.

use gradloom_plan::program::Operation;
use gradloom_plan::{Convolution, Factors, KernelKind, View};
use gradloom_tensor::op::{Binary, Unary, Window};
use gradloom_tensor::{DType, Shape};

use super::{Case, numbers, window};
use crate::epilogue::Epilogue;
use crate::simd::Level;

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

/// Sizes whose results stay in registers until all that follows is done: rows of whole vectors and others, rows
/// shorter than a vector, one group and many, strides, rows of tiles that are not full.
fn in_registers() -> Vec<Convolution> {
    let plain = Window::new([1, 1]);
    let same = window([3, 3], [1, 1], [[1, 1], [1, 1]], [1, 1]);
    let halved = |size: usize| window([size; 2], [2, 2], [[size / 2; 2]; 2], [1, 1]);
    vec![
        sizes(1, 24, 70, 1, &[14, 14], plain),
        sizes(2, 40, 21, 1, &[7, 7], plain),
        sizes(1, 9, 33, 1, &[16, 12], plain),
        sizes(3, 1030, 9, 1, &[5, 3], plain),
        sizes(2, 12, 40, 4, &[6, 6], plain),
        sizes(1, 5, 12, 1, &[30, 5], window([3, 1], [1, 1], [[1, 1], [0, 0]], [1, 1])),
        sizes(1, 3, 20, 1, &[30, 64], halved(3)),
        sizes(2, 4, 9, 1, &[6, 31], same),
        sizes(1, 40, 40, 40, &[14, 14], same),
        sizes(2, 19, 19, 19, &[28, 28], same),
        sizes(1, 3, 3, 3, &[9, 130], same),
        sizes(2, 6, 18, 6, &[7, 45], same),
        sizes(1, 20, 20, 20, &[15, 7], same),
        sizes(2, 17, 17, 17, &[29, 31], halved(3)),
        sizes(1, 17, 17, 17, &[56, 56], halved(5)),
        sizes(700, 2, 2, 2, &[3, 4], same),
    ]
}

/// What follows a convolution of a network for pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Follows {
    /// A normalization and a clamp.
    Normalized,
    /// A normalization and a residual, as it is or overwritten.
    Residual,
    Overwritten,
    /// One step, and several whose values are the same for all channels.
    Bias,
    Uniform,
}

fn followed(sizes: &Convolution, dtype: DType, follows: Follows) -> Case {
    let [mut case, _, _] = kernels(sizes, dtype);
    let space = case.kernel.space.shape;
    let mut of_channel = |case: &mut Case, seed: u32| {
        let input = case.input(dtype, numbers(seed, sizes.outputs));
        let view = View::contiguous(sizes.window.shape(1, sizes.outputs, [1; 3])).expand(space);
        case.load(input, view)
    };
    let sum = case.accumulator(dtype);
    let normalized = |case: &mut Case, of_channel: &mut dyn FnMut(&mut Case, u32) -> _| {
        let (mean, scale, bias) = (of_channel(case, 3), of_channel(case, 4), of_channel(case, 5));
        let centred = case.binary(Binary::Sub, sum, mean);
        let half = case.constant(0.5, dtype);
        let scale = case.binary(Binary::Mul, scale, half);
        let scaled = case.binary(Binary::Mul, scale, centred);
        case.binary(Binary::Add, scaled, bias)
    };
    let result = match follows {
        Follows::Normalized => {
            let value = normalized(&mut case, &mut of_channel);
            let [zero, six] = [0.0, 6.0].map(|value| case.constant(value, dtype));
            let below = case.binary(Binary::Le, value, zero);
            let above = case.binary(Binary::Le, six, value);
            let inner = case.select(above, six, value);
            case.select(below, zero, inner)
        }
        Follows::Residual | Follows::Overwritten => {
            let value = normalized(&mut case, &mut of_channel);
            let residual = case.whole(dtype, numbers(6, space.count()));
            if follows == Follows::Overwritten {
                case.in_place.push((case.inputs.len() - 1, 0));
            }
            case.binary(Binary::Add, value, residual)
        }
        Follows::Bias => {
            let bias = of_channel(&mut case, 3);
            case.binary(Binary::Sub, bias, sum)
        }
        Follows::Uniform => {
            let [two, one] = [2.0, 1.0].map(|value| case.constant(value, dtype));
            let value = case.binary(Binary::Mul, sum, two);
            let value = case.binary(Binary::Sub, one, value);
            case.unary(Unary::Relu, value)
        }
    };
    case.output(result);
    case
}

const FOLLOWS: [Follows; 5] =
    [Follows::Normalized, Follows::Residual, Follows::Overwritten, Follows::Bias, Follows::Uniform];

#[test]
fn what_follows_is_done_in_registers() {
    for sizes in in_registers() {
        for follows in FOLLOWS {
            let mut case = followed(&sizes, DType::F32, follows);
            case.tolerance = 1e-6;
            let area = sizes.output_size.iter().product();
            let epilogue = Epilogue::new(&case.kernel, &case.in_place, DType::F32);
            let there =
                follows != Follows::Overwritten && (area >= 8 || follows == Follows::Uniform);
            assert_eq!(epilogue.is_row_chain(area), there, "{follows:?}");
            case.check();
        }
    }
}

#[test]
fn other_floats_are_followed_too() {
    for dtype in [DType::F64, DType::BF16] {
        for index in [1, 6, 8, 12] {
            for follows in FOLLOWS {
                followed(&in_registers()[index], dtype, follows).check();
            }
        }
    }
}

/// The bits of what follows are those of the same kernel that stores the convolution too, whose result makes a
/// pass of its own.
#[test]
fn registers_give_the_bits_of_a_pass() {
    for sizes in in_registers() {
        for follows in [Follows::Normalized, Follows::Residual, Follows::Uniform] {
            let case = followed(&sizes, DType::F32, follows);
            let mut apart = followed(&sizes, DType::F32, follows);
            let instructions = &apart.kernel.program.instructions;
            let sum = instructions
                .iter()
                .position(|instruction| instruction.operation == Operation::Accumulator);
            apart.output(sum.expect("an accumulator"));
            for level in Level::available() {
                let (here, there) = (case.run(level, 2), apart.run(level, 1));
                assert!(here[0] == there[0], "{follows:?} {}", level.name());
            }
        }
    }
}
