//! [`Plan::verify`]: proof that a plan is sound on its own, whatever runs it.
//!
//! Every read lies inside its operand for every coordinate, every value has the level and dtype of
//! where it is stored, every result is written whole; nothing is read before it is written, after it
//! was freed or overwritten; what is written in place was read by all who need it, and every check that
//! may fail comes before.

mod fault;
mod kernel;
mod looping;
mod memory;

pub use fault::PlanFault;

use crate::kernel::Plan;

impl Plan {
    /// Checks the plan.
    ///
    /// # Errors
    /// The first fault found.
    pub fn verify(&self) -> Result<(), PlanFault> {
        for kernel in 0..self.kernels.len() {
            self.verify_kernel(kernel)?;
        }
        memory::check(self)
    }

    /// Checks one kernel alone: its sizes, that it reads nothing outside its operands, that each output is
    /// written whole. For executors that do not look at each access.
    ///
    /// # Errors
    /// The first fault found.
    pub fn verify_kernel(&self, kernel: usize) -> Result<(), PlanFault> {
        kernel::check(&self.kernels[kernel], &self.arguments)
            .map_err(|reason| PlanFault { kernel, reason })
    }
}
