//! What all kernels share: [`Executable`], what a prepared kernel is, and [`Context`], what it runs with.

use std::sync::Arc;

use gradloom_plan::Kernel;
use gradloom_tensor::{DType, Result, Scalar};

use crate::convert::Lane;
use crate::kept::Packing;
use crate::memory::Temporary;
use crate::pool::Pool;
use crate::simd::Level;
use crate::tile::{Failures, Frame, Store, TileProgram};
use crate::watch::Watch;

/// Elements up to which a kernel stays on one thread.
pub(crate) const SEQUENTIAL_MAX: usize = 32 * 1024;
/// Least elements of a parallel task.
pub(crate) const TASK_MIN: usize = 16 * 1024;

/// What a kernel runs with.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) level: Level,
    pub(crate) threads: usize,
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) arguments: &'a [Scalar],
    pub(crate) failures: &'a Failures,
    /// Where the kernels of loops note their times, if that is asked for.
    pub(crate) profile: Option<&'a Watch<'a>>,
}

impl<'a> Context<'a> {
    /// Threads for this much work.
    pub(crate) fn threads_for(&self, work: usize) -> usize {
        if work <= SEQUENTIAL_MAX { 1 } else { self.threads }
    }

    /// A program bound to this evaluation.
    pub(crate) fn frame(&self, program: &'a TileProgram, inputs: &'a [&'a [u8]]) -> Frame<'a> {
        Frame::new(program, self.level, inputs, self.arguments, self.failures)
    }
}

/// A kernel prepared for execution.
pub(crate) trait Executable: Send + Sync {
    /// Runs it. Inputs that are overwritten in place are empty slices.
    ///
    /// # Errors
    /// When memory for temporaries runs out.
    fn run(&self, context: &Context<'_>, inputs: &[&[u8]], outputs: &mut [&mut [u8]])
    -> Result<()>;

    /// The operand of which [`Executable::settle`] makes something that is worth keeping from one evaluation to
    /// the next, and how it does; it must be the only one that this depends on.
    fn packing(&self, _level: Level) -> Option<(usize, Packing)> {
        None
    }

    /// What can be made of operands that are the same in many runs, marked in `constant`; `None` if that
    /// is of no use.
    ///
    /// # Errors
    /// When memory runs out.
    fn settle(
        &self,
        _context: &Context<'_>,
        _inputs: &[&[u8]],
        _constant: &[bool],
    ) -> Result<Option<Temporary>> {
        Ok(None)
    }

    /// As [`Executable::run`], with what [`Executable::settle`] has made of operands that are still the
    /// same.
    ///
    /// # Errors
    /// As [`Executable::run`].
    fn run_settled(
        &self,
        context: &Context<'_>,
        _settled: &Temporary,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        self.run(context, inputs, outputs)
    }

    /// Bytes of the operands that this run does not touch, because of what is in them.
    fn bytes_spared(&self, _inputs: &[&[u8]]) -> usize {
        0
    }
}

/// Pairs of an operand and an output that are the same memory, see
/// [`Plan::in_place`](gradloom_plan::Plan::in_place): programs read the output instead.
pub(crate) type InPlace = [(usize, usize)];

/// Every output as a store of the program, for kernels without reductions.
pub(crate) fn element_stores(kernel: &Kernel) -> Vec<Store> {
    let outputs = kernel.outputs.iter().enumerate();
    outputs
        .map(|(position, output)| Store {
            value: output.value,
            output: position,
            dtype: output.dtype,
        })
        .collect()
}

/// The dtype whose stored elements are lanes of this type.
pub(crate) fn lane_dtype(lane: Lane) -> DType {
    match lane {
        Lane::F32 => DType::F32,
        Lane::F64 => DType::F64,
        Lane::I32 => DType::I32,
        Lane::I64 => DType::I64,
        Lane::U32 => DType::U32,
    }
}
