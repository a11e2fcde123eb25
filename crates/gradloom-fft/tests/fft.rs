//! Transforms against PyTorch (`golden.py`), against their definition, differentiated twice, batched, in
//! parallel, and on every GPU adapter.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom_autodiff::{grad, vmap};
use gradloom_cpu::CpuBackend;
use gradloom_fft::*;
use gradloom_tensor::{DType, Device, Tensor};
use serde_json::Value;

fn cpu() -> Device {
    CpuBackend::new(Some(2)).expect("threads").into_device()
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

/// Numbers as `golden.py` makes them.
fn numbers(count: usize, phase: f64) -> Vec<f32> {
    (0..count).map(|at| (1.7 * at as f64 + phase).sin() as f32).collect()
}

fn tensor(count: usize, phase: f64, shape: &[usize], dtype: DType, device: &Device) -> Tensor {
    Tensor::from_vec(numbers(count, phase), shape, device).unwrap().cast(dtype)
}

fn values(x: &Tensor) -> Vec<f64> {
    match x.dtype() {
        DType::F64 => x.to_vec::<f64>().unwrap(),
        _ => x.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
    }
}

fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0f64, |most, value| most.max(value.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * largest, "{what}: element {at} is {found}, not {expected}");
    }
}

/// A function by its name in PyTorch: from a real tensor or pairs to a real tensor or pairs.
fn call(name: &str, x: &Tensor, is_complex: bool, options: &FftOptions) -> Tensor {
    let z = || if is_complex { Complex::from_pairs(x.clone()) } else { Complex::from(x) };
    match name {
        "fft" => fft(z(), options).pairs().clone(),
        "ifft" => ifft(z(), options).pairs().clone(),
        "fft2" => fft2(z(), options).pairs().clone(),
        "ifft2" => ifft2(z(), options).pairs().clone(),
        "fftn" => fftn(z(), options).pairs().clone(),
        "ifftn" => ifftn(z(), options).pairs().clone(),
        "rfft" => rfft(x, options).pairs().clone(),
        "rfft2" => rfft2(x, options).pairs().clone(),
        "rfftn" => rfftn(x, options).pairs().clone(),
        "ihfft" => ihfft(x, options).pairs().clone(),
        "ihfft2" => ihfft2(x, options).pairs().clone(),
        "ihfftn" => ihfftn(x, options).pairs().clone(),
        "irfft" => irfft(z(), options),
        "irfft2" => irfft2(z(), options),
        "irfftn" => irfftn(z(), options),
        "hfft" => hfft(z(), options),
        "hfft2" => hfft2(z(), options),
        "hfftn" => hfftn(z(), options),
        _ => panic!("no function {name}"),
    }
}

fn list(value: &Value) -> Option<Vec<f64>> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_f64).collect())
}

fn golden_on(device: &Device, dtype: DType, tolerance: f64) {
    let golden: Value = serde_json::from_str(include_str!("golden.json")).unwrap();
    for case in golden.as_array().unwrap() {
        let name = case["function"].as_str().unwrap();
        let is_complex = case["complex"].as_bool().unwrap();
        let sizes =
            |key: &str| list(&case[key]).map(|list| list.into_iter().map(|size| size as usize));
        let mut shape: Vec<usize> = sizes("shape").unwrap().collect();
        if is_complex {
            shape.push(2);
        }
        let mut options = FftOptions::new().norm(match case["norm"].as_str().unwrap() {
            "ortho" => Norm::Ortho,
            "forward" => Norm::Forward,
            _ => Norm::Backward,
        });
        if let Some(sizes) = sizes("sizes") {
            options = options.sizes(&sizes.collect::<Vec<_>>());
        }
        if let Some(axes) = list(&case["axes"]) {
            options = options.axes(&axes.into_iter().map(|axis| axis as isize).collect::<Vec<_>>());
        }
        let what = format!("{name} of {shape:?}, {options:?}, {dtype} on {}", device.name());
        let x = tensor(shape.iter().product(), 0.3, &shape, dtype, device);
        let y = call(name, &x, is_complex, &options);
        let plain: Vec<usize> = sizes("result_shape").unwrap().collect();
        assert_eq!(y.shape()[..plain.len()], plain, "{what}");
        assert_close(&what, &values(&y), &list(&case["result"]).unwrap(), tolerance);
        let weights = tensor(y.count(), 0.9, y.shape(), dtype, device);
        let gradient = &grad(&(&y * &weights).sum(..), &[&x])[0];
        let expected = list(&case["gradient"]).unwrap();
        assert_close(&format!("gradient of {what}"), &values(gradient), &expected, tolerance);
    }
}

#[test]
fn all_is_as_in_pytorch() {
    golden_on(&cpu(), DType::F64, 2e-8);
    golden_on(&cpu(), DType::F32, 2e-6);
    golden_on(&gradloom_plan::interpret::device(), DType::F64, 2e-8);
    for device in gpus() {
        golden_on(&device, DType::F32, 4e-6);
    }
}

/// The transform by its definition, in f64.
fn definition(pairs: &[f64], n: usize, inverse: bool) -> Vec<f64> {
    let sign = if inverse { 1.0 } else { -1.0 };
    let line = |line: &[f64]| {
        let mut result = Vec::with_capacity(2 * n);
        for k in 0..n {
            let (mut re, mut im) = (0.0, 0.0);
            for (j, z) in line.chunks_exact(2).enumerate() {
                let turn = (j as u64 * k as u64 % n as u64) as f64 / n as f64;
                let (sin, cos) = (sign * std::f64::consts::TAU * turn).sin_cos();
                re += z[0] * cos - z[1] * sin;
                im += z[0] * sin + z[1] * cos;
            }
            result.extend([re, im]);
        }
        result
    };
    pairs.chunks_exact(2 * n).flat_map(line).collect()
}

#[test]
fn lengths_of_every_kind_are_as_defined() {
    // Powers, primes, beyond a workgroup's memory: products, a prime factor, a large prime.
    let lengths = [1, 2, 4, 7, 31, 64, 97, 120, 343, 1021, 2048, 2053, 2 * 2053, 3000, 4096, 4099];
    for device in [cpu()].into_iter().chain(gpus()) {
        for n in lengths {
            for inverse in [false, true] {
                let z = tensor(4 * n, 0.1, &[2, n, 2], DType::F32, &device);
                let expected = definition(&values(&z), n, inverse);
                let z = Complex::from_pairs(z);
                let options = FftOptions::new().norm(Norm::Forward);
                let (found, factor) = match inverse {
                    true => (ifft(&z, &options), 1.0),
                    false => (fft(&z, &options), n as f64),
                };
                let found: Vec<f64> = values(found.pairs()).iter().map(|x| x * factor).collect();
                let what = format!("{n}, inverse {inverse}, on {}", device.name());
                assert_close(&what, &found, &expected, 2e-6);
            }
        }
    }
}

#[test]
fn real_transforms_beyond_a_workgroup_agree_with_complex_ones() {
    for device in [cpu()].into_iter().chain(gpus()) {
        for n in [2049, 5000, 6007] {
            let x = tensor(n, 0.1, &[n], DType::F32, &device);
            let half = rfft(&x, &FftOptions::new());
            let whole = fft(&x, &FftOptions::new());
            let expected = values(&whole.pairs().narrow(0, 0, n / 2 + 1));
            assert_close("rfft", &values(half.pairs()), &expected, 4e-6);
            let again = irfft(&half, &FftOptions::new().size(n));
            assert_close("irfft", &values(&again), &values(&x), 4e-6);
        }
    }
}

#[test]
fn second_derivatives_are_those_of_finite_differences() {
    let device = cpu();
    for name in ["fft", "ifft", "rfft", "ihfft", "irfft", "hfft"] {
        let is_complex = matches!(name, "fft" | "ifft" | "irfft" | "hfft");
        for n in [5, 6] {
            let shape: &[usize] = if is_complex { &[n, 2] } else { &[n] };
            let count = shape.iter().product();
            let loss = |x: &Tensor| {
                let y = call(name, x, is_complex, &FftOptions::new());
                (&y * &y * y.sin()).sum(..)
            };
            let slope = |x: &Tensor| {
                let gradient = &grad(&loss(x), &[x])[0];
                (gradient * tensor(count, 0.5, shape, DType::F64, &device)).sum(..)
            };
            let x = tensor(count, 0.3, shape, DType::F64, &device);
            let found = values(&grad(&slope(&x), &[&x])[0]);
            let step = 1e-5;
            let differences: Vec<f64> = (0..count)
                .map(|at| {
                    let mut shift = vec![0.0; count];
                    shift[at] = step;
                    let shift = Tensor::from_vec(shift, shape, &device).unwrap();
                    let ends = [slope(&(&x + &shift)), slope(&(&x - &shift))];
                    let [after, before] = ends.map(|end| values(&end)[0]);
                    (after - before) / (2.0 * step)
                })
                .collect();
            assert_close(&format!("{name} of {n}"), &found, &differences, 1e-7);
        }
    }
}

#[test]
fn examples_are_transformed_together() {
    for device in [cpu()].into_iter().chain(gpus()) {
        let z = tensor(3 * 5 * 6 * 2, 0.3, &[3, 5, 6, 2], DType::F32, &device);
        let options = FftOptions::new().axis(0);
        let each = |x: &[Tensor]| fft(Complex::from_pairs(x[0].clone()), &options);
        let together = vmap(each, 0, 0).call(std::slice::from_ref(&z));
        let alone = fft(Complex::from_pairs(z), &FftOptions::new().axis(1));
        assert_eq!(values(together.pairs()), values(alone.pairs()), "{}", device.name());
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let result = |threads: usize| {
        let device = CpuBackend::new(Some(threads)).expect("threads").into_device();
        let x = tensor(300_000, 0.3, &[100, 3000], DType::F32, &device);
        let half = rfft(&x, &FftOptions::new());
        let all = fft(&half, &FftOptions::new().axis(0));
        (
            irfft(&all, &FftOptions::new()).to_vec::<f32>().unwrap(),
            half.pairs().to_vec::<f32>().unwrap(),
        )
    };
    assert!(result(1) == result(2));
}

#[test]
fn frequencies_and_shifts_are_as_in_pytorch() {
    let device = cpu();
    assert_eq!(
        values(&fftfreq(5, 0.5, &device)),
        [0.0, 0.4, 0.8, -0.8, -0.4].map(|x: f64| f64::from(x as f32))
    );
    assert_eq!(values(&fftfreq(4, 1.0, &device)), [0.0, 0.25, -0.5, -0.25]);
    assert_eq!(values(&rfftfreq(4, 1.0, &device)), [0.0, 0.25, 0.5]);
    let x = Tensor::arange(5, &device).cast(DType::F32);
    assert_eq!(values(&fftshift(&x, &[0])), [3.0, 4.0, 0.0, 1.0, 2.0]);
    assert_eq!(values(&ifftshift(&fftshift(&x, &[0]), &[0])), values(&x));
}

#[test]
fn complex_numbers_are_pairs() {
    let device = cpu();
    let z = Complex::new(
        &Tensor::new([3.0f32, 0.0], &device).unwrap(),
        &Tensor::new([-4.0f32, 0.0], &device).unwrap(),
    );
    assert_eq!(values(&z.abs()), [5.0, 0.0]);
    assert_eq!(values((&z * &z.conj()).pairs()), [25.0, 0.0, 0.0, 0.0]);
    assert_eq!(values((&(&z + &z) - &z).pairs()), values(z.pairs()));
    assert_eq!(values((-&z).pairs()), [-3.0, 4.0, 0.0, 0.0]);
    // The gradient of a magnitude points outwards, and is nothing at zero.
    let slope = &grad(&z.abs().sum(..), &[z.pairs()])[0];
    assert_close("slope", &values(slope), &[0.6, -0.8, 0.0, 0.0], 1e-6);
    let polar = Complex::polar(&z.abs(), &Tensor::scalar(0.5, DType::F32, &device));
    assert_close("polar", &values(&polar.abs()), &[5.0, 0.0], 1e-6);
}

#[test]
fn bad_input_names_the_function() {
    let device = cpu();
    let x = Tensor::ones([3, 4], DType::F32, &device);
    let message = |call: &dyn Fn() -> Tensor| {
        let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("it panics");
        match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast::<&str>().expect("a message").to_string(),
        }
    };
    let of = |x: &Tensor, options: &FftOptions| message(&|| rfft(x, options).pairs().clone());
    let plain = FftOptions::new;
    assert_eq!(of(&x, &plain().axis(2)), "rfft: axis 2 is out of range for 2 axes");
    assert_eq!(of(&x, &plain().axes(&[0, 1])), "rfft: 2 axes are named, it transforms 1");
    assert_eq!(
        of(&x, &plain().size(0)),
        "rfft: axis 1 has no elements to transform; give it a size"
    );
    let half = x.cast(DType::F16);
    let refused = of(&half, &plain());
    assert_eq!(refused, "rfft: transforms are of f32 and f64, not of f16; cast first");
    let twice = message(&|| fftn(&x, &plain().axes(&[1, -1])).pairs().clone());
    assert_eq!(twice, "fftn: axis 1 is named twice");
    let one = Tensor::ones([3, 1], DType::F32, &device);
    let none = message(&|| irfft(&one, &plain()));
    assert!(none.starts_with("irfft: 1 numbers along axis 1 are the transform of none"), "{none}");
    let scalar = Tensor::scalar(1.0, DType::F32, &device);
    assert_eq!(of(&scalar, &plain()), "rfft: 1 axes are transformed, the operand has 0");
    let pairs = message(&|| Complex::from_pairs(x.clone()).pairs().clone());
    assert_eq!(pairs, "complex: pairs are floats [.., 2], not f32 [3, 4]");
    // No lines are no work.
    let empty = Tensor::ones([0, 4], DType::F32, &device);
    assert_eq!(rfft(&empty, &plain()).pairs().shape()[..], [0, 3, 2]);
    assert!(values(rfft(&empty, &plain()).pairs()).is_empty());
    // Integers are numbers.
    let whole = Tensor::arange(4, &device);
    assert_eq!(values(rfft(&whole, &plain()).pairs()), [6.0, 0.0, -2.0, 2.0, -2.0, 0.0]);
}

/// Beside `rustfft` alone on one thread: `cargo test --release -p gradloom-fft -- --ignored --nocapture speed`.
#[test]
#[ignore = "measures; nothing is compared"]
fn speed() {
    use std::time::Instant;

    let device = CpuBackend::new(Some(1)).expect("threads").into_device();
    let best = |work: &mut dyn FnMut()| {
        let time = |work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        };
        (0..30).map(|_| time(work)).fold(f64::INFINITY, f64::min) * 1e3
    };
    for [lines, n] in
        [[1024, 64], [1024, 1000], [1024, 1024], [64, 16384], [1, 1 << 20], [100, 10007]]
    {
        let values = numbers(2 * lines * n, 0.1);
        let z = Tensor::from_vec(values.clone(), [lines, n, 2], &device).unwrap();
        let z = Complex::from_pairs(z);
        let ours = best(&mut || {
            gradloom_tensor::eval([fft(&z, &FftOptions::new()).pairs()]).unwrap();
        });
        let plan = rustfft::FftPlanner::<f32>::new().plan_fft_forward(n);
        let input: &[num_complex::Complex<f32>] = bytemuck::cast_slice(&values);
        let zero = num_complex::Complex { re: 0.0, im: 0.0 };
        let mut output = vec![zero; lines * n];
        let mut scratch = vec![zero; plan.get_immutable_scratch_len()];
        let alone =
            best(&mut || plan.process_immutable_with_scratch(input, &mut output, &mut scratch));
        println!("{lines} x {n}: {ours:.3} ms, rustfft {alone:.3} ms, {:.2}x", ours / alone);
    }
}
