//! The executor of programs: instruction by instruction over tiles of about a thousand elements, whose
//! registers stay in the first-level cache.
//!
//! [`TileProgram::compile`] turns a program into steps with registers, once per plan. [`Frame`] binds
//! it to the buffers and arguments of one evaluation and runs tiles of it.

mod access;
mod binary;
mod blocks;
mod cast;
mod chain;
mod row_chain;
mod clamp;
mod compile;
mod passes;
mod step;
mod ahead;
mod failures;
mod frame;
mod memory_steps;
mod operand;
mod sources;
mod unary;

pub(crate) use access::{Access, Pattern};
pub(crate) use compile::Request;
pub(crate) use failures::Failures;
pub(crate) use frame::{Frame, Registers, Tile};
pub(crate) use memory_steps::{copy_tile, load_contiguous};
pub(crate) use operand::{Operand, lane_of_word, word_of_lane};
pub(crate) use row_chain::RowChain;
pub(crate) use sources::External;
pub(crate) use step::{Accumulator, Store, TileProgram};

/// Elements of a tile: a register of 32-bit lanes takes 4 KiB.
pub(crate) const TILE: usize = 1024;
