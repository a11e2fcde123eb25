//! [`Lost`]: what rounding cuts off long sums that are made side by side (Neumaier, 1974).

use std::marker::PhantomData;

use super::lanes::Ordered;
use crate::scratch::Scratch;

/// What rounding has cut off the sums of a plane.
pub(super) struct Lost<T> {
    memory: Scratch,
    lane: PhantomData<T>,
}

impl<T: Ordered> Lost<T> {
    #[inline(always)]
    pub(super) fn new(count: usize) -> Self {
        let mut memory = Scratch::take::<T>(count);
        memory.get_mut::<T>().fill(T::ZERO);
        Lost { memory, lane: PhantomData }
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self) -> &mut [T] {
        self.memory.get_mut()
    }

    /// Adds it to the sums.
    #[inline(always)]
    pub(super) fn settle(self, sums: &mut [T]) {
        for (sum, &lost) in sums.iter_mut().zip(self.memory.get::<T>()) {
            *sum = sum.with_lost(lost);
        }
    }
}
