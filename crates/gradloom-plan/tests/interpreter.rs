//! The table of cases that every backend runs, planned and interpreted: values and gradients against the
//! reference, which plans nothing.

use gradloom_plan::interpret;
use gradloom_tensor::DType;
use gradloom_testkit::{cases, check};

#[track_caller]
fn all_hold(outcomes: Vec<Result<(), String>>) {
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn values_are_those_of_the_reference() {
    let device = interpret::device();
    let mut outcomes = Vec::new();
    for case in cases() {
        for float in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            outcomes.push(check::value(&case, &device, float));
        }
    }
    all_hold(outcomes);
}

#[test]
fn gradients_are_those_of_the_reference() {
    let device = interpret::device();
    let mut outcomes = Vec::new();
    for case in cases() {
        for float in [DType::F32, DType::F64] {
            outcomes.push(check::gradient(&case, &device, float));
        }
    }
    all_hold(outcomes);
}
