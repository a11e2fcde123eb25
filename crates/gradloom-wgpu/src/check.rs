//! `GRADLOOM_CHECK=nan`: after every kernel its results are downloaded and looked at, and the first NaN
//! or infinity that an op made of finite numbers ends the evaluation. Slow, and right: the plans of such
//! evaluations write nothing in place, so every tensor is as it was.

use gradloom_plan::{BufferRef, Kernel, Plan, interpret};
use gradloom_tensor::{DType, Error, Result, Scalar};

use crate::compiled::resolve_alias;
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
        for output in kernel.outputs.iter().filter(|output| output.dtype.is_float()) {
            let values = self.read(output.buffer, output.dtype, output.len)?;
            let Some(&found) = values.iter().find(|value| !value.is_finite()) else { continue };
            let inputs = kernel.inputs.iter();
            let inputs: Vec<Vec<f64>> = inputs
                .map(|input| self.read(input.buffer, input.dtype, input.len))
                .collect::<Result<_>>()?;
            let given = inputs.iter().flatten().any(|value| !value.is_finite());
            let blamed = match interpret::is_costly(kernel) {
                true => (!given).then_some((output.node, found)),
                false => interpret::blame(kernel, &inputs, self.arguments)
                    .map_err(|fault| Error::backend(format!("plan: {fault}")))?,
            };
            if let Some((node, value)) = blamed {
                let CheckSite { op, shape, origin } = (self.sites)(node);
                let what = if value.is_nan() { "NaN" } else { "infinity" };
                return Err(Error::not_finite(op, what, shape, origin));
            }
        }
        Ok(())
    }

    /// The elements of a kernel's buffer as numbers.
    fn read(&self, buffer: BufferRef, dtype: DType, len: usize) -> Result<Vec<f64>> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let memory = self.memory.of_plan(resolve_alias(self.plan, buffer));
        let memory = memory.ok_or_else(|| Error::backend("plan: a kernel's buffer is missing"))?;
        let (bytes, _) = self.staging.read(&memory.raw, dtype, len)?;
        Ok(interpret::numbers(dtype, &bytes))
    }
}
