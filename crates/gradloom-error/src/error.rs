//! [`Error`]: a kind, a message and a cause.

use crate::ErrorKind;

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something failed: a [kind](ErrorKind), a message that stands alone, and what caused it.
///
/// What is wrong with the world (devices, memory, files, foreign text) is an error. A contract broken in the
/// caller's own program panics at the call instead.
///
/// The message says every cause once. So [`source`](std::error::Error::source) is `None`: reports that print
/// an error and then its sources would say them again. [`cause`](Error::cause) is what to look into.
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

    /// An error whose message is the context, its cause's message, and those of the cause's own sources that
    /// it does not say itself.
    pub fn caused(kind: ErrorKind, context: impl Into<String>, cause: impl Into<Cause>) -> Self {
        let cause = cause.into();
        let message = format!("{}: {}", context.into(), whole(&*cause));
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

    /// The error that caused this one, for `downcast_ref`. The message says it already.
    ///
    /// ```
    /// use gradloom_error::Error;
    ///
    /// let error = Error::from(std::io::Error::other("no disk")).context("report.html");
    /// assert_eq!(error.to_string(), "report.html: no disk");
    /// assert!(error.cause().is_some_and(|cause| cause.is::<std::io::Error>()));
    /// ```
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
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

/// Without sources: the message says all of them.
impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let (kind, message) = (ErrorKind::of_io(&error), whole(&error));
        Error(Box::new(Inner { kind, message, cause: Some(Box::new(error)) }))
    }
}

/// An error with all that its sources add.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::Error;
    use crate::ErrorKind;

    /// An error that leaves what caused it to those who ask for its source.
    #[derive(Debug)]
    struct Parse(io::Error);

    impl std::fmt::Display for Parse {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("line 3 cannot be read")
        }
    }

    impl std::error::Error for Parse {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn every_cause_is_said_once_by_the_message_and_by_a_report_of_sources() {
        let full = || io::Error::from_raw_os_error(28);
        let text = full().to_string();
        let errors = [
            Error::caused(ErrorKind::Io, "weights", full()),
            Error::caused(ErrorKind::Other, "table", Parse(full())),
            Error::from(full()).context("log"),
            Error::other("run", Error::caused(ErrorKind::Io, "weights", full())),
            Error::from(io::Error::other(Parse(full()))).context("run"),
        ];
        for error in errors {
            let mut report = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                report = format!("{report}: {cause}");
                source = cause.source();
            }
            assert_eq!(report, error.to_string());
            assert_eq!(report.matches(&text).count(), 1, "{report}");
            assert!(error.cause().is_some(), "{report}");
        }
    }
}
