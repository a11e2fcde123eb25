//! What the examples share: the command line, the training of image classifiers, the page that a run leaves.
#![forbid(unsafe_code)]

pub mod options;
pub mod report;
pub mod classifier;

/// Any failure, for `main`: prints as its message and what caused it.
pub struct Failure(String);

impl std::fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<E: Into<Box<dyn std::error::Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message += &format!(": {cause}");
            source = cause.source();
        }
        Failure(message)
    }
}
