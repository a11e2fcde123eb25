//! The methods that make ops, one file per family.

pub mod creation;
pub mod host_data;
pub mod random;
pub mod elementwise;
pub mod activation;
pub mod reduce;
pub mod views;
pub mod slice;
pub mod join;
pub mod matmul;
pub mod per_axis;
pub mod convolution;
pub mod pooling;
pub mod adaptive_pooling;
pub mod unpooling;
pub mod unfold;
pub mod indexing;
pub mod write;
pub mod quantized;
pub mod sort;
pub mod normalization;
pub mod attention;
pub mod loss;
pub mod scan;
mod search;
mod bits;
mod bessel;
mod incomplete_gamma;
pub mod cumulative;
pub mod statistics;
pub mod masked;
pub mod histogram;
pub mod by_value;
pub mod rearrange;
pub mod contract;
#[cfg(test)]
mod structured_tests;
