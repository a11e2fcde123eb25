//! The error of all crates.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod kind;
mod error;
mod predicates;
mod tensors;

pub use error::{Error, Result};
pub use kind::ErrorKind;
