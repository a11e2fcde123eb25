//! Runs Gradloom's kernels on GPUs through wgpu.
#![doc = include_str!("../README.md")]

mod adapter;
mod info;
mod backend;
mod checks;
mod codegen;
mod executor;
mod gpu;
mod pipeline;
mod pool;
mod profile;
mod step;
mod transfer;

pub use adapter::{adapters, device};
pub use backend::WgpuBackend;
pub use checks::CheckSite;
pub use info::{AdapterInfo, AdapterKind};
