//! Weaves a graph into few kernels.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bits;
mod claims;
mod display;
mod graph;
pub mod interpret;
pub mod kernel;
mod linear;
mod lower;
mod structured;
mod memory;
mod merge;
mod node;
mod partition;
pub mod planner;
pub mod program;
mod schedule;
mod storing;
pub mod view;

pub use kernel::{
    BufferRef, Convolution, Kernel, KernelInput, KernelKind, KernelOutput, Plan, PlanOutput, Pool,
    Slot,
};
pub use planner::{Limits, Planner, Prepared};
pub use program::{Instruction, Level, Operation, Program, Space, ValueId};
pub use view::View;
