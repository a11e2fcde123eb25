//! Models, made smaller.
#![doc = include_str!("../README.md")]

mod graph;
pub mod int8;
pub mod quantize;
pub mod prune;
pub mod distil;
pub mod language;
