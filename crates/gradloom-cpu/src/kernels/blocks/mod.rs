//! Matrices in blocks: products that read the blocks, picks of rows, and their numbers.
//!
//! In a product each row of the other operand is rounded to 16 bits in blocks of 32 first, so that dot
//! products are made of small integers; this is where its result differs from that of f32 numbers, by
//! about one part in ten thousand.

mod activations;
mod formats;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod product;
mod rows;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use product::Product;
pub(super) use rows::{Dequantize, Rows};
