//! What the tests of all crates share.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod reference;
pub mod case;
pub mod cases;
pub mod check;
pub mod batched;
pub mod storage;
pub mod graphs;
pub mod woven;

pub use case::{Case, Draw, Layout, Operand};
pub use cases::cases;
