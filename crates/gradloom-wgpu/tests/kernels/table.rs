//! The table of cases that every backend runs: values and gradients against the reference backend.

use gradloom_tensor::{DType, Device};
use gradloom_testkit::{Case, cases, check};

use crate::harness::{backend, devices, share};
use crate::translate;

fn each(run: impl Fn(&Case, &Device) -> check::Outcome) {
    let _shared = share();
    for device in devices() {
        let mut faults = Vec::new();
        for case in cases() {
            faults.extend(run(&case, &device).err());
        }
        translate::new_sources(backend(&device));
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }
}

#[test]
fn values_in_f32() {
    each(|case, device| check::value(case, device, DType::F32));
}

#[test]
fn gradients_in_f32() {
    each(|case, device| check::gradient(case, device, DType::F32));
}

#[test]
fn values_in_f16_and_bf16() {
    each(|case, device| {
        check::value(case, device, DType::BF16)?;
        if device.capabilities().f16 { check::value(case, device, DType::F16) } else { Ok(()) }
    });
}
