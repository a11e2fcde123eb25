//! [`PlanFault`]: what is wrong with a plan, and where.

use std::fmt;

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFault {
    /// Position of the kernel, or the number of kernels where the plan as a whole is wrong.
    pub kernel: usize,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for PlanFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "kernel {}: {}", self.kernel, self.reason)
    }
}

impl std::error::Error for PlanFault {}
