//! [`Error`]: what can go wrong with published models: their configurations and their weights.
//!
//! A contract broken in the caller's own program (more tokens than a model has positions) panics at the
//! call instead.

/// Why a model could not be made or loaded.
///
/// Opaque: ask the predicates, or print it.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Box<Kind>);

/// The message and what caused it, in one line: what a `main` that returns the error prints.
impl std::fmt::Debug for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("{model} configuration: {message}")]
    Config { model: &'static str, message: String },
    #[error("{file}: reading failed: {source}")]
    Io {
        file: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{context}: {source}")]
    Weights {
        context: String,
        #[source]
        source: gradloom_nn::Error,
    },
    #[error("{context}: {source}")]
    Tensor {
        context: String,
        #[source]
        source: gradloom_tensor::Error,
    },
    #[error("generation: {message}")]
    Generation { message: String },
    #[cfg(feature = "text")]
    #[error(transparent)]
    File(gradloom_weights::Error),
    #[cfg(feature = "text")]
    #[error(transparent)]
    Text(gradloom_text::Error),
    #[error("{context}: {source}")]
    Context {
        context: String,
        #[source]
        source: Error,
    },
}

impl Error {
    fn new(kind: Kind) -> Self {
        Error(Box::new(kind))
    }

    pub(crate) fn config(model: &'static str, message: impl Into<String>) -> Self {
        Error::new(Kind::Config { model, message: message.into() })
    }

    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        Error::new(Kind::Io { file: path.display().to_string(), source })
    }

    pub(crate) fn weights(context: impl Into<String>, source: gradloom_nn::Error) -> Self {
        Error::new(Kind::Weights { context: context.into(), source })
    }

    pub(crate) fn tensor(context: impl Into<String>, source: gradloom_tensor::Error) -> Self {
        Error::new(Kind::Tensor { context: context.into(), source })
    }

    pub(crate) fn generation(message: impl Into<String>) -> Self {
        Error::new(Kind::Generation { message: message.into() })
    }

    #[cfg(feature = "text")]
    pub(crate) fn file(source: gradloom_weights::Error) -> Self {
        Error::new(Kind::File(source))
    }

    #[cfg(feature = "text")]
    pub(crate) fn text(source: gradloom_text::Error) -> Self {
        Error::new(Kind::Text(source))
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

    /// A configuration is no JSON, lacks a key, or describes a model that cannot be.
    pub fn is_config(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Config { .. }))
    }

    /// Weights that cannot be read, or do not fit the model; the source is a [`gradloom_nn::Error`].
    pub fn is_weights(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Weights { .. }))
    }

    /// A tokenizer or a chat template cannot be read or does not do what is asked; the source is a
    /// [`gradloom_text::Error`].
    #[cfg(feature = "text")]
    pub fn is_text(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Text(_)))
    }

    /// A text cannot be written: no prompt, a token that the model does not know, no room.
    pub fn is_generation(&self) -> bool {
        self.any(&|kind| matches!(kind, Kind::Generation { .. }))
    }

    /// A file or folder is not there.
    pub fn is_not_found(&self) -> bool {
        self.any(&|kind| match kind {
            Kind::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            Kind::Weights { source, .. } => source.is_not_found(),
            #[cfg(feature = "text")]
            Kind::File(source) => source.is_not_found(),
            _ => false,
        })
    }

    /// The device refused; the source is a [`gradloom_tensor::Error`].
    pub fn is_device(&self) -> bool {
        self.any(&|kind| match kind {
            Kind::Tensor { .. } => true,
            Kind::Weights { source, .. } => source.is_device(),
            _ => false,
        })
    }
}
