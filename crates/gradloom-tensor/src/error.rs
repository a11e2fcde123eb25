//! [`Error`], the one of all crates, and how a broken contract panics at the caller's line instead.

use crate::called::Called;

pub use gradloom_error::{Error, ErrorKind, Result};

/// Turns a shape error into the panic that a broken contract in the caller's program deserves, at the
/// line of the outermost caller: a function passed to `unwrap_or_else` would name a line of the
/// standard library.
pub(crate) trait OrFail<T> {
    /// The value, or the panic with the error's message, in the name of the op that was called.
    #[track_caller]
    fn or_fail(self) -> T;
}

impl<T> OrFail<T> for Result<T> {
    #[track_caller]
    fn or_fail(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => Called::fail(error),
        }
    }
}
