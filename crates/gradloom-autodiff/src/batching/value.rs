//! [`Value`]: what stands for a node of the function once there are many examples.
//!
//! Examples lie along a new first axis. A node of as many axes as a tensor may have has no room for it:
//! there the examples lie one after another along the node's own first axis, `[B * d0, d1, ..]`. Both are
//! the same elements in the same order, so a reshape leads from one to the other.

use gradloom_tensor::{RANK_MAX, Shape, Tensor};

/// What stands for a node.
#[derive(Clone)]
pub(crate) enum Value {
    /// The same for all examples, in the node's shape.
    Single(Tensor),
    /// One for each example, in the shape that [`batched_shape`] gives.
    Batched(Tensor),
}

impl Value {
    /// The tensor, whichever it is.
    pub(crate) fn tensor(&self) -> &Tensor {
        match self {
            Value::Single(tensor) | Value::Batched(tensor) => tensor,
        }
    }

    /// True if each example has its own.
    pub(crate) fn is_batched(&self) -> bool {
        matches!(self, Value::Batched(_))
    }

    /// One for each of `size` examples: repeated, as a view, if it is the same for all.
    #[track_caller]
    pub(crate) fn each(&self, size: usize) -> Tensor {
        let tensor = match self {
            Value::Batched(tensor) => return tensor.clone(),
            Value::Single(tensor) => tensor,
        };
        if tensor.rank() < RANK_MAX {
            return tensor.broadcast_to(batched_shape(size, tensor.shape()));
        }
        let mut counts = [1; RANK_MAX];
        counts[0] = size;
        tensor.repeat(&counts)
    }
}

/// The shape of `size` examples of a shape.
pub(crate) fn batched_shape(size: usize, example: &Shape) -> Shape {
    if example.rank() < RANK_MAX {
        return std::iter::once(size).chain(example.iter().copied()).collect();
    }
    example.with(0, size.saturating_mul(example[0]))
}
