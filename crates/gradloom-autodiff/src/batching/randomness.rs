//! [`Randomness`]: what random numbers drawn inside of a function mean once there are many examples.

use gradloom_tensor::{Op, Shape, Tensor};

use super::value::batched_shape;

/// What random numbers that a function draws mean under [`vmap`](fn@crate::vmap).
///
/// A [`Key`](gradloom_tensor::Key) is a number of the program, the same for all examples, so that a loop
/// would draw the same numbers for each. Whether that is wanted is for the caller to say. Numbers drawn
/// before, outside of the function, are constants: the same for all. As `randomness` of `torch.vmap`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Randomness {
    /// A function that draws numbers panics.
    #[default]
    Error,
    /// Each example has numbers of its own: `shape` drawn with a key is `[examples, ..shape]` drawn with
    /// that key, of which example `b` gets part `b`. For dropout and noise.
    Different,
    /// All examples have the numbers that the function draws by itself, as in a loop. Also what a function
    /// needs that takes a gradient of a checkpoint made outside of it, which draws its numbers again.
    Same,
}

/// `Op::Random` with numbers for each example.
#[track_caller]
pub(super) fn different(node: &Tensor, key: [u32; 2], size: usize) -> Tensor {
    let shape: Shape = batched_shape(size, node.shape());
    assert!(
        shape.checked_count().is_some_and(|count| count as u64 <= 1 << 32),
        "vmap: random numbers of shape {} (made at {}) for {size} examples are more than 2^32; draw \
         parts with folded keys, or choose Randomness::Same",
        node.shape(),
        node.location()
    );
    Tensor::from_op(Op::Random { key }, Vec::new(), shape, node.dtype(), node.device())
}
