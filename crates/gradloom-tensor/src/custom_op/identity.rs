//! [`Identity`]: when two custom ops are the same.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};

/// When two ops are the same: every type with `Eq` and `Hash` has it.
pub trait Identity: Any {
    /// True if `other` is of this type and equal.
    fn is_same(&self, other: &dyn Any) -> bool;

    /// Equal for equal ops.
    fn identity_hash(&self) -> u64;
}

impl<T: Eq + Hash + 'static> Identity for T {
    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| other == self)
    }

    fn identity_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        std::any::TypeId::of::<T>().hash(&mut hasher);
        self.hash(&mut hasher);
        hasher.finish()
    }
}
