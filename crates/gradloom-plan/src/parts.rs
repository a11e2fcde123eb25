//! What parts of a kernel's program have in common, however it was cut.

use gradloom_tensor::Shape;

use crate::program::{Instruction, Level, Operation, Program, Space, ValueId};
use crate::view::View;

/// True if instructions are the same along the whole row.
pub(crate) fn is_of_rows(instructions: &[Instruction]) -> bool {
    instructions.iter().all(|instruction| instruction.level == Level::Row)
}

/// A part of a reducing program that does not reduce runs over elements, or over rows if it has nothing
/// else.
pub(crate) fn without_rows(mut space: Space, mut program: Program) -> (Space, Program) {
    if space.kept == space.shape.rank() || program.reductions().next().is_some() {
        return (space, program);
    }
    if is_of_rows(&program.instructions) {
        for instruction in &mut program.instructions {
            if let Operation::Load { view, .. } | Operation::Index(view) =
                &mut instruction.operation
            {
                *view = over_rows(view, space.kept);
            }
        }
        space = Space::elements(Shape::new(&space.shape[..space.kept]));
    }
    for instruction in &mut program.instructions {
        let uniform =
            matches!(instruction.operation, Operation::Constant(_) | Operation::Argument(_));
        if !uniform {
            instruction.level = Level::Element;
        }
    }
    (Space::elements(space.shape), program)
}

/// A view that is the same along the reduced axes, over the kept ones alone.
fn over_rows(view: &View, kept: usize) -> View {
    let mut rows = View { shape: Shape::new(&view.shape[..kept]), ..*view };
    rows.strides[kept..].fill(0);
    if let Some(mask) = &mut rows.mask {
        mask[kept..].fill((0, 0));
    }
    rows.mask = rows.mask.filter(|_| kept > 0);
    rows
}

/// How a passed value is read over the space.
pub(crate) fn passed_view(space: &Space, level: Level) -> View {
    match level {
        Level::Element => View::contiguous(space.shape),
        Level::Row => {
            let mut rows = space.shape;
            for axis in space.kept..rows.rank() {
                rows = rows.with(axis, 1);
            }
            View::contiguous(rows).expand(space.shape)
        }
    }
}

pub(crate) fn push(
    program: &mut Program,
    origins: &mut Vec<usize>,
    instruction: Instruction,
    origin: usize,
) -> ValueId {
    let value = program.push(instruction);
    if value == origins.len() {
        origins.push(origin);
    }
    value
}
