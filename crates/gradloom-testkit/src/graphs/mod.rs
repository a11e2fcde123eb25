//! Random graphs as a test of everything: what fails in use is composition, so graphs are drawn over
//! every op, view and dtype, evaluated in every way, and compared with the reference within bounds
//! that are derived once from f64 (see [`crate::reference::Arithmetic`]).
//!
//! A [`Recipe`] is a graph as data. [`check`] builds it on a device and on the reference; a recipe that
//! differs is [shrunk](shrink) and [printed](Recipe::source) as a test that can be pasted.

pub mod dice;
pub mod pattern;
pub mod graph;
pub mod action;
pub mod calls;
pub mod window_calls;
pub mod loops;
pub mod scenario;
mod recipe;
mod source;
mod compare;
mod generate;
mod shrink;

pub use compare::{Coverage, Difference, Kind, Verdict, agree, check, quietly};
pub use generate::Options;
pub use graph::Graph;
pub use pattern::Pattern;
pub use recipe::{Recipe, Step};
pub use scenario::Scenario;
pub use shrink::shrink;
