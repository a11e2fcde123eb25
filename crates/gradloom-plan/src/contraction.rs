//! Matrix products as reductions: `out[.., m, n] = sum_k lhs[.., m, k] * rhs[.., k, n]`, for devices
//! whose products in tiles do not suit every size and dtype.
//!
//! This is the last phase, after cutting and scheduling: a product is one kernel with the same operands
//! and results in either form, and nothing may be cut between its multiplication and its sum.

use gradloom_tensor::op::{Binary, Reduction};
use gradloom_tensor::{DType, RANK_MAX, Shape};

use crate::factors::Factors;
use crate::kernel::{Kernel, KernelKind, KernelOutput};
use crate::program::{Instruction, Level, Operation, Program, Space, ValueId};
use crate::view::View;

/// Which matrix products a device computes as reductions over the inner axis, as one more axis of the
/// space, instead of in tiles of both operands. Products of integers are among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductForms {
    /// Rows or columns up to which a product is a reduction: each element of an operand is used so
    /// often only, and tiles gain nothing. [`usize::MAX`] where a device has no tiles.
    pub narrow_max: usize,
    /// Products of i8 that are summed in i32 have tiles of their own.
    pub bytes: bool,
}

impl ProductForms {
    /// The kernel in the form that suits the device. A result of the most axes there are has no room
    /// for the inner axis: it stays a product.
    pub fn choose(&self, kernel: Kernel) -> Kernel {
        let KernelKind::Matmul { lhs, rhs, factors } = kernel.kind else { return kernel };
        let rank = kernel.space.shape.rank();
        let (rows, columns) = (kernel.space.shape[rank - 2], kernel.space.shape[rank - 1]);
        let dtype = factors.dtype;
        let has_tiles = dtype.is_float() || self.bytes && dtype == DType::I8 && is_wide(&kernel);
        let reduces = (!has_tiles || rows.min(columns) <= self.narrow_max) && rank < RANK_MAX;
        if reduces { as_reduction(kernel, [&lhs, &rhs], factors) } else { kernel }
    }
}

/// True if a product of integers is the i32 in which it is summed.
fn is_wide(kernel: &Kernel) -> bool {
    let mut instructions = kernel.program.instructions.iter();
    instructions
        .find(|instruction| instruction.operation == Operation::Accumulator)
        .is_some_and(|accumulator| accumulator.dtype == DType::I32)
}

/// The same work as a reduction, with the casts of operands as instructions. Its product and sum are of the dtype in which they are computed; the
/// sum is then rounded as the accumulator of the product is.
fn as_reduction(kernel: Kernel, [lhs, rhs]: [&View; 2], factors: Factors) -> Kernel {
    let rank = kernel.space.shape.rank();
    let depth = lhs.shape[rank - 1];
    let shape: Shape = kernel.space.shape.iter().copied().chain([depth]).collect();
    let mut lhs_view = View { shape, ..*lhs };
    lhs_view.strides[rank] = lhs.strides[rank - 1];
    lhs_view.strides[rank - 1] = 0;
    let mut rhs_view = View { shape, ..*rhs };
    rhs_view.strides[rank] = rhs.strides[rank - 2];
    rhs_view.strides[rank - 2] = 0;

    let instructions = &kernel.program.instructions;
    let computed = factors.dtype.compute();
    let origin = instructions
        .iter()
        .position(|instruction| instruction.operation == Operation::Accumulator)
        .and_then(|accumulator| kernel.origins.get(accumulator).copied())
        .unwrap_or(kernel.node);
    let mut made = Made { program: Program::default(), origins: Vec::new() };
    let level = Level::Element;
    let operands = [(0, lhs_view), (1, rhs_view)].map(|(input, view)| {
        let operation = Operation::Load { input, view };
        let dtype = kernel.inputs[input].dtype;
        let loaded = made.push(Instruction { operation, dtype, level }, origin);
        let cast = factors.casts[input].map_or(origin, |cast| cast.node);
        let factor = made.converted(loaded, factors.read_as(input), cast);
        made.converted(factor, computed, origin)
    });
    let operation = Operation::Binary(Binary::Mul, operands[0], operands[1]);
    let product = made.push(Instruction { operation, dtype: computed, level }, origin);
    let operation = Operation::Reduce(Reduction::Sum, product);
    let sum = Instruction { operation, dtype: computed, level: Level::Row };
    let sum = made.push(sum, origin);

    // Where the epilogue's instructions are in the new program.
    let mut places: Vec<ValueId> = Vec::with_capacity(instructions.len());
    for (id, instruction) in instructions.iter().enumerate() {
        let origin = kernel.origins.get(id).copied().unwrap_or(kernel.node);
        let place = match renumbered(&instruction.operation, &places, &shape) {
            Operation::Accumulator => made.converted(sum, instruction.dtype, origin),
            operation => {
                made.push(Instruction { operation, level: Level::Row, ..*instruction }, origin)
            }
        };
        places.push(place);
    }
    let outputs = kernel.outputs.iter();
    Kernel {
        kind: KernelKind::Reduce,
        program: made.program,
        space: Space { shape, kept: rank },
        outputs: outputs
            .map(|output| KernelOutput { value: places[output.value], ..*output })
            .collect(),
        origins: made.origins,
        ..kernel
    }
}

/// A program with the nodes that its instructions are made for.
struct Made {
    program: Program,
    origins: Vec<usize>,
}

impl Made {
    fn push(&mut self, instruction: Instruction, origin: usize) -> ValueId {
        let value = self.program.push(instruction);
        if value == self.origins.len() {
            self.origins.push(origin);
        }
        value
    }

    /// A value as another dtype, itself if it is of that dtype.
    fn converted(&mut self, value: ValueId, dtype: DType, origin: usize) -> ValueId {
        let Instruction { dtype: own, level, .. } = self.program.instructions[value];
        if own == dtype {
            return value;
        }
        self.push(Instruction { operation: Operation::Cast(value), dtype, level }, origin)
    }
}

/// An epilogue's operation with its operands at `places` and its views over one more axis.
fn renumbered(operation: &Operation, places: &[ValueId], shape: &Shape) -> Operation {
    let widen = |view: &View| {
        let mut view = *view;
        let last = shape.rank() - 1;
        view.shape = *shape;
        view.strides[last] = 0;
        if let Some(mask) = &mut view.mask {
            mask[last] = (0, shape[last]);
        }
        view
    };
    match operation.moved(places) {
        Operation::Load { input, view } => Operation::Load { input, view: widen(&view) },
        Operation::Index(view) => Operation::Index(widen(&view)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use gradloom_tensor::{DType, RANK_MAX, Shape};

    use super::ProductForms;
    use crate::factors::Factors;
    use crate::kernel::{BufferRef, Kernel, KernelInput, KernelKind, KernelOutput};
    use crate::program::{Instruction, Level, Operation, Program, Space};
    use crate::view::View;

    fn product(batch: &[usize], [m, k, n]: [usize; 3], dtype: DType) -> Kernel {
        let shape = |sizes: [usize; 2]| Shape::new(&[batch, &sizes].concat());
        let (lhs, rhs) = (View::contiguous(shape([m, k])), View::contiguous(shape([k, n])));
        let (operation, level) = (Operation::Accumulator, Level::Element);
        let accumulator = Instruction { operation, dtype, level };
        let input = |node: usize, len: usize| KernelInput {
            buffer: BufferRef::Input(node),
            dtype,
            len,
            node,
        };
        let space = Space::elements(shape([m, n]));
        let len = space.shape.count();
        Kernel {
            kind: KernelKind::Matmul { lhs, rhs, factors: Factors::of(dtype) },
            program: Program { instructions: vec![accumulator] },
            space,
            inputs: vec![input(0, lhs.shape.count()), input(1, rhs.shape.count())],
            outputs: vec![KernelOutput {
                buffer: BufferRef::Output(0),
                dtype,
                len,
                value: 0,
                node: 2,
            }],
            node: 2,
            origins: vec![2],
        }
    }

    #[test]
    fn narrow_and_integer_products_are_reductions() {
        let tiles = ProductForms { narrow_max: 4, bytes: true };
        let no_tiles = ProductForms { narrow_max: usize::MAX, bytes: false };
        let reduces = |forms: ProductForms, batch: &[usize], size, dtype| {
            forms.choose(product(batch, size, dtype)).kind == KernelKind::Reduce
        };
        assert!(!reduces(tiles, &[], [5, 3, 5], DType::F32));
        assert!(reduces(tiles, &[], [4, 3, 4096], DType::F16));
        assert!(reduces(tiles, &[2], [4096, 3, 1], DType::F32));
        assert!(reduces(tiles, &[], [64, 3, 64], DType::U8));
        assert!(reduces(tiles, &[], [64, 3, 64], DType::I8));
        assert!(reduces(no_tiles, &[], [64, 3, 64], DType::F32));
        assert!(!reduces(tiles, &[1; RANK_MAX - 2], [1, 3, 8], DType::F32));
    }
}
