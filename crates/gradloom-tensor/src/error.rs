//! [`Error`]: what can go wrong with the world (devices, memory, indices found at run time) and with
//! shapes that a caller chose to check first.
//!
//! A contract broken in the caller's own program panics at the call instead.

use crate::origin::Origin;

/// Why an operation on tensors or devices failed.
///
/// Opaque: ask the predicates, or print it.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Box<Kind>);

/// The message and what caused it, in one line: what a `main` that returns the error prints.
impl std::fmt::Debug for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(formatter, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("{0}")]
    Shape(String),
    #[error("{message}")]
    Device { message: String, reason: Reason },
    #[error("{op}: index {index} out of range for axis of size {size} (made at {origin})")]
    Index { op: &'static str, index: i64, size: usize, origin: Origin },
    #[error("{op}: first {found} found in the result {shape} of the op made at {origin}")]
    NotFinite { op: String, found: &'static str, shape: String, origin: Origin },
    #[error("{context}")]
    Context {
        context: String,
        #[source]
        source: Error,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    NotFound,
    OutOfMemory,
    Lost,
    Unsupported,
    Backend,
}

impl Error {
    fn new(kind: Kind) -> Self {
        Error(Box::new(kind))
    }

    /// Shapes, dtypes or axes that do not fit an op.
    pub fn shape(message: impl Into<String>) -> Self {
        Error::new(Kind::Shape(message.into()))
    }

    /// A device that was asked for does not exist.
    pub fn device_not_found(message: impl Into<String>) -> Self {
        Error::device(message.into(), Reason::NotFound)
    }

    /// The device has no memory left for this.
    pub fn out_of_memory(message: impl Into<String>) -> Self {
        Error::device(message.into(), Reason::OutOfMemory)
    }

    /// The device is gone: its driver crashed or was reset.
    pub fn device_lost(message: impl Into<String>) -> Self {
        Error::device(message.into(), Reason::Lost)
    }

    /// The device cannot do this, ever.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error::device(message.into(), Reason::Unsupported)
    }

    /// The value of a [`Placeholder`](crate::Op::Placeholder) was asked for while a function was traced.
    pub fn placeholder(shape: &crate::Shape, origin: Origin) -> Self {
        Error::shape(format!(
            "eval: the value depends on a placeholder of shape {shape} (made at {origin}), which has none \
             while its function is traced; ask for values outside of the function"
        ))
    }

    /// A value was asked for that depends on one that [`commit`](crate::commit()) has written over.
    pub fn overwritten(shape: &crate::Shape, origin: Origin) -> Self {
        Error::shape(format!(
            "eval: the value depends on a tensor of shape {shape} (made at {origin}) that commit has updated \
             in its memory since; take gradients of a loss before commit, or hold a clone of the weights"
        ))
    }

    /// Any other failure of a backend.
    pub fn backend(message: impl Into<String>) -> Self {
        Error::device(message.into(), Reason::Backend)
    }

    /// An index read at run time was outside `0..size`.
    pub fn index_out_of_range(
        op: &'static str,
        index: i64,
        size: usize,
        origin: impl Into<Origin>,
    ) -> Self {
        Error::new(Kind::Index { op, index, size, origin: origin.into() })
    }

    /// A NaN or infinity was found while `GRADLOOM_CHECK=nan` looks for the first one.
    pub fn not_finite(
        op: impl Into<String>,
        found: &'static str,
        shape: impl std::fmt::Display,
        origin: impl Into<Origin>,
    ) -> Self {
        let (op, shape, origin) = (op.into(), shape.to_string(), origin.into());
        Error::new(Kind::NotFinite { op, found, shape, origin })
    }

    /// The same error, said to have happened while doing `context`.
    #[must_use]
    pub fn context(self, context: impl Into<String>) -> Self {
        Error::new(Kind::Context { context: context.into(), source: self })
    }

    /// The same error, said of an op: where a device has no memory for it, or cannot do it, the op and its
    /// line come first.
    #[must_use]
    pub fn of_op(mut self, op: &str, shape: &crate::Shape, origin: impl Into<Origin>) -> Self {
        if let Kind::Device { message, reason } = &mut *self.0
            && !matches!(reason, Reason::Lost | Reason::NotFound)
        {
            *message = format!("{op} of shape {shape} (made at {}): {message}", origin.into());
        }
        self
    }

    /// The same error, said of a device whose name its message lacks.
    #[must_use]
    pub fn on_device(mut self, device: &str) -> Self {
        if let Kind::Device { message, .. } = &mut *self.0 {
            *message = format!("{device}: {message}");
        }
        self
    }

    fn device(message: String, reason: Reason) -> Self {
        Error::new(Kind::Device { message, reason })
    }

    fn reason(&self) -> Option<Reason> {
        match &*self.0 {
            Kind::Device { reason, .. } => Some(*reason),
            Kind::Context { source, .. } => source.reason(),
            Kind::Shape(_) | Kind::Index { .. } | Kind::NotFinite { .. } => None,
        }
    }

    /// No such device.
    pub fn is_device_not_found(&self) -> bool {
        self.reason() == Some(Reason::NotFound)
    }

    /// Out of device memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.reason() == Some(Reason::OutOfMemory)
    }

    /// The device was lost; make a new one.
    pub fn is_device_lost(&self) -> bool {
        self.reason() == Some(Reason::Lost)
    }

    /// The device cannot do this.
    pub fn is_unsupported(&self) -> bool {
        self.reason() == Some(Reason::Unsupported)
    }

    /// Shapes, dtypes or axes that do not fit.
    pub fn is_shape(&self) -> bool {
        matches!(&*self.0, Kind::Shape(_))
    }

    /// An index was out of range at run time.
    pub fn is_index_out_of_range(&self) -> bool {
        match &*self.0 {
            Kind::Index { .. } => true,
            Kind::Context { source, .. } => source.is_index_out_of_range(),
            Kind::Shape(_) | Kind::Device { .. } | Kind::NotFinite { .. } => false,
        }
    }

    /// A NaN or infinity was found by the check.
    pub fn is_not_finite(&self) -> bool {
        match &*self.0 {
            Kind::NotFinite { .. } => true,
            Kind::Context { source, .. } => source.is_not_finite(),
            Kind::Shape(_) | Kind::Device { .. } | Kind::Index { .. } => false,
        }
    }
}

/// Turns a shape error into the panic that a broken contract in the caller's program deserves, at the
/// line of the outermost caller: a function passed to `unwrap_or_else` would name a line of the
/// standard library.
pub(crate) trait OrFail<T> {
    /// The value, or the panic with the error's message.
    #[track_caller]
    fn or_fail(self) -> T;
}

impl<T> OrFail<T> for Result<T> {
    #[track_caller]
    fn or_fail(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }
}
