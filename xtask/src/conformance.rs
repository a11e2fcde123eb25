//! `conformance`: PyTorch's own operator samples on the devices of this machine.

use crate::process::{cargo, run as step};

/// Builds the program in release mode and runs it; a sample that is wrong is an error.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let program = ["run", "--release", "--quiet", "--package", "conformance", "--"];
    step(cargo().args(program).args(arguments))
}
