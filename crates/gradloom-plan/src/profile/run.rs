//! [`KernelRun`]: what executors say of a kernel that has run, and [`Ceilings`] of their device.

use std::time::{Duration, Instant};

use gradloom_tensor::Origin;

use crate::kernel::Plan;

/// What a device could do at most: what the shares of tables are of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// Floating-point operations a second, in f32.
    pub flops: f64,
    /// Bytes a second between the processor and its memory.
    pub bytes: f64,
}

/// Says the op of a node of a plan, and where it was made.
pub type Sites<'a> = &'a dyn Fn(usize) -> (&'static str, Origin);

/// A kernel that has run.
#[derive(Clone, Copy)]
pub struct KernelRun<'a> {
    /// The device's name.
    pub device: &'a str,
    /// The plan, and the number of the kernel in it.
    pub plan: &'a Plan,
    /// The kernel's number.
    pub index: usize,
    /// When it began.
    pub start: Instant,
    /// How long it took.
    pub time: Duration,
    /// Where it ran, if not on the calling thread.
    pub track: Option<&'static str>,
    /// True if its parts are noted as kernels themselves, so that tables count those.
    pub in_parts: bool,
}
