//! [`TileProgram`]: a program as steps with registers, made once per plan.
//!
//! What is the same for all elements runs once per evaluation. Loads of neighbouring f32, i32, u32 and
//! f64 elements are no steps: other steps read the buffer itself. The step that makes an output
//! writes it in place of a register where the types agree.

use gradloom_plan::program::{Operation, Program, ValueId};
use gradloom_plan::{KernelInput, View};
use gradloom_tensor::op::{Binary, Unary};
use gradloom_tensor::{DType, Scalar};

use super::access::{Access, Pattern};
use crate::convert::Lane;

/// Where a step finds an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A register.
    Register(usize),
    /// A value that is the same for all elements.
    Uniform(usize),
    /// The elements of an input from `offset + start` on.
    Input { input: usize, offset: isize },
    /// Lanes that the caller provides with each tile.
    External(usize),
    /// Lanes that were written to an output already.
    Output(usize),
}

/// Where a step puts its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Register(usize),
    Uniform(usize),
    Output(usize),
    Nothing,
}

/// One step of a tile.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) work: Work,
    pub(super) target: Target,
    /// Lane of the result.
    pub(super) lane: Lane,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Load { input: usize, dtype: DType, access: Access },
    LoadOutput { output: usize, dtype: DType },
    LoadExternal { external: usize, dtype: DType },
    Index { access: Access },
    Constant(Scalar, DType),
    Argument(usize, DType),
    Unary(Unary, Lane, Source),
    Binary(Binary, Lane, Source, Source),
    Select(Lane, Source, Source, Source),
    Cast(Lane, DType, Source),
    Random(Source, [Source; 2]),
    Check { lane: Lane, value: Source, size: usize, site: usize },
}

/// A value that is stored to an output at every element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    /// The program's value.
    pub(crate) value: ValueId,
    /// Position among the outputs that the caller passes.
    pub(crate) output: usize,
    /// Its dtype.
    pub(crate) dtype: DType,
}

/// Where the kernel's own result comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accumulator {
    /// The program has none.
    None,
    /// Elements of a dtype, as the last external of each tile.
    External(DType),
    /// The kernel left it in this output.
    InPlace(usize, DType),
}

/// What to compile.
pub(crate) struct Request<'a> {
    /// The program.
    pub(crate) program: &'a Program,
    /// Operands of the kernel.
    pub(crate) inputs: &'a [KernelInput],
    /// From the program's views to those of the space that tiles run over.
    pub(crate) view: &'a dyn Fn(&View) -> View,
    /// Values that the caller provides as lanes with each tile.
    pub(crate) externals: &'a [ValueId],
    /// The kernel's own result.
    pub(crate) accumulator: Accumulator,
    /// Values to store.
    pub(crate) stores: &'a [Store],
    /// Values that the caller reads as lanes after each tile.
    pub(crate) exports: &'a [ValueId],
    /// Inputs that share the memory of an output, element by element.
    pub(crate) in_place: &'a [(usize, usize)],
}

/// A program with registers.
#[derive(Clone, Debug)]
pub(crate) struct TileProgram {
    /// Run once per evaluation.
    pub(super) uniform_steps: Vec<Step>,
    /// Run for each tile.
    pub(super) steps: Vec<Step>,
    /// Values to store after the steps.
    pub(super) stores: Vec<(Source, Lane, Store)>,
    /// Values for the caller.
    pub(super) exports: Vec<Source>,
    pub(super) uniforms: usize,
    pub(super) registers: usize,
    /// True if some lane has 64 bits.
    pub(super) wide: bool,
}

impl TileProgram {
    /// Compiles what the stores and exports need.
    pub(crate) fn compile(request: &Request<'_>) -> TileProgram {
        let instructions = &request.program.instructions;
        let mut needed = vec![false; instructions.len()];
        let wanted =
            request.stores.iter().map(|store| store.value).chain(request.exports.iter().copied());
        for value in wanted {
            needed[value] = true;
        }
        for id in (0..instructions.len()).rev() {
            if needed[id] && !request.externals.contains(&id) {
                for operand in instructions[id].operation.operands() {
                    needed[operand] = true;
                }
            }
        }
        // A check has no reader of its own when its value is not used; it still must run.
        for (id, instruction) in instructions.iter().enumerate() {
            if let Operation::CheckIndex { value, .. } = instruction.operation {
                needed[id] |= needed[value] && !request.externals.contains(&value);
            }
        }
        let mut builder = Builder::new(request, instructions.len());
        for id in (0..instructions.len()).filter(|&id| needed[id]) {
            builder.values[id] = builder.source(id);
        }
        builder.finish()
    }
}

struct Builder<'a> {
    request: &'a Request<'a>,
    values: Vec<Source>,
    uniform_steps: Vec<Step>,
    /// Loads from outputs, which must happen before anything is stored there.
    first_steps: Vec<Step>,
    steps: Vec<Step>,
    uniforms: usize,
    registers: usize,
}

impl<'a> Builder<'a> {
    fn new(request: &'a Request<'a>, values: usize) -> Builder<'a> {
        Builder {
            request,
            values: vec![Source::Uniform(usize::MAX); values],
            uniform_steps: Vec::new(),
            first_steps: Vec::new(),
            steps: Vec::new(),
            uniforms: 0,
            registers: 0,
        }
    }

    /// Adds the steps of an instruction and says where its value is.
    fn source(&mut self, id: ValueId) -> Source {
        if let Some(external) = self.request.externals.iter().position(|&value| value == id) {
            return Source::External(external);
        }
        let instruction = self.request.program.instructions[id];
        let lane = Lane::of(instruction.dtype);
        let dtype_of = |value: ValueId| self.request.program.instructions[value].dtype;
        let lane_of = |value: ValueId| Lane::of(dtype_of(value));
        match instruction.operation {
            Operation::Load { input, view } => self.load(input, &(self.request.view)(&view), lane),
            Operation::Accumulator => match self.request.accumulator {
                Accumulator::InPlace(output, dtype) => {
                    self.first(Work::LoadOutput { output, dtype }, lane)
                }
                Accumulator::External(dtype) if Lane::stores(dtype) => {
                    Source::External(self.request.externals.len())
                }
                Accumulator::External(dtype) => {
                    let external = self.request.externals.len();
                    self.step(Work::LoadExternal { external, dtype }, lane)
                }
                Accumulator::None => panic!("kernel: an accumulator in a program without one"),
            },
            Operation::Constant(value) => {
                self.uniform(Work::Constant(value, instruction.dtype), lane)
            }
            Operation::Argument(index) => {
                self.uniform(Work::Argument(index, instruction.dtype), lane)
            }
            Operation::Index(view) => {
                let access = Access::new(&(self.request.view)(&view));
                let uniform = access.pattern == Pattern::Uniform;
                self.place(Work::Index { access }, lane, uniform)
            }
            Operation::Random { index, key } => {
                let words =
                    key.map(|word| self.uniform(Work::Argument(word, DType::U32), Lane::U32));
                self.compute(Work::Random(self.values[index], words), lane)
            }
            Operation::Unary(op, value) => {
                self.compute(Work::Unary(op, lane_of(value), self.values[value]), lane)
            }
            Operation::Binary(op, lhs, rhs) => {
                let (lhs, rhs, operand) = (self.values[lhs], self.values[rhs], lane_of(lhs));
                self.compute(Work::Binary(op, operand, lhs, rhs), lane)
            }
            Operation::Select(condition, on_true, on_false) => {
                let [condition, on_true, on_false] =
                    [condition, on_true, on_false].map(|value| self.values[value]);
                self.compute(Work::Select(lane, condition, on_true, on_false), lane)
            }
            Operation::Cast(value) => {
                let (from, to) = (dtype_of(value), instruction.dtype);
                let widens = matches!(
                    (from, to),
                    (DType::F16 | DType::BF16, DType::F32) | (DType::Bool | DType::U8, DType::U32)
                );
                if (from == to && Lane::stores(to)) || widens {
                    return self.values[value];
                }
                self.compute(Work::Cast(lane_of(value), to, self.values[value]), lane)
            }
            Operation::CheckIndex { value, size, site } => {
                let checked = self.values[value];
                let work = Work::Check { lane, value: checked, size, site };
                let uniform = matches!(checked, Source::Uniform(_));
                let steps = if uniform { &mut self.uniform_steps } else { &mut self.steps };
                steps.push(Step { work, target: Target::Nothing, lane });
                checked
            }
            Operation::Reduce(..) => panic!("kernel: a reduction in a program without one"),
        }
    }

    fn load(&mut self, input: usize, view: &View, lane: Lane) -> Source {
        let dtype = self.request.inputs[input].dtype;
        if let Some(&(_, output)) = self.request.in_place.iter().find(|pair| pair.0 == input) {
            return self.first(Work::LoadOutput { output, dtype }, lane);
        }
        let access = Access::new(view);
        match access.pattern {
            Pattern::Contiguous if Lane::stores(dtype) => {
                Source::Input { input, offset: access.offset }
            }
            Pattern::Nothing => self.uniform(Work::Constant(Scalar::Int(0), dtype), lane),
            pattern => {
                let uniform = pattern == Pattern::Uniform;
                self.place(Work::Load { input, dtype, access }, lane, uniform)
            }
        }
    }

    /// A step whose result is uniform if all its operands are.
    fn compute(&mut self, work: Work, lane: Lane) -> Source {
        let uniform = operands(&work).all(|source| matches!(source, Source::Uniform(_)));
        self.place(work, lane, uniform)
    }

    fn place(&mut self, work: Work, lane: Lane, uniform: bool) -> Source {
        if uniform { self.uniform(work, lane) } else { self.step(work, lane) }
    }

    fn uniform(&mut self, work: Work, lane: Lane) -> Source {
        let uniform = self.uniforms;
        self.uniforms += 1;
        self.uniform_steps.push(Step { work, target: Target::Uniform(uniform), lane });
        Source::Uniform(uniform)
    }

    fn step(&mut self, work: Work, lane: Lane) -> Source {
        let register = self.registers;
        self.registers += 1;
        self.steps.push(Step { work, target: Target::Register(register), lane });
        Source::Register(register)
    }

    fn first(&mut self, work: Work, lane: Lane) -> Source {
        let register = self.registers;
        self.registers += 1;
        self.first_steps.push(Step { work, target: Target::Register(register), lane });
        Source::Register(register)
    }

    fn finish(mut self) -> TileProgram {
        let instructions = &self.request.program.instructions;
        let hoisted = self.first_steps.len();
        self.first_steps.append(&mut self.steps);
        let mut program = TileProgram {
            uniform_steps: self.uniform_steps,
            steps: self.first_steps,
            stores: self
                .request
                .stores
                .iter()
                .map(|&store| {
                    let lane = Lane::of(instructions[store.value].dtype);
                    (self.values[store.value], lane, store)
                })
                .collect(),
            exports: self.request.exports.iter().map(|&value| self.values[value]).collect(),
            uniforms: self.uniforms,
            registers: self.registers,
            wide: instructions.iter().any(|instruction| instruction.dtype == DType::F64),
        };
        write_outputs_directly(&mut program, hoisted);
        read_outputs_directly(&mut program);
        allocate_registers(&mut program);
        program
    }
}

/// The operands of a step.
pub(super) fn operands(work: &Work) -> impl Iterator<Item = Source> + use<> {
    let (count, sources) = match *work {
        Work::Load { .. }
        | Work::LoadOutput { .. }
        | Work::LoadExternal { .. }
        | Work::Index { .. }
        | Work::Constant(..)
        | Work::Argument(..) => (0, [Source::Uniform(0); 3]),
        Work::Unary(_, _, a) | Work::Cast(_, _, a) | Work::Check { value: a, .. } => (1, [a; 3]),
        Work::Binary(_, _, a, b) => (2, [a, b, b]),
        Work::Select(_, a, b, c) => (3, [a, b, c]),
        Work::Random(index, [low, high]) => (3, [index, low, high]),
    };
    sources.into_iter().take(count)
}

fn operands_mut(work: &mut Work) -> Vec<&mut Source> {
    match work {
        Work::Load { .. }
        | Work::LoadOutput { .. }
        | Work::LoadExternal { .. }
        | Work::Index { .. }
        | Work::Constant(..)
        | Work::Argument(..) => Vec::new(),
        Work::Unary(_, _, a) | Work::Cast(_, _, a) | Work::Check { value: a, .. } => vec![a],
        Work::Binary(_, _, a, b) => vec![a, b],
        Work::Select(_, a, b, c) => vec![a, b, c],
        Work::Random(index, _) => vec![index],
    }
}

/// Lets the step that computes a stored value write the output itself. The first `hoisted` steps read
/// outputs and keep their registers.
fn write_outputs_directly(program: &mut TileProgram, hoisted: usize) {
    for index in 0..program.stores.len() {
        let (source, lane, store) = program.stores[index];
        if !Lane::stores(store.dtype) || Lane::of(store.dtype) != lane {
            continue;
        }
        let Some(step) = program.steps[hoisted..].iter_mut().find(|step| is_made(step, source))
        else {
            continue;
        };
        let replaced = Source::Output(store.output);
        step.target = Target::Output(store.output);
        let operands = program.steps.iter_mut().flat_map(|step| operands_mut(&mut step.work));
        let stored = program.stores.iter_mut().map(|(source, ..)| source);
        for reader in operands.chain(stored).chain(&mut program.exports) {
            if *reader == source {
                *reader = replaced;
            }
        }
    }
    // What stands in its output already needs no store.
    program.stores.retain(|(source, _, store)| *source != Source::Output(store.output));
}

/// Lets steps read an output's first contents where they are, if all who read them come before the
/// step that writes the output.
fn read_outputs_directly(program: &mut TileProgram) {
    let mut index = 0;
    while index < program.steps.len() {
        let Step {
            work: Work::LoadOutput { output, dtype },
            target: Target::Register(register),
            ..
        } = program.steps[index]
        else {
            index += 1;
            continue;
        };
        let (loaded, found) = (Source::Register(register), Source::Output(output));
        let writer = program
            .steps
            .iter()
            .position(|step| step.target == Target::Output(output))
            .unwrap_or(program.steps.len());
        let read_late = program.steps[writer..]
            .iter()
            .any(|step| operands(&step.work).any(|source| source == loaded));
        // What is stored or exported later would find the new contents.
        let kept = program.stores.iter().any(|(source, ..)| *source == loaded)
            || program.exports.contains(&loaded);
        if read_late || kept || !Lane::stores(dtype) {
            index += 1;
            continue;
        }
        for step in &mut program.steps {
            for operand in operands_mut(&mut step.work) {
                if *operand == loaded {
                    *operand = found;
                }
            }
        }
        program.steps.remove(index);
    }
}

fn is_made(step: &Step, source: Source) -> bool {
    matches!((step.target, source), (Target::Register(a), Source::Register(b)) if a == b)
}

/// Reuses registers whose last reader has run.
fn allocate_registers(program: &mut TileProgram) {
    let mut last_use = vec![0usize; program.registers];
    for (index, step) in program.steps.iter().enumerate() {
        for source in operands(&step.work) {
            if let Source::Register(register) = source {
                last_use[register] = index;
            }
        }
        if let Target::Register(register) = step.target {
            last_use[register] = last_use[register].max(index);
        }
    }
    let kept = program.stores.iter().map(|(source, ..)| *source).chain(program.exports.clone());
    for source in kept {
        if let Source::Register(register) = source {
            last_use[register] = usize::MAX;
        }
    }
    let mut assigned = vec![usize::MAX; program.registers];
    let mut free: Vec<usize> = Vec::new();
    let mut used = 0;
    for index in 0..program.steps.len() {
        if let Target::Register(register) = program.steps[index].target {
            let physical = free.pop().unwrap_or_else(|| {
                used += 1;
                used - 1
            });
            assigned[register] = physical;
            program.steps[index].target = Target::Register(physical);
        }
        let mut ended: Vec<usize> = Vec::new();
        for operand in operands_mut(&mut program.steps[index].work) {
            if let Source::Register(register) = *operand {
                *operand = Source::Register(assigned[register]);
                if last_use[register] == index && !ended.contains(&register) {
                    ended.push(register);
                }
            }
        }
        free.extend(ended.into_iter().map(|register| assigned[register]));
    }
    let rename = |source: &mut Source| {
        if let Source::Register(register) = *source {
            *source = Source::Register(assigned[register]);
        }
    };
    program.stores.iter_mut().for_each(|(source, ..)| rename(source));
    program.exports.iter_mut().for_each(rename);
    program.registers = used;
}
