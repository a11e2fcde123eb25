//! Rows: programs with reductions over trailing axes, in one or two stages.
//!
//! A program is cut into passes: pass `s` walks the columns and computes the reductions whose operands
//! depend on `s` reductions before them. Values of short rows stay in registers; those of long rows are
//! computed again in each pass, from loads that the caches still hold.

use gradloom_plan::{KernelKind, Level, Operation, ValueId};
use gradloom_shaders::Options;
use gradloom_tensor::op::Reduction;
use gradloom_tensor::{DType, Result};

use super::bindings::{Bindings, Resource};
use super::coordinates::Frame;
use super::emit::Emitter;
use super::literal;
use super::row_layout::RowLayout;
use super::row_tree::tree;
use super::unit::Unit;

/// Compiles a row or reduce kernel.
pub(crate) fn compile(unit: &mut Unit<'_>) -> Result<()> {
    let layout = RowLayout::choose(unit);
    // Whole words are stored where a thread has four neighbours; of rows one element is stored by one.
    let instructions = &unit.kernel.program.instructions;
    let outputs = unit.kernel.outputs.iter();
    let in_fours = layout.in_fours && layout.chunks == 1;
    let single: Vec<bool> =
        outputs.map(|output| !in_fours || instructions[output.value].level == Level::Row).collect();
    unit.widen_outputs(|position| single[position]);
    if layout.chunks == 1 {
        return stage(unit, &layout, Stage::Whole);
    }
    let reductions = unit.kernel.program.reductions().count();
    let partials = unit.add_scratch(reductions * layout.chunks * layout.rows);
    stage(unit, &layout, Stage::Partial(partials))?;
    stage(unit, &layout.combining(unit.target.workgroup), Stage::Final(partials, layout.chunks))
}

/// Which part of a reduction a dispatch does.
#[derive(Clone, Copy)]
enum Stage {
    Whole,
    /// Reductions of a chunk of the columns go to scratch words `[reduction, chunk, row]`.
    Partial(Resource),
    /// Reductions of so many partial results; then the rest of the program.
    Final(Resource, usize),
}

fn stage(unit: &mut Unit<'_>, layout: &RowLayout, stage: Stage) -> Result<()> {
    let (mut bindings, text, combine) = Writer::new(unit, layout, stage)?.write()?;
    if !layout.is_resident && !matches!(stage, Stage::Final(..)) {
        let passes = unit.kernel.program.passes().into_iter().max().unwrap_or(0) + 1;
        let turns = layout.turns() + layout.turns() / layout.block.max(1);
        let name = format!("a row of {} elements", layout.columns);
        unit.check_turns(&name, turns * passes)?;
    }
    let blocks = layout.rows.div_ceil(layout.rows_per_group);
    let groups = blocks * layout.chunks;
    let sizes = [
        ("ROWS", layout.rows),
        ("COLUMNS", layout.columns),
        ("ROWS_PER_GROUP", layout.rows_per_group),
        ("THREADS", layout.threads),
        ("CHUNKS", layout.chunks),
        ("CHUNK", layout.chunk),
        ("GROUPS", groups),
    ];
    let options = bindings
        .named(Options::new(), &sizes)
        .define_if(layout.row_fastest, "ROW_FASTEST")
        .define_if(layout.is_resident, "RESIDENT")
        .define_if(!matches!(stage, Stage::Whole), "SPLIT")
        .constant("WORKGROUP", (layout.threads * layout.rows_per_group) as u32)
        .splice("combine", combine)
        .splice("program", text);
    let kind = match (stage, &unit.kernel.kind) {
        (Stage::Partial(_), _) => "reduce partial",
        (Stage::Final(..), _) => "reduce final",
        (Stage::Whole, KernelKind::Row) => "row",
        (Stage::Whole, _) => "reduce",
    };
    let label = format!("{kind} {}x{}", layout.rows, layout.columns);
    unit.dispatch("row.wgsl", label, options, bindings, groups)
}

/// The text of one stage while it is written.
pub(super) struct Writer<'a> {
    pub(super) unit: &'a Unit<'a>,
    pub(super) layout: &'a RowLayout,
    stage: Stage,
    pub(super) emitter: Emitter<'a>,
    done: Vec<bool>,
    /// See [`Program::passes`](gradloom_plan::Program::passes).
    passes: Vec<usize>,
    combine: String,
}

impl<'a> Writer<'a> {
    fn new(unit: &'a Unit<'a>, layout: &'a RowLayout, stage: Stage) -> Result<Self> {
        let needed = needed(unit, stage);
        let bindings = Bindings::default();
        let frame = if layout.in_fours { Frame::RowQuads } else { Frame::Rows };
        let mut emitter = Emitter::of_part(unit, frame, layout.lanes, bindings, |id| needed[id])?;
        match stage {
            Stage::Whole => emitter.register_outputs(|_| true)?,
            Stage::Partial(scratch) => {
                emitter.bindings.register(scratch, DType::U32, false, true)?;
            }
            Stage::Final(scratch, _) => {
                emitter.register_outputs(|_| true)?;
                emitter.bindings.register(scratch, DType::U32, false, false)?;
            }
        }
        let passes = unit.kernel.program.passes();
        let done = vec![false; passes.len()];
        Ok(Writer { unit, layout, stage, emitter, done, passes, combine: String::new() })
    }

    fn write(mut self) -> Result<(Bindings, String, String)> {
        self.emitter.decode_kept("row");
        if self.is_resident() {
            self.columns_in_registers();
        }
        let passes = self.passes.iter().copied().max().unwrap_or(0);
        let reductions: Vec<(ValueId, Reduction, ValueId)> =
            self.unit.kernel.program.reductions().collect();
        for pass in 0..passes {
            let own: Vec<_> = reductions
                .iter()
                .copied()
                .filter(|&(_, _, operand)| self.passes[operand] == pass)
                .collect();
            let stores = self.element_outputs(pass);
            self.pass(pass, &own, &stores)?;
        }
        if let Stage::Partial(scratch) = self.stage {
            self.store_partials(scratch, &reductions);
        } else {
            let stores = self.element_outputs(passes);
            self.pass(passes, &[], &stores)?;
            self.store_rows()?;
        }
        let Emitter { bindings, text, .. } = self.emitter;
        Ok((bindings, text, self.combine))
    }

    /// Short rows: each thread keeps its few columns in registers over all passes.
    fn is_resident(&self) -> bool {
        self.layout.is_resident
    }

    fn columns_in_registers(&mut self) {
        if self.layout.in_fours {
            self.emitter.line("let inside = lane * 4u < COLUMNS;");
            self.emitter.line("let first_of_four = min(lane * 4u, COLUMNS - 4u);");
            self.four_columns();
            return;
        }
        for lane in 0..self.layout.lanes {
            let suffix = self.emitter.lane_suffix(lane);
            self.emitter.line(format!("let raw_column{suffix} = lane + {lane}u * THREADS;"));
            self.emitter.line(format!("let inside{suffix} = raw_column{suffix} < COLUMNS;"));
            self.emitter
                .line(format!("let column{suffix} = min(raw_column{suffix}, COLUMNS - 1u);"));
            self.emitter.decode_reduced(&format!("column{suffix}"), lane);
        }
    }

    /// Columns `first_of_four` and on.
    pub(super) fn four_columns(&mut self) {
        for lane in 0..4 {
            self.emitter.line(format!("let column_{lane} = first_of_four + {lane}u;"));
            self.emitter.decode_reduced(&format!("column_{lane}"), lane);
        }
    }

    /// The condition that a lane's column is one of the row's.
    fn inside(&self, lane: usize) -> String {
        match self.layout.in_fours {
            true => "inside".to_owned(),
            false => format!("inside{}", self.emitter.lane_suffix(lane)),
        }
    }

    /// Outputs of level `Element` whose value is known in pass `pass`.
    fn element_outputs(&self, pass: usize) -> Vec<usize> {
        if matches!(self.stage, Stage::Partial(_)) {
            return Vec::new();
        }
        let outputs = &self.unit.kernel.outputs;
        (0..outputs.len())
            .filter(|&position| {
                let value = outputs[position].value;
                !self.is_row_output(position) && self.passes[value] == pass
            })
            .collect()
    }

    /// True if an output has one element per row.
    fn is_row_output(&self, position: usize) -> bool {
        self.emitter.is_row(self.unit.kernel.outputs[position].value)
    }

    /// One walk over the columns: the reductions and the stores of elements that belong to it.
    fn pass(
        &mut self,
        pass: usize,
        reductions: &[(ValueId, Reduction, ValueId)],
        stores: &[usize],
    ) -> Result<()> {
        let mut targets: Vec<ValueId> = reductions.iter().map(|&(_, _, operand)| operand).collect();
        targets.extend(stores.iter().map(|&position| self.unit.kernel.outputs[position].value));
        let is_final = matches!(self.stage, Stage::Final(..));
        let needed = if is_final && pass == 0 {
            Vec::new()
        } else {
            self.emitter.closure(&targets, &self.done)
        };
        let once: Vec<bool> = (0..self.done.len()).map(|id| self.emitter.runs_once(id)).collect();
        // Values of the row first, outside the loop.
        for &id in needed.iter().filter(|&&id| once[id]) {
            self.emitter.emit(id)?;
            self.done[id] = true;
        }
        if targets.is_empty() {
            return Ok(());
        }
        for &(id, reduction, operand) in reductions {
            let dtype = self.emitter.dtype(operand);
            let kind = literal::compute_type(dtype);
            let identity = literal::identity(reduction, self.emitter.dtype(id));
            self.emitter.line(format!("var acc{id}: {kind} = {identity};"));
        }
        let elements: Vec<ValueId> = needed.into_iter().filter(|&id| !once[id]).collect();
        if let (Stage::Final(scratch, chunks), 0) = (self.stage, pass) {
            self.combine_partials(scratch, chunks, reductions);
        } else if self.is_resident() {
            self.resident_pass(reductions, stores, &elements)?;
        } else {
            self.looping_pass(reductions, stores, &elements)?;
        }
        for &(id, reduction, operand) in reductions {
            self.finish(id, reduction, operand);
        }
        Ok(())
    }

    fn resident_pass(
        &mut self,
        reductions: &[(ValueId, Reduction, ValueId)],
        stores: &[usize],
        elements: &[ValueId],
    ) -> Result<()> {
        for &id in elements {
            self.emitter.emit(id)?;
            self.done[id] = true;
        }
        for lane in 0..self.layout.lanes {
            let inside = self.inside(lane);
            for &(id, reduction, operand) in reductions {
                let value = self.emitter.name(operand, lane);
                let dtype = self.emitter.dtype(operand);
                let combined = literal::combine(reduction, dtype, &format!("acc{id}"), &value);
                self.emitter.line(format!("if ({inside}) {{ acc{id} = {combined}; }}"));
            }
            if !stores.is_empty() && !self.layout.in_fours {
                self.emitter.line(format!("if (alive && {inside}) {{"));
                self.store_elements(stores, lane);
                self.emitter.line("}");
            }
        }
        if !stores.is_empty() && self.layout.in_fours {
            self.emitter.line("if (alive && inside) {");
            self.store_fours(stores);
            self.emitter.line("}");
        }
        Ok(())
    }

    /// Reads the partial results of the first stage in chunk order.
    fn combine_partials(
        &mut self,
        scratch: Resource,
        chunks: usize,
        reductions: &[(ValueId, Reduction, ValueId)],
    ) {
        let chunks = self.emitter.bindings.number("partials", chunks);
        self.emitter.line(format!("for (var chunk = lane; chunk < {chunks}; chunk += THREADS) {{"));
        let all: Vec<ValueId> =
            self.unit.kernel.program.reductions().map(|(id, _, _)| id).collect();
        for &(id, reduction, operand) in reductions {
            let dtype = self.emitter.dtype(operand);
            let position = all.iter().position(|&other| other == id).unwrap_or(0);
            let index = format!("({position}u * {chunks} + chunk) * ROWS + row");
            let word = self.emitter.bindings.load(scratch, DType::U32, &index);
            let value = literal::from_word(dtype, &word);
            let combined = literal::combine(reduction, dtype, &format!("acc{id}"), &value);
            self.emitter.line(format!("acc{id} = {combined};"));
        }
        self.emitter.line("}");
    }

    /// Combines the threads of a row.
    fn finish(&mut self, id: ValueId, reduction: Reduction, operand: ValueId) {
        let dtype = self.emitter.dtype(operand);
        if self.layout.threads == 1 {
            self.emitter.line(format!("let v{id} = acc{id};"));
        } else {
            let name = format!("combine_{}_{}", reduction.name(), literal::compute_type(dtype));
            self.emitter.line(format!("let v{id} = {name}(acc{id}, thread, lane);"));
            if !self.combine.contains(&format!("fn {name}(")) {
                self.combine.push_str(&tree(&name, reduction, dtype, self.layout));
            }
        }
        self.done[id] = true;
    }

    fn store_partials(&mut self, scratch: Resource, reductions: &[(ValueId, Reduction, ValueId)]) {
        self.emitter.line("if (alive && lane == 0u) {");
        for (position, &(id, _, operand)) in reductions.iter().enumerate() {
            let word = literal::to_word(self.emitter.dtype(operand), &format!("v{id}"));
            let index = format!("({position}u * CHUNKS + chunk) * ROWS + row");
            let store = self.emitter.bindings.store(scratch, DType::U32, &index, &word);
            self.emitter.line(store);
        }
        self.emitter.line("}");
    }

    /// The outputs with one element per row.
    fn store_rows(&mut self) -> Result<()> {
        let rows: Vec<usize> = (0..self.unit.kernel.outputs.len())
            .filter(|&position| self.is_row_output(position))
            .collect();
        let targets: Vec<ValueId> =
            rows.iter().map(|&position| self.unit.kernel.outputs[position].value).collect();
        for id in self.emitter.closure(&targets, &self.done) {
            self.emitter.emit(id)?;
            self.done[id] = true;
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.emitter.line("if (alive && lane == 0u) {");
        for position in rows {
            let (output, resource) = self.unit.output(position);
            let value = self.emitter.name(output.value, 0);
            let store = self.emitter.bindings.store(resource, output.dtype, "row", &value);
            self.emitter.line(store);
        }
        self.emitter.line("}");
        Ok(())
    }
}

/// The instructions that a stage emits; others must not take up bindings.
fn needed(unit: &Unit<'_>, stage: Stage) -> Vec<bool> {
    let instructions = &unit.kernel.program.instructions;
    let mut needed = vec![false; instructions.len()];
    let mut pending: Vec<ValueId> = match stage {
        Stage::Partial(_) => unit.kernel.program.reductions().map(|(id, _, _)| id).collect(),
        Stage::Whole | Stage::Final(..) => {
            unit.kernel.outputs.iter().map(|output| output.value).collect()
        }
    };
    while let Some(id) = pending.pop() {
        let combines = matches!(
            (stage, instructions[id].operation),
            (Stage::Final(..), Operation::Reduce(..))
        );
        if !std::mem::replace(&mut needed[id], true) && !combines {
            pending.extend(instructions[id].operation.operands());
        }
    }
    needed
}
