//! Files that are written whole or not at all.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod place;
mod temporary;
mod replace;

pub use gradloom_error::{Error, Result};
pub use replace::{replace, write};
pub use temporary::remove_stale;
