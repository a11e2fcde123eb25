//! What the examples of pictures share.
#![forbid(unsafe_code)]

pub mod scenes;
pub mod made;
pub mod photos;
