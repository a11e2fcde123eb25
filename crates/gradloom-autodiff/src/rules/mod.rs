//! The derivative of every op, one short table per family. Rules use ordinary tensor operations, so
//! they can be differentiated again; constants are constants of the formula, not arguments.

mod elementwise;
mod reduce;
mod attention;
mod structured;
mod views;

use gradloom_tensor::{Op, Tensor};

/// Gradients of the operands of `node` (those marked in `needs`; others may be `None`), given the
/// gradient of its value.
pub(crate) fn backward(node: &Tensor, gradient: &Tensor, needs: &[bool]) -> Vec<Option<Tensor>> {
    let operands = node.inputs();
    match node.op() {
        Op::Buffer
        | Op::Placeholder
        | Op::Constant(_)
        | Op::Argument(_)
        | Op::Iota { .. }
        | Op::Random { .. }
        | Op::Detach(_) => Vec::new(),
        // All results of a loop are differentiated together: see `looping.rs`.
        Op::Loop(_) => vec![None; operands.len()],
        Op::CheckIndex { .. } | Op::ArgReduce(..) | Op::ArgSort { .. } => vec![None],
        Op::Unary(unary) => vec![elementwise::unary(*unary, &operands[0], node, gradient)],
        Op::Binary(binary) => {
            elementwise::binary(*binary, &operands[0], &operands[1], node, gradient, needs)
        }
        Op::Select => elementwise::select(&operands[0], gradient, needs),
        Op::Cast => vec![Some(gradient.cast(operands[0].dtype()))],
        Op::Transfer => vec![Some(gradient.to_device(operands[0].device()))],
        Op::Reduce(reduction, _) => {
            vec![Some(reduce::reduce(*reduction, &operands[0], node, gradient))]
        }
        Op::Scan { axis, reverse } => vec![Some(reduce::scan(gradient, *axis, !reverse))],
        Op::Reshape => vec![Some(gradient.reshape(*operands[0].shape()))],
        Op::Permute(permutation) => vec![Some(views::permute(gradient, permutation.inverse()))],
        Op::Expand => vec![Some(views::sum_to(gradient, &operands[0]))],
        Op::Slice { starts, steps } => {
            vec![Some(views::unslice(gradient, starts, steps, operands[0].shape()))]
        }
        Op::Pad { before } => vec![Some(views::unpad(gradient, before, operands[0].shape()))],
        Op::Flip(axes) => vec![Some(views::flip(gradient, *axes))],
        Op::Concat { axis } => views::unconcat(gradient, operands, *axis, needs),
        Op::Matmul => structured::matmul(&operands[0], &operands[1], gradient, needs),
        Op::Convolution(window, groups) => {
            structured::convolution(&operands[0], &operands[1], gradient, needs, *window, *groups)
        }
        Op::ConvolutionInput(window, groups) => structured::convolution_input(
            &operands[0],
            &operands[1],
            gradient,
            needs,
            *window,
            *groups,
        ),
        Op::ConvolutionWeight(window, groups) => structured::convolution_weight(
            &operands[0],
            &operands[1],
            gradient,
            needs,
            *window,
            *groups,
        ),
        Op::PoolMax(window) => {
            vec![Some(structured::pool_max_scatter(&operands[0], gradient, *window))]
        }
        Op::PoolMaxScatter(window) => {
            vec![None, Some(structured::pool_max_gather(&operands[0], gradient, *window))]
        }
        Op::PoolMaxGather(window) => {
            vec![None, Some(structured::pool_max_scatter(&operands[0], gradient, *window))]
        }
        Op::PoolSum(window) => {
            vec![Some(structured::pool_sum_scatter(gradient, *operands[0].shape(), *window))]
        }
        Op::PoolSumScatter(window) => {
            vec![Some(structured::pool_sum(gradient, *operands[0].shape(), *window))]
        }
        Op::Gather { axis } => {
            let shape = *operands[0].shape();
            vec![Some(structured::scatter_add(&operands[1], gradient, shape, *axis)), None]
        }
        Op::ScatterAdd { axis } => {
            vec![None, Some(structured::gather(gradient, &operands[0], *axis))]
        }
        Op::Write { axis } => structured::write(&operands[1], &operands[2], gradient, *axis),
        Op::Dequantize(_) => vec![None],
        Op::Call(call) => call.backward(node, gradient),
        Op::Attention(options) => attention::attention(options, operands, node, gradient),
        Op::Custom(rule) => {
            let mut gradients = vec![None];
            gradients.extend(rule.apply(&operands[1..], &operands[0], gradient));
            assert!(
                gradients.len() == operands.len(),
                "custom_grad: the rule gave {} gradients for {} operands",
                gradients.len() - 1,
                operands.len() - 1
            );
            gradients
        }
        Op::Barrier => vec![Some(gradient.clone())],
    }
}
