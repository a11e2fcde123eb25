//! [`Failures`]: indices that were found out of range.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::operand::Operand;

/// The index checks of one evaluation that failed.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    failed: AtomicBool,
    first: Mutex<Option<Failure>>,
}

/// A value outside its range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// Index of the graph node that checks.
    pub(crate) site: usize,
    /// The value.
    pub(crate) value: i64,
    /// First value out of range.
    pub(crate) size: usize,
    /// Element of the kernel's space, so that the same failure is reported with any number of threads.
    pub(super) element: usize,
}

impl Failure {
    /// The failure of a node of a body, whose nodes have numbers from `nodes` on outside.
    pub(crate) fn outside(self, nodes: usize) -> Failure {
        Failure { site: nodes + self.site, ..self }
    }
}

impl Failures {
    pub(crate) fn record(&self, failure: Failure) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none_or(|known| (failure.element, failure.site) < (known.element, known.site)) {
            *first = Some(failure);
        }
        self.failed.store(true, Ordering::Release);
    }

    /// The failure of the lowest element, if any.
    pub(crate) fn first(&self) -> Option<Failure> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        *self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first value that the test finds out of range, and where.
pub(super) fn first_outside<T: Copy>(
    values: Operand<'_, T>,
    test: impl Fn(T) -> (i64, bool),
) -> Option<(usize, i64)> {
    let failing = |position: usize, value: T| {
        let (index, outside) = test(value);
        outside.then_some((position, index))
    };
    match values {
        Operand::Scalar(value) => failing(0, value),
        Operand::Slice(values) => {
            // Counting does not stop early, so it vectorises; the search runs only after a failure.
            if values.iter().filter(|&&value| test(value).1).count() == 0 {
                return None;
            }
            values.iter().enumerate().find_map(|(position, &value)| failing(position, value))
        }
    }
}
