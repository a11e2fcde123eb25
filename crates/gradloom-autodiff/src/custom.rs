//! A gradient of the caller's own.

use std::sync::Arc;

use gradloom_tensor::Tensor;
use gradloom_tensor::op::{CustomGrad, Op};

/// The value of `value` with a gradient given by `rule` instead of by its history.
///
/// `rule(operands, value, gradient)` gives the gradient of each operand, `None` for zero, built from
/// ordinary tensor operations; it can be differentiated again. As `torch.autograd.Function`.
#[track_caller]
pub fn custom_grad(
    value: &Tensor,
    operands: &[Tensor],
    rule: impl Fn(&[Tensor], &Tensor, &Tensor) -> Vec<Option<Tensor>> + Send + Sync + 'static,
) -> Tensor {
    let inputs = std::iter::once(value).chain(operands).cloned().collect();
    let op = Op::Custom(CustomGrad::new(Arc::new(rule)));
    Tensor::from_op(op, inputs, *value.shape(), value.dtype(), value.device())
}
