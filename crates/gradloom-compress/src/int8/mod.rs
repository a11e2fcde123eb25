//! Products and convolutions of 8-bit integers, as ops.
//!
//! Activations are `u8` that stand for `(q - zero_point) * scale`, weights are `i8`, sums are exact in 32 bits. Pictures
//! have their channels last. A product ends with what follows it: scale and term of each output, bounds such as those
//! of ReLU, and the integers of the next layer ([`Finish`]), in one kernel. Numbers are rounded half to even, so every
//! device gives the same integers.
//!
//! The sums are those of AVX-512 VNNI, AVX2 or NEON, elsewhere of plain loops, all exact; `GRADLOOM_SIMD` names a
//! level as for all kernels. GPUs run them in WGSL. The ops have no derivatives: see
//! [`FakeQuantized`](crate::quantize::FakeQuantized) for training.

mod dots;
mod finish;
mod packed;
mod scratch;
mod geometry;
mod rows;
mod depthwise;
mod linear;
mod convolution;
mod pool;
mod elements;
#[cfg(test)]
mod tests;

pub use convolution::convolution;
pub use elements::{add, quantize, quantize_channels_last};
pub use finish::{Finish, Integers};
pub use linear::{dynamic_linear, linear};
pub use packed::{pack_convolution, pack_linear};
pub use pool::pool_max;
