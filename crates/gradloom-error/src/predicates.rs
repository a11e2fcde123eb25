//! Questions for each kind.

use crate::{Error, ErrorKind};

/// Each is true as well if an error of that kind is the cause.
impl Error {
    /// Shapes, dtypes or axes that do not fit.
    pub fn is_shape(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Shape)
    }

    /// An index read at run time, or of a sample, is out of range.
    pub fn is_index_out_of_range(&self) -> bool {
        self.any(|kind| kind == ErrorKind::IndexOutOfRange)
    }

    /// A NaN or an infinity: found by `GRADLOOM_CHECK=nan`, or in a loss.
    pub fn is_not_finite(&self) -> bool {
        self.any(|kind| kind == ErrorKind::NotFinite)
    }

    /// No such device.
    pub fn is_device_not_found(&self) -> bool {
        self.any(|kind| kind == ErrorKind::DeviceNotFound)
    }

    /// A device has no memory left.
    pub fn is_out_of_memory(&self) -> bool {
        self.any(|kind| kind == ErrorKind::OutOfMemory)
    }

    /// The device was lost; make a new one.
    pub fn is_device_lost(&self) -> bool {
        self.any(|kind| kind == ErrorKind::DeviceLost)
    }

    /// Another failure of a device.
    pub fn is_backend(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Backend)
    }

    /// A device cannot do this, or a file is of a kind that is not read or written.
    pub fn is_unsupported(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Unsupported)
    }

    /// A file or folder is not there.
    pub fn is_not_found(&self) -> bool {
        self.any(|kind| kind == ErrorKind::NotFound)
    }

    /// The operating system failed to read or write, or has no such file.
    pub fn is_io(&self) -> bool {
        self.any(|kind| matches!(kind, ErrorKind::Io | ErrorKind::NotFound))
    }

    /// A file ends too early.
    pub fn is_truncated(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Truncated)
    }

    /// A file's content breaks its format.
    pub fn is_malformed(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Malformed)
    }

    /// A file declares or holds more than a limit allows.
    pub fn is_too_large(&self) -> bool {
        self.any(|kind| kind == ErrorKind::TooLarge)
    }

    /// A file has no tensor of the name that was asked for.
    pub fn is_missing(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Missing)
    }

    /// Names, shapes or dtypes of weights that do not fit a model.
    pub fn is_mismatch(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Mismatch)
    }

    /// Weights of a published model that cannot be read, or do not fit it.
    pub fn is_weights(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Weights)
    }

    /// A configuration is no JSON, lacks a key, or describes a model that cannot be.
    pub fn is_config(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Config)
    }

    /// A text cannot be written: no prompt, a token that the model does not know, no room.
    pub fn is_generation(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Generation)
    }

    /// A token or id is not in the vocabulary, or text cannot be written with it.
    pub fn is_unknown_token(&self) -> bool {
        self.any(|kind| kind == ErrorKind::UnknownToken)
    }

    /// Ids of the tokenizer do not fit a model or the file's own list of tokens.
    pub fn is_vocabulary_mismatch(&self) -> bool {
        self.any(|kind| kind == ErrorKind::VocabularyMismatch)
    }

    /// A chat template has a fault, or does not fit the messages.
    pub fn is_template(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Template)
    }

    /// A chat template refused the messages by calling `raise_exception`.
    pub fn is_raised_by_template(&self) -> bool {
        self.any(|kind| kind == ErrorKind::TemplateRaised)
    }

    /// A chat template ran too long, too deep or wrote too much.
    pub fn is_template_limit(&self) -> bool {
        self.any(|kind| kind == ErrorKind::TemplateLimit)
    }

    /// Arguments or data that make no sense together.
    pub fn is_invalid(&self) -> bool {
        self.any(|kind| kind == ErrorKind::Invalid)
    }

    /// Code that a loader called panicked.
    pub fn is_worker_panic(&self) -> bool {
        self.any(|kind| kind == ErrorKind::WorkerPanic)
    }

    /// A device refused.
    pub fn is_device(&self) -> bool {
        self.any(ErrorKind::is_of_device)
    }
}
