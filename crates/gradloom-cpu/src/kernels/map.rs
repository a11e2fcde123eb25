//! `Map`: a program at every element, in parallel over ranges of elements.

use std::ops::Range;

use gradloom_plan::Kernel;
use gradloom_tensor::Result;

use super::executable::{Context, Executable, InPlace, TASK_MIN};
use super::map_parts::{Part, parts};
use crate::parallel;
use crate::tile::{Accumulator, Frame, Registers, Request, Store, TILE, Tile, TileProgram};

pub(crate) struct Map {
    /// The programs of the parts of a row, and where each begins in it.
    parts: Vec<(TileProgram, usize)>,
    /// Elements of all parts between two coordinates of the axes outside.
    row: usize,
    elements: usize,
    unit_bytes: Vec<usize>,
    /// Work of an element, in elements of a cheap program.
    cost: usize,
}

impl Map {
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace) -> Map {
        let (mut row, mut operations) = (0, 0);
        let compiled = parts(kernel).into_iter().map(|part| {
            let start = row;
            row += part.elements;
            operations += part.elements * part.program.operations_per_element();
            (compile(kernel, in_place, &part), start)
        });
        let parts: Vec<_> = compiled.collect();
        Map {
            parts,
            row,
            elements: kernel.space.shape.count(),
            unit_bytes: kernel.outputs.iter().map(|output| output.dtype.size()).collect(),
            cost: 1 + operations / row.max(1) / 4,
        }
    }
}

fn compile(kernel: &Kernel, in_place: &InPlace, part: &Part) -> TileProgram {
    let stores = kernel.outputs.iter().zip(&part.stored).enumerate();
    let stores: Vec<Store> = stores
        .map(|(position, (output, &value))| Store { value, output: position, dtype: output.dtype })
        .collect();
    TileProgram::compile(&Request {
        program: &part.program,
        inputs: &kernel.inputs,
        view: &|view| *view,
        externals: &[],
        accumulator: Accumulator::None,
        stores: &stores,
        exports: &[],
        in_place,
    })
}

impl Executable for Map {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let frames: Vec<Frame<'_>> =
            self.parts.iter().map(|(program, _)| context.frame(program, inputs)).collect();
        let threads = context.threads_for(self.elements * self.cost);
        let per_task = parallel::grain(threads, self.elements, self.cost, TASK_MIN);
        let per_task = per_task.next_multiple_of(TILE);
        parallel::split(
            threads,
            outputs,
            &self.unit_bytes,
            self.elements,
            per_task,
            |range, outputs| self.run_range(&frames, range, outputs),
        );
        Ok(())
    }
}

impl Map {
    /// Runs the programs over a range of elements, of which `outputs` are the results.
    fn run_range(&self, frames: &[Frame<'_>], range: Range<usize>, outputs: &mut [&mut [u8]]) {
        let mut registers: Vec<Option<Registers>> = frames.iter().map(|_| None).collect();
        let mut at = range.start;
        while at < range.end {
            let (outer, within) = (at / self.row, at % self.row);
            let part = self.parts.partition_point(|&(_, start)| start <= within) - 1;
            let first = self.parts[part].1;
            let end = self.parts.get(part + 1).map_or(self.row, |next| next.1);
            let frame = &frames[part];
            let start = outer * (end - first) + within - first;
            let len = frame.tile_len(start, (end - within).min(range.end - at));
            let mut tile = Tile { start, len, externals: &[], outputs, position: at - range.start };
            frame.run(registers[part].get_or_insert_with(|| frame.registers()), &mut tile);
            at += len;
        }
    }
}
