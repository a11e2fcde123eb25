//! `GRADLOOM_CHECK=nan`: after every kernel its results are downloaded and looked at, and the first NaN
//! or infinity that an op made of finite numbers ends the evaluation. Slow, and right: the plans of such
//! evaluations write nothing in place, so every tensor is as it was.

use gradloom_plan::{BufferRef, Kernel, Plan, interpret};
use gradloom_tensor::{DType, Error, Result, Scalar};

use crate::status::CheckSite;
use crate::step::Memories;
use crate::transfer::Staging;

/// What one evaluation computes with.
pub(crate) struct Evaluation<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) memory: &'a Memories<'a>,
    pub(crate) arguments: &'a [Scalar],
    pub(crate) staging: &'a Staging,
    pub(crate) sites: &'a dyn Fn(usize) -> CheckSite,
}

impl Evaluation<'_> {
    /// Fails if `kernel`, which has run, made a NaN or an infinity, and names the op that did. Values
    /// that were not finite before, such as the minus infinities of a mask, are nobody's fault.
    pub(crate) fn check_finite(&self, kernel: &Kernel) -> Result<()> {
        let read = |buffer, dtype, len| self.read(buffer, dtype, len);
        let Some((node, what)) = interpret::not_finite(kernel, self.arguments, read)? else {
            return Ok(());
        };
        let CheckSite { op, shape, origin } = (self.sites)(node);
        Err(Error::not_finite(op, what, shape, origin))
    }

    /// The elements of a kernel's buffer as numbers.
    fn read(&self, buffer: BufferRef, dtype: DType, len: usize) -> Result<Vec<f64>> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let memory = self.memory.of_plan(self.plan.owner(buffer));
        let memory = memory.ok_or_else(|| Error::backend("plan: a kernel's buffer is missing"))?;
        let (bytes, _) = self.staging.read(&memory.raw, dtype, len)?;
        Ok(interpret::numbers(dtype, &bytes))
    }
}
