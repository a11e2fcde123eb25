//! The kernels: one file per kind of work, each prepared once per plan and run with the buffers of an
//! evaluation.

pub(crate) mod executable;
pub(crate) mod in_place;

mod map;
mod phases;
mod reduce;
mod reduction;
mod row;
mod slots;
mod turned;
mod worker;
mod export;

mod lanes;
mod matmul;
mod matrix;
mod panel;
mod product;

mod convolution;

mod attention;
mod attention_loops;
mod blocks;
mod write;

mod arg_reduce;
mod concat;
mod looping;
mod regions;
mod gather;
mod pool;
mod pool_planes;
mod scan;
mod scatter;
mod sort;

use gradloom_plan::{Kernel, KernelKind};
use gradloom_tensor::Result;

use self::convolution::Convolve;
pub(crate) use self::executable::{Aliases, Context, Executable};
use self::pool::{Kind, Pooling};

/// Prepares a kernel. `shared` lists the inputs that have the memory of an output.
///
/// # Errors
/// When no kernel of this crate does the work.
pub(crate) fn prepare(
    kernel: &Kernel,
    shared: &[(usize, usize)],
) -> Result<(Box<dyn Executable>, Aliases)> {
    let aliases = in_place::aliases(kernel, shared);
    let executable = match turned::rewrite(kernel) {
        Some((rewritten, turns)) => {
            let inner = executable(&rewritten, &aliases)?;
            Box::new(turned::Turned::new(turns, inner))
        }
        None => executable(kernel, &aliases)?,
    };
    Ok((executable, aliases))
}

/// The executable of a kernel's kind.
fn executable(kernel: &Kernel, aliases: &Aliases) -> Result<Box<dyn Executable>> {
    Ok(match &kernel.kind {
        KernelKind::Map => Box::new(map::Map::new(kernel, aliases)),
        KernelKind::Reduce => reduce::new(kernel, aliases),
        KernelKind::Row => Box::new(row::Row::new(kernel, aliases)),
        KernelKind::Matmul { lhs, rhs } => Box::new(matmul::Matmul::new(kernel, aliases, lhs, rhs)),
        KernelKind::PoolMax(pool) => Box::new(Pooling::new(kernel, aliases, Kind::Max, pool)),
        KernelKind::PoolMaxScatter(pool) => {
            Box::new(Pooling::new(kernel, aliases, Kind::MaxScatter, pool))
        }
        KernelKind::PoolMaxGather(pool) => {
            Box::new(Pooling::new(kernel, aliases, Kind::MaxGather, pool))
        }
        KernelKind::PoolSum(pool) => Box::new(Pooling::new(kernel, aliases, Kind::Sum, pool)),
        KernelKind::PoolSumScatter(pool) => {
            Box::new(Pooling::new(kernel, aliases, Kind::SumScatter, pool))
        }
        KernelKind::Gather { data, axis, index } => {
            Box::new(gather::Gather::new(kernel, aliases, data, *axis, index))
        }
        KernelKind::ScatterAdd { axis, index, updates } => {
            Box::new(scatter::ScatterAdd::new(kernel, aliases, *axis, index, updates))
        }
        KernelKind::Write { data, axis, start } => {
            Box::new(write::Write::new(kernel, data, *axis, start))
        }
        KernelKind::Dequantize(format) => {
            Box::new(blocks::Dequantize::new(kernel, aliases, *format))
        }
        KernelKind::QuantizedRows { format, rows, index } => {
            Box::new(blocks::Rows::new(kernel, aliases, *format, *rows, index))
        }
        KernelKind::QuantizedMatmul { lhs, parts } => {
            Box::new(blocks::Product::new(kernel, aliases, lhs, parts))
        }
        KernelKind::Attention { attention, views } => {
            Box::new(attention::Attention::new(kernel, aliases, attention, views))
        }
        KernelKind::Scan { axis, reverse } => {
            Box::new(scan::Scan::new(kernel, aliases, *axis, *reverse))
        }
        KernelKind::ArgReduce { reduction, input, axis } => {
            Box::new(arg_reduce::ArgReduce::new(kernel, aliases, *reduction, input, *axis))
        }
        KernelKind::ArgSort { axis, descending } => {
            Box::new(sort::ArgSort::new(kernel, aliases, *axis, *descending))
        }
        KernelKind::Concat { axis, parts } => {
            Box::new(concat::Concat::new(kernel, aliases, *axis, parts))
        }
        KernelKind::Loop(own) => Box::new(looping::Loop::new(own, |plan, kernel| {
            prepare(kernel, &in_place::shared(plan, kernel))
        })?),
        KernelKind::Convolution(sizes) => {
            Box::new(Convolve::new(kernel, aliases, convolution::Kind::Forward, sizes)?)
        }
        KernelKind::ConvolutionInput(sizes) => {
            Box::new(Convolve::new(kernel, aliases, convolution::Kind::Input, sizes)?)
        }
        KernelKind::ConvolutionWeight(sizes) => {
            Box::new(Convolve::new(kernel, aliases, convolution::Kind::Weight, sizes)?)
        }
    })
}
