//! Any bytes as configurations of models.

#![no_main]

use gradloom_zoo::{BertConfig, Gpt2Config, LlamaConfig, ModelConfig, T5Config};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(BertConfig::from_json(bytes));
    drop(Gpt2Config::from_json(bytes));
    drop(LlamaConfig::from_json(bytes));
    drop(T5Config::from_json(bytes));
});
