//! Text for Gradloom: tokenizers, chat templates and streaming.
#![doc = include_str!("../README.md")]
