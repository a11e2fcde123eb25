//! The door for ops: [`CustomOp`], an op that a crate brings with it, and [`custom_op`], which applies one.
//!
//! To the graph such an op is [`Op::Call`]: planned, replayed, differentiated and batched as any other.
//! Several results of one call lie one after another in one buffer; each is a view of it.

mod call;
mod intern;
mod memory;
mod wgsl;

use std::fmt::Debug;
use std::sync::Arc;

use crate::error::OrFail;
use crate::{Result, Tensor};

pub use call::Call;
pub use intern::Identity;
pub use memory::{HostOperand, HostResult, TensorType};
pub use wgsl::{Grid, Wgsl};

/// An op of your own: what it gives, how it is computed, and how it is differentiated and batched.
///
/// As JAX's custom calls and `torch.library`. [`custom_op`] applies one. An op is a value: two that are
/// equal (`PartialEq`, `Eq` and `Hash`, which can be derived) are the same op, so that a graph built again
/// replays its plan. Parameters that change from call to call are better operands than fields, because
/// another field is another op.
///
/// It must be pure: equal operands give equal results, and nothing else happens. A device that has no
/// kernel for it says so when a result is asked for.
pub trait CustomOp: Debug + Identity + Send + Sync + 'static {
    /// Its name in messages and plans.
    fn name(&self) -> &'static str;

    /// Shapes and dtypes of the results. All results of one op have one dtype.
    ///
    /// # Errors
    /// When the operands do not fit ([`Error::shape`]); [`custom_op`] panics with it at the caller's line.
    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>>;

    /// The kernel on the host: fills all results, which hold anything before.
    ///
    /// It may use several threads through `rayon`. What it returns and what it panics with is the error of
    /// the evaluation, with the op's name and line; no tensor has changed then.
    ///
    /// # Errors
    /// Whatever the op cannot do with these elements.
    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()>;

    /// The kernel of GPUs for operands of these types; `None` if there is none.
    fn wgsl(&self, _operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        None
    }

    /// Gradients of the operands, given those of all results (zeros where nobody asks for one): ordinary
    /// graph, so it can be differentiated again. `None` means zero.
    ///
    /// # Panics
    /// The default, as an op without derivative.
    fn derivative(
        &self,
        _operands: &[Tensor],
        _results: &[Tensor],
        _gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        panic!("{}: the op has no derivative; detach its operands, or give it one", self.name())
    }

    /// The results for many examples at once: every operand has an axis of examples before its own, and so
    /// must every result. `None` computes one example after another.
    fn vmap(&self, _operands: &[Tensor]) -> Option<Vec<Tensor>> {
        None
    }
}

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
