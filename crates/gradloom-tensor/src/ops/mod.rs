//! The methods that make ops, one file per family.

pub mod slice;

/// Turns a shape error into the panic that a broken contract in the caller's program deserves.
#[track_caller]
pub(crate) fn fail<T>(error: crate::Error) -> T {
    panic!("{error}")
}
