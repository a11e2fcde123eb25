//! Ops from outside: their host kernels are what they mean.

use gradloom_tensor::op::Call;

use super::bytes::{bytes, numbers};
use super::fault::Fault;
use super::operand::Operands;

/// The elements of the op's node.
pub(super) fn call(call: &Call, operands: &Operands) -> Result<Vec<f64>, Fault> {
    let mut memory = Vec::with_capacity(call.operands().len());
    for (position, of) in call.operands().iter().enumerate() {
        memory.push(bytes(of.dtype, &operands.get(position)?.whole(of.shape)?));
    }
    let operands: Vec<&[u8]> = memory.iter().map(Vec::as_slice).collect();
    let result = call.run_anywhere(&operands).map_err(|error| Fault::Failed(error.to_string()))?;
    Ok(numbers(call.node().dtype, &result))
}
