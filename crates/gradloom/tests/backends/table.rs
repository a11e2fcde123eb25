//! Values and gradients of every case, in every layout, against the reference backend.

use gradloom::BlockFormat;
use gradloom::prelude::*;
use gradloom_testkit::{Case, cases, check};

use crate::{devices, gpus};

/// Runs a check on all cases and reports all failures at once.
fn all(device: &Device, what: &str, run: impl Fn(&Case, &Device) -> check::Outcome) {
    let failures: Vec<String> = cases().iter().filter_map(|case| run(case, device).err()).collect();
    assert!(
        failures.is_empty(),
        "{what} on {}: {} cases\n{}",
        device.name(),
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn values_agree_with_the_reference() {
    for device in devices() {
        all(&device, "values", |case, device| check::value(case, device, DType::F32));
    }
}

#[test]
fn gradients_agree_with_the_reference() {
    for device in devices() {
        all(&device, "gradients", |case, device| check::gradient(case, device, DType::F32));
    }
}

#[test]
fn half_precision_agrees_with_the_reference() {
    for device in devices().iter().filter(|device| device.capabilities().f16) {
        all(device, "f16", |case, device| check::value(case, device, DType::F16));
    }
}

#[test]
fn bfloat16_agrees_with_the_reference() {
    for device in devices() {
        all(&device, "bf16", |case, device| check::value(case, device, DType::BF16));
    }
}

#[test]
fn double_precision_agrees_with_the_reference_on_the_cpu() {
    all(&Device::cpu(), "f64", |case, device| check::value(case, device, DType::F64));
}

#[test]
fn derivatives_agree_with_finite_differences_on_the_cpu() {
    let small = |case: &Case| case.operands.iter().all(|operand| operand.shape.count() < 2000);
    all(&Device::cpu(), "derivatives", |case, device| {
        if small(case) { check::finite_differences(case, device) } else { Ok(()) }
    });
}

#[test]
fn ops_of_f32_alone_have_the_gradients_of_their_formulas() {
    let failures: Vec<String> =
        cases().iter().filter_map(|case| check::gradient_of_f32(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn gradients_flow_through_products_with_blocks() {
    for device in devices() {
        let values = |count: usize| (0..count).map(|at| ((at * 37 % 101) as f32 - 50.0) / 50.0);
        let tensor = |shape: [usize; 2]| {
            let values: Vec<f32> = values(shape[0] * shape[1]).collect();
            Tensor::from_vec(values, shape, &device).unwrap()
        };
        for format in BlockFormat::ALL {
            let weight = tensor([24, 256]).quantize(format).unwrap();
            let plain = weight.to_vec::<f32>().unwrap();
            let plain = Tensor::from_vec(plain, [24, 256], &device).unwrap();
            let (x, w) = (tensor([3, 256]).tracked(), tensor([3, 24]));
            let gradient = |weight: &Tensor| {
                let loss = (x.matmul(&weight.t()) * &w).sum(..);
                check::elements(&grad(&loss, &[&x])[0]).unwrap()
            };
            let (found, expected) = (gradient(&weight), gradient(&plain));
            check::close(&format!("{format}"), &found, &expected, 2e-5).unwrap();
        }
    }
}

#[test]
fn random_bits_are_the_same_everywhere() {
    let bits = |device: &Device| {
        Tensor::random_bits(Key::new(5), [3, 1000], device).to_vec::<u32>().unwrap()
    };
    let expected = bits(&gradloom_testkit::reference::device());
    for device in devices() {
        assert_eq!(bits(&device), expected, "{}", device.name());
    }
}

#[test]
fn f64_is_refused_where_it_is_absent() {
    for device in gpus().iter().filter(|device| !device.capabilities().f64) {
        let error = Tensor::from_vec(vec![1.0f64], [1], device).unwrap_err();
        assert!(error.is_unsupported(), "{error}");
    }
}
