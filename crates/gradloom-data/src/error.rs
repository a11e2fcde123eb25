//! [`Error`]: what can go wrong with files, datasets and loaders.
//!
//! Messages name the file, the position, the fact, and what to do about it. A contract broken in the
//! caller's own program (a batch size of zero) panics at the call instead.

/// Why reading, preparing or loading data failed.
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
    #[error("{file}: not found; {advice}")]
    NotFound { file: String, advice: String },
    #[error("{file}: reading failed at byte {position}: {source}")]
    Io {
        file: String,
        position: u64,
        #[source]
        source: std::io::Error,
    },
    #[error("{file}: ends at byte {position}, but {missing}; get the file again")]
    Truncated { file: String, position: u64, missing: String },
    #[error("{file}: byte {position}: {message}")]
    Malformed { file: String, position: u64, message: String },
    #[error("{file}: row {row}{column}: {message}")]
    Table { file: String, row: u64, column: String, message: String },
    #[error("{file}: {message}")]
    TooLarge { file: String, message: String },
    #[error("{0}")]
    OutOfRange(String),
    #[error("{0}")]
    Invalid(String),
    #[error("loader: {during} panicked: {message}")]
    WorkerPanic { during: String, message: String },
    #[error("loader: {message}: {source}")]
    Thread {
        message: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{context}: {source}")]
    Context {
        context: String,
        #[source]
        source: Error,
    },
    #[error("{context}: {source}")]
    Tensor {
        context: String,
        #[source]
        source: gradloom_tensor::Error,
    },
    #[error("{context}: {source}")]
    Other {
        context: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    fn new(kind: Kind) -> Self {
        Error(Box::new(kind))
    }

    /// Data that do not fit together, said by a dataset or transform: `random crop: ...`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(Kind::Invalid(message.into()))
    }

    /// An error of another library, for datasets and transforms of your own.
    pub fn other(
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Error::new(Kind::Other { context: context.into(), source: source.into() })
    }

    /// An index that a dataset does not have.
    pub fn index_out_of_range(dataset: &str, index: usize, len: usize) -> Self {
        let message = format!("{dataset}: index {index} out of range for {len} samples");
        Error::new(Kind::OutOfRange(message))
    }

    /// The same error, said to have happened while doing `context`.
    #[must_use]
    pub fn context(self, context: impl Into<String>) -> Self {
        Error::new(Kind::Context { context: context.into(), source: self })
    }

    pub(crate) fn not_found(file: impl Into<String>, advice: impl Into<String>) -> Self {
        Error::new(Kind::NotFound { file: file.into(), advice: advice.into() })
    }

    pub(crate) fn io(file: &str, position: u64, source: std::io::Error) -> Self {
        Error::new(Kind::Io { file: file.to_owned(), position, source })
    }

    pub(crate) fn truncated(file: &str, position: u64, missing: impl Into<String>) -> Self {
        let (file, missing) = (file.to_owned(), missing.into());
        Error::new(Kind::Truncated { file, position, missing })
    }

    pub(crate) fn malformed(file: &str, position: u64, message: impl Into<String>) -> Self {
        let (file, message) = (file.to_owned(), message.into());
        Error::new(Kind::Malformed { file, position, message })
    }

    pub(crate) fn table(
        file: &str,
        row: u64,
        column: Option<&str>,
        message: impl Into<String>,
    ) -> Self {
        let column = column.map(|name| format!(", column {name}")).unwrap_or_default();
        let (file, message) = (file.to_owned(), message.into());
        Error::new(Kind::Table { file, row, column, message })
    }

    pub(crate) fn too_large(file: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::TooLarge { file: file.to_owned(), message: message.into() })
    }

    pub(crate) fn worker_panic(during: String, payload: &(dyn std::any::Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "the panic has no message".to_owned());
        Error::new(Kind::WorkerPanic { during, message })
    }

    pub(crate) fn thread(message: &str, source: std::io::Error) -> Self {
        Error::new(Kind::Thread { message: message.to_owned(), source })
    }

    pub(crate) fn tensor(context: &str, source: gradloom_tensor::Error) -> Self {
        Error::new(Kind::Tensor { context: context.to_owned(), source })
    }

    fn any(&self, holds: &dyn Fn(&Kind) -> bool) -> bool {
        match &*self.0 {
            Kind::Context { source, .. } => source.any(holds),
            kind => holds(kind),
        }
    }

    /// A file is not there.
    pub fn is_not_found(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::NotFound { .. }))
    }

    /// The operating system failed to read.
    pub fn is_io(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Io { .. }))
    }

    /// A file ends too early.
    pub fn is_truncated(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Truncated { .. }))
    }

    /// A file's content breaks its format (a file that only ends too early is
    /// [truncated](Error::is_truncated) instead).
    pub fn is_malformed(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Malformed { .. } | Kind::Table { .. }))
    }

    /// A file declares or holds more than the limit allows.
    pub fn is_too_large(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::TooLarge { .. }))
    }

    /// An index was out of range.
    pub fn is_out_of_range(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::OutOfRange(_)))
    }

    /// Code that a loader called panicked.
    pub fn is_worker_panic(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::WorkerPanic { .. }))
    }

    /// The device refused; the source is a [`gradloom_tensor::Error`].
    pub fn is_device(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Tensor { .. }))
    }
}
