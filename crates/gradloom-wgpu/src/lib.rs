//! Runs Gradloom's kernels on GPUs through wgpu.
#![doc = include_str!("../README.md")]

mod adapter;
mod info;
mod backend;
mod adoption;
mod arena;
mod check;
mod codegen;
mod compiled;
mod compiler;
mod executor;
mod gpu;
mod looped;
mod numbers;
mod pipeline;
mod pipeline_file;
mod poison;
mod pool;
mod profile;
mod progress;
mod status;
mod step;
mod transfer;
mod turns;
mod work;

pub use adapter::{adapters, device};
pub use backend::WgpuBackend;
pub use info::{AdapterInfo, AdapterKind};
pub use pipeline::Shader;
pub use status::CheckSite;
