//! Every op beside sums one by one in 64 bits, on every level of this processor and every device.

use gradloom_tensor::op::Window;
use gradloom_tensor::{DType, Device, Tensor};

use super::dots::tests::on_every_level;
use super::*;

mod edges;

/// Numbers that look drawn, extremes among them.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| match self.below(8) {
                0 => 0,
                1 => 255,
                _ => self.next() as u8,
            })
            .collect()
    }

    fn floats(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| (self.below(2001) as f32 / 1000.0 - 1.0) * scale).collect()
    }
}

/// Every GPU adapter; none is a failure if `GRADLOOM_REQUIRE_GPU=1`.
fn gpus() -> Vec<Device> {
    let named = gradloom_wgpu::adapters().into_iter();
    let open = |index: usize| gradloom_wgpu::device(&index.to_string());
    let gpus: Vec<Device> = named.enumerate().filter_map(|(index, _)| open(index).ok()).collect();
    if gpus.is_empty() {
        let required = std::env::var_os("GRADLOOM_REQUIRE_GPU").is_some_and(|value| value == "1");
        assert!(!required, "GRADLOOM_REQUIRE_GPU=1, but there is no GPU adapter");
        eprintln!("SKIPPED on GPUs: no adapter found; install a Vulkan driver to run this test");
    }
    gpus
}

/// On every level of the CPU, and on every GPU adapter.
fn everywhere(mut check: impl FnMut(&Device, &str)) {
    let cpu = gradloom_cpu::device();
    on_every_level(|level| check(&cpu, &format!("{level:?}")));
    gpus().iter().for_each(|gpu| check(gpu, &gpu.name()));
}

/// `(sum - zero * weights) * factor + term` and what follows, as the documentation says it.
fn finished(sum: i64, factor: f32, term: f32, finish: Finish) -> f32 {
    rounded_to(sum as f32 * factor + term, finish)
}

/// A number as a finish makes it.
fn rounded_to(value: f32, finish: Finish) -> f32 {
    match finish.to {
        None => value.max(finish.bounds[0]).min(finish.bounds[1]),
        Some(to) => {
            let place =
                |v: f32| (v * (1.0 / to.scale)).round_ties_even() + f32::from(to.zero_point);
            let low = place(finish.bounds[0]).max(0.0);
            let high = place(finish.bounds[1]).min(f32::from(to.high)).max(low);
            place(value).max(low).min(high)
        }
    }
}

/// What belongs to outputs: sums of weights, factors and terms.
fn of_outputs(weights: &[i8], outputs: usize, draws: &mut Draws) -> (Vec<i32>, Vec<f32>, Vec<f32>) {
    let sums = weights.chunks(weights.len() / outputs);
    let sums = sums.map(|row| row.iter().map(|&w| i32::from(w)).sum()).collect();
    (sums, draws.floats(outputs, 0.01), draws.floats(outputs, 5.0))
}

fn finishes(draws: &mut Draws) -> [Finish; 3] {
    let to = Integers { scale: 0.37, zero_point: draws.next() as u8, high: 255 };
    let relu = [0.0, f32::INFINITY];
    [
        Finish::default(),
        Finish { bounds: relu, to: Some(Integers { zero_point: 0, ..to }) },
        Finish { bounds: [-3.0, 6.0], to: Some(to) },
    ]
}

/// Channels as the last axis of pictures, and as the second again.
const LAST: [isize; 4] = [0, 2, 3, 1];
const SECOND: [isize; 4] = [0, 3, 1, 2];

/// Equal integers; floats within a rounding or two.
fn assert_same(found: &Tensor, expected: &[f32], what: &str) {
    let integers = found.dtype() == DType::U8;
    let found = found.cast(DType::F32).to_vec::<f32>().expect(what);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let bound = if integers { 0.0 } else { 1e-6 * expected.abs().max(1.0) };
        assert!((found - expected).abs() <= bound, "{what} at {index}: {found}, not {expected}");
    }
}

fn tensors(device: &Device, (sums, factor, term): &(Vec<i32>, Vec<f32>, Vec<f32>)) -> [Tensor; 3] {
    let outputs = [sums.len()];
    [
        Tensor::from_slice(sums, outputs, device).unwrap(),
        Tensor::from_slice(factor, outputs, device).unwrap(),
        Tensor::from_slice(term, outputs, device).unwrap(),
    ]
}

#[test]
fn products_are_sums_one_by_one() {
    let mut draws = Draws(7);
    for [rows, inner, outputs] in [
        [1, 1, 1],
        [3, 5, 17],
        [9, 64, 48],
        [33, 130, 100],
        [2, 7, 513],
        [70, 33, 16],
        [1, 1030, 35],
    ] {
        let x = draws.bytes(rows * inner);
        let weights: Vec<i8> =
            draws.bytes(outputs * inner).iter().map(|&byte| byte as i8).collect();
        let own = of_outputs(&weights, outputs, &mut draws);
        let zero = draws.next() as u8;
        for finish in finishes(&mut draws) {
            let mut expected = Vec::new();
            for row in x.chunks(inner) {
                for (output, weights) in weights.chunks(inner).enumerate() {
                    let products = row.iter().zip(weights);
                    let sum =
                        products.map(|(&x, &w)| (i64::from(x) - i64::from(zero)) * i64::from(w));
                    expected.push(finished(sum.sum(), own.1[output], own.2[output], finish));
                }
            }
            everywhere(|device, place| {
                let x = Tensor::from_slice(&x, [rows, inner], device).unwrap();
                let weight = Tensor::from_slice(&weights, [outputs, inner], device).unwrap();
                let packed = pack_linear(&weight).unwrap();
                let own = tensors(device, &own);
                let y = linear(&x, zero, &packed, own.each_ref(), finish);
                assert_same(&y, &expected, &format!("{rows} x {inner} x {outputs} {}", place));
            });
        }
    }
}

#[test]
fn rows_are_rounded_as_they_come() {
    let mut draws = Draws(11);
    let [rows, inner, outputs] = [19, 70, 33];
    let mut x = draws.floats(rows * inner, 3.0);
    x[..inner].fill(0.0);
    x[inner] = 1e4;
    let weights: Vec<i8> = draws.bytes(outputs * inner).iter().map(|&byte| byte as i8).collect();
    let own = of_outputs(&weights, outputs, &mut draws);
    let mut expected = Vec::new();
    for row in x.chunks(inner) {
        let scale = row.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs())) * (1.0 / 127.0);
        let inverse = 1.0 / scale;
        for (output, weights) in weights.chunks(inner).enumerate() {
            let rounded = |x: f32| (x * inverse).round_ties_even() as i64;
            let sum: i64 = row.iter().zip(weights).map(|(&x, &w)| rounded(x) * i64::from(w)).sum();
            expected.push(sum as f32 * scale * own.1[output] + own.2[output]);
        }
    }
    everywhere(|device, place| {
        let x = Tensor::from_slice(&x, [rows, inner], device).unwrap();
        let weight = Tensor::from_slice(&weights, [outputs, inner], device).unwrap();
        let packed = pack_linear(&weight).unwrap();
        let y = dynamic_linear(&x, &packed, tensors(device, &own).each_ref(), Finish::default());
        assert_same(&y, &expected, place);
    });
}

#[test]
fn convolutions_are_sums_one_by_one() {
    let mut draws = Draws(13);
    let square = |kernel: usize, stride: usize, padding: usize| {
        Window::new([kernel; 2]).stride([stride; 2]).padding([[padding; 2]; 2])
    };
    let cases: [([usize; 4], usize, usize, Window); 14] = [
        ([1, 1, 28, 28], 16, 1, square(3, 1, 1)),
        ([2, 3, 9, 7], 20, 1, square(3, 2, 1)),
        ([1, 16, 7, 7], 33, 1, square(1, 1, 0)),
        ([1, 17, 5, 5], 8, 1, square(1, 2, 0)),
        ([2, 12, 10, 11], 12, 12, square(3, 1, 1)),
        ([1, 6, 10, 11], 6, 6, square(3, 2, 1)),
        ([1, 8, 12, 12], 12, 2, square(5, 3, 4)),
        ([1, 5, 14, 14], 7, 1, square(3, 1, 2).dilation([2, 3])),
        ([3, 4, 6, 40], 5, 1, Window::new([2, 3]).stride([1, 2]).padding([[1, 0], [3, 2]])),
        // Windows that leave the last rows and columns out, and read none but padding.
        ([2, 4, 12, 9], 50, 1, square(2, 3, 0)),
        ([1, 2, 3, 3], 3, 1, square(2, 2, 3)),
        // Depthwise in all widths of vectors, with two outputs of a channel, and dilated.
        ([1, 43, 9, 9], 43, 43, square(3, 1, 1).dilation([2, 1])),
        ([2, 4, 5, 6], 8, 4, square(3, 1, 1)),
        ([1, 40, 6, 5], 24, 8, square(3, 1, 1)),
    ];
    for (shape, outputs, groups, window) in cases {
        let [images, channels, height, width] = shape;
        let x = draws.bytes(shape.iter().product());
        let of_group = channels / groups;
        let [kernel_y, kernel_x] = [window.kernel[1], window.kernel[2]];
        let count = outputs * of_group * kernel_y * kernel_x;
        let weights: Vec<i8> = draws.bytes(count).iter().map(|&byte| byte as i8).collect();
        let own = of_outputs(&weights, outputs, &mut draws);
        let zero = draws.next() as u8;
        for finish in finishes(&mut draws) {
            let [_, out_height, out_width] = window.output([1, height, width]).unwrap();
            let mut expected = Vec::new();
            for at in 0..images * outputs * out_height * out_width {
                let (px, py) = (at % out_width, at / out_width % out_height);
                let output = at / out_width / out_height % outputs;
                let image = at / out_width / out_height / outputs;
                let group = output / (outputs / groups);
                let mut sum = 0i64;
                for k in 0..of_group * kernel_y * kernel_x {
                    let (kx, ky) = (k % kernel_x, k / kernel_x % kernel_y);
                    let channel = group * of_group + k / kernel_x / kernel_y;
                    let place = |at: usize, k: usize, axis: usize| {
                        (at * window.stride[axis] + k * window.dilation[axis])
                            .checked_sub(window.padding[axis][0])
                    };
                    let (Some(y), Some(x_at)) = (place(py, ky, 1), place(px, kx, 2)) else {
                        continue;
                    };
                    if y >= height || x_at >= width {
                        continue;
                    }
                    let value = x[((image * channels + channel) * height + y) * width + x_at];
                    let weight = weights[output * of_group * kernel_y * kernel_x + k];
                    sum += (i64::from(value) - i64::from(zero)) * i64::from(weight);
                }
                expected.push(finished(sum, own.1[output], own.2[output], finish));
            }
            everywhere(|device, place| {
                let x = Tensor::from_slice(&x, shape, device).unwrap();
                let sizes = [outputs, of_group, kernel_y, kernel_x];
                let weight = Tensor::from_slice(&weights, sizes, device).unwrap();
                let packed = pack_convolution(&weight, &window, groups).unwrap();
                let own = tensors(device, &own);
                let (own, x) = (own.each_ref(), x.permute(&LAST));
                let y = convolution(&x, zero, &packed, own, window, groups, finish);
                let what = format!("{shape:?} {outputs} {groups} {window:?} {}", place);
                assert_same(&y.permute(&SECOND), &expected, &what);
            });
        }
    }
}

#[test]
fn rows_of_elements_are_pictures_of_one_row() {
    let mut draws = Draws(19);
    let window = Window::new([3]).stride([2]).padding([[1, 1]]);
    let flat = Window::new([1, 3]).stride([1, 2]).padding([[0, 0], [1, 1]]);
    let (x, weights) = (draws.bytes(2 * 11 * 5), draws.bytes(7 * 5 * 3));
    let weights: Vec<i8> = weights.iter().map(|&byte| byte as i8).collect();
    let own = of_outputs(&weights, 7, &mut draws);
    let finish = finishes(&mut draws)[2];
    everywhere(|device, place| {
        let x = Tensor::from_slice(&x, [2, 11, 5], device).unwrap();
        let weight = Tensor::from_slice(&weights, [7, 5, 3], device).unwrap();
        let own = tensors(device, &own);
        let packed = pack_convolution(&weight, &window, 1).unwrap();
        let y = convolution(&x, 9, &packed, own.each_ref(), window, 1, finish);
        let packed = pack_convolution(&weight.reshape([7, 5, 1, 3]), &flat, 1).unwrap();
        let x = x.reshape([2, 1, 11, 5]);
        let expected = convolution(&x, 9, &packed, own.each_ref(), flat, 1, finish);
        assert_eq!(y.shape(), &[2, 6, 7]);
        assert_eq!(y.to_vec::<u8>().unwrap(), expected.to_vec::<u8>().unwrap(), "{place}");
    });
}

#[test]
fn numbers_become_integers_and_integers_are_added() {
    let mut draws = Draws(23);
    for shape in [[2, 3, 5, 7], [1, 1, 4, 4], [3, 8, 1, 1]] {
        let x = draws.floats(shape.iter().product(), 60.0);
        let bytes = [0, 1].map(|_| draws.bytes(x.len()));
        for finish in finishes(&mut draws) {
            let expected: Vec<f32> = x.iter().map(|&x| rounded_to(x, finish)).collect();
            let of = [(0.21, 7), (0.4, 200)];
            let of = of.map(|(scale, zero_point)| Integers { scale, zero_point, high: 255 });
            let number =
                |byte: u8, own: Integers| (f32::from(byte) - f32::from(own.zero_point)) * own.scale;
            let pairs = bytes[0].iter().zip(&bytes[1]);
            let sums =
                pairs.map(|(&a, &b)| rounded_to(number(a, of[0]) + number(b, of[1]), finish));
            let sums: Vec<f32> = sums.collect();
            everywhere(|device, place| {
                if finish.to.is_some() {
                    let x = Tensor::from_slice(&x, shape, device).unwrap();
                    assert_same(&quantize(&x, finish), &expected, place);
                    let last = quantize_channels_last(&x, finish);
                    assert_same(&last.permute(&SECOND), &expected, place);
                }
                let terms =
                    bytes.each_ref().map(|own| Tensor::from_slice(own, shape, device).unwrap());
                assert_same(&add(terms.each_ref(), of, finish), &sums, place);
            });
        }
    }
}

#[test]
fn maxima_of_integers_are_those_of_floats() {
    let mut draws = Draws(17);
    for (window, shape) in [
        (Window::new([2, 2]).stride([2, 2]), [2, 3, 8, 10]),
        (Window::new([3, 3]).stride([2, 2]).padding([[1, 1]; 2]), [1, 2, 9, 9]),
        (Window::new([2, 3]).dilation([2, 1]), [1, 5, 6, 7]),
    ] {
        let x = draws.bytes(shape.iter().product());
        everywhere(|device, place| {
            let x = Tensor::from_slice(&x, shape, device).unwrap();
            let expected = x.cast(DType::F32).pool_max(window).to_vec::<f32>().unwrap();
            let y = pool_max(&x.permute(&LAST), window);
            assert_same(&y.permute(&SECOND), &expected, place);
        });
    }
}

/// A number that is none makes none of its row.
#[test]
fn rows_with_numbers_that_are_not_finite_are_nan() {
    everywhere(|device, place| {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![1.0f32; 3 * 20];
            (x[2], x[20 + 17]) = (1e30, bad);
            let x = Tensor::from_slice(&x, [3, 20], device).unwrap();
            let packed = pack_linear(&Tensor::ones([2, 20], DType::I8, device)).unwrap();
            let own = tensors(device, &(vec![20; 2], vec![1.0; 2], vec![0.0; 2]));
            let y = dynamic_linear(&x, &packed, own.each_ref(), Finish::default());
            let nan: Vec<bool> = y.to_vec::<f32>().unwrap().iter().map(|y| y.is_nan()).collect();
            assert_eq!(nan, [false, false, true, true, false, false], "{bad} {place}");
        }
    });
}

/// Integers stay those of their range, however far the bounds are from it.
#[test]
fn bounds_beyond_the_integers_end_at_the_last() {
    everywhere(|device, place| {
        let x = Tensor::ones([1, 4], DType::U8, device);
        let packed = pack_linear(&Tensor::ones([1, 4], DType::I8, device)).unwrap();
        let own = tensors(device, &(vec![4], vec![1.0], vec![0.0]));
        let to = Some(Integers { scale: 0.01, zero_point: 3, high: 255 });
        for (bounds, expected) in [([1e3, f32::INFINITY], 255), ([f32::NEG_INFINITY, -1e3], 0)] {
            let y = linear(&x, 0, &packed, own.each_ref(), Finish { bounds, to });
            assert_eq!(y.to_vec::<u8>().unwrap(), [expected], "{bounds:?} {place}");
        }
    });
}

#[test]
#[should_panic(expected = "int8 convolution: an input [1, 3, 3, 0] without channels or elements")]
fn pictures_without_channels_are_refused() {
    let device = gradloom_cpu::device();
    let x = Tensor::zeros([1, 3, 3, 0], DType::U8, &device);
    let packed = Tensor::zeros([0], DType::I8, &device);
    let own = [DType::I32, DType::F32, DType::F32].map(|dtype| Tensor::zeros([1], dtype, &device));
    convolution(&x, 0, &packed, own.each_ref(), Window::new([1, 1]), 1, Finish::default());
}

#[test]
#[should_panic(expected = "int8 linear: sums of 65537 products do not fit into 32 bits")]
fn sums_that_would_not_fit_are_refused() {
    let device = gradloom_cpu::device();
    let inner = 65_537;
    let x = Tensor::zeros([1, inner], DType::U8, &device);
    let weight = Tensor::zeros([1, inner], DType::I8, &device);
    let packed = pack_linear(&weight).unwrap();
    let own = [DType::I32, DType::F32, DType::F32].map(|dtype| Tensor::zeros([1], dtype, &device));
    linear(&x, 0, &packed, own.each_ref(), Finish::default());
}
