//! What the examples share: the command line, a training loop for image classifiers, and a picture of
//! the result.
#![forbid(unsafe_code)]

pub mod options;
pub mod classifier;
pub mod picture;

/// Any failure, for `main`.
pub type Failure = Box<dyn std::error::Error>;
