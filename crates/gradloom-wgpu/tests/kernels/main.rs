//! Kernels built by hand, on every Vulkan adapter, against the interpreter of plans.

mod harness;
mod translate;

mod decoding;
mod device;
mod empties;
mod evaluations;
mod map;
mod matmul;
mod narrow;
mod row;
mod scans;
mod sequences;
mod shapes;
mod specials;
mod structured;
mod table;
mod training;
