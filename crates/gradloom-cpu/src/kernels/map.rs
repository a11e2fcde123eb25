//! `Map`: a program at every element, in parallel over ranges of elements.

use gradloom_plan::Kernel;
use gradloom_tensor::Result;

use super::executable::{Context, Executable, InPlace, TASK_MIN, element_stores};
use crate::parallel;
use crate::tile::{Accumulator, Frame, Request, TILE, TileProgram};

pub(crate) struct Map {
    program: TileProgram,
    elements: usize,
    unit_bytes: Vec<usize>,
    /// Work of an element, in elements of a cheap program.
    cost: usize,
}

impl Map {
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace) -> Map {
        let program = TileProgram::compile(&Request {
            program: &kernel.program,
            inputs: &kernel.inputs,
            view: &|view| *view,
            externals: &[],
            accumulator: Accumulator::None,
            stores: &element_stores(kernel),
            exports: &[],
            in_place,
        });
        Map {
            program,
            elements: kernel.space.shape.count(),
            unit_bytes: kernel.outputs.iter().map(|output| output.dtype.size()).collect(),
            cost: 1 + kernel.program.operations_per_element() / 4,
        }
    }
}

impl Executable for Map {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let frame = context.frame(&self.program, inputs);
        let threads = context.threads_for(self.elements * self.cost);
        let per_task = parallel::grain(threads, self.elements, self.cost, TASK_MIN);
        let per_task = per_task.next_multiple_of(TILE);
        parallel::split(
            threads,
            outputs,
            &self.unit_bytes,
            self.elements,
            per_task,
            |range, parts| {
                run_range(&frame, range, parts);
            },
        );
        Ok(())
    }
}

/// Runs a program without externals over a range of elements, of which `parts` are the outputs.
fn run_range(frame: &Frame<'_>, range: std::ops::Range<usize>, parts: &mut [&mut [u8]]) {
    let mut registers = frame.registers();
    let mut position = 0;
    while position < range.len() {
        let len = TILE.min(range.len() - position);
        frame.run(
            &mut registers,
            &mut crate::tile::Tile {
                start: range.start + position,
                len,
                externals: &[],
                outputs: parts,
                position,
            },
        );
        position += len;
    }
}
