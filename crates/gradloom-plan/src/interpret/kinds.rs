//! One kernel: what its kind computes, then its program, then what is stored.

use gradloom_tensor::Scalar;

use super::fault::Fault;
use super::operand::{Operand, Operands};
use super::value::store;
use super::{attention, blocks, call, convolution, indexing, matmul, order, pool, program, write};
use crate::kernel::{Kernel, KernelKind, KernelOutput};

/// Interprets one kernel alone.
///
/// `inputs` are the elements of its operands, each number one that the operand's dtype holds, and
/// `arguments` those of its plan. The result is the elements of each of its outputs.
///
/// # Errors
/// The first fault.
pub fn kernel(
    kernel: &Kernel,
    inputs: &[Vec<f64>],
    arguments: &[Scalar],
) -> Result<Vec<Vec<f64>>, Fault> {
    let counts = (inputs.len(), kernel.inputs.len());
    Fault::unless(counts.0 == counts.1, || {
        format!("{} inputs for {} operands", counts.0, counts.1)
    })?;
    let pairs = kernel.inputs.iter().zip(inputs).enumerate();
    let operands = pairs.map(|(position, (input, values))| Operand {
        position,
        dtype: input.dtype,
        cells: values.iter().copied().map(Some).collect(),
        stale: None,
    });
    execute(kernel, &Operands(operands.collect()), arguments)
}

/// As [`kernel`], with operands of which elements may be missing.
pub(super) fn execute(
    kernel: &Kernel,
    operands: &Operands,
    arguments: &[Scalar],
) -> Result<Vec<Vec<f64>>, Fault> {
    for (position, (operand, input)) in operands.0.iter().zip(&kernel.inputs).enumerate() {
        let len = operand.cells.len();
        Fault::unless(len == input.len, || {
            format!("operand {position}: {len} elements, not {}", input.len)
        })?;
    }
    let (kept, rank) = (kernel.space.kept, kernel.space.shape.rank());
    Fault::unless(kept <= rank, || format!("{kept} axes of {rank} are kept"))?;
    let accumulator = accumulate(kernel, operands)?;
    let count = kernel.space.shape.count();
    let made = accumulator.as_ref().map_or(count, Vec::len);
    Fault::unless(made == count, || format!("{made} elements in a space of {count}"))?;
    let values = program::run(kernel, operands, arguments, accumulator.as_deref())?;
    let outputs = kernel.outputs.iter().enumerate();
    outputs.map(|(position, output)| stored(kernel, position, output, &values, operands)).collect()
}

/// The elements of an output.
fn stored(
    kernel: &Kernel,
    position: usize,
    output: &KernelOutput,
    values: &[Vec<f64>],
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    let missing =
        || Fault::malformed(format!("output {position}: there is no value {}", output.value));
    let value = values.get(output.value).ok_or_else(missing)?;
    let dtype = kernel.program.instructions[output.value].dtype;
    Fault::unless(dtype == output.dtype, || {
        format!("output {position}: {dtype} stored as {}", output.dtype)
    })?;
    let mut elements: Vec<f64> = value.iter().map(|&value| store(dtype, value)).collect();
    if let KernelKind::Write { data, axis, start } = &kernel.kind {
        let of = operands.get(0)?.dtype;
        Fault::unless(of == dtype, || format!("write: {dtype} into {of}"))?;
        elements = write::write((data, *axis, start), &kernel.space.shape, &elements, operands)?;
    }
    let len = elements.len();
    Fault::unless(len == output.len, || {
        format!("output {position}: {len} elements stored in {}", output.len)
    })?;
    Ok(elements)
}

/// What the kind itself computes; `None` for kinds that only have a program.
pub(super) fn accumulate(kernel: &Kernel, operands: &Operands) -> Result<Option<Vec<f64>>, Fault> {
    use convolution::Part;
    let space = &kernel.space.shape;
    let convolve = |part, sizes| convolution::convolve(part, sizes, operands);
    let result = match &kernel.kind {
        KernelKind::Map | KernelKind::Reduce | KernelKind::Row | KernelKind::Write { .. } => {
            return Ok(None);
        }
        KernelKind::Matmul { lhs, rhs, factors } => matmul::matmul([lhs, rhs], factors, operands),
        KernelKind::Convolution(sizes) => convolve(Part::Output, sizes),
        KernelKind::ConvolutionInput(sizes) => convolve(Part::Input, sizes),
        KernelKind::ConvolutionWeight(sizes) => convolve(Part::Weight, sizes),
        KernelKind::PoolMax(pool) => pool::maximum(pool, operands),
        KernelKind::PoolMaxScatter(pool) => pool::maximum_scatter(pool, operands),
        KernelKind::PoolMaxGather(pool) => pool::maximum_gather(pool, operands),
        KernelKind::PoolSum(pool) => pool::sum(pool, operands),
        KernelKind::PoolSumScatter(pool) => pool::sum_scatter(pool, operands),
        KernelKind::Gather { data, axis, index } => indexing::gather(data, *axis, index, operands),
        KernelKind::ScatterAdd { axis, index, updates } => {
            indexing::scatter_add(space, *axis, [index, updates], operands)
        }
        KernelKind::Concat { axis, parts } => indexing::concat(space, *axis, parts, operands),
        KernelKind::Call(call) => call::call(call, operands),
        KernelKind::Loop(_) => Err(Fault::malformed("a loop is interpreted by its body")),
        KernelKind::Dequantize(format) => blocks::dequantize(*format, space, operands),
        KernelKind::QuantizedMatmul { lhs, parts } => blocks::product(lhs, parts, operands),
        KernelKind::QuantizedRows { format, rows, index } => {
            blocks::rows((*format, *rows), index, space, operands)
        }
        KernelKind::Attention { attention, views } => {
            attention::attend(attention, views, space, operands)
        }
        KernelKind::Scan { axis, reverse } => order::scan(space, *axis, *reverse, operands),
        KernelKind::ArgReduce { reduction, input, axis } => {
            order::arg_reduce(*reduction, input, *axis, operands)
        }
        KernelKind::ArgSort { axis, descending } => {
            order::arg_sort(space, *axis, *descending, operands)
        }
    };
    result.map(Some)
}
