//! [`not_finite`]: whose fault a NaN or an infinity is among the results of a kernel that has run.

use gradloom_tensor::{DType, Error, Result, Scalar};

use super::blame::{blame, is_costly, lost_in_cast, named};
use super::fault::Fault;
use super::looping;
use super::operand::Operands;
use super::plan::watched;
use super::value::is_finite;
use crate::kernel::{BufferRef, Kernel, KernelKind, LoopKernel};

/// The graph node whose op made the first NaN or infinity in the results of a kernel that has run, and
/// which of the two. `read` gives the elements of its buffers. Values that were not finite before, such
/// as the minus infinities of a mask, are nobody's fault.
///
/// # Errors
/// Those of `read`, and a fault of the kernel.
pub fn not_finite(
    kernel: &Kernel,
    arguments: &[Scalar],
    read: impl Fn(BufferRef, DType, usize) -> Result<Vec<f64>>,
) -> Result<Option<(usize, &'static str)>> {
    for output in kernel.outputs.iter().filter(|output| output.dtype.is_float()) {
        let values = read(output.buffer, output.dtype, output.len)?;
        let Some(&found) = values.iter().find(|value| !value.is_finite()) else { continue };
        let inputs = kernel.inputs.iter().map(|input| read(input.buffer, input.dtype, input.len));
        let inputs = inputs.collect::<Result<Vec<Vec<f64>>>>()?;
        if let KernelKind::Loop(own) = &kernel.kind {
            return in_steps(kernel, own, &inputs, arguments);
        }
        let fault = |fault: Fault| Error::backend(format!("plan: {fault}"));
        let blamed = if is_costly(kernel) {
            let read = Operands::given(kernel, &inputs);
            if let Some((node, value)) = lost_in_cast(kernel, &read).map_err(fault)? {
                return Ok(Some((node, named(value))));
            }
            let mut operands = kernel.inputs.iter().zip(&inputs);
            let given = operands.any(|(operand, values)| {
                values.iter().any(|&value| !is_finite(operand.dtype, value))
            });
            let origin = kernel.origins.get(output.value).copied().unwrap_or(kernel.node);
            (!given).then_some((origin, found))
        } else {
            blame(kernel, &inputs, arguments).map_err(fault)?
        };
        if let Some((node, value)) = blamed {
            return Ok(Some((node, named(value))));
        }
    }
    Ok(None)
}

/// The op in the body of a loop, whose steps are interpreted until one makes such a number.
fn in_steps(
    kernel: &Kernel,
    own: &LoopKernel,
    inputs: &[Vec<f64>],
    arguments: &[Scalar],
) -> Result<Option<(usize, &'static str)>> {
    let operands = Operands::given(kernel, inputs);
    match looping::run(kernel, own, &operands, arguments, watched) {
        Ok(_) => Ok(None),
        Err(Fault::NotFinite { site, what }) => Ok(Some((site, what))),
        Err(fault) => Err(Error::backend(format!("plan: {fault}"))),
    }
}
