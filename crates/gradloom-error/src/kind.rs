//! [`ErrorKind`]: what went wrong, to match on.

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Shapes, dtypes or axes that do not fit.
    Shape,
    /// An index read at run time, or of a sample, is out of range.
    IndexOutOfRange,
    /// A NaN or an infinity: found by `GRADLOOM_CHECK=nan`, or in a loss.
    NotFinite,
    /// No such device.
    DeviceNotFound,
    /// A device has no memory left.
    OutOfMemory,
    /// The device was lost; make a new one.
    DeviceLost,
    /// Another failure of a device.
    Backend,
    /// A device cannot do this, or a file is of a kind that is not read or written.
    Unsupported,
    /// A file or folder is not there.
    NotFound,
    /// The operating system failed to read or write.
    Io,
    /// A file ends too early.
    Truncated,
    /// A file's content breaks its format.
    Malformed,
    /// A file declares or holds more than a limit allows.
    TooLarge,
    /// A file has no tensor of the name that was asked for.
    Missing,
    /// Names, shapes or dtypes of weights that do not fit a model.
    Mismatch,
    /// Weights of a published model that cannot be read, or do not fit it.
    Weights,
    /// A configuration is no JSON, lacks a key, or describes a model that cannot be.
    Config,
    /// A text cannot be written: no prompt, a token that the model does not know, no room.
    Generation,
    /// A token or id is not in the vocabulary, or text cannot be written with it.
    UnknownToken,
    /// Ids of the tokenizer do not fit a model or the file's own list of tokens.
    VocabularyMismatch,
    /// A chat template has a fault, or does not fit the messages.
    Template,
    /// A chat template refused the messages by calling `raise_exception`.
    TemplateRaised,
    /// A chat template ran too long, too deep or wrote too much.
    TemplateLimit,
    /// Arguments or data that make no sense together.
    Invalid,
    /// Code that a loader called panicked.
    WorkerPanic,
    /// An error of another library.
    Other,
}

impl ErrorKind {
    /// Of an error of the operating system: [`NotFound`](ErrorKind::NotFound) or [`Io`](ErrorKind::Io).
    pub fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        }
    }

    /// True if a device refused.
    pub fn is_of_device(self) -> bool {
        matches!(
            self,
            ErrorKind::DeviceNotFound
                | ErrorKind::OutOfMemory
                | ErrorKind::DeviceLost
                | ErrorKind::Backend
                | ErrorKind::Unsupported
        )
    }
}
