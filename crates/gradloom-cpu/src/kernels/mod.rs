//! The kernels: one file per kind of work, each prepared once per plan and run with the buffers of an
//! evaluation.

pub(crate) mod executable;

mod map;
pub(crate) mod map_parts;
mod phases;
mod reduce;
mod reduction;
mod cascade;
mod row;
mod slots;
pub(crate) mod transposed;
mod worker;
mod export;

mod lanes;
mod matmul;
mod matmul_panels;
mod matrix;
mod panel;
mod product;
mod reading;
mod stored;
mod thin;
mod tiles;

mod convolution;

mod attention;
mod attention_loops;
mod blocks;
mod call;
mod write;

mod arg_reduce;
mod concat;
mod carried;
mod looping;
mod regions;
mod gather;
mod pool;
mod pool_planes;
mod pool_rows;
mod lost;
mod scan;
mod scatter;
mod sort;

use gradloom_plan::{Kernel, KernelKind};
use gradloom_tensor::Result;

use self::convolution::Convolve;
pub(crate) use self::executable::{Context, Executable, InPlace};
use self::pool::{Kind, Pooling};
use self::transposed::Transposed;

/// Prepares a kernel, of which some outputs have the memory of operands.
///
/// # Errors
/// When no kernel of this crate does the work.
pub(crate) fn prepare(kernel: &Kernel, in_place: &InPlace) -> Result<Box<dyn Executable>> {
    Ok(match &kernel.kind {
        KernelKind::Map => match Transposed::new(kernel) {
            Some(copy) => Box::new(copy),
            None => Box::new(map::Map::new(kernel, in_place)),
        },
        KernelKind::Reduce => reduce::new(kernel, in_place),
        KernelKind::Row => Box::new(row::Row::new(kernel, in_place)),
        KernelKind::Matmul { lhs, rhs, factors } => {
            Box::new(matmul::Matmul::new(kernel, in_place, [lhs, rhs], *factors))
        }
        KernelKind::PoolMax(pool) => Box::new(Pooling::new(kernel, in_place, Kind::Max, pool)),
        KernelKind::PoolMaxScatter(pool) => {
            Box::new(Pooling::new(kernel, in_place, Kind::MaxScatter, pool))
        }
        KernelKind::PoolMaxGather(pool) => {
            Box::new(Pooling::new(kernel, in_place, Kind::MaxGather, pool))
        }
        KernelKind::PoolSum(pool) => Box::new(Pooling::new(kernel, in_place, Kind::Sum, pool)),
        KernelKind::PoolSumScatter(pool) => {
            Box::new(Pooling::new(kernel, in_place, Kind::SumScatter, pool))
        }
        KernelKind::Gather { data, axis, index } => {
            Box::new(gather::Gather::new(kernel, in_place, data, *axis, index))
        }
        KernelKind::ScatterAdd { axis, index, updates } => {
            Box::new(scatter::ScatterAdd::new(kernel, in_place, *axis, index, updates))
        }
        KernelKind::Write { data, axis, start } => {
            Box::new(write::Write::new(kernel, data, *axis, start))
        }
        KernelKind::Dequantize(format) => {
            Box::new(blocks::Dequantize::new(kernel, in_place, *format))
        }
        KernelKind::QuantizedRows { format, rows, index } => {
            Box::new(blocks::Rows::new(kernel, in_place, *format, *rows, index))
        }
        KernelKind::QuantizedMatmul { lhs, parts } => {
            Box::new(blocks::Product::new(kernel, in_place, lhs, parts))
        }
        KernelKind::Attention { attention, views } => {
            Box::new(attention::Attention::new(kernel, in_place, attention, views))
        }
        KernelKind::Scan { axis, reverse } => {
            Box::new(scan::Scan::new(kernel, in_place, *axis, *reverse))
        }
        KernelKind::ArgReduce { reduction, input, axis } => {
            Box::new(arg_reduce::ArgReduce::new(kernel, in_place, *reduction, input, *axis))
        }
        KernelKind::ArgSort { axis, descending } => {
            Box::new(sort::ArgSort::new(kernel, in_place, *axis, *descending))
        }
        KernelKind::Concat { axis, parts } => {
            Box::new(concat::Concat::new(kernel, in_place, *axis, parts))
        }
        KernelKind::Call(call) => Box::new(call.clone()),
        KernelKind::Loop(own) => Box::new(looping::Loop::new(own, prepare)?),
        KernelKind::Convolution(sizes) => {
            Box::new(Convolve::new(kernel, in_place, convolution::Kind::Forward, sizes)?)
        }
        KernelKind::ConvolutionInput(sizes) => {
            Box::new(Convolve::new(kernel, in_place, convolution::Kind::Input, sizes)?)
        }
        KernelKind::ConvolutionWeight(sizes) => {
            Box::new(Convolve::new(kernel, in_place, convolution::Kind::Weight, sizes)?)
        }
    })
}
