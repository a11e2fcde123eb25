//! Matrix products as reductions: `out[.., m, n] = sum_k lhs[.., m, k] * rhs[.., k, n]`.
//!
//! A product with few rows or columns reads each element of one operand only once or twice, so tiles in
//! workgroup memory gain nothing; the row kernel with its split columns is the better shape. Integer
//! products take this way too.

use gradloom_plan::{Instruction, Kernel, KernelKind, Level, Operation, Program, Space, View};
use gradloom_tensor::op::{Binary, Reduction};
use gradloom_tensor::{Error, RANK_MAX, Result, Shape};

/// The same work as a reduce kernel.
pub(crate) fn as_reduce(kernel: &Kernel, lhs: &View, rhs: &View) -> Result<Kernel> {
    let rank = kernel.space.shape.rank();
    if rank == RANK_MAX {
        return Err(Error::unsupported(format!(
            "matmul: {RANK_MAX} axes are one too many for this product on a GPU; merge batch axes"
        )));
    }
    let depth = lhs.shape[rank - 1];
    let shape: Shape = kernel.space.shape.iter().copied().chain([depth]).collect();
    let mut lhs_view = View { shape, ..*lhs };
    lhs_view.strides[rank] = lhs.strides[rank - 1];
    lhs_view.strides[rank - 1] = 0;
    let mut rhs_view = View { shape, ..*rhs };
    rhs_view.strides[rank] = rhs.strides[rank - 2];
    rhs_view.strides[rank - 2] = 0;

    let dtype = kernel.inputs[0].dtype;
    let element = |operation| Instruction { operation, dtype, level: Level::Element };
    let instructions = vec![
        element(Operation::Load { input: 0, view: lhs_view }),
        element(Operation::Load { input: 1, view: rhs_view }),
        element(Operation::Binary(Binary::Mul, 0, 1)),
        Instruction { level: Level::Row, ..element(Operation::Reduce(Reduction::Sum, 2)) },
    ];
    let mut program = Program { instructions };
    // Where the epilogue's instructions are in the new program.
    let mut places: Vec<usize> = Vec::new();
    for instruction in &kernel.program.instructions {
        let operation = renumber(&instruction.operation, &places, &shape);
        if let Operation::Accumulator = operation {
            places.push(3);
            continue;
        }
        places.push(program.instructions.len());
        program.instructions.push(Instruction { operation, level: Level::Row, ..*instruction });
    }
    let outputs = kernel
        .outputs
        .iter()
        .map(|output| gradloom_plan::KernelOutput { value: places[output.value], ..*output });
    Ok(Kernel {
        kind: KernelKind::Reduce,
        program,
        space: Space { shape, kept: rank },
        inputs: kernel.inputs.clone(),
        outputs: outputs.collect(),
        node: kernel.node,
        origins: Vec::new(),
    })
}

/// An epilogue's operation with its operands at `places` and its views over one more axis.
fn renumber(operation: &Operation, places: &[usize], shape: &Shape) -> Operation {
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
    match *operation {
        Operation::Load { input, view } => Operation::Load { input, view: widen(&view) },
        Operation::Index(view) => Operation::Index(widen(&view)),
        Operation::Random { index, key } => Operation::Random { index: places[index], key },
        Operation::Unary(op, a) => Operation::Unary(op, places[a]),
        Operation::Binary(op, a, b) => Operation::Binary(op, places[a], places[b]),
        Operation::Select(a, b, c) => Operation::Select(places[a], places[b], places[c]),
        Operation::Cast(a) => Operation::Cast(places[a]),
        Operation::CheckIndex { value, size, site } => {
            Operation::CheckIndex { value: places[value], size, site }
        }
        Operation::Reduce(reduction, a) => Operation::Reduce(reduction, places[a]),
        Operation::Accumulator | Operation::Constant(_) | Operation::Argument(_) => *operation,
    }
}
