//! The errors of ops and devices, and what is said of them on their way to the caller.

use std::fmt::Display;

use crate::{Error, ErrorKind};

impl Error {
    /// Shapes, dtypes or axes that do not fit an op.
    pub fn shape(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Shape, message)
    }

    /// A device that was asked for does not exist.
    pub fn device_not_found(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::DeviceNotFound, message)
    }

    /// The device has no memory left for this.
    pub fn out_of_memory(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::OutOfMemory, message)
    }

    /// The device is gone: its driver crashed or was reset.
    pub fn device_lost(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::DeviceLost, message)
    }

    /// The device cannot do this, ever.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Unsupported, message)
    }

    /// Any other failure of a backend.
    pub fn backend(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Backend, message)
    }

    /// The value of a placeholder was asked for while a function was traced.
    pub fn placeholder(shape: impl Display, origin: impl Display) -> Self {
        Error::shape(format!(
            "eval: the value depends on a placeholder of shape {shape} (made at {origin}), which has none \
             while its function is traced; ask for values outside of the function"
        ))
    }

    /// A value was asked for that depends on one that `commit` has written over.
    pub fn overwritten(shape: impl Display, origin: impl Display) -> Self {
        Error::shape(format!(
            "eval: the value depends on a tensor of shape {shape} (made at {origin}) that commit has updated \
             in its memory since; take gradients of a loss before commit, or hold a clone of the weights"
        ))
    }

    /// An index read at run time was outside `0..size`. An op with facts, `op: facts`, says itself what of its
    /// operands was found to be wrong.
    pub fn index_out_of_range(
        op: impl Display,
        index: i64,
        size: usize,
        origin: impl Display,
    ) -> Self {
        let op = op.to_string();
        let message = match op.contains(": ") {
            true => format!("{op} (made at {origin})"),
            false => format!(
                "{op}: index {index} out of range for axis of size {size} (made at {origin})"
            ),
        };
        Error::new(ErrorKind::IndexOutOfRange, message)
    }

    /// A NaN or infinity was found while `GRADLOOM_CHECK=nan` looks for the first one.
    pub fn not_finite(
        op: impl Display,
        found: impl Display,
        shape: impl Display,
        origin: impl Display,
    ) -> Self {
        let message =
            format!("{op}: first {found} found in the result {shape} of the op made at {origin}");
        Error::new(ErrorKind::NotFinite, message)
    }

    /// The same error, said of an op: where a device has no memory for it, or cannot do it, the op and its
    /// line come first.
    #[must_use]
    pub fn of_op(self, op: &str, shape: &impl Display, origin: impl Display) -> Self {
        match self.kind() {
            ErrorKind::OutOfMemory | ErrorKind::Unsupported | ErrorKind::Backend => {
                self.context(format!("{op} of shape {shape} (made at {origin})"))
            }
            _ => self,
        }
    }

    /// The same error, said of a device whose name its message lacks.
    #[must_use]
    pub fn on_device(self, device: &str) -> Self {
        if self.kind().is_of_device() { self.context(device) } else { self }
    }
}
