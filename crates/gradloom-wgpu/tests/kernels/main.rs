//! Kernels built by hand, on every Vulkan adapter, against a naive interpreter in f64.

mod harness;
mod reference;
mod translate;

mod decoding;
mod device;
mod evaluations;
mod map;
mod matmul;
mod narrow;
mod row;
mod scans;
mod sequence_cases;
mod sequences;
mod specials;
mod structured;
mod structured_cases;
mod table;
mod training;
