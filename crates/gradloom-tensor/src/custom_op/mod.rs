//! The door for ops: [`CustomOp`], an op that a crate brings with it, and [`custom_op`], which applies one.
//!
//! To the graph such an op is [`Op::Call`](crate::Op::Call): planned, replayed, differentiated and batched as any other.
//! Several results of one call lie one after another in one buffer; each is a view of it.

mod identity;
mod memory;
mod wgsl;
mod op;
mod intern;
mod call;

use std::sync::Arc;

use crate::Tensor;
use crate::error::OrFail;

pub use call::Call;
pub use identity::Identity;
pub use memory::{HostOperand, HostResult, TensorType};
pub use op::CustomOp;
pub use wgsl::{Grid, Wgsl};

/// Applies an op of your own, which gives as many results as the pattern that takes them says.
///
/// ```
/// # use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, custom_op};
/// # use gradloom_tensor::{Device, Result, Tensor};
/// #[derive(Debug, PartialEq, Eq, Hash)]
/// struct Reversed;
///
/// impl CustomOp for Reversed {
///     fn name(&self) -> &'static str {
///         "reversed"
///     }
///
///     fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
///         Ok(vec![operands[0]])
///     }
///
///     fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
///         let reversed = operands[0].elements::<f32>().iter().rev();
///         results[0].elements::<f32>().iter_mut().zip(reversed).for_each(|(to, from)| *to = *from);
///         Ok(())
///     }
/// }
///
/// fn reversed(x: &Tensor) -> Tensor {
///     let [y] = custom_op(Reversed, &[x]);
///     y
/// }
/// ```
///
/// # Panics
/// If the op refuses the operands, there are none, they are on different devices, or the op gives another
/// number of results.
#[track_caller]
pub fn custom_op<const N: usize>(op: impl CustomOp, operands: &[&Tensor]) -> [Tensor; N] {
    let name = op.name();
    let results = custom_op_results(Arc::new(op), operands);
    let count = results.len();
    match results.try_into() {
        Ok(results) => results,
        Err(_) => panic!("{name}: the op gives {count} results, not {N}"),
    }
}

/// As [`custom_op`], with however many results there are.
///
/// # Panics
/// As [`custom_op`].
#[track_caller]
pub fn custom_op_results(op: Arc<dyn CustomOp>, operands: &[&Tensor]) -> Vec<Tensor> {
    assert!(
        !operands.is_empty(),
        "{}: a custom op needs an operand, which says its device",
        op.name()
    );
    let call = Call::new(op, operands).or_fail();
    let node = call.node_of(operands.iter().map(|&operand| operand.clone()).collect());
    call.unpack(&node)
}
