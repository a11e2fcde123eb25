//! What each op is to the planner: how its nodes are treated, and which of them are merged.

use std::hash::Hash;

use gradloom_tensor::{DType, Op, Shape};

use crate::node::{Class, Node};
use crate::words::Words;

/// Words that are equal for nodes of equal value; `None` for nodes that are never merged.
pub(crate) fn fingerprint(node: &Node) -> Option<Vec<u8>> {
    let merged = match &node.op {
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Select
        | Op::Cast
        | Op::Reduce(..)
        | Op::Reshape
        | Op::Permute(_)
        | Op::Expand
        | Op::Constant(_)
        | Op::Iota { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Flip(_)
        | Op::Matmul
        | Op::Loop(_)
        | Op::Call(_)
        | Op::Dequantize(_) => !matches!(node.class, Class::Leaf(_)),
        Op::Buffer
        | Op::Placeholder
        | Op::Transfer
        | Op::Argument(_)
        | Op::Random { .. }
        | Op::CheckIndex { .. }
        | Op::ArgReduce(..)
        | Op::Scan { .. }
        | Op::Concat { .. }
        | Op::Convolution(..)
        | Op::ConvolutionInput(..)
        | Op::ConvolutionWeight(..)
        | Op::PoolMax(_)
        | Op::PoolMaxScatter(_)
        | Op::PoolMaxGather(_)
        | Op::PoolSum(_)
        | Op::PoolSumScatter(_)
        | Op::Gather { .. }
        | Op::ScatterAdd { .. }
        | Op::Write { .. }
        | Op::Attention(_)
        | Op::ArgSort { .. }
        | Op::Detach(_)
        | Op::Custom(_)
        | Op::Barrier => false,
    };
    merged.then(|| {
        let mut words = Words::default();
        words.op(&node.op, node.dtype);
        (node.dtype, node.shape, &node.inputs, node.result).hash(&mut words);
        words.into_bytes()
    })
}

/// How a node is treated; `inputs` are among `nodes`.
pub(crate) fn classify(
    op: &Op,
    leaf: Option<usize>,
    inputs: &[usize],
    nodes: &[Node],
    shape: Shape,
    dtype: DType,
) -> Class {
    if let Some(input) = leaf {
        return Class::Leaf(input);
    }
    let same_as_input = || nodes[inputs[0]].shape == shape && nodes[inputs[0]].dtype == dtype;
    match op {
        Op::Buffer
        | Op::Placeholder
        | Op::Transfer
        | Op::Constant(_)
        | Op::Argument(_)
        | Op::Iota { .. }
        | Op::Random { .. } => Class::Generated,
        Op::Cast if same_as_input() => Class::Alias,
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::CheckIndex { .. } => {
            Class::Elementwise
        }
        Op::Reduce(_, axes) => {
            let operand = nodes[inputs[0]].shape;
            if axes.iter().all(|axis| operand[axis] == 1) { Class::Alias } else { Class::Reduce }
        }
        Op::Reshape
        | Op::Permute(_)
        | Op::Expand
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Flip(_) => Class::View,
        Op::ArgReduce(..)
        | Op::Scan { .. }
        | Op::Concat { .. }
        | Op::Matmul
        | Op::Convolution(..)
        | Op::ConvolutionInput(..)
        | Op::ConvolutionWeight(..)
        | Op::PoolMax(_)
        | Op::PoolMaxScatter(_)
        | Op::PoolMaxGather(_)
        | Op::PoolSum(_)
        | Op::PoolSumScatter(_)
        | Op::Gather { .. }
        | Op::ScatterAdd { .. }
        | Op::Write { .. }
        | Op::Dequantize(_)
        | Op::Attention(_)
        | Op::Call(_)
        | Op::Loop(_)
        | Op::ArgSort { .. } => Class::Structured,
        Op::Detach(_) | Op::Custom(_) | Op::Barrier => Class::Alias,
    }
}
