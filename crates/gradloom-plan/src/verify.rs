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
        for (position, kernel) in self.kernels.iter().enumerate() {
            kernel::check(kernel, &self.arguments)
                .map_err(|reason| PlanFault { kernel: position, reason })?;
        }
        memory::check(self)
    }
}
