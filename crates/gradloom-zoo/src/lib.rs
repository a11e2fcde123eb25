//! Published models in Gradloom: BERT, GPT-2, Llama, T5.
#![doc = include_str!("../README.md")]
