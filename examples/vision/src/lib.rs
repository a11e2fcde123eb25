//! What the examples of pictures share.
#![forbid(unsafe_code)]

pub mod photos;
