//! Weight files for Gradloom: safetensors, PyTorch checkpoints and GGUF.
#![doc = include_str!("../README.md")]
