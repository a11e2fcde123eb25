//! `graphs`: random graphs on a device against the reference; the program stands in `bench`.

use crate::process::{cargo, run as step};

/// Graphs that CI checks on each level of the processor, and on each GPU.
const CI_COUNTS: [&str; 2] = ["3000", "40"];

/// Builds the program in release mode and runs it; a graph that differs is an error.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    program(&["--release"], arguments)
}

/// What CI runs: the same graphs each time, in the profile of the tests, whose assertions it keeps.
pub(crate) fn ci() -> Result<(), String> {
    program(&[], &["--count", CI_COUNTS[0]])?;
    program(&[], &["--count", CI_COUNTS[1], "--device", "gpus", "--few-shapes", "--threads", "1"])
}

fn program(profile: &[&str], arguments: &[&str]) -> Result<(), String> {
    let start = ["run", "--quiet", "--package", "bench", "--bin", "graphs"];
    step(cargo().args(start).args(profile).arg("--").args(arguments))
}
