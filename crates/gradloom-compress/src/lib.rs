//! Models, made smaller.
#![doc = include_str!("../README.md")]

#[expect(dead_code, reason = "who asks for users of nodes is being written")]
mod graph;
pub mod int8;
pub mod quantize;
pub mod prune;
pub mod distil;
pub mod language;
