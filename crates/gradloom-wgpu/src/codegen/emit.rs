//! [`Emitter`]: instructions of a program as WGSL statements.
//!
//! A thread works on `lanes` elements at once: neighbours of the innermost axis in maps, columns a
//! stride apart in rows. A value that is the same for all lanes is computed once and named `v7`; others
//! are `v7_0`, `v7_1` and so on.

use gradloom_plan::{Instruction, Level, Operation, ValueId, View};
use gradloom_tensor::{DType, Result, Scalar};

use super::axes::{Axes, Walk};
use super::bindings::Bindings;
use super::constants::number;
use super::coordinates::{Coordinates, Frame, Path};
use super::packed;
use super::unit::Unit;
use super::words::Word;
use super::{elementwise, literal};

/// Instructions of a program as WGSL statements.
pub(crate) struct Emitter<'a> {
    pub(super) unit: &'a Unit<'a>,
    pub(super) instructions: &'a [Instruction],
    pub(super) coordinates: Coordinates,
    walks: Vec<Option<Walk>>,
    paths: Vec<Option<Path>>,
    /// Sizes that indices are checked against, and constants that are numbers.
    numbers: Vec<Option<String>>,
    uniform: Vec<bool>,
    /// The bindings, with all that the program uses.
    pub(crate) bindings: Bindings,
    /// Statements so far.
    pub(crate) text: String,
}

impl<'a> Emitter<'a> {
    /// Registers what the kernel's program loads on top of `bindings`. With [`Frame::Elements`] `lanes`
    /// is 1, or 4 if that fits.
    pub(crate) fn new(
        unit: &'a Unit<'a>,
        frame: Frame,
        lanes: usize,
        bindings: Bindings,
    ) -> Result<Self> {
        Emitter::of_part(unit, frame, lanes, bindings, |_| true)
    }

    /// As [`Emitter::new`], for a stage that only emits the instructions which `emits` accepts.
    pub(crate) fn of_part(
        unit: &'a Unit<'a>,
        frame: Frame,
        lanes: usize,
        mut bindings: Bindings,
        emits: impl Fn(ValueId) -> bool,
    ) -> Result<Self> {
        let kernel = unit.kernel;
        let instructions = &kernel.program.instructions[..];
        let views: Vec<View> = instructions.iter().filter_map(view_of).collect();
        let axes = Axes::merge(&kernel.space, &views);
        let walks: Vec<Option<Walk>> = instructions
            .iter()
            .map(|instruction| view_of(instruction).map(|view| axes.walk(&view)))
            .collect();
        let vectors = match frame {
            Frame::Elements => lanes == 4,
            // Neighbours in a row are neighbours along its last axis.
            Frame::RowQuads => {
                axes.sizes.len() > axes.kept
                    && axes.sizes.last().is_some_and(|last| last.is_multiple_of(4))
            }
            Frame::Apart | Frame::Rows => false,
        };
        for (id, (instruction, walk)) in instructions.iter().zip(&walks).enumerate() {
            if !emits(id) {
                continue;
            }
            match (instruction.operation, walk) {
                (Operation::Load { input, .. }, Some(walk)) => {
                    let (operand, resource) = unit.input(input);
                    let vector = vectors && is_vector_walk(walk);
                    bindings.register(resource, operand.dtype, vector, false)?;
                }
                (Operation::Argument(_) | Operation::Random { .. }, _) => {
                    bindings.register_words(unit.words.len());
                }
                (Operation::CheckIndex { .. }, _) => {
                    bindings.register_words(unit.words.len());
                    bindings.register_status();
                }
                _ => {}
            }
        }
        let mut used = walks.clone();
        used.iter_mut()
            .enumerate()
            .filter(|(id, _)| !emits(*id))
            .for_each(|(_, walk)| *walk = None);
        let coordinates = Coordinates::new(frame, lanes, axes, &used, &mut bindings);
        let paths = used
            .iter()
            .map(|walk| walk.as_ref().map(|walk| coordinates.path(walk, &mut bindings)))
            .collect();
        let numbers = (0..instructions.len())
            .map(|id| if emits(id) { number(instructions, id, &mut bindings) } else { None })
            .collect();
        let mut emitter = Emitter {
            unit,
            instructions,
            coordinates,
            walks,
            paths,
            numbers,
            uniform: Vec::new(),
            bindings,
            text: String::new(),
        };
        emitter.uniform = emitter.find_uniform();
        Ok(emitter)
    }

    /// Registers the kernel's outputs, or those that `wanted` accepts.
    pub(crate) fn register_outputs(&mut self, wanted: impl Fn(usize) -> bool) -> Result<()> {
        for position in 0..self.unit.kernel.outputs.len() {
            if wanted(position) {
                let (output, resource) = self.unit.output(position);
                let vectors = match self.coordinates.frame {
                    Frame::Elements => self.coordinates.lanes == 4,
                    Frame::Apart => packed::is_narrow(output.dtype),
                    Frame::RowQuads => !self.is_row(output.value),
                    Frame::Rows => false,
                };
                self.bindings.register(resource, output.dtype, vectors, true)?;
            }
        }
        Ok(())
    }

    /// Values that are the same for all lanes.
    fn find_uniform(&self) -> Vec<bool> {
        let mut uniform: Vec<bool> = Vec::new();
        for (id, instruction) in self.instructions.iter().enumerate() {
            let same = self.coordinates.lanes == 1
                || match instruction.operation {
                    Operation::Load { .. } | Operation::Index(_) => {
                        self.walks[id].as_ref().is_some_and(|walk| !self.coordinates.varies(walk))
                    }
                    Operation::Constant(_) | Operation::Argument(_) | Operation::Reduce(..) => true,
                    Operation::Accumulator => false,
                    _ => instruction.operation.operands().all(|operand| uniform[operand]),
                };
            uniform.push(same);
        }
        uniform
    }

    /// The name of a value for one lane.
    pub(crate) fn name(&self, id: ValueId, lane: usize) -> String {
        if self.uniform[id] { format!("v{id}") } else { format!("v{id}_{lane}") }
    }

    /// The type a value is computed in.
    pub(crate) fn dtype(&self, id: ValueId) -> DType {
        self.instructions[id].dtype
    }

    /// A line of text.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str("    ");
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// Coordinates of the kept axes from a variable with their linear number.
    pub(crate) fn decode_kept(&mut self, linear: &str) {
        let range = 0..self.coordinates.axes.kept;
        self.decode(linear, range, "");
    }

    /// Coordinates of elements `index` and on, the last one again for those beyond the end.
    pub(super) fn decode_apart(&mut self) {
        let range = 0..self.coordinates.axes.kept;
        for lane in 0..self.coordinates.lanes {
            let suffix = self.lane_suffix(lane);
            self.line(format!("let index{suffix} = min(index + {lane}u, COUNT - 1u);"));
            self.decode(&format!("index{suffix}"), range.clone(), &suffix);
        }
    }

    /// Coordinates of the reduced axes for one lane from a variable with their linear number.
    pub(crate) fn decode_reduced(&mut self, linear: &str, lane: usize) {
        let axes = &self.coordinates.axes;
        let range = axes.kept..axes.sizes.len();
        let suffix = self.lane_suffix(lane);
        self.decode(linear, range, &suffix);
    }

    fn decode(&mut self, linear: &str, range: std::ops::Range<usize>, suffix: &str) {
        for line in self.coordinates.decode(linear, range, suffix) {
            self.line(line);
        }
    }

    /// What is appended to a column's variables for a lane.
    pub(crate) fn lane_suffix(&self, lane: usize) -> String {
        self.coordinates.lane_suffix(lane)
    }

    /// The instructions that `targets` need and that `done` does not hold yet, in order.
    pub(crate) fn closure(&self, targets: &[ValueId], done: &[bool]) -> Vec<ValueId> {
        let mut wanted = vec![false; self.instructions.len()];
        let mut pending: Vec<ValueId> = targets.to_vec();
        while let Some(id) = pending.pop() {
            if !done[id] && !wanted[id] {
                wanted[id] = true;
                pending.extend(self.instructions[id].operation.operands());
            }
        }
        (0..wanted.len()).filter(|&id| wanted[id]).collect()
    }

    /// True for values with one element per row.
    pub(crate) fn is_row(&self, id: ValueId) -> bool {
        self.instructions[id].level == Level::Row
    }

    /// True for instructions that are computed once per row.
    pub(crate) fn runs_once(&self, id: ValueId) -> bool {
        let operation = &self.instructions[id].operation;
        self.is_row(id) || matches!(operation, Operation::Constant(_) | Operation::Argument(_))
    }

    /// Statements that compute instruction `id` for all lanes.
    pub(crate) fn emit(&mut self, id: ValueId) -> Result<()> {
        if let Operation::Load { input, .. } = self.instructions[id].operation
            && self.emit_vector_load(id, input)
        {
            return Ok(());
        }
        let lanes = if self.uniform[id] { 1 } else { self.coordinates.lanes };
        for lane in 0..lanes {
            self.emit_lane(id, lane)?;
        }
        Ok(())
    }

    /// A load of four neighbours at once, where the binding is declared for it.
    fn emit_vector_load(&mut self, id: ValueId, input: usize) -> bool {
        let (operand, resource) = self.unit.input(input);
        let Some(path) = &self.paths[id] else { return false };
        let in_fours = match self.coordinates.frame {
            Frame::Elements | Frame::RowQuads => self.coordinates.lanes == 4,
            Frame::Apart | Frame::Rows => false,
        };
        if !in_fours || !self.bindings.is_vector(resource) {
            return false;
        }
        let address = self.coordinates.address(path, 0);
        let load = self.bindings.load_vector(resource, operand.dtype, &format!("({address}) / 4u"));
        self.line(format!("let w{id} = {load};"));
        for lane in 0..4 {
            let name = format!("w{id}");
            let value = self.bindings.component(resource, operand.dtype, &name, lane);
            self.line(format!("let {} = {value};", self.name(id, lane)));
        }
        true
    }

    fn is_float_zero(&self, id: ValueId) -> bool {
        let Instruction { operation, dtype, .. } = self.instructions[id];
        let zero = matches!(operation, Operation::Constant(value) if value.as_f64() == 0.0);
        zero && dtype.compute() == DType::F32
    }

    fn path(&self, id: ValueId) -> &Path {
        self.paths[id].as_ref().unwrap_or_else(|| unreachable!("{id} has no view that is emitted"))
    }

    fn argument(&self, argument: usize) -> String {
        self.unit.words.expression(Word::Argument(argument))
    }

    fn emit_lane(&mut self, id: ValueId, lane: usize) -> Result<()> {
        let Instruction { operation, dtype, .. } = self.instructions[id];
        let name = self.name(id, lane);
        let value = |operand: ValueId| self.name(operand, lane);
        let expression = match operation {
            Operation::Load { input, .. } => {
                let (operand, resource) = self.unit.input(input);
                let path = self.path(id);
                let zero = literal::scalar(Scalar::Int(0), operand.dtype);
                if path.never {
                    zero
                } else {
                    let mut address = self.coordinates.address(path, lane);
                    let (masked, exists) = (path.is_masked(), self.coordinates.exists(path, lane));
                    if packed::is_narrow(operand.dtype) {
                        // It is mentioned twice.
                        self.line(format!("let at_{name} = {address};"));
                        address = format!("at_{name}");
                    }
                    let load = self.bindings.load(resource, operand.dtype, &address);
                    if masked {
                        let kind = literal::compute_type(operand.dtype);
                        self.line(format!("var {name}: {kind} = {zero};"));
                        self.line(format!("if ({exists}) {{ {name} = {load}; }}"));
                        return Ok(());
                    }
                    load
                }
            }
            Operation::Accumulator if self.coordinates.lanes == 1 => "accumulator".to_owned(),
            Operation::Accumulator => format!("accumulator_{lane}"),
            Operation::Constant(constant) => match &self.numbers[id] {
                Some(number) => literal::from_word(dtype, number),
                None => literal::scalar(constant, dtype),
            },
            Operation::Argument(argument) => literal::from_word(dtype, &self.argument(argument)),
            Operation::Index(_) => {
                let path = self.path(id);
                let address = format!("bitcast<i32>({})", self.coordinates.address(path, lane));
                if path.never {
                    "0i".to_owned()
                } else if path.is_masked() {
                    format!("select(0i, {address}, {})", self.coordinates.exists(path, lane))
                } else {
                    address
                }
            }
            Operation::Random { index, key } => format!(
                "gl_threefry(vec2<u32>({}, {}), vec2<u32>({}, 0u)).x",
                self.argument(key[0]),
                self.argument(key[1]),
                self.coordinates.counter(self.paths[index].as_ref(), &value(index))
            ),
            Operation::Unary(op, a) => elementwise::unary(op, self.dtype(a), &value(a))?,
            Operation::Binary(op, a, b) => {
                let zero = [a, b].map(|operand| self.is_float_zero(operand));
                match elementwise::with_zero(op, &value(a), &value(b), zero) {
                    Some(expression) => expression,
                    None => elementwise::binary(op, self.dtype(a), &value(a), &value(b))?,
                }
            }
            Operation::Select(condition, on_true, on_false) => {
                format!("select({}, {}, {})", value(on_false), value(on_true), value(condition))
            }
            Operation::Cast(a) => elementwise::cast(self.dtype(a), dtype, &value(a)),
            Operation::CheckIndex { value: a, site, .. } => {
                let a = value(a);
                self.line(format!("let {name} = {a};"));
                let site = self.unit.words.expression(Word::Site(site));
                let size = self.numbers[id].as_deref().unwrap_or_default();
                self.line(format!("gl_check(i32({a}), {size}, {site});"));
                return Ok(());
            }
            Operation::Reduce(..) => unreachable!("reductions are emitted by the row kernel"),
        };
        self.line(format!("let {name} = {expression};"));
        Ok(())
    }
}

fn view_of(instruction: &Instruction) -> Option<View> {
    match instruction.operation {
        Operation::Load { view, .. } | Operation::Index(view) => Some(view),
        _ => None,
    }
}

/// True if four lanes read four neighbours that start at a multiple of four.
fn is_vector_walk(walk: &Walk) -> bool {
    let Some((&last, outer)) = walk.strides.split_last() else { return false };
    last == 1
        && walk.offset % 4 == 0
        && !walk.is_masked()
        && outer.iter().all(|stride| stride % 4 == 0)
}
