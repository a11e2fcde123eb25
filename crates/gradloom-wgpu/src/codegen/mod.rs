//! From a [`Kernel`] to WGSL: its program becomes statements that are spliced into a template.

mod axes;
pub(crate) mod bindings;
mod contraction;
mod elementwise;
mod emit;
mod literal;
mod map;
mod row;
mod row_layout;
mod unit;

use gradloom_plan::{BufferRef, Kernel, KernelKind};
use gradloom_tensor::{Error, Result};

pub(crate) use unit::{Dispatch, Target, f16_unsupported};

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
    match &kernel.kind {
        KernelKind::Map => map::compile(&mut unit)?,
        KernelKind::Reduce | KernelKind::Row => row::compile(&mut unit)?,
        KernelKind::Matmul { lhs, rhs } => {
            let reduce = contraction::as_reduce(kernel, lhs, rhs)?;
            return compile(&reduce, target, resolve);
        }
        _ => return Err(Error::unsupported("kernel")),
    }
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
