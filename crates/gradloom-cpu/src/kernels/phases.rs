//! [`Phases`]: a reducing program cut where a reduction must be finished before work goes on.
//!
//! A phase first computes what is one value per row, then runs over the elements of the rows, and
//! its reductions end with it. Softmax has three phases: the maximum, the sum of exponentials, the
//! quotient. Values of elements that a later phase reads again are saved for a block of rows.

use gradloom_plan::program::{Level, Operation, ValueId};
use gradloom_plan::{Kernel, View};
use gradloom_tensor::op::Reduction;
use gradloom_tensor::{RANK_MAX, Shape};

use super::executable::{InPlace, lane_dtype};
use crate::convert::Lane;
use crate::tile::{Accumulator, Request, Store, TileProgram};

/// A value of a reduction and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reduced {
    /// Where the result goes.
    pub(crate) slot: usize,
    /// How elements are combined.
    pub(crate) reduction: Reduction,
    /// Lane of operand and result.
    pub(crate) lane: Lane,
}

/// Work between two sets of reductions.
pub(crate) struct Phase {
    /// Runs over rows; its exports go to `row_exports`.
    pub(crate) row: TileProgram,
    /// Slots that the row program reads, in the order of its externals.
    pub(crate) row_externals: Vec<usize>,
    /// Slots and lanes of the row program's exports.
    pub(crate) row_exports: Vec<(usize, Lane)>,
    /// Runs over elements; its exports are the operands of `reductions`.
    pub(crate) element: TileProgram,
    /// Slots and lanes that the element program reads, the first of its externals.
    pub(crate) element_rows: Vec<(usize, Lane)>,
    /// Saved values that the element program reads, after those.
    pub(crate) element_saved: Vec<usize>,
    /// The reductions that end here, each with the export that it reads.
    pub(crate) reductions: Vec<(usize, Reduced)>,
    /// False if the row program has nothing to do.
    pub(crate) has_rows: bool,
    /// False if the element program has nothing to do.
    pub(crate) has_elements: bool,
}

/// What element programs read instead of computing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Values of rows, and what earlier phases saved.
    Saved,
    /// Values of rows; what earlier phases computed is computed again.
    Rows,
    /// Nothing: values of rows are computed at every element.
    Inline,
}

/// A reducing program in phases.
pub(crate) struct Phases {
    pub(crate) phases: Vec<Phase>,
    /// Lanes of the values that are one per row.
    pub(crate) slots: Vec<Lane>,
    /// Lanes of saved values; value `i` is output `outputs + i` of element programs.
    pub(crate) saved: Vec<Lane>,
}

/// What is known about the instructions while phases are made.
struct Analysis<'a> {
    kernel: &'a Kernel,
    /// The first phase in which a value can be computed.
    phase: Vec<usize>,
    /// True if a value depends on constants and arguments alone.
    uniform: Vec<bool>,
    slots: Vec<Option<usize>>,
    saved: Vec<Option<usize>>,
    cut: Cut,
}

impl Phases {
    /// Cuts a kernel's program. `view` takes element views to the space that element programs run
    /// over.
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        view: &dyn Fn(&View) -> View,
        cut: Cut,
    ) -> Phases {
        let mut analysis = Analysis::new(kernel, cut);
        let last = analysis.phase.iter().copied().max().unwrap_or(0);
        let mut wanted: Vec<Wanted> = (0..=last).map(|_| Wanted::default()).collect();
        // From the last phase to the first, so that what a phase needs of earlier ones is known there.
        for phase in (0..=last).rev() {
            analysis.collect(phase, &mut wanted);
        }
        let mut phases = Vec::new();
        for (phase, wanted) in wanted.iter().enumerate() {
            phases.push(analysis.compile(phase, wanted, in_place, view));
        }
        Phases {
            phases,
            slots: lanes(kernel, &analysis.slots),
            saved: lanes(kernel, &analysis.saved),
        }
    }
}

/// The lanes of numbered values, by number.
fn lanes(kernel: &Kernel, numbers: &[Option<usize>]) -> Vec<Lane> {
    let mut lanes = vec![Lane::F32; numbers.iter().flatten().count()];
    for (instruction, number) in kernel.program.instructions.iter().zip(numbers) {
        if let Some(number) = number {
            lanes[*number] = Lane::of(instruction.dtype);
        }
    }
    lanes
}

/// What a phase must compute.
#[derive(Default)]
struct Wanted {
    /// Values of elements: stored, saved, or reduced.
    stores: Vec<Store>,
    reduced: Vec<ValueId>,
    /// What element programs read from elsewhere.
    rows: Vec<ValueId>,
    saved: Vec<ValueId>,
    /// Values of rows: stored, or read by element programs and later phases.
    row_stores: Vec<Store>,
    row_exports: Vec<ValueId>,
    row_externals: Vec<ValueId>,
}

fn add(list: &mut Vec<ValueId>, value: ValueId) -> bool {
    let new = !list.contains(&value);
    if new {
        list.push(value);
    }
    new
}

impl<'a> Analysis<'a> {
    fn new(kernel: &'a Kernel, cut: Cut) -> Analysis<'a> {
        let instructions = &kernel.program.instructions;
        let mut uniform = vec![false; instructions.len()];
        for (id, instruction) in instructions.iter().enumerate() {
            let operands = || instruction.operation.operands();
            uniform[id] = match instruction.operation {
                Operation::Constant(_) | Operation::Argument(_) => true,
                Operation::Load { .. }
                | Operation::Index(_)
                | Operation::Accumulator
                | Operation::Random { .. }
                | Operation::Reduce(..) => false,
                Operation::Unary(..)
                | Operation::Binary(..)
                | Operation::Select(..)
                | Operation::Cast(_)
                | Operation::CheckIndex { .. } => operands().all(|operand| uniform[operand]),
            };
        }
        let slots = vec![None; instructions.len()];
        let phase = kernel.program.passes();
        Analysis { kernel, phase, uniform, saved: slots.clone(), slots, cut }
    }

    fn level(&self, value: ValueId) -> Level {
        self.kernel.program.instructions[value].level
    }

    fn is_reduction(&self, value: ValueId) -> bool {
        matches!(self.kernel.program.instructions[value].operation, Operation::Reduce(..))
    }

    /// True if an element program should compute the value again rather than read it back.
    fn is_cheap(&self, value: ValueId) -> bool {
        let instruction = &self.kernel.program.instructions[value];
        match instruction.operation {
            Operation::Load { view, .. } => view.is_contiguous() && Lane::stores(instruction.dtype),
            _ => false,
        }
    }

    fn slot(&mut self, value: ValueId) {
        if self.slots[value].is_none() {
            self.slots[value] = Some(self.slots.iter().flatten().count());
        }
    }

    /// Finds what a phase computes and what it reads from earlier ones.
    fn collect(&mut self, phase: usize, wanted: &mut [Wanted]) {
        let kernel = self.kernel;
        for (position, output) in kernel.outputs.iter().enumerate() {
            if self.phase[output.value] == phase {
                let store = Store { value: output.value, output: position, dtype: output.dtype };
                match self.level(output.value) {
                    Level::Element => wanted[phase].stores.push(store),
                    Level::Row => wanted[phase].row_stores.push(store),
                }
            }
        }
        for (id, _, value) in kernel.program.reductions() {
            if self.phase[id] == phase + 1 {
                add(&mut wanted[phase].reduced, value);
                self.slot(id);
            }
        }
        let roots: Vec<ValueId> = wanted[phase]
            .stores
            .iter()
            .map(|store| store.value)
            .chain(wanted[phase].reduced.iter().copied())
            .collect();
        let mut seen = Vec::new();
        for root in roots {
            self.visit_element(root, phase, true, wanted, &mut seen);
        }
        let roots: Vec<ValueId> = wanted[phase]
            .row_stores
            .iter()
            .map(|store| store.value)
            .chain(wanted[phase].row_exports.iter().copied())
            .collect();
        let mut seen = Vec::new();
        for root in roots {
            self.visit_row(root, phase, wanted, &mut seen);
        }
    }

    /// Follows a value of elements to what its phase reads from elsewhere.
    fn visit_element(
        &mut self,
        value: ValueId,
        phase: usize,
        root: bool,
        wanted: &mut [Wanted],
        seen: &mut Vec<ValueId>,
    ) {
        if self.uniform[value] || !add(seen, value) {
            return;
        }
        if self.level(value) == Level::Row && self.cut != Cut::Inline {
            self.want_row(value, wanted);
            add(&mut wanted[phase].rows, value);
            return;
        }
        let earlier = self.phase[value];
        if self.cut == Cut::Saved && earlier < phase && !self.is_cheap(value) && !root {
            if self.saved[value].is_none() {
                let saved = self.saved.iter().flatten().count();
                self.saved[value] = Some(saved);
                let instruction = &self.kernel.program.instructions[value];
                wanted[earlier].stores.push(Store {
                    value,
                    output: self.kernel.outputs.len() + saved,
                    dtype: lane_dtype(Lane::of(instruction.dtype)),
                });
            }
            add(&mut wanted[phase].saved, value);
            return;
        }
        for operand in self.kernel.program.instructions[value].operation.operands() {
            self.visit_element(operand, phase, false, wanted, seen);
        }
    }

    /// Notes that a value of rows is needed outside its own row program.
    fn want_row(&mut self, value: ValueId, wanted: &mut [Wanted]) {
        self.slot(value);
        if !self.is_reduction(value) {
            add(&mut wanted[self.phase[value]].row_exports, value);
        }
    }

    /// Follows a value of rows to what its row program reads from elsewhere.
    fn visit_row(
        &mut self,
        value: ValueId,
        phase: usize,
        wanted: &mut [Wanted],
        seen: &mut Vec<ValueId>,
    ) {
        if self.uniform[value] || !add(seen, value) {
            return;
        }
        if self.is_reduction(value) || self.phase[value] < phase {
            self.want_row(value, wanted);
            add(&mut wanted[phase].row_externals, value);
            return;
        }
        for operand in self.kernel.program.instructions[value].operation.operands() {
            self.visit_row(operand, phase, wanted, seen);
        }
    }

    fn compile(
        &self,
        phase: usize,
        wanted: &Wanted,
        in_place: &InPlace,
        view: &dyn Fn(&View) -> View,
    ) -> Phase {
        let kernel = self.kernel;
        let lane = |value: ValueId| Lane::of(kernel.program.instructions[value].dtype);
        let slot = |value: &ValueId| self.slots[*value].unwrap_or(0);
        let kept = kernel.space.kept;
        let row = TileProgram::compile(&Request {
            program: &kernel.program,
            inputs: &kernel.inputs,
            view: &|view| kept_view(view, kept),
            externals: &wanted.row_externals,
            accumulator: Accumulator::None,
            stores: &wanted.row_stores,
            exports: &wanted.row_exports,
            in_place,
        });
        let externals: Vec<ValueId> = wanted.rows.iter().chain(&wanted.saved).copied().collect();
        let element = TileProgram::compile(&Request {
            program: &kernel.program,
            inputs: &kernel.inputs,
            view,
            externals: &externals,
            accumulator: Accumulator::None,
            stores: &wanted.stores,
            exports: &wanted.reduced,
            in_place,
        });
        let reductions = wanted.reduced.iter().flat_map(|&value| {
            // Several reductions of one value share its export.
            kernel.program.reductions().filter_map(move |(id, reduction, reduced)| {
                (reduced == value && self.phase[id] == phase + 1).then_some((id, reduction, value))
            })
        });
        let reductions: Vec<(usize, Reduced)> = reductions
            .map(|(id, reduction, value)| {
                let export =
                    wanted.reduced.iter().position(|&reduced| reduced == value).unwrap_or(0);
                (export, Reduced { slot: slot(&id), reduction, lane: lane(value) })
            })
            .collect();
        Phase {
            row,
            row_externals: wanted.row_externals.iter().map(slot).collect(),
            row_exports: wanted
                .row_exports
                .iter()
                .map(|value| (slot(value), lane(*value)))
                .collect(),
            has_rows: !wanted.row_stores.is_empty() || !wanted.row_exports.is_empty(),
            has_elements: !wanted.stores.is_empty() || !wanted.reduced.is_empty(),
            element,
            element_rows: wanted.rows.iter().map(|value| (slot(value), lane(*value))).collect(),
            element_saved: wanted.saved.iter().filter_map(|&value| self.saved[value]).collect(),
            reductions,
        }
    }
}

/// The view over the kept axes alone, for values that are the same along the others.
pub(crate) fn kept_view(view: &View, kept: usize) -> View {
    let mut result = *view;
    result.shape = Shape::new(&view.shape[..kept]);
    let mut mask = view.mask;
    for axis in kept..RANK_MAX {
        result.strides[axis] = 0;
        if let Some(mask) = &mut mask {
            // Excluded along a reduced axis means excluded everywhere.
            if axis < view.shape.rank() && mask[axis].0 >= mask[axis].1 {
                mask[0] = (0, 0);
            }
            mask[axis] = (0, 0);
        }
    }
    result.mask = mask;
    result
}
