//! `graphs`: random graphs on a device against the reference; the program stands in `bench`. Those of
//! fixed seeds are tests of `gradloom`.

use crate::process::{cargo, run as step};

/// Builds the program in release mode and runs it; a graph that differs is an error.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let program = ["run", "--release", "--quiet", "--package", "bench", "--bin", "graphs", "--"];
    step(cargo().args(program).args(arguments))
}
