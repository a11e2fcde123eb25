//! [`Error`]: a kind, a message and a cause.

use crate::ErrorKind;

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something failed: a [kind](ErrorKind), a message that stands alone, and what caused it.
///
/// What is wrong with the world (devices, memory, files, foreign text) is an error. A contract broken in the
/// caller's own program panics at the call instead.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    cause: Option<Cause>,
}

impl Error {
    /// An error of this kind. The message names the op, the file or the call, then the fact, then what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), cause: None }))
    }

    /// An error whose message is the context and its cause's message.
    pub fn caused(kind: ErrorKind, context: impl Into<String>, cause: impl Into<Cause>) -> Self {
        let cause = cause.into();
        let message = format!("{}: {cause}", context.into());
        Error(Box::new(Inner { kind, message, cause: Some(cause) }))
    }

    /// An error of another library, for backends, datasets and transforms of your own.
    pub fn other(context: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Error::caused(ErrorKind::Other, context, cause)
    }

    /// What does not fit together, said by a call, a dataset or a transform: `random crop: ...`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Invalid, message)
    }

    /// A sample that a dataset does not have.
    pub fn sample_out_of_range(dataset: &str, index: usize, len: usize) -> Self {
        let message = format!("{dataset}: index {index} out of range for {len} samples");
        Error::new(ErrorKind::IndexOutOfRange, message)
    }

    /// The same error, said to have happened while doing `context`.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.0.message = format!("{}: {}", context.into(), self.0.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// True if this error or one that caused it is of such a kind.
    pub fn any(&self, holds: impl Fn(ErrorKind) -> bool) -> bool {
        let mut error = self;
        loop {
            if holds(error.0.kind) {
                return true;
            }
            let cause = error.0.cause.as_ref().and_then(|cause| cause.downcast_ref::<Error>());
            let Some(cause) = cause else { return false };
            error = cause;
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

/// The message: what a `main` that returns the error prints.
impl std::fmt::Debug for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| &**cause as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let (kind, message) = (ErrorKind::of_io(&error), error.to_string());
        Error(Box::new(Inner { kind, message, cause: Some(Box::new(error)) }))
    }
}
