//! [`CustomOp`]: what an op from outside says of itself.

use std::fmt::Debug;

use super::identity::Identity;
use super::memory::{HostOperand, HostResult, TensorType};
use super::wgsl::Wgsl;
use crate::{Result, Tensor};

/// An op of your own: what it gives, how it is computed, and how it is differentiated and batched.
///
/// As JAX's custom calls and `torch.library`. [`custom_op`](super::custom_op()) applies one. An op is a value: two that are
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
    /// When the operands do not fit ([`Error::shape`](crate::Error::shape)); [`custom_op`](super::custom_op()) panics with it at the caller's line.
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
