//! `GRADLOOM_CHECK=nan`: after every kernel its results are downloaded and looked at, and the first NaN
//! or infinity that an op made of finite numbers ends the evaluation. Slow, and right: the plans of such
//! evaluations write nothing in place, so every tensor is as it was.

use std::cell::Cell;

use gradloom_plan::{BufferRef, Kernel, Plan, interpret};
use gradloom_tensor::{DType, Error, Result, Scalar};
use rustc_hash::FxHashMap;

use crate::status::{CheckSite, Sites};
use crate::step::Memories;
use crate::transfer::Staging;
use crate::wait::Wait;

/// What one evaluation computes with.
pub(crate) struct Evaluation<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) memory: Memories<'a>,
    pub(crate) arguments: &'a [Scalar],
    pub(crate) staging: &'a Staging,
    pub(crate) sites: Sites<'a>,
    pub(crate) wait: Wait,
}

impl Evaluation<'_> {
    /// Fails if `kernel`, which has run, made a NaN or an infinity, and names the op that did. Values
    /// that were not finite before, such as the minus infinities of a mask, are nobody's fault.
    pub(crate) async fn check_finite(&self, kernel: &Kernel) -> Result<()> {
        let mut known: FxHashMap<BufferRef, Vec<f64>> = FxHashMap::default();
        // What is asked for and not known is downloaded before the next look.
        let found = loop {
            let asked = Asked::default();
            let read = |buffer, dtype, len| match known.get(&buffer) {
                _ if len == 0 => Ok(Vec::new()),
                Some(numbers) => Ok(numbers.clone()),
                None => {
                    asked.0.set(Some((buffer, dtype, len)));
                    Err(Error::backend("check: not downloaded yet"))
                }
            };
            let found = interpret::not_finite(kernel, self.arguments, read);
            let Some((buffer, dtype, len)) = asked.0.take() else { break found? };
            known.insert(buffer, self.read(buffer, dtype, len).await?);
        };
        let Some((node, what)) = found else { return Ok(()) };
        let CheckSite { op, shape, origin } = (self.sites)(node);
        Err(Error::not_finite(op, what, shape, origin))
    }

    /// The elements of a kernel's buffer as numbers.
    async fn read(&self, buffer: BufferRef, dtype: DType, len: usize) -> Result<Vec<f64>> {
        let memory = self.memory.of_plan(self.plan.owner(buffer));
        let memory = memory.ok_or_else(|| Error::backend("plan: a kernel's buffer is missing"))?;
        let (bytes, _) = self.staging.download(&memory.raw, dtype, len, self.wait).await?;
        Ok(interpret::numbers(dtype, &bytes))
    }
}

/// What a look has asked for first.
#[derive(Default)]
struct Asked(Cell<Option<(BufferRef, DType, usize)>>);
