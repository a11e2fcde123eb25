//! `--self-test`: every case of the testkit on every device, against the reference backend.

use gradloom::prelude::*;
use gradloom_testkit::{cases, check};

use crate::timing::Failure;

/// Prints what fails; an error if anything does.
pub(crate) fn run() -> Result<(), Failure> {
    let mut failures = 0;
    for device in std::iter::once(Device::cpu()).chain(Device::gpus()) {
        let (mut passed, mut failed) = (0, Vec::new());
        for case in cases() {
            let value = check::value(&case, &device, DType::F32);
            match value.and_then(|()| check::gradient(&case, &device, DType::F32)) {
                Ok(()) => passed += 1,
                Err(message) => failed.push(message),
            }
        }
        println!("{}: {passed} cases pass, {} fail", device.name(), failed.len());
        for message in &failed {
            println!("  {message}");
        }
        failures += failed.len();
    }
    if failures == 0 { Ok(()) } else { Err(format!("{failures} cases fail").into()) }
}
