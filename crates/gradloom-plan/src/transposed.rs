//! Operands that a kernel reads across their memory (a transposed matrix, channels moved last): where a
//! device says that it pays, they are first copied into the order of the kernel's space, block by block
//! instead of one cache line per element.
//!
//! This comes after scheduling: a copy lives from right before its kernel to the end of it.

use gradloom_tensor::{DType, Shape};

use crate::draft::Draft;
use crate::graph::Graph;
use crate::kernel::KernelKind;
use crate::program::{Instruction, Level, Operation, Program, Space};
use crate::split::Passed;
use crate::view::View;

/// From which sizes on a device gains from copies of transposed operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransposedCopies {
    /// Operands of fewer elements stay in the cache anyway.
    pub elements_min: usize,
    /// Shorter axes gain nothing from blocks.
    pub axis_min: usize,
}

/// An operand that lies across the order in which it is read, as nested loops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transposition {
    /// Element of coordinate zero.
    pub offset: usize,
    /// Size, stride in the operand and stride in the copy of each axis. Those that act as one are one,
    /// repeated ones are left out; the last is contiguous in the copy.
    pub axes: Vec<[usize; 3]>,
    /// The axis along which the operand is contiguous, never the last.
    pub along: usize,
    /// Elements of the copy.
    pub elements: usize,
}

impl TransposedCopies {
    /// The copy of what a view reads, if it lies across and a copy pays.
    pub fn copy_of(&self, view: &View) -> Option<Transposition> {
        if view.shape.count() < self.elements_min {
            return None;
        }
        let found = Transposition::of(view)?;
        let sizes = [found.along, found.axes.len() - 1].map(|axis| found.axes[axis][0]);
        let pays = sizes.iter().all(|&size| size >= self.axis_min);
        (pays && found.elements >= self.elements_min).then_some(found)
    }
}

impl Transposition {
    /// How a view lies across its operand, if it does.
    fn of(view: &View) -> Option<Transposition> {
        let moving = |axis: &usize| view.shape[*axis] != 1 && view.strides[*axis] != 0;
        let mut moving = (0..view.shape.rank()).filter(moving).peekable();
        moving.peek()?;
        if view.mask.is_some() || view.offset < 0 || view.shape.count() == 0 {
            return None;
        }
        let mut axes: Vec<[usize; 3]> = Vec::new();
        for axis in moving {
            let (size, stride) = (view.shape[axis], usize::try_from(view.strides[axis]).ok()?);
            match axes.last_mut() {
                Some(last) if last[1] == stride * size => *last = [last[0] * size, stride, 0],
                _ => axes.push([size, stride, 0]),
            }
        }
        let mut elements = 1;
        for axis in axes.iter_mut().rev() {
            axis[2] = elements;
            elements *= axis[0];
        }
        let along = axes.iter().position(|axis| axis[1] == 1)?;
        let offset = view.offset as usize;
        (along + 1 < axes.len()).then_some(Transposition { offset, axes, along, elements })
    }
}

/// The copies that a draft's program reads instead of transposed operands, and the draft itself last.
/// Reductions are left alone, which choose their own order, and so are copies.
pub(crate) fn with_copies(
    mut draft: Draft,
    graph: &Graph,
    copies: TransposedCopies,
    buffers_max: usize,
    passed: &mut Vec<Passed>,
) -> Vec<Draft> {
    let is_copy = draft.kind == KernelKind::Map && draft.program.instructions.len() == 1;
    if draft.kind == KernelKind::Reduce || is_copy {
        return vec![draft];
    }
    let mut made = Vec::new();
    for id in 0..draft.program.instructions.len() {
        let Instruction {
            operation: Operation::Load { input, view },
            dtype,
            level: Level::Element,
        } = draft.program.instructions[id]
        else {
            continue;
        };
        let room = draft.inputs.len() + draft.outputs.len() < buffers_max;
        if !room || copies.copy_of(&view).is_none() {
            continue;
        }
        let (base, node) = (draft.inputs[input], graph.nodes.len() + passed.len());
        let copy = copy(base, dtype, &view, draft.origins[id], node);
        passed.push((dtype, copy.space.shape.count()));
        let view = View::contiguous(copy.space.shape).expand(view.shape);
        draft.program.instructions[id].operation =
            Operation::Load { input: draft.inputs.len(), view };
        draft.inputs.push(node);
        made.push(copy);
    }
    draft.keep_read_inputs();
    made.push(draft);
    made
}

/// A draft that copies what a view reads, each element once.
fn copy(base: usize, dtype: DType, view: &View, origin: usize, node: usize) -> Draft {
    let once = |axis: usize| if view.strides[axis] == 0 { 1 } else { view.shape[axis] };
    let shape: Shape = (0..view.shape.rank()).map(once).collect();
    let operation = Operation::Load { input: 0, view: View { shape, ..*view } };
    Draft {
        kind: KernelKind::Map,
        program: Program {
            instructions: vec![Instruction { operation, dtype, level: Level::Element }],
        },
        origins: vec![origin],
        space: Space::elements(shape),
        inputs: vec![base],
        kind_inputs: 0,
        outputs: vec![(node, 0)],
        after: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use gradloom_tensor::Shape;
    use gradloom_tensor::op::Permutation;

    use super::TransposedCopies;
    use crate::view::View;

    const ALL: TransposedCopies = TransposedCopies { elements_min: 1, axis_min: 2 };

    fn permuted(shape: &[usize], order: &[usize]) -> View {
        View::contiguous(Shape::new(shape)).permute(&Permutation::new(order))
    }

    #[test]
    fn axes_that_act_as_one_are_one() {
        // Channels moved last: images, channels, height and width as one.
        let found = ALL.copy_of(&permuted(&[2, 16, 5, 3], &[0, 2, 3, 1])).unwrap();
        assert_eq!(found.axes, [[2, 240, 240], [15, 1, 16], [16, 15, 1]]);
        assert_eq!((found.along, found.offset, found.elements), (1, 0, 480));
    }

    #[test]
    fn what_lies_in_order_or_is_small_is_not_copied() {
        let whole = View::contiguous(Shape::new(&[8, 9]));
        let across = permuted(&[8, 9], &[1, 0]);
        let repeated = View::contiguous(Shape::new(&[8, 1])).expand(Shape::new(&[8, 9]));
        assert!(ALL.copy_of(&across).is_some());
        // Neighbours stay neighbours, and rows may be anywhere.
        for view in [whole, repeated, permuted(&[4, 5, 6], &[1, 0, 2])] {
            assert_eq!(ALL.copy_of(&view), None, "{view:?}");
        }
        // Read backwards, with zeros around, or with gaps between all elements.
        let flipped = across.flip([0].into_iter().collect());
        let padded = across.pad(&[1, 0], Shape::new(&[10, 9]));
        let strided = permuted(&[8, 18], &[1, 0]).slice(&[0, 0], &[2, 1], Shape::new(&[9, 8]));
        for view in [flipped, padded, strided] {
            assert_eq!(ALL.copy_of(&view), None, "{view:?}");
        }
        assert_eq!(TransposedCopies { elements_min: 73, ..ALL }.copy_of(&across), None);
        assert_eq!(TransposedCopies { axis_min: 9, ..ALL }.copy_of(&across), None);
    }
}
