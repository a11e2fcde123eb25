//! Long sums: each within the bound of `gradloom_tensor::summation`, along every axis, on the processor at
//! each level of vector instructions and on every GPU adapter.
//!
//! Terms that are all alike are the hardest: whatever rounding does to one it does to the next.

use gradloom::prelude::*;
use gradloom_tensor::op::Window;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::summation::{additions, additions_of_products};
use gradloom_tensor::{Shape, f16};
use gradloom_testkit::check::elements;

use crate::{cpus, gpus};

/// Half a last place of f32.
const UNIT: f64 = 1.0 / (1 << 24) as f64;

fn devices() -> Vec<Device> {
    cpus().into_iter().chain(gpus()).collect()
}

/// Numbers of which sums round at nearly every step, mostly one way.
fn terms(count: usize) -> Vec<f32> {
    (0..count).map(|at| 0.1 + (at % 5) as f32 * 0.3).collect()
}

/// Fails unless each number is as far from the exact one as `roundings` of sums of the size of
/// `magnitudes` allow.
fn within(what: &str, device: &Device, found: &Tensor, exact: &[(f64, f64)], roundings: usize) {
    let found =
        elements(found).unwrap_or_else(|error| panic!("{what} on {}: {error}", device.name()));
    assert_eq!(found.len(), exact.len(), "{what}");
    for (index, (&found, &(exact, magnitude))) in found.iter().zip(exact).enumerate() {
        let bound = (roundings + 4) as f64 * UNIT * magnitude;
        assert!(
            (found - exact).abs() <= bound,
            "{what} on {}: element {index} is {found}, not {exact} +- {bound:.1e}",
            device.name()
        );
    }
}

/// The sums over one axis of numbers of a shape `[outer, size, inner]`, with those of their magnitudes.
fn sums(values: &[f32], [outer, size, inner]: [usize; 3]) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); outer * inner];
    for (index, &value) in values.iter().enumerate() {
        let sum = &mut sums[index / (size * inner) * inner + index % inner];
        sum.0 += f64::from(value);
        sum.1 += f64::from(value).abs();
    }
    sums
}

fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

#[test]
fn sums_along_every_axis_keep_their_bound() {
    let shapes: [&[usize]; 9] = [
        &[20_000, 2],
        &[2, 20_000],
        &[8_954, 2],
        &[70_001, 7],
        &[3, 30_000, 5],
        &[40_000, 64],
        &[300, 1_500],
        &[3_000_000],
        &[70, 20_000],
    ];
    for shape in shapes {
        let values = terms(shape.iter().product());
        for device in devices() {
            let x = Tensor::from_vec(values.clone(), Shape::new(shape), &device).unwrap();
            for axis in 0..shape.len() {
                let sizes = around(shape, axis);
                let what = format!("sum of {shape:?} along {axis}");
                let exact = sums(&values, sizes);
                let sum = x.sum([axis as isize]);
                within(&what, &device, &sum, &exact, additions(sizes[1]));
            }
            let exact = sums(&values, [1, values.len(), 1]);
            let what = format!("sum of all {shape:?}");
            within(&what, &device, &x.sum(..), &exact, additions(values.len()));
        }
    }
}

#[test]
fn a_table_is_standardised_by_its_means() {
    let values: Vec<f32> = (0..40_000).map(|at| 10_000.0 + (at / 2 % 5) as f32).collect();
    for device in devices() {
        let table = Tensor::from_vec(values.clone(), [20_000, 2], &device).unwrap();
        for mean in elements(&table.mean(0)).unwrap() {
            assert!((mean - 10_002.0).abs() < 0.01, "{}: {mean}", device.name());
        }
        for variance in elements(&table.var(0, 0)).unwrap() {
            assert!((variance - 2.0).abs() < 0.001, "{}: {variance}", device.name());
        }
    }
}

#[test]
fn sums_of_f64_keep_their_bound() {
    for device in cpus() {
        let x = Tensor::full([300_000, 3], 0.1, DType::F64, &device);
        let exact = 300_000.0 * 0.1;
        for (what, sum) in [("sum", x.sum(0)), ("running sum", x.cumsum(0).narrow(0, 299_999, 1))] {
            for found in elements(&sum).unwrap() {
                let bound = additions(300_000) as f64 * 2f64.powi(-53) * exact;
                assert!((found - exact).abs() <= bound, "{what}: {found}");
            }
        }
    }
}

#[test]
fn running_sums_keep_their_bound_along_every_axis() {
    let shapes: [&[usize]; 5] =
        [&[1_000_000], &[50_000, 3], &[3, 50_000], &[2, 9_000, 40], &[20_000, 300]];
    for shape in shapes {
        let values = vec![0.1f32; shape.iter().product()];
        let term = f64::from(0.1f32);
        for device in devices() {
            let x = Tensor::from_vec(values.clone(), Shape::new(shape), &device).unwrap();
            for axis in 0..shape.len() {
                let [_, size, inner] = around(shape, axis);
                let last = |index: usize| (index / inner % size + 1) as f64 * term;
                let exact: Vec<(f64, f64)> =
                    (0..values.len()).map(|index| (last(index), last(index))).collect();
                let what = format!("running sum of {shape:?} along {axis}");
                let sum = x.cumsum(axis as isize);
                within(&what, &device, &sum, &exact, additions(size));
                // The gradient is the running sum from the end.
                let gradient = grad(&sum.sum(..), &[&x]).swap_remove(0);
                let left = |index: usize| (size - index / inner % size) as f64;
                let exact: Vec<(f64, f64)> =
                    (0..values.len()).map(|index| (left(index), left(index))).collect();
                within(
                    &format!("{what} from the end"),
                    &device,
                    &gradient,
                    &exact,
                    additions(size),
                );
            }
        }
    }
}

#[test]
fn running_sums_of_ones_count() {
    for device in cpus() {
        let sums = Tensor::ones([20_000_000], DType::F32, &device).cumsum(0);
        let last = sums.narrow(0, 19_999_990, 10).to_vec::<f32>().unwrap();
        assert_eq!(last[9], 20_000_000.0);
    }
    for device in gpus() {
        let sums = Tensor::ones([2_500_000], DType::F32, &device).cumsum(0);
        let sums = sums.to_vec::<f32>().unwrap();
        let wrong = sums.iter().enumerate().position(|(at, &sum)| sum != (at + 1) as f32);
        assert_eq!(wrong, None, "{}", device.name());
    }
}

#[test]
fn softmax_over_many_logits_sums_to_one() {
    for device in devices() {
        for (shape, axis) in [([8_954, 2], 0), ([2, 300_000], 1), ([70_000, 1], 0)] {
            let count = shape[0] * shape[1];
            let logits = Tensor::zeros(shape, DType::F32, &device);
            let exact = vec![(1.0 / shape[axis] as f64, 1.0 / shape[axis] as f64); count];
            let what = format!("softmax of {shape:?}");
            let result = logits.softmax(axis as isize);
            within(&what, &device, &result, &exact, additions(shape[axis]) + 32);
        }
        if !device.capabilities().f16 {
            continue;
        }
        let logits = Tensor::zeros([70_000], DType::F16, &device);
        let shares = logits.softmax(0).to_vec::<f16>().unwrap();
        let share = gradloom_tensor::rounding::to_f16(1.0 / 70_000.0);
        assert!(shares.iter().all(|&found| found == share), "{}: {}", device.name(), shares[0]);
    }
}

/// The product of matrices of equal numbers.
fn product(device: &Device, [m, k, n]: [usize; 3]) -> (Tensor, f64) {
    let (a, b) = (0.1f32, 1.0f32 / 3.0);
    let lhs = Tensor::from_vec(vec![a; m * k], [m, k], device).unwrap();
    let rhs = Tensor::from_vec(vec![b; k * n], [k, n], device).unwrap();
    (lhs.matmul(&rhs), k as f64 * f64::from(a) * f64::from(b))
}

#[test]
fn products_with_a_long_inner_axis_keep_their_bound() {
    let sizes = [
        [1, 2_000_000, 1],
        [1, 50_000, 30],
        [30, 50_000, 1],
        [2, 70_000, 3],
        [5, 70_001, 7],
        [20, 9_000, 40],
    ];
    let many = [[48, 140_001, 33], [7, 70_000, 300]];
    for device in devices() {
        let host = device.capabilities().host;
        for &size in sizes.iter().chain(if host { &many[..] } else { &[] }) {
            let (result, exact) = product(&device, size);
            let exact = vec![(exact, exact); size[0] * size[2]];
            let roundings = additions_of_products(size[1], !host) + 1;
            within(&format!("product {size:?}"), &device, &result, &exact, roundings);
        }
    }
    for device in cpus() {
        let x = Tensor::full([3, 100_000], 0.1, DType::F64, &device);
        let exact = 100_000.0 * 0.1 * 0.1;
        for found in elements(&x.matmul(&x.t())).unwrap() {
            let bound = additions_of_products(100_000, false) as f64 * 2f64.powi(-53) * exact;
            assert!((found - exact).abs() <= bound, "{found}");
        }
    }
}

/// A convolution of equal numbers without padding: the result, the two gradients of its sum, and how many
/// terms each of their elements adds up.
fn convolution(
    device: &Device,
    [batch, channels, height, width]: [usize; 4],
    [outputs, kernel_height, kernel_width]: [usize; 3],
    stride: [usize; 2],
    groups: usize,
) -> Vec<(&'static str, Tensor, Vec<usize>)> {
    let (a, b) = (0.1f32, 1.0f32 / 3.0);
    let shape = [batch, channels, height, width];
    let input = Tensor::from_vec(vec![a; shape.iter().product()], shape, device).unwrap();
    let weight_shape = [outputs, channels / groups, kernel_height, kernel_width];
    let count = weight_shape.iter().product();
    let weight = Tensor::from_vec(vec![b; count], weight_shape, device).unwrap();
    let options = Conv2dOptions { stride, groups, ..Conv2dOptions::default() };
    let result = input.conv2d(&weight, &options);
    let [_, _, rows, columns] = [0, 1, 2, 3].map(|axis| result.size(axis));
    // All cotangents are `b` for the input's and `a` for the weight's gradient, as are the factors.
    let gradient = grad(&(&result * f64::from(b)).sum(..), &[&input]).swap_remove(0);
    let weight_gradient = grad(&(&result * f64::from(b)).sum(..), &[&weight]).swap_remove(0);
    let windows = |at: usize, outputs: usize, kernel: usize, stride: usize| {
        (0..outputs)
            .filter(|output| (output * stride..output * stride + kernel).contains(&at))
            .count()
    };
    let covering: Vec<usize> = (0..shape.iter().product())
        .map(|index: usize| {
            let (y, x) = (index / width % height, index % width);
            windows(y, rows, kernel_height, stride[0])
                * windows(x, columns, kernel_width, stride[1])
                * (outputs / groups)
        })
        .collect();
    vec![
        ("result", result.clone(), vec![count / outputs; result.count()]),
        ("input gradient", gradient, covering),
        ("weight gradient", weight_gradient, vec![batch * rows * columns; count]),
    ]
}

#[test]
fn convolutions_with_long_sums_keep_their_bound() {
    let cases: [([usize; 4], [usize; 3], [usize; 2], usize); 9] = [
        // Many channels; many images; large images.
        ([1, 600, 5, 5], [3, 3, 3], [1, 1], 1),
        ([700, 2, 9, 9], [3, 3, 3], [1, 1], 1),
        ([2, 2, 300, 300], [3, 3, 3], [1, 1], 1),
        ([2, 3, 301, 301], [2, 4, 4], [2, 2], 1),
        // One long row.
        ([1, 1, 1, 150_000], [2, 1, 9], [1, 1], 1),
        // Windows of very many elements.
        ([1, 1, 60, 60], [2, 50, 50], [1, 1], 1),
        ([1, 2, 60, 60], [2, 50, 50], [2, 2], 2),
        // Depthwise.
        ([9, 4, 100, 100], [4, 3, 3], [1, 1], 4),
        ([9, 4, 201, 201], [8, 3, 3], [2, 2], 4),
    ];
    for device in devices() {
        let in_tiles = !device.capabilities().host;
        for (shape, kernel, stride, groups) in cases {
            for (what, found, counts) in convolution(&device, shape, kernel, stride, groups) {
                let (a, b) = (f64::from(0.1f32), f64::from(1.0f32 / 3.0));
                let factor = if what == "input gradient" { b * b } else { a * b };
                let most = counts.iter().copied().max().unwrap_or(0);
                let exact: Vec<(f64, f64)> = counts
                    .into_iter()
                    .map(|count| (count as f64 * factor, count as f64 * factor))
                    .collect();
                let what = format!("{what} of {shape:?} by {kernel:?}");
                let roundings = additions_of_products(most, in_tiles) + 2;
                within(&what, &device, &found, &exact, roundings);
            }
        }
    }
}

#[test]
fn sums_of_large_windows_keep_their_bound() {
    for device in devices() {
        let x = Tensor::from_vec(vec![0.1f32; 2 * 210 * 210], [1, 2, 210, 210], &device).unwrap();
        let window = Window::new([180, 180]).stride([3, 3]);
        let result = x.pool_sum(window);
        let terms = 180 * 180;
        let exact = terms as f64 * f64::from(0.1f32);
        let exact = vec![(exact, exact); result.count()];
        within("pool_sum", &device, &result, &exact, additions(terms));
        let one = Window::new([90, 90]);
        let windows = x.pool_sum(one);
        let gradient = grad(&(windows * 0.1).sum(..), &[&x]).swap_remove(0);
        let covering = |at: usize| (at + 1).min(90).min(210 - at);
        let exact: Vec<(f64, f64)> = (0..2 * 210 * 210)
            .map(|index| covering(index / 210 % 210) * covering(index % 210))
            .map(|count| (count as f64 * f64::from(0.1f32), count as f64 * f64::from(0.1f32)))
            .collect();
        within("gradient of pool_sum", &device, &gradient, &exact, additions(90 * 90) + 1);
    }
}

#[test]
fn windows_that_share_a_maximum_keep_their_bound() {
    for device in cpus() {
        let mut values = vec![0.0f32; 80 * 80];
        values[40 * 80 + 40] = 1.0;
        let x = Tensor::from_vec(values, [1, 1, 80, 80], &device).unwrap();
        let result = x.pool_max(Window::new([40, 40]));
        let gradient = grad(&(result * 0.1).sum(..), &[&x]).swap_remove(0);
        let exact = 1600.0 * f64::from(0.1f32);
        let found = elements(&gradient).unwrap()[40 * 80 + 40];
        assert!((found - exact).abs() <= (additions(1600) + 2) as f64 * UNIT * exact, "{found}");
    }
}

#[test]
fn many_updates_of_one_place_keep_their_bound() {
    for device in devices() {
        for (updates, inner) in [(100_000, 3), (300_000, 1), (300, 50), (129, 1)] {
            let index: Vec<i32> = (0..updates).map(|at| if at % 10 == 0 { 1 } else { 3 }).collect();
            let index = Tensor::from_vec(index, [updates as usize], &device).unwrap();
            let table = Tensor::zeros([5, inner], DType::F32, &device);
            let rows = table.index_select(0, &index);
            let gradient = grad(&(rows * 0.1).sum(..), &[&table]).swap_remove(0);
            let counts = [0, (updates as usize).div_ceil(10), 0, updates as usize * 9 / 10, 0];
            let exact: Vec<(f64, f64)> = (0..5 * inner)
                .map(|at| counts[at / inner] as f64 * f64::from(0.1f32))
                .map(|sum| (sum, sum))
                .collect();
            let what = format!("{updates} updates of {inner}");
            within(&what, &device, &gradient, &exact, additions(updates as usize) + 1);
        }
        // Each element has an index of its own.
        let index: Vec<i32> = (0..140_000).map(|at| at % 7 / 6).collect();
        let index = Tensor::from_vec(index, [70_000, 2], &device).unwrap();
        let table = Tensor::zeros([2, 2], DType::F32, &device);
        let gradient = grad(&(table.gather(0, &index) * 0.1).sum(..), &[&table]).swap_remove(0);
        let exact: Vec<(f64, f64)> = [60_000.0, 60_000.0, 10_000.0, 10_000.0]
            .map(|sum| sum * f64::from(0.1f32))
            .map(|sum| (sum, sum))
            .into();
        within("gather", &device, &gradient, &exact, additions(60_000) + 1);
    }
}

#[test]
fn the_ends_of_very_long_axes_count() {
    for device in devices() {
        // Along the first axis with neighbours in other lines, and along rows.
        let count = 1_200_000;
        let mut values = vec![0.0f32; 2 * count];
        values[2 * count - 1] = 1.0;
        let x = Tensor::from_vec(values, [count, 2], &device).unwrap();
        assert_eq!(
            x.argmax(0).to_vec::<i32>().unwrap(),
            [0, count as i32 - 1],
            "{}",
            device.name()
        );
        let row = x.reshape([2 * count]);
        assert_eq!(row.argmax(0).to_vec::<i32>().unwrap(), [2 * count as i32 - 1]);
        let long = Tensor::ones([6_000_000], DType::F32, &device);
        let softmax = long.softmax(0).narrow(0, 5_999_990, 10).to_vec::<f32>().unwrap();
        let exact = 1.0 / 6e6;
        for share in softmax {
            let far = (f64::from(share) - exact).abs();
            assert!(
                far <= (additions(6_000_000) + 32) as f64 * UNIT * exact,
                "{}: {share}",
                device.name()
            );
        }
    }
}

#[test]
fn the_same_bits_come_of_any_number_of_threads() {
    let results = |threads: usize| -> Vec<Vec<u32>> {
        let backend = gradloom_cpu::CpuBackend::new(Some(threads)).expect("threads");
        let device = backend.into_device();
        let x = Tensor::from_vec(terms(70_001 * 7), [70_001, 7], &device).unwrap();
        let index: Vec<i32> = (0..70_001).map(|at| at % 3).collect();
        let index = Tensor::from_vec(index, [70_001], &device).unwrap();
        let table = Tensor::zeros([3, 7], DType::F32, &device);
        let scattered =
            grad(&(table.index_select(0, &index) * &x).sum(..), &[&table]).swap_remove(0);
        let images = x.reshape([7, 1, 1, 70_001]);
        let kernel = Tensor::ones([2, 1, 1, 5], DType::F32, &device);
        let convolved = images.conv2d(&kernel, &Conv2dOptions::default());
        let weight = grad(&convolved.square().sum(..), &[&kernel]).swap_remove(0);
        let product = x.t().matmul(&x);
        let list =
            [x.sum(0), x.sum(1), x.sum(..), x.cumsum(0), x.softmax(0), scattered, weight, product];
        list.iter()
            .map(|result| result.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect())
            .collect()
    };
    let one = results(1);
    for threads in [2, 3, 8] {
        assert_eq!(results(threads), one, "{threads} threads");
    }
}
