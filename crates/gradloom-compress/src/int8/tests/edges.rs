//! Empty axes, numbers that are not finite, and bytes that begin within a word.

use super::*;

/// Nothing comes of nothing, on GPUs, too, whose shaders divide by sizes.
#[test]
fn axes_may_be_empty() {
    everywhere(|device, place| {
        let bytes = |shape: &[usize]| Tensor::zeros(shape, DType::U8, device);
        let own = |outputs: usize| {
            tensors(device, &(vec![0; outputs], vec![1.0; outputs], vec![0.0; outputs]))
        };
        let to = Some(Integers { scale: 0.5, zero_point: 3, high: 255 });
        for finish in [Finish::default(), Finish { to, ..Finish::default() }] {
            for [rows, outputs] in [[0, 3], [2, 0]] {
                for inner in [8, 5] {
                    let weight = Tensor::zeros([outputs, inner], DType::I8, device);
                    let packed = pack_linear(&weight).unwrap();
                    let (own, x) = (own(outputs), bytes(&[rows, inner]));
                    let y = linear(&x, 1, &packed, own.each_ref(), finish);
                    assert_same(&y, &[], place);
                    let x = x.cast(DType::F32);
                    let y = dynamic_linear(&x, &packed, own.each_ref(), finish);
                    assert_same(&y, &[], place);
                }
            }
            let window = Window::new([3, 3]).padding([[1, 1]; 2]);
            for [images, channels, outputs] in [[0, 4, 3], [0, 3, 2], [2, 4, 0], [2, 3, 0]] {
                let weight = Tensor::zeros([outputs, channels, 3, 3], DType::I8, device);
                let packed = pack_convolution(&weight, &window, 1).unwrap();
                let (own, x) = (own(outputs), bytes(&[images, 5, 5, channels]));
                let y = convolution(&x, 1, &packed, own.each_ref(), window, 1, finish);
                assert_same(&y, &[], place);
            }
            let of = [Integers { scale: 0.5, zero_point: 3, high: 255 }; 2];
            let none = bytes(&[0, 4]);
            assert_same(&add([&none, &none], of, finish), &[], place);
        }
        assert_same(&pool_max(&bytes(&[0, 5, 5, 3]), Window::new([2, 2])), &[], place);
        for shape in [[0, 3, 4, 4], [2, 0, 4, 4], [2, 3, 0, 4]] {
            let x = Tensor::zeros(shape, DType::F32, device);
            let finish = Finish { to, ..Finish::default() };
            assert_same(&quantize(&x, finish), &[], place);
            assert_same(&quantize_channels_last(&x, finish), &[], place);
        }
    });
}

/// Numbers that are none become the least integer on every device, infinite ones the last.
#[test]
fn numbers_that_are_not_finite_become_integers_at_the_ends() {
    everywhere(|device, place| {
        let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38, -1e38, 0.0, 1e-40, -0.0];
        let x = Tensor::from_slice(&x, [1, 2, 4], device).unwrap();
        for scale in [0.5, 1e-30, 1e30] {
            let to = Integers { scale, zero_point: 10, high: 200 };
            let y = quantize(&x, Finish { to: Some(to), ..Finish::default() });
            let y = y.to_vec::<u8>().unwrap();
            assert_eq!(y[0..3], [0, 200, 0], "{scale} {place}");
            assert_eq!(y[5..], [10, 10, 10], "{scale} {place}");
            if scale < 1e30 {
                assert_eq!(y[3..5], [200, 0], "{scale} {place}");
            }
        }
    });
}

/// Bytes that begin in the middle of a word.
#[test]
fn views_of_bytes_may_begin_anywhere() {
    let mut draws = Draws(31);
    let x = draws.bytes(4 * 12 + 1);
    let weights: Vec<i8> = draws.bytes(5 * 12).iter().map(|&byte| byte as i8).collect();
    let own = of_outputs(&weights, 5, &mut draws);
    let mut expected = Vec::new();
    for row in x[1..].chunks(12) {
        for (output, weights) in weights.chunks(12).enumerate() {
            let sum = row.iter().zip(weights).map(|(&x, &w)| (i64::from(x) - 7) * i64::from(w));
            expected.push(finished(sum.sum(), own.1[output], own.2[output], Finish::default()));
        }
    }
    everywhere(|device, place| {
        let x = Tensor::from_slice(&x, [49], device).unwrap();
        let x = x.narrow(0, 1, 48).reshape([4, 12]);
        let weight = Tensor::from_slice(&weights, [5, 12], device).unwrap();
        let packed = pack_linear(&weight).unwrap();
        let y = linear(&x, 7, &packed, tensors(device, &own).each_ref(), Finish::default());
        assert_same(&y, &expected, place);
    });
}

/// Each with the name of the op and what is wrong.
#[test]
fn what_does_not_fit_is_refused() {
    let device = &gradloom_cpu::device();
    let bytes = |shape: &[usize]| Tensor::zeros(shape, DType::U8, device);
    let packed = |count: usize| Tensor::zeros([count], DType::I8, device);
    let own = tensors(device, &(vec![0; 4], vec![1.0; 4], vec![0.0; 4]));
    let (square, plain) = (Window::new([3, 3]), Finish::default());
    let convolve = |x: &Tensor, packed: &Tensor, window: Window, groups: usize| {
        convolution(x, 0, packed, own.each_ref(), window, groups, plain);
    };
    let picture = bytes(&[1, 5, 5, 4]);
    let integers = |scale: f32| {
        let to = Some(Integers { scale, zero_point: 0, high: 255 });
        Finish { to, ..Finish::default() }
    };
    let floats = Tensor::zeros([2, 3], DType::F32, device);
    let cases: [(&str, &dyn Fn()); 14] = [
        ("int8 convolution: an input [5, 5, 4]", &|| {
            convolve(&bytes(&[5, 5, 4]), &packed(576), square, 1);
        }),
        ("int8 convolution: windows [1, 7, 7] do not fit", &|| {
            convolve(&picture, &packed(576), Window::new([7, 7]), 1);
        }),
        ("int8 convolution: windows [1, 0, 3] do not fit", &|| {
            convolve(&picture, &packed(576), Window::new([0, 3]), 1);
        }),
        ("int8 convolution: windows [1, 3, 3] do not fit", &|| {
            convolve(&picture, &packed(576), square.stride([0, 1]), 1);
        }),
        ("int8 convolution: windows [1, 3, 3] do not fit", &|| {
            convolve(&picture, &packed(576), square.padding([[usize::MAX; 2]; 2]), 1);
        }),
        ("int8 convolution: 4 channels, 4 outputs and 0 groups", &|| {
            convolve(&picture, &packed(576), square, 0);
        }),
        ("int8 convolution: 4 channels, 4 outputs and 3 groups", &|| {
            convolve(&picture, &packed(576), square, 3);
        }),
        ("int8 convolution: 575 packed weights instead of 576", &|| {
            convolve(&picture, &packed(575), square, 1);
        }),
        ("int8 convolution: f32 and i8 instead of u8 and i8", &|| {
            convolve(&picture.cast(DType::F32), &packed(576), square, 1);
        }),
        ("int8 pool_max: an input", &|| drop(pool_max(&bytes(&[4, 4, 3]), square))),
        ("int8 linear: 64 packed weights instead of 128", &|| {
            drop(linear(&bytes(&[2, 5]), 0, &packed(64), own.each_ref(), plain));
        }),
        ("int8 quantize: f32 to f32", &|| drop(quantize(&floats, plain))),
        ("int8 quantize: integers of scale NaN", &|| drop(quantize(&floats, integers(f32::NAN)))),
        ("int8 quantize: channels of shape [2, 3]", &|| {
            drop(quantize_channels_last(&floats, integers(1.0)));
        }),
    ];
    for (message, case) in cases {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case)).unwrap_err();
        let found = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(found.starts_with(message), "{found:?}, not {message:?}");
    }
}
