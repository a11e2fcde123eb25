//! The methods that make ops, one file per family.

pub mod creation;
pub mod random;
pub mod elementwise;
pub mod activation;
pub mod reduce;
pub mod views;
pub mod slice;
pub mod join;
pub mod matmul;
pub mod convolution;
pub mod pooling;
pub mod indexing;
pub mod sort;
pub mod normalization;
pub mod attention;
pub mod loss;
#[cfg(test)]
mod structured_tests;

/// Turns a shape error into the panic that a broken contract in the caller's program deserves, at the
/// line of the outermost caller: a function passed to `unwrap_or_else` would name a line of the
/// standard library.
pub(crate) trait OrFail<T> {
    /// The value, or the panic with the error's message.
    #[track_caller]
    fn or_fail(self) -> T;
}

impl<T> OrFail<T> for crate::Result<T> {
    #[track_caller]
    fn or_fail(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }
}
