//! Recomputing instead of storing (Chen et al., "Training deep nets with sublinear memory cost", 2016).

use gradloom_tensor::{Op, Tensor};
use rustc_hash::FxHashSet;

use crate::custom::custom_grad;
use crate::dependents::differentiable_operands;
use crate::reverse::partial_vjp;

/// `function(inputs)`, whose intermediate values are computed again for the gradient instead of being
/// stored. Gradients flow to the inputs and to all that the function has captured: weights, tracked or
/// not, and values with a history of their own. As `torch.utils.checkpoint.checkpoint`.
///
/// The function is called again for each gradient and must give the same value then.
#[track_caller]
pub fn checkpoint(
    function: impl Fn(&[Tensor]) -> Tensor + Send + Sync + 'static,
    inputs: &[Tensor],
) -> Tensor {
    let first = Tensor::next_id();
    let detached: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
    let value = function(&detached);
    let count = inputs.len();
    let mut operands = inputs.to_vec();
    operands.extend(captured(&value, first));
    custom_grad(&value, &operands, move |operands, _, gradient| {
        // The barriers make the recomputation wait for the gradient and keep it apart from the
        // original, which would otherwise be stored and used again.
        let again: Vec<Tensor> =
            operands[..count].iter().map(|input| barrier(input, gradient)).collect();
        let value = function(&again);
        let wanted: Vec<&Tensor> = again.iter().chain(&operands[count..]).collect();
        // Partial, because what an operand owes to another one comes on the way outside.
        partial_vjp(&value, gradient, &wanted).into_iter().map(Some).collect()
    })
}

fn barrier(value: &Tensor, after: &Tensor) -> Tensor {
    let inputs = vec![value.clone(), after.clone()];
    Tensor::from_op(Op::Barrier, inputs, *value.shape(), value.dtype(), value.device())
}

/// What a value has been made from that a gradient may flow to and that was there before the node number
/// `first`, or is a tracked leaf.
fn captured(value: &Tensor, first: u64) -> Vec<Tensor> {
    let mut seen = FxHashSet::default();
    let mut captured = Vec::new();
    let mut stack = vec![value];
    while let Some(tensor) = stack.pop() {
        if !tensor.dtype().is_float() || !seen.insert(tensor.id()) {
            continue;
        }
        let operands = differentiable_operands(tensor);
        if tensor.id() >= first && !(operands.is_empty() && tensor.is_tracked()) {
            stack.extend(operands);
        } else if !tensor.is_quantized() {
            captured.push(tensor.clone());
        }
    }
    captured
}
