//! Weaves a graph into few kernels.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod kernel;
pub mod planner;
pub mod program;
pub mod view;

pub use kernel::{
    BufferRef, Convolution, Kernel, KernelInput, KernelKind, KernelOutput, Plan, PlanOutput, Pool,
    Slot,
};
pub use planner::{Planner, Prepared};
pub use program::{Instruction, Level, Operation, Program, Space, ValueId};
pub use view::View;
