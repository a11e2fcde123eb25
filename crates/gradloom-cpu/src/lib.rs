//! The processor as a Gradloom device.
#![doc = include_str!("../README.md")]

mod backend;
mod simd;
mod transpose;
mod vector;

mod memory;
mod kept;
mod pool;
mod scratch;

mod convert;
mod crew;
mod math;
mod tile;

mod epilogue;
mod executor;
mod kernels;
mod parallel;
mod ceilings;
mod watch;

#[cfg(test)]
mod tests;

pub use backend::{CpuBackend, device};
/// Times of all devices of the process.
pub use gradloom_plan::profile;
pub use simd::Level;
