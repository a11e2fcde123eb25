//! What planners note on nodes, and what a gradient knows of its loss.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::tensor::Tensor;

impl Tensor {
    /// True if an evaluation has computed the value on its way and not kept it: whoever needs it again
    /// should keep it, or a long history is computed at every step.
    pub fn was_passed(&self) -> bool {
        self.0.passed.load(Ordering::Relaxed)
    }

    /// Notes that an evaluation has computed the value on its way: for planners.
    pub fn set_passed(&self) {
        self.0.passed.store(true, Ordering::Relaxed);
    }

    /// True once an evaluation has written over this value, which nobody held but the history of tensors
    /// that have values themselves: no new gradient passes through that.
    pub fn is_overwritten(&self) -> bool {
        self.0.overwritten.load(Ordering::Relaxed)
    }

    /// Notes that an evaluation has written over this value: for planners.
    pub fn set_overwritten(&self) {
        self.0.overwritten.store(true, Ordering::Relaxed);
    }

    /// Ones like this tensor, for its gradient to begin with. They know what they begin the gradient of:
    /// see [`Tensor::companion`].
    #[must_use]
    #[track_caller]
    pub fn gradient_seed(&self) -> Tensor {
        let mut ones = self.ones_like();
        if let Some(node) = Arc::get_mut(&mut ones.0) {
            node.companion = Some(Arc::downgrade(&self.0));
        }
        ones
    }

    /// The tensor whose gradient these ones begin, while somebody holds it. Who commits the gradient
    /// stores its value as well, because what it is made of is computed anyway.
    pub fn companion(&self) -> Option<Tensor> {
        self.0.companion.as_ref().and_then(Weak::upgrade).map(Tensor)
    }
}
