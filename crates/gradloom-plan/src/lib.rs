//! Weaves a graph into few kernels.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod kernel;
mod factors;
mod windows;
pub mod program;
pub mod view;

pub mod planner;
mod attachments;
mod build;
mod by_results;
mod cache;
mod footprint;
mod outputs;
mod checks;
mod limits;

mod linear;
mod bodies;
mod keeping;
mod words;

mod graph;
mod classes;
mod node;
mod quantized;
mod casts;

mod partition;
mod parts;
mod order;
mod space;
mod storing;
mod merge;

mod draft;
mod looping;
mod lower;
mod rounding;
mod split;
mod contraction;
mod structured;

mod in_place;
mod memory;
mod schedule;
mod transposed;

mod display;
pub mod profile;
pub mod interpret;
pub mod trial;
mod verify;

pub use attachments::{Attachments, Owner};
pub use checks::Checks;
pub use contraction::ProductForms;
pub use factors::{FactorCast, Factors};
pub use kernel::{
    BufferRef, Carry, Convolution, Kernel, KernelInput, KernelKind, KernelOutput, LoopKernel, Plan,
    PlanOutput, Pool, Slot,
};
pub use limits::Limits;
pub use planner::{Planner, Prepared};
pub use program::{Instruction, Level, Operation, Program, Space, ValueId};
pub use transposed::{TransposedCopies, Transposition};
pub use verify::PlanFault;
pub use view::View;
