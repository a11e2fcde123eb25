//! [`Error`]: what can go wrong with weights, files and training.
//!
//! A contract broken in the caller's own program (sizes of layers that do not fit) panics at the call
//! instead.

/// Why loading, saving or training failed.
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
    Mismatch(String),
    #[error(transparent)]
    Weights(gradloom_weights::Error),
    #[error("loss is {value} at step {step}: {advice}")]
    NotFinite { value: f64, step: u64, advice: &'static str },
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
}

impl From<gradloom_weights::Error> for Error {
    fn from(error: gradloom_weights::Error) -> Self {
        Error::new(Kind::Weights(error))
    }
}

impl Error {
    fn new(kind: Kind) -> Self {
        Error(Box::new(kind))
    }

    pub(crate) fn mismatch(message: impl Into<String>) -> Self {
        Error::new(Kind::Mismatch(message.into()))
    }

    pub(crate) fn not_finite(value: f64, step: u64) -> Self {
        let advice =
            "lower the learning rate, or run with GRADLOOM_CHECK=nan to find the op that made it";
        Error::new(Kind::NotFinite { value, step, advice })
    }

    pub(crate) fn tensor(context: impl Into<String>, source: gradloom_tensor::Error) -> Self {
        Error::new(Kind::Tensor { context: context.into(), source })
    }

    /// The same error, said to have happened while doing `context`.
    #[must_use]
    pub fn context(self, context: impl Into<String>) -> Self {
        Error::new(Kind::Context { context: context.into(), source: self })
    }

    fn any(&self, holds: &dyn Fn(&Kind) -> bool) -> bool {
        match &*self.0 {
            Kind::Context { source, .. } => source.any(holds),
            kind => holds(kind),
        }
    }

    fn any_weights(&self, holds: impl Fn(&gradloom_weights::Error) -> bool) -> bool {
        self.any(&|kind| matches!(kind, Kind::Weights(error) if holds(error)))
    }

    /// Names, shapes or dtypes of weights that do not fit a model.
    pub fn is_mismatch(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Mismatch(_)))
    }

    /// A file's content breaks its format, or is of a kind that cannot be read.
    pub fn is_malformed(&self) -> bool {
        self.any_weights(|error| error.is_malformed() || error.is_unsupported())
    }

    /// A file cannot be read or written.
    pub fn is_io(&self) -> bool {
        self.any_weights(gradloom_weights::Error::is_io)
    }

    /// A file is not there.
    pub fn is_not_found(&self) -> bool {
        self.any_weights(gradloom_weights::Error::is_not_found)
    }

    /// A loss is NaN or infinite.
    pub fn is_not_finite(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::NotFinite { .. }))
    }

    /// The device refused; the source is a [`gradloom_tensor::Error`].
    pub fn is_device(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Tensor { .. }))
            || self.any_weights(gradloom_weights::Error::is_device)
    }
}
