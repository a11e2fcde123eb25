//! Values and gradients of every case, in every layout, against the reference backend.

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
