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
mod evaluation;
mod executor;
mod gpu;
mod late;
mod looped;
mod numbers;
mod pipeline;
mod pipeline_file;
mod poison;
mod pool;
mod profile;
mod progress;
mod self_test;
mod status;
mod step;
mod transfer;
mod turns;
mod wait;
mod work;

pub use adapter::{adapters, adapters_async, device, device_async};
pub use backend::WgpuBackend;
pub use info::{AdapterInfo, AdapterKind};
pub use pipeline::Shader;
pub use self_test::report::{Finding, Remedy, SelfTest};
pub use status::CheckSite;
