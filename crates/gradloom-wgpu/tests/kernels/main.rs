//! Kernels built by hand, on every Vulkan adapter, against the interpreter of plans.

mod harness;
mod translate;

mod decoding;
mod device;
mod map;
mod matmul;
mod row;
mod sequences;
mod structured;
mod table;
mod training;
