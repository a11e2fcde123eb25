//! An evaluation from its plan to its results: submissions, and the waits between them. No lock is held
//! while it waits, so that others may evaluate, on the same thread too.

use gradloom_plan::Plan;
use gradloom_tensor::{Buffer, Result, Scalar};

use crate::backend::WgpuBackend;
use crate::check::Evaluation;
use crate::executor::Begun;
use crate::status::{self, CheckSite};
use crate::wait::Wait;

/// Says where a node of a plan was made.
pub(crate) type Sites<'a> = &'a (dyn Fn(usize) -> CheckSite + Sync);

/// A plan and what it is run on.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    /// In the device's memory.
    pub(crate) inputs: &'a [Buffer],
    pub(crate) arguments: &'a [Scalar],
    pub(crate) sites: Sites<'a>,
    /// Every kernel's results are looked at, which needs a plan without results in the memory of its
    /// inputs.
    pub(crate) check_finite: bool,
}

impl Run<'_> {
    /// Gives the results. If it fails, or is dropped before it is ready, no input has changed: what may be
    /// written in place is written by the last submission, and nothing is waited for after that.
    pub(crate) async fn run(self, backend: &WgpuBackend, wait: Wait) -> Result<Vec<Buffer>> {
        let Run { plan, inputs, arguments, sites, check_finite } = self;
        let mut begun = self.begin(backend).await?;
        for piece in begun.pieces(check_finite) {
            let outcome = backend.executor().submit_piece(plan, &mut begun, inputs, &piece)?;
            if let Some(outcome) = outcome {
                let look = |bytes: &[u8]| status::outcome(bytes, sites);
                let (staging, after) = (outcome.staging, outcome.after);
                backend.staging().read(staging, status::BYTES, after, wait, look).await??;
            }
            if check_finite {
                let (memory, staging) = (begun.memory(inputs), backend.staging());
                let evaluation = Evaluation { plan, memory, arguments, staging, sites, wait };
                for kernel in &plan.kernels[piece.kernels] {
                    evaluation.check_finite(kernel).await?;
                }
            }
        }
        backend.executor().save_if_due();
        Ok(begun.finish())
    }

    /// Takes memory and compiles, and waits for what a browser reports of that: then nothing has been
    /// submitted yet. There memory that ran out is noticed only now.
    async fn begin(self, backend: &WgpuBackend) -> Result<Begun> {
        let Run { plan, inputs, arguments, sites, .. } = self;
        let gpu = backend.gpu();
        gpu.reports().await?;
        let mut tried = false;
        loop {
            let begun = backend.executor().begin(plan, inputs, arguments, sites)?;
            let Err(error) = gpu.reports().await else { return Ok(begun) };
            // Buffers without memory must not come back from the pool.
            drop(begun);
            backend.executor().distrust(plan, &error);
            backend.release_cached();
            if tried || !error.is_out_of_memory() {
                return Err(match plan.largest().map(sites) {
                    Some(site) if error.is_out_of_memory() => site.error(error),
                    _ => error,
                });
            }
            tried = true;
        }
    }
}
