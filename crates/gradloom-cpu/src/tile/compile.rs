//! [`TileProgram`]: a program as steps with registers, made once per plan.
//!
//! What is the same for all elements runs once per evaluation. Loads of neighbouring f32, i32, u32,
//! f64 and i64 elements are no steps: other steps read the buffer itself. The step that makes an output
//! writes it in place of a register where the types agree.

use gradloom_plan::program::{Operation, Program, ValueId};
use gradloom_plan::{KernelInput, View};
use gradloom_tensor::{DType, Scalar};

use super::access::{Access, Pattern};
use super::ahead::Ahead;
use super::chain::fuse_chains;
use super::clamp::Clamp;
use super::passes::{
    allocate_registers, look_ahead, mark_read_blocks, read_outputs_directly, write_outputs_directly,
};
use super::step::{Accumulator, Source, Step, Store, Target, TileProgram, Work, operands};
use crate::convert::Lane;

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
                if let Some(clamp) = Clamp::found(instructions, id) {
                    for operand in [clamp.value, clamp.low, clamp.high] {
                        needed[operand] = true;
                    }
                    continue;
                }
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
        builder.block = request.block(&needed);
        for id in (0..instructions.len()).filter(|&id| needed[id]) {
            builder.values[id] = builder.source(id);
        }
        builder.finish()
    }
}

impl Request<'_> {
    /// Neighbours for which operands that repeat elements are the same: their least number, which those of
    /// others that are read as such must be a multiple of.
    fn block(&self, needed: &[bool]) -> Option<usize> {
        let instructions = self.program.instructions.iter().zip(needed);
        let repeated =
            instructions.filter(|(_, needed)| **needed).filter_map(|(instruction, _)| {
                let Operation::Load { input, view } = instruction.operation else { return None };
                let apart = self.in_place.iter().all(|pair| pair.0 != input);
                apart.then(|| Access::new(&(self.view)(&view)).repeated()).flatten()
            });
        repeated.filter(|&size| size >= BLOCK_MIN).min()
    }
}

/// Least neighbours of a block whose values are computed once for all of them.
const BLOCK_MIN: usize = 8;

struct Builder<'a> {
    request: &'a Request<'a>,
    values: Vec<Source>,
    uniform_steps: Vec<Step>,
    /// Neighbours of a block, if there are blocks.
    block: Option<usize>,
    block_steps: Vec<Step>,
    blocks: Vec<(Lane, bool)>,
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
            block: None,
            block_steps: Vec::new(),
            blocks: Vec::new(),
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
        let clamp = Clamp::found(&self.request.program.instructions, id);
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
            Operation::Select(..) if let Some(clamp) = clamp => {
                let [value, low, high] =
                    [clamp.value, clamp.low, clamp.high].map(|value| self.values[value]);
                self.compute(Work::Clamp(value, low, high), lane)
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
                    (DType::F16 | DType::BF16, DType::F32)
                        | (DType::Bool | DType::U8, DType::U32)
                        | (DType::I8, DType::I32)
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
            Pattern::Uniform => self.uniform(Work::Load { input, dtype, access }, lane),
            _ => {
                let whole = |block: &usize| {
                    access.repeated().is_some_and(|repeated| repeated.is_multiple_of(*block))
                };
                match self.block.filter(whole) {
                    Some(block) => {
                        let access = access.of_blocks(block);
                        self.of_block(Work::Load { input, dtype, access }, lane)
                    }
                    None => self.step(Work::Load { input, dtype, access }, lane),
                }
            }
        }
    }

    /// A step whose result is uniform, or the same for the elements of a block, if all its operands are.
    fn compute(&mut self, work: Work, lane: Lane) -> Source {
        let uniform = operands(&work).all(|source| matches!(source, Source::Uniform(_)));
        let of_block =
            operands(&work).all(|source| matches!(source, Source::Uniform(_) | Source::Block(_)));
        match of_block && !uniform {
            true => self.of_block(work, lane),
            false => self.place(work, lane, uniform),
        }
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

    fn of_block(&mut self, work: Work, lane: Lane) -> Source {
        let block = self.blocks.len();
        self.blocks.push((lane, false));
        self.block_steps.push(Step { work, target: Target::Block(block), lane });
        Source::Block(block)
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
            block: self.block.unwrap_or(usize::MAX),
            block_steps: self.block_steps,
            blocks: self.blocks,
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
            ahead: Ahead::default(),
            wide: instructions.iter().any(|instruction| Lane::of(instruction.dtype).size() == 8),
        };
        mark_read_blocks(&mut program);
        write_outputs_directly(&mut program, hoisted);
        read_outputs_directly(&mut program);
        fuse_chains(&mut program);
        allocate_registers(&mut program);
        // A kernel's own result is in the cache, in the output in which it was made.
        let made = |store: &Store| match self.request.accumulator {
            Accumulator::InPlace(output, _) => store.output == output,
            _ => false,
        };
        let stores: Vec<Store> =
            self.request.stores.iter().filter(|store| !made(store)).copied().collect();
        look_ahead(&mut program, self.request.inputs, &stores);
        program
    }
}
