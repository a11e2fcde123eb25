//! The testkit's table on every device of this machine, and what only whole devices can show: training,
//! determinism, memory that stays flat, replayed steps, errors that come back.
//!
//! Without a GPU adapter the GPU tests say so and pass; with `GRADLOOM_REQUIRE_GPU=1` they fail.

mod composition;
mod custom_ops;
mod determinism;
mod devices;
mod edges;
mod errors;
mod found;
mod integers;
mod loops;
mod many;
mod mapped;
mod narrow;
mod optional;
mod packed;
mod programs;
mod random_graphs;
mod refused_values;
mod regressions;
mod sums;
mod table;
mod training;
mod vmap;
mod vocabulary;

use gradloom::prelude::*;
use gradloom_cpu::{CpuBackend, Level};

/// Every GPU adapter; none is a failure if `GRADLOOM_REQUIRE_GPU=1`.
fn gpus() -> Vec<Device> {
    let gpus = Device::gpus();
    if gpus.is_empty() {
        let required = std::env::var_os("GRADLOOM_REQUIRE_GPU").is_some_and(|value| value == "1");
        assert!(!required, "GRADLOOM_REQUIRE_GPU=1, but there is no GPU adapter");
        eprintln!("SKIPPED on GPUs: no adapter found; install a Vulkan driver to run this test");
    }
    gpus
}

/// The CPU and every GPU adapter.
fn devices() -> Vec<Device> {
    std::iter::once(Device::cpu()).chain(gpus()).collect()
}

/// The processor at each level of its vector instructions.
fn cpus() -> Vec<Device> {
    let backend = |level| CpuBackend::with_level(Some(2), level).expect("threads");
    Level::available().into_iter().map(|level| backend(level).into_device()).collect()
}
