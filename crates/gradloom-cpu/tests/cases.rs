//! The table of cases that every backend runs: values and gradients against the reference backend, on
//! every level of vector instructions.

use gradloom_cpu::{CpuBackend, Level};
use gradloom_tensor::{DType, Device};
use gradloom_testkit::{cases, check};

fn devices() -> Vec<(&'static str, Device)> {
    let device = |level: Level| {
        let backend = CpuBackend::with_level(Some(2), level).expect("threads");
        (level.name(), backend.into_device())
    };
    Level::available().into_iter().map(device).collect()
}

#[track_caller]
fn all_hold(outcomes: Vec<Result<(), String>>) {
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn values_are_those_of_the_reference() {
    let mut outcomes = Vec::new();
    for (level, device) in devices() {
        for case in cases() {
            for float in [DType::F32, DType::F64, DType::F16, DType::BF16] {
                let outcome = check::value(&case, &device, float);
                outcomes.push(outcome.map_err(|message| format!("{level}: {message}")));
            }
        }
    }
    all_hold(outcomes);
}

#[test]
fn gradients_are_those_of_the_reference() {
    let mut outcomes = Vec::new();
    for (level, device) in devices() {
        for case in cases() {
            for float in [DType::F32, DType::F64] {
                let outcome = check::gradient(&case, &device, float);
                outcomes.push(outcome.map_err(|message| format!("{level}: {message}")));
            }
        }
    }
    all_hold(outcomes);
}
