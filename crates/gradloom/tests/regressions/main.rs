//! Graphs that were wrong once, as `cargo xtask graphs` found and shrunk them: each on every level of
//! the processor and on every GPU adapter.

mod found;

use gradloom::prelude::*;
use gradloom_cpu::{CpuBackend, Level};

/// The processor at each of its levels.
fn cpus() -> Vec<Device> {
    let backend = |level| CpuBackend::with_level(Some(2), level).expect("threads");
    Level::available().into_iter().map(|level| backend(level).into_device()).collect()
}

/// The processor at each of its levels, and every GPU adapter.
fn devices() -> Vec<Device> {
    cpus().into_iter().chain(Device::gpus()).collect()
}
