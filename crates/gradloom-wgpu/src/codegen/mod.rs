//! From a [`Kernel`] to WGSL: its program becomes statements that are spliced into a template.

mod axes;
pub(crate) mod bindings;
mod blocks;
mod call;
mod constants;
mod coordinates;
mod elementwise;
mod emit;
mod emit_whole;
mod epilogue;
mod literal;
pub(crate) mod looping;
mod numbers;
pub(crate) mod pack;
mod packed;
mod quads;
pub(crate) mod unit;
pub(crate) mod variant;
pub(crate) mod words;

mod arg_reduce;
mod arg_sort;
mod attention;
mod attention_shapes;
mod concat;
mod convolution;
mod dequantize;
mod gather;
mod map;
mod matmul;
mod pool;
mod quantized_matmul;
mod quantized_rows;
mod row;
mod row_layout;
mod row_stores;
mod row_tree;
mod row_turns;
mod scan;
mod scatter_add;
mod tiled;
mod write;

use gradloom_plan::{BufferRef, Kernel, KernelKind};
use gradloom_tensor::{Error, Result};

pub(crate) use matmul::forms as product_forms;
pub(crate) use unit::{Dispatch, Target};

use convolution::Side;
use pool::Pooling;
use unit::Unit;

/// The dispatches of a kernel and the bytes of the scratch buffers they share.
pub(crate) fn compile(
    kernel: &Kernel,
    target: &Target,
    resolve: &dyn Fn(BufferRef) -> BufferRef,
) -> Result<(Vec<Dispatch>, Vec<u64>)> {
    if kernel.outputs.iter().all(|output| output.len == 0) {
        return Ok((Vec::new(), Vec::new()));
    }
    check_sizes(kernel)?;
    let mut unit = Unit::new(kernel, target, resolve)?;
    // The others store whole words, or decide themselves which outputs they do not.
    let stores_elements = matches!(
        kernel.kind,
        KernelKind::PoolMax(_)
            | KernelKind::PoolMaxScatter(_)
            | KernelKind::PoolMaxGather(_)
            | KernelKind::PoolSum(_)
            | KernelKind::PoolSumScatter(_)
            | KernelKind::ScatterAdd { .. }
            | KernelKind::Scan { .. }
            | KernelKind::ArgReduce { .. }
            | KernelKind::ArgSort { .. }
            | KernelKind::Dequantize(_)
            | KernelKind::QuantizedMatmul { .. }
            | KernelKind::QuantizedRows { .. }
    );
    if stores_elements {
        unit.widen_outputs(|_| true);
    }
    match &kernel.kind {
        KernelKind::Map => map::compile(&mut unit)?,
        KernelKind::Reduce | KernelKind::Row => row::compile(&mut unit)?,
        KernelKind::Matmul { lhs, rhs, .. } => matmul::compile(&mut unit, lhs, rhs)?,
        KernelKind::Convolution(sizes) => convolution::compile(&mut unit, Side::Output, sizes)?,
        KernelKind::ConvolutionInput(sizes) => convolution::compile(&mut unit, Side::Input, sizes)?,
        KernelKind::ConvolutionWeight(sizes) => {
            convolution::compile(&mut unit, Side::Weight, sizes)?;
        }
        KernelKind::PoolMax(sizes) => pool::compile(&mut unit, Pooling::Max, sizes)?,
        KernelKind::PoolMaxScatter(sizes) => pool::compile(&mut unit, Pooling::MaxScatter, sizes)?,
        KernelKind::PoolMaxGather(sizes) => pool::compile(&mut unit, Pooling::MaxGather, sizes)?,
        KernelKind::PoolSum(sizes) => pool::compile(&mut unit, Pooling::Sum, sizes)?,
        KernelKind::PoolSumScatter(sizes) => pool::compile(&mut unit, Pooling::SumScatter, sizes)?,
        KernelKind::Gather { data, axis, index } => {
            gather::compile(&mut unit, data, *axis, index)?;
        }
        KernelKind::ScatterAdd { axis, index, updates } => {
            scatter_add::compile(&mut unit, *axis, index, updates)?;
        }
        KernelKind::Scan { axis, reverse } => scan::compile(&mut unit, *axis, *reverse)?,
        KernelKind::ArgReduce { reduction, input, axis } => {
            arg_reduce::compile(&mut unit, *reduction, input, *axis)?;
        }
        KernelKind::ArgSort { axis, descending } => {
            arg_sort::compile(&mut unit, *axis, *descending)?;
        }
        KernelKind::Concat { axis, parts } => concat::compile(&mut unit, *axis, parts)?,
        KernelKind::Write { data, axis, start } => write::compile(&mut unit, data, *axis, start)?,
        KernelKind::Dequantize(format) => dequantize::compile(&mut unit, *format)?,
        KernelKind::QuantizedMatmul { lhs, parts } => {
            quantized_matmul::compile(&mut unit, lhs, parts)?;
        }
        KernelKind::QuantizedRows { format, rows, index } => {
            quantized_rows::compile(&mut unit, *format, *rows, index)?;
        }
        KernelKind::Call(call) => call::compile(&mut unit, call)?,
        KernelKind::Loop(_) => {
            return Err(Error::backend("plan: a loop is compiled by its body"));
        }
        KernelKind::Attention { attention, views } => {
            attention::compile(&mut unit, attention, views)?;
        }
    }
    pack::compile(&mut unit)?;
    Ok((unit.dispatches, unit.scratch))
}

/// Index arithmetic is done in 32 bits.
fn check_sizes(kernel: &Kernel) -> Result<()> {
    let elements =
        kernel.space.shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64));
    let lens = kernel.inputs.iter().map(|input| input.len);
    let longest = lens.chain(kernel.outputs.iter().map(|output| output.len)).max().unwrap_or(0);
    match elements {
        Some(count) if count < 1 << 32 && (longest as u64) < 1 << 32 => Ok(()),
        _ => Err(Error::unsupported(format!(
            "kernel over {}: more than 2^32 elements; split the tensors",
            kernel.space.shape
        ))),
    }
}
