//! [`Program`]: the elementwise work of a kernel, as a short list of instructions in which each refers
//! to earlier ones.
//!
//! A program runs once per element of the kernel's iteration space. In kernels that reduce, an
//! instruction's [`Level`] says whether it varies along the reduced axes.

use gradloom_tensor::op::{Binary, Reduction, Unary};
use gradloom_tensor::{DType, Scalar, Shape};

use crate::view::View;

/// Index of an instruction in its program.
pub type ValueId = usize;

/// One step of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What it computes.
    pub operation: Operation,
    /// The dtype of its value. Executors compute in [`DType::compute`] of it; the planner follows every
    /// op whose result may not be an f16, bf16, u8 or i8 with an [`Operation::Cast`] to that dtype, so what
    /// is stored is what is computed with.
    pub dtype: DType,
    /// Whether it varies along the reduced axes.
    pub level: Level,
}

/// How often an instruction of a reducing kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Once per row: the same along all reduced axes.
    Row,
    /// Once per element.
    Element,
}

/// What an instruction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reads input `input` of the kernel; the view's shape is the iteration space. Reads zero where
    /// the mask excludes a coordinate.
    Load {
        /// Position in [`Kernel::inputs`](crate::Kernel::inputs).
        input: usize,
        /// Index arithmetic.
        view: View,
    },
    /// What the kernel itself computed at this element: the product of a matmul, for its epilogue.
    Accumulator,
    /// A constant.
    Constant(Scalar),
    /// Argument `0` of the plan: one 32-bit word (64 bits for f64 and i64), the same for all elements.
    Argument(usize),
    /// The `i32` value of the view's index arithmetic at this element, as if it read a buffer that
    /// holds `0, 1, 2, ...`; zero where masked.
    Index(View),
    /// Threefry-2x32-20 with the counter `(index, 0)`, first word.
    Random {
        /// An [`Operation::Index`] value.
        index: ValueId,
        /// Arguments that hold the key's words.
        key: [usize; 2],
    },
    /// Unary op.
    Unary(Unary, ValueId),
    /// Binary op on values of one dtype.
    Binary(Binary, ValueId, ValueId),
    /// Condition, value if true, value if false.
    Select(ValueId, ValueId, ValueId),
    /// Conversion to the instruction's dtype, which may be the operand's: f16 and bf16 are then rounded
    /// (ties to even), u8 and i8 wrap modulo 256. At level `Element`, a value of a row is repeated along it.
    Cast(ValueId),
    /// The value unchanged; outside `0..size` the evaluation fails and names node `site`.
    CheckIndex {
        /// The integer to check.
        value: ValueId,
        /// First value out of range.
        size: usize,
        /// Index of the graph node, see [`Prepared::nodes`](crate::Prepared::nodes).
        site: usize,
    },
    /// Combines a value over the reduced axes; the result is of level [`Level::Row`].
    Reduce(Reduction, ValueId),
}

/// A list of instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Program {
    /// In order; operands come before their use.
    pub instructions: Vec<Instruction>,
}

impl Operation {
    /// The values it reads.
    pub fn operands(&self) -> impl Iterator<Item = ValueId> {
        let (count, operands) = match *self {
            Operation::Load { .. }
            | Operation::Accumulator
            | Operation::Constant(_)
            | Operation::Argument(_)
            | Operation::Index(_) => (0, [0; 3]),
            Operation::Random { index, .. } => (1, [index, 0, 0]),
            Operation::Unary(_, value)
            | Operation::Cast(value)
            | Operation::CheckIndex { value, .. }
            | Operation::Reduce(_, value) => (1, [value, 0, 0]),
            Operation::Binary(_, lhs, rhs) => (2, [lhs, rhs, 0]),
            Operation::Select(condition, on_true, on_false) => (3, [condition, on_true, on_false]),
        };
        operands.into_iter().take(count)
    }

    /// The same operation in another program, where value `i` of this one is at `places[i]`.
    pub fn moved(&self, places: &[ValueId]) -> Operation {
        match *self {
            Operation::Random { index, key } => Operation::Random { index: places[index], key },
            Operation::Unary(op, a) => Operation::Unary(op, places[a]),
            Operation::Binary(op, a, b) => Operation::Binary(op, places[a], places[b]),
            Operation::Select(a, b, c) => Operation::Select(places[a], places[b], places[c]),
            Operation::Cast(a) => Operation::Cast(places[a]),
            Operation::CheckIndex { value, size, site } => {
                Operation::CheckIndex { value: places[value], size, site }
            }
            Operation::Reduce(reduction, a) => Operation::Reduce(reduction, places[a]),
            Operation::Load { .. }
            | Operation::Accumulator
            | Operation::Constant(_)
            | Operation::Argument(_)
            | Operation::Index(_) => *self,
        }
    }
}

impl Program {
    /// Appends an instruction, or finds an equal one that is already there.
    pub fn push(&mut self, instruction: Instruction) -> ValueId {
        if let Some(found) = self.instructions.iter().position(|existing| *existing == instruction)
        {
            return found;
        }
        self.instructions.push(instruction);
        self.instructions.len() - 1
    }

    /// True if the program consists of the accumulator alone.
    pub fn is_identity(&self) -> bool {
        matches!(self.instructions[..], [Instruction { operation: Operation::Accumulator, .. }])
    }

    /// For each instruction the pass over the row in which its value is known first: how many reductions
    /// lie one after another below it, itself included. A reduction of pass `n` is summed up in pass
    /// `n - 1`, whose elements are its operand; an output is stored in its value's pass or a later one.
    pub fn passes(&self) -> Vec<usize> {
        let mut passes: Vec<usize> = Vec::with_capacity(self.instructions.len());
        for instruction in &self.instructions {
            let below = instruction.operation.operands().map(|operand| passes[operand]);
            let own = usize::from(matches!(instruction.operation, Operation::Reduce(..)));
            passes.push(below.max().unwrap_or(0) + own);
        }
        passes
    }

    /// True if the program may fail because of what an index is.
    pub fn checks_indices(&self) -> bool {
        let mut instructions = self.instructions.iter();
        instructions
            .any(|instruction| matches!(instruction.operation, Operation::CheckIndex { .. }))
    }

    /// Reductions in the program.
    pub fn reductions(&self) -> impl Iterator<Item = (ValueId, Reduction, ValueId)> + '_ {
        self.instructions.iter().enumerate().filter_map(|(id, instruction)| {
            match instruction.operation {
                Operation::Reduce(reduction, value) => Some((id, reduction, value)),
                _ => None,
            }
        })
    }

    /// Arithmetic per element, roughly, for reports.
    pub fn operations_per_element(&self) -> usize {
        let counts = |operation: &Operation| {
            matches!(
                operation,
                Operation::Unary(..)
                    | Operation::Binary(..)
                    | Operation::Select(..)
                    | Operation::Reduce(..)
                    | Operation::Random { .. }
            )
        };
        self.instructions.iter().filter(|instruction| counts(&instruction.operation)).count()
    }
}

/// The iteration space of a kernel that runs a program: kept axes, then reduced axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Space {
    /// All axes; loads' views have this shape.
    pub shape: Shape,
    /// How many leading axes are kept. Equal to the rank in kernels without reduction.
    pub kept: usize,
}

impl Space {
    /// A space without reduced axes.
    pub fn elements(shape: Shape) -> Space {
        Space { shape, kept: shape.rank() }
    }

    /// Number of rows: the product of the kept axes.
    pub fn rows(&self) -> usize {
        self.shape[..self.kept].iter().product()
    }

    /// Elements of a row: the product of the reduced axes.
    pub fn columns(&self) -> usize {
        self.shape[self.kept..].iter().product()
    }
}
