//! The committed slice of PyTorch's operator samples, on every device.

use conformance::run::Options;
use conformance::{golden, report};
use gradloom::{DType, Device, SelectDevice as _};

/// Rows that are there stay there; raise it with every batch of rows.
const MAPPED_MIN: usize = 668;

fn check(options: &Options, most: usize) {
    let device = &options.device;
    let golden = golden::slice().expect("the committed slice");
    let counts = report::all(&golden, options, most);
    let mut wrong = Vec::new();
    for op in &counts {
        wrong.extend(op.failed.iter().map(|reason| format!("{}: {reason}", op.op)));
    }
    let (mapped, passed) = (
        counts.iter().filter(|op| op.mapped).count(),
        counts.iter().map(|op| op.passed).sum::<usize>(),
    );
    println!("{}: {mapped} operators, {passed} samples right", device.name());
    assert!(wrong.is_empty(), "{}:\n{}", device.name(), wrong.join("\n"));
    assert!(mapped >= MAPPED_MIN, "{mapped} operators are mapped");
    let silent = counts.iter().filter(|op| !op.mapped && report::reason(&op.op).is_none());
    let silent: Vec<&str> = silent.map(|op| op.op.as_str()).collect();
    assert!(silent.is_empty(), "neither a row nor a reason in unmapped.rs: {}", silent.join(", "));
    for (name, _) in conformance::table::UNMAPPED {
        let op = counts.iter().find(|op| op.op == *name);
        assert!(
            op.is_some_and(|op| !op.mapped),
            "{name}: a reason for what is mapped, or is not there"
        );
    }
    for row in conformance::table::all() {
        assert!(golden.iter().any(|of| of.op == row.name), "{}: no such operator", row.name);
    }
}

#[test]
fn the_processor_agrees_with_pytorch() {
    let (device, second) = (Device::cpu(), true);
    check(&Options { device, dtype: DType::F32, second }, usize::MAX);
}

#[test]
fn every_gpu_agrees_with_pytorch() {
    let gpus = Device::gpus();
    if gpus.is_empty() {
        let required = std::env::var_os("GRADLOOM_REQUIRE_GPU").is_some_and(|value| value == "1");
        assert!(!required, "GRADLOOM_REQUIRE_GPU=1, but there is no GPU adapter");
        eprintln!("SKIPPED on GPUs: no adapter found; install a Vulkan driver to run this test");
    }
    // Compiling shaders is what takes the time.
    for device in gpus {
        check(&Options { device, dtype: DType::F32, second: false }, 2);
    }
}
