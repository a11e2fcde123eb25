//! The kernels of one evaluation as text: what `GRADLOOM_PROFILE=1` prints.

use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

use crate::kernel::Plan;

/// One line for each of some kernels of a plan, with its time where it is known.
pub(super) fn evaluation(
    device: &str,
    plan: &Plan,
    kernels: Range<usize>,
    times: &[Option<Duration>],
) -> String {
    let mut text = format!("gradloom: plan {} on {device}\n", plan.id);
    let mut total = Duration::ZERO;
    for index in kernels {
        let kernel = &plan.kernels[index];
        let name = kernel.kind.name();
        let shape = kernel.space.shape;
        // Writing to a string does not fail.
        let _ = match times.get(index).copied().flatten() {
            Some(time) => {
                total += time;
                let time = time.as_secs_f64() * 1e6;
                writeln!(text, "{time:11.1} us  kernel {index}: {name} {shape}")
            }
            None => writeln!(text, "          -     kernel {index}: {name} {shape}"),
        };
    }
    let _ = writeln!(text, "{:11.1} us  in all", total.as_secs_f64() * 1e6);
    text
}
