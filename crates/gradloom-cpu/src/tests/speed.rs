//! Times of single kernels, printed rather than asserted:
//! `cargo test --release -p gradloom-cpu speed -- --ignored --nocapture --test-threads=1`.

use std::sync::Arc;
use std::time::Instant;

use gradloom_plan::{Convolution, Factors, KernelKind, Pool, View};
use gradloom_tensor::op::{Axes, Binary, Permutation, Reduction, Unary, Window};
use gradloom_tensor::{DType, Shape};

use super::{Case, encode, filled, integers, numbers};
use crate::kernels::{Context, prepare};
use crate::memory::Temporary;
use crate::pool::Pool as Memory;
use crate::simd::Level;
use crate::tile::Failures;

/// Runs a kernel for about a third of a second with one thread and with all, and prints the least
/// times with a rate for `work` units per run.
fn time(name: &str, case: &Case, work: f64, unit: &str) {
    let memory = Arc::new(Memory::default());
    let failures = Failures::default();
    let executable = prepare(&case.kernel, &case.in_place).expect("a kernel");
    let buffers: Vec<Temporary> = case
        .inputs
        .iter()
        .zip(&case.kernel.inputs)
        .map(|(values, input)| filled(&memory, &encode(input.dtype, values)))
        .collect();
    let inputs: Vec<&[u8]> = buffers
        .iter()
        .enumerate()
        .map(|(index, buffer)| {
            let in_place = case.in_place.iter().any(|pair| pair.0 == index);
            if in_place { &[][..] } else { buffer.get() }
        })
        .collect();
    let sizes = case.kernel.outputs.iter().map(|output| output.len * output.dtype.size());
    let mut outputs: Vec<Temporary> =
        sizes.map(|bytes| memory.temporary(bytes).expect("memory")).collect();
    let mut line = format!("{name:44}");
    for threads in [1, rayon::current_num_threads()] {
        let context = Context {
            level: Level::best(),
            threads,
            pool: &memory,
            arguments: &case.arguments,
            failures: &failures,
            profile: None,
        };
        let mut least = f64::INFINITY;
        rayon::scope(|_| {
            let start = Instant::now();
            while start.elapsed().as_secs_f64() < 0.3 {
                let mut written: Vec<&mut [u8]> =
                    outputs.iter_mut().map(Temporary::get_mut).collect();
                let run = Instant::now();
                executable.run(&context, &inputs, &mut written).expect("the kernel runs");
                least = least.min(run.elapsed().as_secs_f64());
            }
        });
        line += &format!(
            " | {threads} threads {:9.1} us {:8.2} {unit}",
            least * 1e6,
            work / least / 1e9
        );
    }
    println!("{line}");
}

#[test]
#[ignore = "prints times"]
fn speed_of_elementwise_programs() {
    let count = 1 << 20;
    let values = numbers(1, count);
    for op in Unary::ALL.iter().filter(|&&op| op != Unary::Not) {
        let mut case = Case::map(&[count]);
        let a = case.whole(DType::F32, values.iter().map(|value| value.abs() + 0.1).collect());
        let result = case.unary(*op, a);
        case.output(result);
        time(&format!("{} of 1M f32", op.name()), &case, count as f64, "Gelem/s");
    }
    for op in [Binary::Add, Binary::Div, Binary::Pow, Binary::Maximum, Binary::Rem] {
        let mut case = Case::map(&[count]);
        let a = case.whole(DType::F32, values.iter().map(|value| value.abs() + 0.1).collect());
        let b = case.whole(DType::F32, values.clone());
        let result = case.binary(op, a, b);
        case.output(result);
        time(&format!("{} of 1M f32", op.name()), &case, count as f64, "Gelem/s");
    }
    for dtype in [DType::F16, DType::BF16] {
        let mut case = Case::map(&[count]);
        let a = case.whole(dtype, values.clone());
        let b = case.whole(dtype, values.clone());
        let result = case.binary(Binary::Add, a, b);
        case.output(result);
        time(&format!("add of 1M {dtype}"), &case, count as f64, "Gelem/s");
    }
}

#[test]
#[ignore = "prints times"]
fn speed_of_programs_and_views() {
    let count = 1 << 20;
    // Adam: four inputs, three outputs in place.
    let mut case = Case::map(&[count]);
    let g = case.whole(DType::F32, numbers(1, count));
    let m = case.whole(DType::F32, numbers(2, count));
    let v = case.whole(DType::F32, numbers(3, count));
    let w = case.whole(DType::F32, numbers(4, count));
    let [b1, c1, b2, c2, eps, rate] =
        [0.9, 0.1, 0.999, 0.001, 1e-8, 1e-3].map(|value| case.constant(value, DType::F32));
    let m = case.binary(Binary::Mul, m, b1);
    let scaled = case.binary(Binary::Mul, g, c1);
    let m = case.binary(Binary::Add, m, scaled);
    let square = case.binary(Binary::Mul, g, g);
    let v = case.binary(Binary::Mul, v, b2);
    let scaled = case.binary(Binary::Mul, square, c2);
    let v = case.binary(Binary::Add, v, scaled);
    let root = case.unary(Unary::Abs, v);
    let root = case.unary(Unary::Sqrt, root);
    let root = case.binary(Binary::Add, root, eps);
    let step = case.binary(Binary::Div, m, root);
    let step = case.binary(Binary::Mul, step, rate);
    let w = case.binary(Binary::Sub, w, step);
    for value in [w, m, v] {
        case.output(value);
    }
    case.in_place = vec![(3, 0), (1, 1), (2, 2)];
    time("adam step of 1M", &case, 28.0 * count as f64, "GB/s");

    let square = Shape::new(&[1024, 1024]);
    let views = [
        ("transposed", View::contiguous(square).permute(&Permutation::new(&[1, 0]))),
        ("flipped", View::contiguous(square).flip(Axes::all(2))),
        ("row repeated", View::contiguous(Shape::new(&[1, 1024])).expand(square)),
        ("column repeated", View::contiguous(Shape::new(&[1024, 1])).expand(square)),
        ("bias of 10", View::contiguous(Shape::new(&[1, 10])).expand(Shape::new(&[104_857, 10]))),
        (
            "heads",
            View::contiguous(Shape::new(&[8, 128, 16, 64]))
                .permute(&Permutation::new(&[0, 2, 1, 3])),
        ),
        (
            "channels last",
            View::contiguous(Shape::new(&[16, 64, 32, 32]))
                .permute(&Permutation::new(&[0, 2, 3, 1])),
        ),
        (
            "channels first",
            View::contiguous(Shape::new(&[16, 32, 32, 64]))
                .permute(&Permutation::new(&[0, 3, 1, 2])),
        ),
        (
            "padded images",
            View::contiguous(Shape::new(&[1024, 30, 30]))
                .pad(&[0, 1, 1], Shape::new(&[1024, 32, 32])),
        ),
    ];
    for (name, view) in views {
        let mut case = Case::map(&view.shape);
        let total = view.shape.count();
        let input = case.input(DType::F32, numbers(1, total));
        let a = case.load(input, view);
        let b = case.whole(DType::F32, numbers(2, total));
        let sum = case.binary(Binary::Add, a, b);
        case.output(sum);
        time(&format!("add with {name}"), &case, total as f64, "Gelem/s");
    }
}

#[test]
#[ignore = "prints times"]
fn speed_of_reductions() {
    for [rows, columns] in [[1024, 1024], [1, 1 << 20], [1 << 17, 8], [64, 10], [8192, 128]] {
        let count = rows * columns;
        let mut case = Case::new(KernelKind::Reduce, &[rows, columns], 1);
        let a = case.whole(DType::F32, numbers(1, count));
        let sum = case.reduce(Reduction::Sum, a);
        case.output(sum);
        time(&format!("sum of rows {rows}x{columns}"), &case, 4.0 * count as f64, "GB/s");
        let mut case = Case::new(KernelKind::Reduce, &[columns, rows], 1);
        let input = case.input(DType::F32, numbers(1, count));
        let view = View::contiguous(Shape::new(&[rows, columns]));
        let a = case.load(input, view.permute(&Permutation::new(&[1, 0])));
        let sum = case.reduce(Reduction::Sum, a);
        case.output(sum);
        time(&format!("sum of columns {rows}x{columns}"), &case, 4.0 * count as f64, "GB/s");
        let mut case = Case::new(KernelKind::Row, &[rows, columns], 1);
        let a = case.whole(DType::F32, numbers(1, count));
        let max = case.reduce(Reduction::Max, a);
        let shifted = case.binary(Binary::Sub, a, max);
        let exp = case.unary(Unary::Exp, shifted);
        let sum = case.reduce(Reduction::Sum, exp);
        let quotient = case.binary(Binary::Div, exp, sum);
        case.output(quotient);
        time(&format!("softmax {rows}x{columns}"), &case, 8.0 * count as f64, "GB/s");
    }
    let [n, c, area] = [64, 64, 121];
    let mut case = Case::new(KernelKind::Reduce, &[c, n, area], 1);
    let input = case.input(DType::F32, numbers(1, n * c * area));
    let view = View::contiguous(Shape::new(&[n, c, area]));
    let a = case.load(input, view.permute(&Permutation::new(&[1, 0, 2])));
    let sum = case.reduce(Reduction::Sum, a);
    case.output(sum);
    time("bias gradient 64x64x121", &case, 4.0 * (n * c * area) as f64, "GB/s");
}

#[test]
#[ignore = "prints times"]
fn speed_of_products() {
    for [m, n, k, batch] in [
        [64, 512, 1600, 1],
        [64, 1600, 512, 1],
        [1600, 512, 64, 1],
        [64, 10, 512, 1],
        [512, 512, 512, 1],
        [1024, 1024, 1024, 1],
        [2048, 2048, 2048, 1],
        [4096, 768, 768, 1],
        [512, 3072, 768, 1],
        [8, 768, 768, 1],
        [1, 4096, 4096, 1],
        [1, 768, 3072, 1],
        [3, 4096, 4096, 1],
        [1, 1, 1 << 20, 1],
        [128, 128, 64, 96],
        [16, 16, 16, 1000],
    ] {
        for transposed in [false, true] {
            let lhs = View::contiguous(Shape::new(&[batch, m, k]));
            let mut rhs = View::contiguous(Shape::new(&[batch, k, n]));
            if transposed {
                rhs = View::contiguous(Shape::new(&[batch, n, k]))
                    .permute(&Permutation::new(&[0, 2, 1]));
            }
            let factors = Factors::of(DType::F32);
            let kind = KernelKind::Matmul { lhs, rhs, factors };
            let mut case = Case::new(kind, &[batch, m, n], 3);
            case.input(DType::F32, numbers(1, batch * m * k));
            case.input(DType::F32, numbers(2, batch * k * n));
            let value = case.accumulator(DType::F32);
            case.output(value);
            let name =
                format!("matmul {batch} x {m}x{n}x{k}{}", if transposed { " T" } else { "" });
            time(&name, &case, 2.0 * (batch * m * n * k) as f64, "GFLOP/s");
        }
    }
}

#[test]
#[ignore = "prints times"]
fn speed_of_gradients_of_weights() {
    for [m, n, k] in [
        [1024, 512, 3200],
        [1024, 256, 3200],
        [1024, 128, 3200],
        [1024, 64, 3200],
        [512, 256, 3200],
        [512, 64, 3200],
    ] {
        let transposed = View::contiguous(Shape::new(&[k, m])).permute(&Permutation::new(&[1, 0]));
        let plain = View::contiguous(Shape::new(&[k, n]));
        let factors = Factors::of(DType::F32);
        let kind = KernelKind::Matmul { lhs: transposed, rhs: plain, factors };
        let mut case = Case::new(kind, &[m, n], 2);
        case.input(DType::F32, numbers(1, m * k));
        case.input(DType::F32, numbers(2, k * n));
        let value = case.accumulator(DType::F32);
        case.output(value);
        let work = 2.0 * (m * n * k) as f64;
        time(&format!("matmul {m}x{n}x{k}, left transposed"), &case, work, "GFLOP/s");
    }
}

/// The three kernels of a convolution.
fn convolutions(name: &str, sizes: &Convolution) {
    let (input, weight, output) = (sizes.input(), sizes.weight(), sizes.output());
    let work = 2.0 * (output.count() * weight[1] * sizes.window.taps()) as f64;
    for (suffix, kind, first, second, space) in [
        ("", KernelKind::Convolution(*sizes), input, weight, output),
        (" input", KernelKind::ConvolutionInput(*sizes), weight, output, input),
        (" weight", KernelKind::ConvolutionWeight(*sizes), input, output, weight),
    ] {
        let mut case = Case::new(kind, &space, space.rank());
        for (seed, shape) in [(1, first), (2, second)] {
            case.input(DType::F32, numbers(seed, shape.count()));
        }
        let value = case.accumulator(DType::F32);
        case.output(value);
        time(&format!("{name}{suffix}"), &case, work, "GFLOP/s");
    }
}

#[test]
#[ignore = "prints times"]
fn speed_of_convolutions() {
    let sizes = |batch, channels, outputs, groups, size: usize, window: Window| {
        let input_size = window.of(&Shape::new(&[size; 3]));
        let output_size = window.output(input_size).expect("windows fit");
        let factors = Factors::of(DType::F32);
        Convolution { window, groups, batch, channels, outputs, input_size, output_size, factors }
    };
    let three = Window::new([3, 3]);
    let same = three.padding([[1, 1]; 2]);
    let strided = same.stride([2, 2]);
    convolutions("conv 64x1x28 -> 32, 3x3", &sizes(64, 1, 32, 1, 28, three));
    convolutions("conv 64x32x13 -> 64, 3x3", &sizes(64, 32, 64, 1, 13, three));
    convolutions("conv 8x64x56 -> 64, 3x3 same", &sizes(8, 64, 64, 1, 56, same));
    convolutions("conv 8x256x14 -> 256, 3x3 same", &sizes(8, 256, 256, 1, 14, same));
    convolutions("conv 8x512x7 -> 512, 3x3 same", &sizes(8, 512, 512, 1, 7, same));
    convolutions("conv 8x128x28 -> 256, 3x3 /2", &sizes(8, 128, 256, 1, 28, strided));
    convolutions("conv 8x256x28 -> 64, 1x1", &sizes(8, 256, 64, 1, 28, Window::new([1, 1])));
    convolutions("conv 1x64x56 -> 64, 3x3 same", &sizes(1, 64, 64, 1, 56, same));
    convolutions("conv 8x128x28 depthwise 3x3 same", &sizes(8, 128, 128, 128, 28, same));
    let sequence = Window::new([3]).padding([[1, 1]]);
    convolutions("conv 8x64x1024 -> 64, 3 same", &sizes(8, 64, 64, 1, 1024, sequence));
    let volume = Window::new([3; 3]).padding([[1, 1]; 3]);
    convolutions("conv 2x32x16 -> 64, 3x3x3 same", &sizes(2, 32, 64, 1, 16, volume));
    convolutions("conv 2x64x14 -> 64, 3x3x3 /2", &sizes(2, 64, 64, 1, 14, volume.stride([2; 3])));
    convolutions("conv 2x3x32 -> 32, 3x3x3 same", &sizes(2, 3, 32, 1, 32, volume));
    convolutions("conv 2x64x16 depthwise 3x3x3", &sizes(2, 64, 64, 64, 16, volume));
}

#[test]
#[ignore = "prints times"]
fn speed_of_pooling_and_indexing() {
    let window = Window::new([2, 2]).stride([2, 2]);
    let pool = Pool { window, planes: 64 * 32, input_size: [1, 26, 26], output_size: [1, 13, 13] };
    let (input, output) = (64 * 32 * 676, 64 * 32 * 169);
    for (name, kind, operands, space) in [
        ("max pool", KernelKind::PoolMax(pool), vec![input], [64, 32, 13, 13]),
        (
            "max pool scatter",
            KernelKind::PoolMaxScatter(pool),
            vec![input, output],
            [64, 32, 26, 26],
        ),
        ("max pool gather", KernelKind::PoolMaxGather(pool), vec![input, input], [64, 32, 13, 13]),
        ("sum pool", KernelKind::PoolSum(pool), vec![input], [64, 32, 13, 13]),
        ("sum pool scatter", KernelKind::PoolSumScatter(pool), vec![output], [64, 32, 26, 26]),
    ] {
        let mut case = Case::new(kind, &space, 4);
        for (seed, count) in operands.into_iter().enumerate() {
            case.input(DType::F32, numbers(seed as u32, count));
        }
        let value = case.accumulator(DType::F32);
        case.output(value);
        time(&format!("{name} 2x2 64x32x26x26"), &case, input as f64, "Gelem/s");
    }
    let data = Shape::new(&[32_000, 512]);
    let shape = Shape::new(&[2048, 512]);
    let index = View::contiguous(Shape::new(&[2048, 1])).expand(shape);
    let mut case = Case::new(KernelKind::Gather { data, axis: 0, index }, &shape, 2);
    case.input(DType::F32, numbers(1, data.count()));
    case.input(DType::I32, integers(2, 2048, 0, 32_000));
    let value = case.accumulator(DType::F32);
    case.output(value);
    time("embedding 2048 of 32000x512", &case, 4.0 * shape.count() as f64, "GB/s");
    let kind = KernelKind::ScatterAdd { axis: 0, index, updates: View::contiguous(shape) };
    let mut case = Case::new(kind, &data, 2);
    case.input(DType::I32, integers(2, 2048, 0, 32_000));
    case.input(DType::F32, numbers(1, shape.count()));
    let value = case.accumulator(DType::F32);
    case.output(value);
    time("embedding gradient 2048 to 32000x512", &case, 4.0 * data.count() as f64, "GB/s");
    let shape = Shape::new(&[64, 10_000]);
    let mut case = Case::new(KernelKind::ArgSort { axis: 1, descending: true }, &shape, 2);
    let values =
        numbers(1, shape.count()).into_iter().enumerate().map(|(i, v)| v * (i as f64).sin());
    case.input(DType::F32, values.collect());
    let value = case.accumulator(DType::I32);
    case.output(value);
    time("argsort 64x10000", &case, shape.count() as f64, "Gelem/s");
    let input = Shape::new(&[1024, 1024]);
    let reduction = gradloom_tensor::op::ArgReduction::Max;
    let kind = KernelKind::ArgReduce { reduction, input, axis: 1 };
    let mut case = Case::new(kind, &[1024, 1], 2);
    case.input(DType::F32, numbers(1, input.count()));
    let value = case.accumulator(DType::I32);
    case.output(value);
    time("argmax 1024x1024", &case, input.count() as f64, "Gelem/s");
}
