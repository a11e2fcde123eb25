//! Which op of a fused kernel made the first NaN or infinity.

use gradloom_tensor::{Scalar, Shape};

use super::fault::Fault;
use super::kinds;
use super::operand::Operands;
use super::program;
use super::value::is_finite;
use crate::kernel::{Kernel, KernelKind};
use crate::program::{Level, Operation};
use crate::view::View;

/// The graph node whose op makes the first NaN or infinity out of finite numbers, and that number.
///
/// `None` if every such number comes from an operand, a constant or an argument: then the kernel only
/// passes it on. Of a kernel with work of its own, that work counts as one instruction.
pub(super) fn blame(
    kernel: &Kernel,
    inputs: &[Vec<f64>],
    arguments: &[Scalar],
) -> Result<Option<(usize, f64)>, Fault> {
    let operands = Operands::given(kernel, inputs);
    if let Some(found) = lost_in_cast(kernel, &operands)? {
        return Ok(Some(found));
    }
    let accumulator = kinds::accumulate(kernel, &operands)?;
    let given = kernel.kind.operands();
    let own = kernel.inputs.iter().zip(inputs).take(given);
    let own_finite = own
        .flat_map(|(input, values)| values.iter().map(|&value| is_finite(input.dtype, value)))
        .all(|finite| finite);
    let values = program::run(kernel, &operands, arguments, accumulator.as_deref())?;
    let columns = kernel.space.columns().max(1);
    let instructions = &kernel.program.instructions;
    for (id, instruction) in instructions.iter().enumerate() {
        let made = |index: &usize| {
            let finite = |operand: usize, at: usize| {
                is_finite(instructions[operand].dtype, values[operand][at])
            };
            let place = |operand: usize| match (instructions[operand].level, instruction.level) {
                (Level::Row, Level::Element) => index / columns,
                _ => *index,
            };
            match instruction.operation {
                Operation::Load { .. }
                | Operation::Constant(_)
                | Operation::Argument(_)
                | Operation::Index(_)
                | Operation::Random { .. }
                | Operation::CheckIndex { .. } => false,
                Operation::Accumulator => own_finite,
                Operation::Reduce(_, operand) => {
                    let mut row = index * columns..(index + 1) * columns;
                    kernel.space.columns() > 0 && row.all(|at| finite(operand, at))
                }
                Operation::Select(condition, on_true, on_false) => {
                    let holds = values[condition][place(condition)] != 0.0;
                    let taken = if holds { on_true } else { on_false };
                    finite(taken, place(taken))
                }
                Operation::Unary(..) | Operation::Binary(..) | Operation::Cast(_) => {
                    let mut operands = instruction.operation.operands();
                    operands.all(|operand| finite(operand, place(operand)))
                }
            }
        };
        let lost = |index: &usize| !is_finite(instruction.dtype, values[id][*index]);
        if let Some(index) = (0..values[id].len()).filter(lost).find(made) {
            let node = kernel.origins.get(id).copied().unwrap_or(kernel.node);
            return Ok(Some((node, values[id][index])));
        }
    }
    Ok(None)
}

/// The cast of an operand, made as it is read, that gives such a number, and that number.
pub(super) fn lost_in_cast(
    kernel: &Kernel,
    operands: &Operands,
) -> Result<Option<(usize, f64)>, Fault> {
    let Some(factors) = kernel.kind.factors() else { return Ok(None) };
    for (position, cast) in factors.casts.into_iter().enumerate() {
        let Some(cast) = cast else { continue };
        let operand = operands.get(position)?;
        let view = match (&kernel.kind, position) {
            (KernelKind::Matmul { lhs, .. }, 0) => *lhs,
            (KernelKind::Matmul { rhs, .. }, _) => *rhs,
            _ => View::contiguous(Shape::new(&[operand.cells.len()])),
        };
        let (stored, read) = (operand.load(&view)?, operand.factors(&view, &factors)?);
        let lost = |&(stored, read): &(f64, f64)| stored.is_finite() && !read.is_finite();
        if let Some((_, value)) = stored.into_iter().zip(read).find(lost) {
            return Ok(Some((cast.node, value)));
        }
    }
    Ok(None)
}

/// True if interpreting a kernel's own work takes too long to look for an op in it.
pub(super) fn is_costly(kernel: &Kernel) -> bool {
    const FLOPS_MAX: usize = 1 << 28;
    !matches!(kernel.kind, KernelKind::Map | KernelKind::Reduce | KernelKind::Row)
        && kernel.flops() > FLOPS_MAX
}

/// What a number that is not finite is called.
pub(super) fn named(value: f64) -> &'static str {
    if value.is_nan() { "NaN" } else { "infinity" }
}
