//! [`Epilogue`]: the program that follows a kernel's own work.
//!
//! A kernel makes its result in pieces. Where an output has the result's type, a piece is made in that
//! output and the program runs over it while it is in the cache; otherwise it is made in scratch
//! memory. If the program is the result itself, nothing more happens.

use std::ops::Range;

use gradloom_plan::Kernel;
use gradloom_tensor::DType;

use crate::kernels::executable::{Context, InPlace, element_stores};
use crate::parallel;
use crate::scratch::Scratch;
use crate::tile::{Accumulator, External, Frame, Request, RowChain, Tile, TileProgram};
use crate::vector::Real;

/// What becomes of a kernel's result.
pub(crate) struct Epilogue {
    program: TileProgram,
    /// The output in which results are made.
    direct: Option<usize>,
    /// True if the program changes nothing.
    identity: bool,
    /// Dtype in which the kernel makes its result.
    result: DType,
    /// Bytes of an element of each output.
    element_bytes: Vec<usize>,
}

/// How the work is divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Division {
    /// Number of equal units; together they are the space, in order.
    pub(crate) units: usize,
    /// Elements of a unit.
    pub(crate) unit_elements: usize,
    /// Units per task.
    pub(crate) per_task: usize,
    /// Threads to use.
    pub(crate) threads: usize,
}

/// Makes the result of some units.
type Produce<'a, T> = &'a (dyn Fn(Range<usize>, &mut [u8], Option<&RowChain<'_, T>>) + Sync);

impl Epilogue {
    /// Prepares a kernel whose own result has dtype `result`: the accumulator's dtype or the lane that
    /// computes it.
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace, result: DType) -> Epilogue {
        let direct = (0..kernel.outputs.len()).find(|&output| {
            let shared = in_place.iter().any(|&(_, overwritten)| overwritten == output);
            kernel.outputs[output].dtype == result && !shared
        });
        let accumulator = match direct {
            Some(output) => Accumulator::InPlace(output, result),
            None => Accumulator::External(result),
        };
        let program = TileProgram::compile(&Request {
            program: &kernel.program,
            inputs: &kernel.inputs,
            view: &|view| *view,
            externals: &[],
            accumulator,
            stores: &element_stores(kernel),
            exports: &[],
            in_place,
        });
        Epilogue {
            program,
            direct,
            identity: direct.is_some() && kernel.program.is_identity() && kernel.outputs.len() == 1,
            result,
            element_bytes: kernel.outputs.iter().map(|output| output.dtype.size()).collect(),
        }
    }

    /// True if results stay as they are made.
    pub(crate) fn is_identity(&self) -> bool {
        self.identity
    }

    /// True if the program is a chain on rows of so many f32 elements, see [`Epilogue::run_rows`].
    pub(crate) fn is_row_chain(&self, row: usize) -> bool {
        self.direct.is_some_and(|direct| self.program.is_row_chain(direct, row))
    }

    /// Makes the result of all units with `produce` and runs the program over it.
    pub(crate) fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        division: Division,
        produce: impl Fn(Range<usize>, &mut [u8]) + Sync,
    ) {
        self.run_units::<f32>(context, inputs, outputs, (1, division, false), &|units, out, _| {
            produce(units, out);
        });
    }

    /// As [`Epilogue::run`], with units in so many equal rows, of which no task has those of two. If `produce`
    /// takes chains it may be given the program as one, which it then runs on its result in registers.
    pub(crate) fn run_rows<T: Real>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        work: (usize, Division, bool),
        produce: impl Fn(Range<usize>, &mut [u8], Option<&RowChain<'_, T>>) + Sync,
    ) {
        self.run_units(context, inputs, outputs, work, &produce);
    }

    fn run_units<T: Real>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        (rows, division, takes_chains): (usize, Division, bool),
        produce: Produce<'_, T>,
    ) {
        let frame = context.frame(&self.program, inputs);
        let Division { units, unit_elements, per_task, threads } = division;
        let size = [rows, units / rows.max(1)];
        let unit_bytes: Vec<usize> =
            self.element_bytes.iter().map(|&bytes| bytes * unit_elements).collect();
        parallel::split_rows(threads, outputs, &unit_bytes, size, per_task, |range, parts| {
            let elements = range.start * unit_elements..range.end * unit_elements;
            match self.direct {
                Some(direct) => {
                    let mut registers = frame.registers();
                    let units = range.clone();
                    let chain = (takes_chains && !self.identity)
                        .then(|| frame.row_chain(&mut registers, direct, units, unit_elements))
                        .flatten();
                    produce(range, parts[direct], chain.as_ref());
                    if chain.is_none() {
                        self.finish(&frame, elements, &[], parts);
                    }
                }
                None => {
                    let bytes = elements.len() * self.result.size();
                    let mut result = Scratch::take::<u8>(bytes);
                    produce(range, result.get_mut(), None);
                    self.finish(&frame, elements, result.get(), parts);
                }
            }
        });
    }

    /// Runs the program over a result that `produce` makes as a whole, in its own parallel way.
    ///
    /// # Errors
    /// What `produce` returns, and when there is no memory for the result.
    pub(crate) fn run_whole(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        elements: usize,
        produce: impl FnOnce(&mut [u8]) -> gradloom_tensor::Result<()>,
    ) -> gradloom_tensor::Result<()> {
        let temporary = match self.direct {
            Some(direct) => {
                produce(outputs[direct])?;
                None
            }
            None => {
                let mut temporary = context.pool.temporary(elements * self.result.size())?;
                produce(temporary.get_mut())?;
                Some(temporary)
            }
        };
        if self.identity {
            return Ok(());
        }
        let result = temporary.as_ref().map_or(&[][..], |temporary| temporary.get());
        self.finish_whole(context, inputs, outputs, elements, result);
        Ok(())
    }

    fn finish_whole(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        elements: usize,
        result: &[u8],
    ) {
        let frame = context.frame(&self.program, inputs);
        let threads = context.threads_for(elements);
        let per_task = parallel::grain(threads, elements, 1, crate::kernels::executable::TASK_MIN);
        parallel::split(
            threads,
            outputs,
            &self.element_bytes,
            elements,
            per_task,
            |range, parts| {
                let size = self.result.size();
                let result = if result.is_empty() {
                    result
                } else {
                    &result[range.start * size..range.end * size]
                };
                self.finish(&frame, range, result, parts);
            },
        );
    }

    fn finish(
        &self,
        frame: &Frame<'_>,
        elements: Range<usize>,
        result: &[u8],
        parts: &mut [&mut [u8]],
    ) {
        if self.identity {
            return;
        }
        let mut registers = frame.registers();
        let mut position = 0;
        while position < elements.len() {
            let len = frame.tile_len(elements.start + position, elements.len() - position);
            let start = if result.is_empty() { 0 } else { position * self.result.size() };
            let externals = [External::Slice(&result[start..])];
            let mut tile = Tile {
                start: elements.start + position,
                len,
                externals: &externals,
                outputs: parts,
                position,
            };
            frame.run(&mut registers, &mut tile);
            position += len;
        }
    }
}
