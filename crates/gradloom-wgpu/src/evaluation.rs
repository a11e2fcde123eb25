//! An evaluation from its plan to its results: submissions, and the waits between them. No lock is held
//! while it waits, so that others may evaluate, on the same thread too.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gradloom_plan::Plan;
use gradloom_tensor::{Buffer, Result, Scalar};

use crate::check::Evaluation;
use crate::executor::{Begun, Executor};
use crate::gpu::Gpu;
use crate::pool::Pool;
use crate::status::{self, Sites};
use crate::transfer::Staging;
use crate::wait::Wait;

/// What runs plans on a device.
#[derive(Clone, Copy)]
pub(crate) struct Runner<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) pool: &'a Pool,
    pub(crate) staging: &'a Staging,
    /// Never locked while something is waited for.
    pub(crate) executor: &'a Mutex<Executor>,
    pub(crate) wait: Wait,
}

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

impl Runner<'_> {
    /// Gives the results. If it fails, or is dropped before it is ready, no input has changed: what may be
    /// written in place is written by the last submission, and nothing is waited for after that.
    pub(crate) async fn run(self, run: Run<'_>) -> Result<Vec<Buffer>> {
        let Runner { staging, wait, .. } = self;
        let Run { plan, inputs, arguments, sites, check_finite } = run;
        let mut begun = self.begin(run).await?;
        for piece in begun.pieces(check_finite) {
            let outcome = self.executor().submit_piece(plan, &mut begun, inputs, sites, &piece)?;
            if let Some(outcome) = outcome {
                let look = |bytes: &[u8]| status::outcome(bytes, sites);
                let (copied, after) = (outcome.staging, outcome.after);
                staging.read(copied, status::BYTES, after, wait, look).await??;
            }
            if check_finite {
                let memory = begun.memory(inputs);
                let evaluation = Evaluation { plan, memory, arguments, staging, sites, wait };
                for kernel in &plan.kernels[piece.kernels] {
                    evaluation.check_finite(kernel).await?;
                }
            }
        }
        self.executor().save_if_due();
        Ok(begun.finish())
    }

    /// Takes memory and compiles, and waits for what a browser reports of that: then nothing has been
    /// submitted yet. There memory that ran out is noticed only now.
    async fn begin(self, run: Run<'_>) -> Result<Begun> {
        let Run { plan, inputs, arguments, sites, .. } = run;
        self.gpu.reports().await?;
        let mut tried = false;
        loop {
            let begun = self.executor().begin(plan, inputs, arguments, sites)?;
            let Err(error) = self.gpu.reports().await else { return Ok(begun) };
            // Buffers without memory must not come back from the pool.
            drop(begun);
            self.executor().distrust(plan, &error);
            self.pool.trim();
            if tried || !error.is_out_of_memory() {
                return Err(match plan.largest().map(sites) {
                    Some(site) if error.is_out_of_memory() => site.error(error),
                    _ => error,
                });
            }
            tried = true;
        }
    }
    fn executor(&self) -> MutexGuard<'_, Executor> {
        self.executor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
