//! Parts of a map's space, side by side along one axis, in which masks exclude much of what the program
//! computes: there a shorter program does the same.
//!
//! The gradient of a tensor that is used in slices is a sum of padded gradients. Of each element all but
//! one are zero, so without this every slice's formula would be computed for all slices.

use std::ops::Range;

use gradloom_plan::program::{Instruction, Operation, Program, ValueId};
use gradloom_plan::{Kernel, View};
use gradloom_tensor::op::Binary;
use gradloom_tensor::{DType, RANK_MAX, Scalar, Shape};

use crate::tile::TILE;

/// Most parts of a space.
const PARTS_MAX: usize = 32;
/// What a tile costs by itself, in elements.
const TILE_COST: usize = 96;

/// A part of a space and what is to be computed there.
pub(crate) struct Part {
    pub(super) program: Program,
    /// The values that are stored, in the order of the kernel's outputs.
    pub(super) stored: Vec<ValueId>,
    /// Elements between two coordinates of the axes outside.
    pub(super) elements: usize,
}

/// The parts of a map's space, in order; one if nothing is gained by more.
pub(crate) fn parts(kernel: &Kernel) -> Vec<Part> {
    let shape = kernel.space.shape;
    let whole = Part {
        program: kernel.program.clone(),
        stored: kernel.outputs.iter().map(|output| output.value).collect(),
        elements: shape.count(),
    };
    // A check must see all that it is asked to, whatever is excluded of it later.
    if kernel.program.checks_indices() || shape.count() == 0 {
        return vec![whole];
    }
    let cut = (0..shape.rank()).filter_map(|axis| along(kernel, axis));
    let least = cut.min_by_key(|parts| cost(parts, &shape));
    let whole = vec![whole];
    match least {
        Some(parts) if cost(&parts, &shape) < cost(&whole, &shape) / 4 * 3 => parts,
        _ => whole,
    }
}

/// The parts along an axis, if masks have bounds there.
fn along(kernel: &Kernel, axis: usize) -> Option<Vec<Part>> {
    let shape = &kernel.space.shape;
    let mut bounds = vec![0, shape[axis]];
    for instruction in &kernel.program.instructions {
        if let Operation::Load { view, .. } | Operation::Index(view) = instruction.operation
            && let Some(mask) = view.mask
        {
            bounds.extend([mask[axis].0, mask[axis].1].map(|bound| bound.min(shape[axis])));
        }
    }
    bounds.sort_unstable();
    bounds.dedup();
    let cut = (2..=PARTS_MAX).contains(&(bounds.len() - 1));
    cut.then(|| bounds.windows(2).map(|ends| part(kernel, axis, ends[0]..ends[1])).collect())
}

fn part(kernel: &Kernel, axis: usize, range: Range<usize>) -> Part {
    let shape = kernel.space.shape.with(axis, range.len());
    let mut starts = [0; RANK_MAX];
    starts[axis] = range.start;
    let within = |view: &View| view.slice(&starts, &[1; RANK_MAX], shape);
    let mut short = Short::default();
    let mut places: Vec<ValueId> = Vec::with_capacity(kernel.program.instructions.len());
    for &Instruction { operation, dtype, level } in &kernel.program.instructions {
        let operation = match operation {
            Operation::Load { input, view } => match within(&view) {
                view if view.reads_nothing() => Operation::Constant(Scalar::Int(0).cast(dtype)),
                view => Operation::Load { input, view },
            },
            Operation::Index(view) => match within(&view) {
                view if view.reads_nothing() => Operation::Constant(Scalar::Int(0)),
                view if view.is_uniform() => {
                    Operation::Constant(Scalar::Int(i64::from(view.offset as i32)))
                }
                view => Operation::Index(view),
            },
            other => other.moved(&places),
        };
        places.push(short.push(Instruction { operation, dtype, level }));
    }
    let stored: Vec<ValueId> = kernel.outputs.iter().map(|output| places[output.value]).collect();
    let (program, stored) = needed(&short.0, &stored);
    Part { program, stored, elements: shape[axis..].iter().product() }
}

/// The part of a program that some values are made by, and those values in it.
fn needed(program: &Program, values: &[ValueId]) -> (Program, Vec<ValueId>) {
    let mut used = vec![false; program.instructions.len()];
    values.iter().for_each(|&value| used[value] = true);
    for (value, instruction) in program.instructions.iter().enumerate().rev() {
        if used[value] {
            instruction.operation.operands().for_each(|operand| used[operand] = true);
        }
    }
    let mut own = Program::default();
    let mut places = vec![0; program.instructions.len()];
    for (value, &instruction) in program.instructions.iter().enumerate().filter(|&(v, _)| used[v]) {
        let operation = instruction.operation.moved(&places);
        places[value] = own.push(Instruction { operation, ..instruction });
    }
    (own, values.iter().map(|&value| places[value]).collect())
}

/// A program that is made shorter by what is known of constants.
#[derive(Default)]
struct Short(Program);

impl Short {
    fn push(&mut self, instruction: Instruction) -> ValueId {
        let Instruction { operation, dtype, .. } = instruction;
        match operation {
            Operation::Cast(value) if dtype == DType::Bool => {
                if let Some(constant) = self.constant(value) {
                    let operation = Operation::Constant(constant.cast(dtype));
                    return self.0.push(Instruction { operation, ..instruction });
                }
            }
            Operation::Cast(value) if dtype == self.dtype(value) && self.adds_zero(value) => {
                return value;
            }
            Operation::Select(condition, on_true, on_false) => {
                if let Some(condition) = self.constant(condition) {
                    return if condition.as_bool() { on_true } else { on_false };
                }
            }
            Operation::Binary(Binary::Add, lhs, rhs) => {
                for (zero, other) in [(lhs, rhs), (rhs, lhs)] {
                    if self.is_zero(zero) && self.stays_with_zero(other) {
                        return other;
                    }
                }
            }
            _ => {}
        }
        self.0.push(instruction)
    }

    fn dtype(&self, value: ValueId) -> DType {
        self.0.instructions[value].dtype
    }

    fn constant(&self, value: ValueId) -> Option<Scalar> {
        match self.0.instructions[value].operation {
            Operation::Constant(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn is_zero(&self, value: ValueId) -> bool {
        self.constant(value).is_some_and(|scalar| scalar.as_f64().to_bits() == 0)
    }

    /// True for a sum with zero. Its value is one of its dtype, as the other operand is.
    fn adds_zero(&self, value: ValueId) -> bool {
        let operation = self.0.instructions[value].operation;
        matches!(operation, Operation::Binary(Binary::Add, a, b) if self.is_zero(a) || self.is_zero(b))
    }

    /// True if a value plus zero is that value: not where it may be -0.
    fn stays_with_zero(&self, value: ValueId) -> bool {
        !self.dtype(value).is_float() || self.is_zero(value) || self.adds_zero(value)
    }
}

/// What parts cost, about.
fn cost(parts: &[Part], shape: &Shape) -> usize {
    let row: usize = parts.iter().map(|part| part.elements).sum();
    let outer = shape.count() / row.max(1);
    let each = parts.iter().map(|part| {
        let tiles = part.elements.div_ceil(TILE);
        let work: usize = part.program.instructions.iter().map(work).sum();
        (1 + work) * (part.elements + tiles * TILE_COST)
    });
    outer * each.sum::<usize>()
}

/// Work of an element, in units of an addition.
fn work(instruction: &Instruction) -> usize {
    match instruction.operation {
        Operation::Constant(_) | Operation::Argument(_) | Operation::Accumulator => 0,
        Operation::Unary(unary, _) => unary.nature().cost,
        Operation::Binary(binary, ..) => binary.nature().cost,
        Operation::Random { .. } => 12,
        _ => 1,
    }
}
