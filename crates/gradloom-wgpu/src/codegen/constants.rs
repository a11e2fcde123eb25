//! Which constants of a program are numbers that its text reads, and which the text has as they are.

use gradloom_plan::{Instruction, Operation, ValueId};
use gradloom_tensor::DType;
use gradloom_tensor::op::Binary;

use super::bindings::Bindings;
use super::literal;

/// The number that instruction `id` has as an expression: the size that it checks against, or its
/// constant, which often is a size too.
pub(super) fn number(
    instructions: &[Instruction],
    id: ValueId,
    bindings: &mut Bindings,
) -> Option<String> {
    let Instruction { operation, dtype, .. } = instructions[id];
    match operation {
        Operation::CheckIndex { size, .. } => Some(bindings.number("checked_size", size)),
        Operation::Constant(value) if !is_literal(instructions, id) => {
            Some(bindings.word("constant", literal::word(value, dtype)))
        }
        _ => None,
    }
}

/// True for constants that make code simpler where compilers know them, and for those that are no numbers.
fn is_literal(instructions: &[Instruction], id: ValueId) -> bool {
    let Instruction { operation: Operation::Constant(value), dtype, .. } = instructions[id] else {
        return false;
    };
    let is_rhs_of = |ops: &[Binary]| {
        instructions.iter().any(|instruction| match instruction.operation {
            Operation::Binary(op, _, rhs) => rhs == id && ops.contains(&op),
            _ => false,
        })
    };
    match dtype.compute() {
        DType::Bool => true,
        DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 => {
            value.as_i64().unsigned_abs() <= 2 || is_rhs_of(&[Binary::Div, Binary::Rem])
        }
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => {
            let value = value.as_f64() as f32;
            let simple = [0.0, 0.5, 1.0, 2.0].contains(&value.abs());
            simple || !value.is_normal() || is_rhs_of(&[Binary::Pow])
        }
    }
}
