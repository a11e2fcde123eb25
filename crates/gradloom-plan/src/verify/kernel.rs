//! One kernel: its program, its views, and the sizes of what it reads and writes.

use gradloom_tensor::blocks::interleave;
use gradloom_tensor::op::Call;
use gradloom_tensor::{BlockFormat, DType, Shape};

use super::looping;
use crate::kernel::{Convolution, Kernel, KernelInput, KernelKind, KernelOutput, Pool};
use crate::program::{Instruction, Level, Operation};
use crate::view::View;

/// How a kind reads one of its operands.
enum Read<'a> {
    /// Through a view.
    View(&'a View),
    /// All of so many elements, in order.
    Whole(usize),
    /// The words of a matrix of so many rows and columns in quantized blocks.
    Blocks(BlockFormat, usize, usize),
}

pub(super) fn check(kernel: &Kernel, arguments: &[DType]) -> Result<(), String> {
    let space = &kernel.space;
    if space.kept > space.shape.rank() {
        return Err(format!("{} axes of {} are kept", space.kept, space.shape));
    }
    if kernel.origins.len() != kernel.program.instructions.len() {
        return Err("an instruction has no origin".into());
    }
    if let KernelKind::Loop(own) = &kernel.kind {
        return looping::check(kernel, own, arguments);
    }
    let needed = kernel.kind.operands();
    if needed > kernel.inputs.len() {
        return Err(format!("{} operands of {needed}", kernel.inputs.len()));
    }
    let reads = reads(kernel);
    for (position, read) in reads.iter().enumerate() {
        match read {
            Read::View(view) => check_view(kernel, position, view)?,
            Read::Whole(len) if kernel.inputs[position].len != *len => {
                let found = kernel.inputs[position].len;
                return Err(format!("operand {position} has {found} elements, not {len}"));
            }
            Read::Whole(_) => {}
            Read::Blocks(format, rows, columns) => {
                check_blocks(&kernel.inputs[position], *format, [*rows, *columns])
                    .map_err(|reason| format!("operand {position} {reason}"))?;
            }
        }
    }
    check_kind(kernel)?;
    check_factors(kernel)?;
    for id in 0..kernel.program.instructions.len() {
        check_instruction(kernel, id, arguments.len())
            .map_err(|reason| format!("instruction {id}: {reason}"))?;
    }
    check_outputs(kernel)
}

/// How a kernel's kind reads its operands.
fn reads(kernel: &Kernel) -> Vec<Read<'_>> {
    let whole = |sizes: &[usize]| Read::Whole(sizes.iter().product());
    let last = |shape: &Shape| shape.last().copied().unwrap_or(1);
    match &kernel.kind {
        KernelKind::Map | KernelKind::Reduce | KernelKind::Row => Vec::new(),
        KernelKind::Matmul { lhs, rhs, .. } => vec![Read::View(lhs), Read::View(rhs)],
        KernelKind::Convolution(sizes) => {
            vec![whole(&sizes.input()), whole(&sizes.weight())]
        }
        KernelKind::ConvolutionInput(sizes) => {
            vec![whole(&sizes.weight()), whole(&sizes.output())]
        }
        KernelKind::ConvolutionWeight(sizes) => {
            vec![whole(&sizes.input()), whole(&sizes.output())]
        }
        KernelKind::PoolMax(pool) | KernelKind::PoolSum(pool) => {
            vec![Read::Whole(pool.inputs())]
        }
        KernelKind::PoolMaxScatter(pool) => {
            vec![Read::Whole(pool.inputs()), Read::Whole(pool.outputs())]
        }
        KernelKind::PoolMaxGather(pool) => {
            vec![Read::Whole(pool.inputs()), Read::Whole(pool.inputs())]
        }
        KernelKind::PoolSumScatter(pool) => vec![Read::Whole(pool.outputs())],
        KernelKind::Gather { data, index, .. } => vec![whole(data), Read::View(index)],
        KernelKind::ScatterAdd { index, updates, .. } => {
            vec![Read::View(index), Read::View(updates)]
        }
        KernelKind::Write { data, start, .. } => vec![whole(data), Read::View(start)],
        KernelKind::Dequantize(format) => {
            let shape = &kernel.space.shape;
            vec![Read::Blocks(*format, shape.first().copied().unwrap_or(1), last(shape))]
        }
        KernelKind::QuantizedMatmul { lhs, parts } => {
            let columns = last(&lhs.shape);
            let blocks = parts.iter().map(|&(format, rows)| Read::Blocks(format, rows, columns));
            std::iter::once(Read::View(lhs)).chain(blocks).collect()
        }
        KernelKind::QuantizedRows { format, rows, index } => {
            vec![Read::Blocks(*format, *rows, last(&kernel.space.shape)), Read::View(index)]
        }
        KernelKind::Attention { views, .. } => views.iter().map(Read::View).collect(),
        KernelKind::Scan { .. } | KernelKind::ArgSort { .. } => {
            vec![whole(&kernel.space.shape)]
        }
        KernelKind::ArgReduce { input, .. } => vec![whole(input)],
        KernelKind::Concat { parts, .. } => parts.iter().map(|part| whole(part)).collect(),
        KernelKind::Call(call) => call.operands().iter().map(|of| whole(&of.shape)).collect(),
        // Checked as a whole.
        KernelKind::Loop(_) => Vec::new(),
    }
}

/// Fails unless an operand is the words of whole groups of rows.
fn check_blocks(
    operand: &KernelInput,
    format: BlockFormat,
    [rows, columns]: [usize; 2],
) -> Result<(), String> {
    if !columns.is_multiple_of(format.elements()) {
        return Err(format!("has {columns} columns, no whole blocks of {format}"));
    }
    let words = interleave::bytes(format, rows, columns) / 4;
    match (operand.dtype, operand.len) == (DType::U32, words) {
        true => Ok(()),
        false => Err(format!("has {} of {}, not {words} words", operand.len, operand.dtype)),
    }
}

/// Fails unless all that a view reads lies in its operand.
fn check_view(kernel: &Kernel, input: usize, view: &View) -> Result<(), String> {
    let Some(operand) = kernel.inputs.get(input) else {
        return Err(format!("there is no operand {input}"));
    };
    match view.extent() {
        Some((low, high)) if low < 0 || high >= operand.len as isize => {
            Err(format!("operand {input} of {} elements is read at {low}..={high}", operand.len))
        }
        _ => Ok(()),
    }
}

/// Fails unless the kind's sizes fit the space.
fn check_kind(kernel: &Kernel) -> Result<(), String> {
    let (space, shape) = (&kernel.space, kernel.space.shape);
    let reduces = kernel.program.reductions().next().is_some();
    let whole = space.kept == shape.rank();
    let fits = match &kernel.kind {
        KernelKind::Map => whole && !reduces,
        KernelKind::Reduce | KernelKind::Row => !whole && reduces,
        KernelKind::Matmul { lhs, rhs, .. } => whole && is_product(&lhs.shape, &rhs.shape, &shape),
        KernelKind::QuantizedMatmul { lhs, parts } => {
            let rows: usize = parts.iter().map(|part| part.1).sum();
            whole && lhs.shape.rank() == 2 && shape[..] == [lhs.shape[0], rows]
        }
        KernelKind::Gather { index, .. } => whole && index.shape == shape,
        KernelKind::ScatterAdd { index, updates, .. } => whole && index.shape == updates.shape,
        KernelKind::Write { data, axis, .. } if *axis < data.rank() => {
            let place = data.with(*axis, 1).count();
            whole && shape.count() <= data.count() && shape.count().is_multiple_of(place.max(1))
        }
        KernelKind::Write { .. } => false,
        KernelKind::Scan { axis, .. } | KernelKind::ArgSort { axis, .. } => {
            whole && *axis < shape.rank()
        }
        KernelKind::ArgReduce { input, axis, .. } => {
            whole && input.rank() == shape.rank() && input.with(*axis, 1) == shape
        }
        KernelKind::Concat { axis, parts } => {
            whole && parts.iter().map(|part| part[*axis]).sum::<usize>() == shape[*axis]
        }
        KernelKind::Convolution(sizes) => whole && shape == sizes.output() && is_placed(sizes),
        KernelKind::ConvolutionInput(sizes) => whole && shape == sizes.input() && is_placed(sizes),
        KernelKind::ConvolutionWeight(sizes) => {
            whole && shape == sizes.weight() && is_placed(sizes)
        }
        KernelKind::PoolMax(pool) | KernelKind::PoolSum(pool) | KernelKind::PoolMaxGather(pool) => {
            whole && shape.count() == pool.outputs() && is_covering(pool)
        }
        KernelKind::PoolMaxScatter(pool) | KernelKind::PoolSumScatter(pool) => {
            whole && shape.count() == pool.inputs() && is_covering(pool)
        }
        KernelKind::Dequantize(_) | KernelKind::QuantizedRows { .. } => whole && shape.rank() == 2,
        KernelKind::Attention { views, .. } => whole && views.len() >= 3 && shape.rank() == 4,
        KernelKind::Call(call) => whole && is_called(kernel, call),
        KernelKind::Loop(_) => true,
    };
    match fits {
        true => Ok(()),
        false => Err(format!(
            "{} does not fit its space {shape} of {} kept axes",
            kernel.kind.name(),
            space.kept
        )),
    }
}

/// Fails unless a product or a convolution can read its operands as factors of one dtype.
fn check_factors(kernel: &Kernel) -> Result<(), String> {
    let Some(factors) = kernel.kind.factors() else { return Ok(()) };
    for (position, input) in kernel.inputs[..2].iter().enumerate() {
        if !factors.reads(position, input.dtype) {
            let (read, dtype) = (factors.read_as(position), factors.dtype);
            return Err(format!(
                "operand {position} of {} is read as {read} of {dtype}",
                input.dtype
            ));
        }
    }
    Ok(())
}

/// True if a kernel is what an op from outside was made for.
fn is_called(kernel: &Kernel, call: &Call) -> bool {
    let dtypes = call.operands().iter().map(|of| of.dtype);
    let node = call.node();
    let only = |output: &[KernelOutput]| matches!(output, [only] if only.dtype == node.dtype);
    kernel.inputs.len() == call.operands().len()
        && kernel.inputs.iter().map(|input| input.dtype).eq(dtypes)
        && kernel.space.shape == node.shape
        && only(&kernel.outputs)
}

/// True if a convolution has as many windows as its sizes say.
fn is_placed(sizes: &Convolution) -> bool {
    let Convolution { window, input_size, output_size, .. } = sizes;
    window.is_whole() && window.output(*input_size) == Some(*output_size)
}

/// True if a pooling has as many windows as its sizes say.
fn is_covering(pool: &Pool) -> bool {
    pool.window.is_whole() && pool.window.output(pool.input_size) == Some(pool.output_size)
}

fn is_product(lhs: &Shape, rhs: &Shape, out: &Shape) -> bool {
    let rank = out.rank();
    rank >= 2
        && lhs.rank() == rank
        && rhs.rank() == rank
        && lhs[..rank - 2] == out[..rank - 2]
        && rhs[..rank - 2] == out[..rank - 2]
        && lhs[rank - 2] == out[rank - 2]
        && rhs[rank - 1] == out[rank - 1]
        && lhs[rank - 1] == rhs[rank - 2]
}

fn check_instruction(kernel: &Kernel, id: usize, arguments: usize) -> Result<(), String> {
    let instructions = &kernel.program.instructions;
    let Instruction { operation, dtype, level } = instructions[id];
    if operation.operands().any(|operand| operand >= id) {
        return Err("it reads a later one".into());
    }
    let highest = operation.operands().map(|operand| instructions[operand].level).max();
    let dtype_of = |operand: usize| instructions[operand].dtype;
    let argument = |index: usize| match index < arguments {
        true => Ok(()),
        false => Err(format!("there is no argument {index}")),
    };
    if !matches!(operation, Operation::Reduce(..)) && highest.is_some_and(|highest| highest > level)
    {
        return Err("it is one value of a row made from values of elements".into());
    }
    match operation {
        Operation::Load { input, view } => {
            check_view(kernel, input, &view)?;
            if view.shape != kernel.space.shape {
                return Err(format!("its view is over {}", view.shape));
            }
            if kernel.inputs[input].dtype != dtype {
                return Err(format!("it reads {} as {dtype}", kernel.inputs[input].dtype));
            }
        }
        Operation::Index(view) if view.shape != kernel.space.shape => {
            return Err(format!("its view is over {}", view.shape));
        }
        Operation::Accumulator => match kernel.kind {
            KernelKind::Map | KernelKind::Reduce | KernelKind::Row | KernelKind::Write { .. } => {
                return Err("the kernel has no result of its own".into());
            }
            _ => {}
        },
        Operation::Argument(index) => argument(index)?,
        Operation::Random { key, .. } => {
            argument(key[0])?;
            argument(key[1])?;
        }
        Operation::Binary(binary, lhs, rhs) => {
            let fits = dtype_of(lhs) == dtype_of(rhs) && binary.result(dtype_of(lhs)) == dtype;
            if !fits {
                return Err(format!(
                    "{} of {} and {} is {dtype}",
                    binary.name(),
                    dtype_of(lhs),
                    dtype_of(rhs)
                ));
            }
        }
        Operation::Select(_, on_true, on_false) => {
            if dtype_of(on_true) != dtype || dtype_of(on_false) != dtype {
                return Err("it selects from other dtypes".into());
            }
        }
        Operation::Reduce(_, value) => {
            if instructions[value].level != Level::Element || level != Level::Row {
                return Err("it does not reduce elements to a value of the row".into());
            }
        }
        Operation::Index(_)
        | Operation::Constant(_)
        | Operation::Unary(..)
        | Operation::Cast(_)
        | Operation::CheckIndex { .. } => {}
    }
    Ok(())
}

fn check_outputs(kernel: &Kernel) -> Result<(), String> {
    if kernel.outputs.is_empty() {
        return Err("nothing is stored".into());
    }
    let reducing = matches!(kernel.kind, KernelKind::Reduce | KernelKind::Row);
    for (position, output) in kernel.outputs.iter().enumerate() {
        let Some(instruction) = kernel.program.instructions.get(output.value) else {
            return Err(format!("output {position} has no value"));
        };
        let len = match (&kernel.kind, instruction.level) {
            (KernelKind::Write { data, .. }, _) => data.count(),
            (_, Level::Row) if reducing => kernel.space.rows(),
            _ => kernel.space.shape.count(),
        };
        if output.len != len {
            return Err(format!("output {position} of {} elements gets {len}", output.len));
        }
        if output.dtype != instruction.dtype {
            return Err(format!(
                "output {position} of {} gets {}",
                output.dtype, instruction.dtype
            ));
        }
        if kernel.kind == KernelKind::Reduce && instruction.level == Level::Element {
            return Err(format!("output {position} varies along the row"));
        }
    }
    Ok(())
}
