//! Recomputing instead of storing (Chen et al., "Training deep nets with sublinear memory cost", 2016).

use gradloom_tensor::{Op, Tensor};
use rustc_hash::FxHashSet;

use crate::custom::custom_grad;
use crate::reverse::vjp;

/// `function(inputs)`, whose intermediate values are computed again for the gradient instead of being
/// stored. Gradients flow to the inputs and to all tracked weights that the function uses. As
/// `torch.utils.checkpoint.checkpoint`.
#[track_caller]
pub fn checkpoint(
    function: impl Fn(&[Tensor]) -> Tensor + Send + Sync + 'static,
    inputs: &[Tensor],
) -> Tensor {
    let detached: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
    let value = function(&detached);
    let count = inputs.len();
    let mut operands = inputs.to_vec();
    operands.extend(tracked_leaves(&value));
    custom_grad(&value, &operands, move |operands, _, gradient| {
        // The barriers make the recomputation wait for the gradient and keep it apart from the
        // original, which would otherwise be stored and used again.
        let again: Vec<Tensor> =
            operands[..count].iter().map(|input| barrier(input, gradient)).collect();
        let value = function(&again);
        let wanted: Vec<&Tensor> = again.iter().chain(&operands[count..]).collect();
        vjp(&value, gradient, &wanted).into_iter().map(Some).collect()
    })
}

fn barrier(value: &Tensor, after: &Tensor) -> Tensor {
    let inputs = vec![value.clone(), after.clone()];
    Tensor::from_op(Op::Barrier, inputs, *value.shape(), value.dtype(), value.device())
}

/// Leaves behind a value that gradients may be asked for.
fn tracked_leaves(value: &Tensor) -> Vec<Tensor> {
    let mut seen = FxHashSet::default();
    let mut leaves = Vec::new();
    let mut stack = vec![value];
    while let Some(tensor) = stack.pop() {
        if !tensor.is_tracked() || !seen.insert(tensor.id()) {
            continue;
        }
        if tensor.inputs().is_empty() {
            leaves.push(tensor.clone());
        }
        stack.extend(tensor.inputs());
    }
    leaves
}
