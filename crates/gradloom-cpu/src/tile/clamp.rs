//! [`Clamp`]: the compares and choices by which a value is kept between two others, in one step.

use gradloom_plan::program::{Instruction, Operation, ValueId};
use gradloom_tensor::op::Binary;

use super::operand::Operand;
use crate::convert::Lane;
use crate::simd::vectorized;

/// `value <= low ? low : high <= value ? high : value`
#[derive(Clone, Copy, Debug)]
pub(super) struct Clamp {
    pub(super) value: ValueId,
    pub(super) low: ValueId,
    pub(super) high: ValueId,
}

impl Clamp {
    /// Whether an instruction is the last of such in f32 lanes.
    pub(super) fn found(instructions: &[Instruction], id: ValueId) -> Option<Clamp> {
        let operation = |id: ValueId| instructions[id].operation;
        let at_most = |id: ValueId| match operation(id) {
            Operation::Binary(Binary::Le, smaller, larger) => Some((smaller, larger)),
            _ => None,
        };
        let Operation::Select(below, low, inner) = operation(id) else { return None };
        let Operation::Select(above, high, value) = operation(inner) else { return None };
        let same = at_most(below) == Some((value, low)) && at_most(above) == Some((high, value));
        let lanes = [value, low, high, id].map(|id| Lane::of(instructions[id].dtype));
        (same && lanes == [Lane::F32; 4]).then_some(Clamp { value, low, high })
    }
}

vectorized! {
    /// Computes a tile.
    pub(super) fn clamp['a][](
        value: Operand<'a, f32>, low: Operand<'a, f32>, high: Operand<'a, f32>, out: &'a mut [f32]
    ) {
        let between = |value: f32, low: f32, high: f32| {
            let inner = if high <= value { high } else { value };
            if value <= low { low } else { inner }
        };
        if let (Operand::Slice(values), Operand::Scalar(low), Operand::Scalar(high)) = (value, low, high)
        {
            for (slot, &value) in out.iter_mut().zip(values) {
                *slot = between(value, low, high);
            }
            return;
        }
        let at = |operand: Operand<'a, f32>, index: usize| match operand {
            Operand::Slice(values) => values[index],
            Operand::Scalar(value) => value,
        };
        for (index, slot) in out.iter_mut().enumerate() {
            *slot = between(at(value, index), at(low, index), at(high, index));
        }
    }
}
