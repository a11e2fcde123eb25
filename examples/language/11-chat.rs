//! Chat with SmolLM2, a small language model whose weights are quantized to four bits.
//!
//! ```text
//! cargo xtask assets smollm2
//! cargo run --release -p language-examples --example 11-chat                      # a conversation, until an empty line
//! cargo run --release -p language-examples --example 11-chat -- --prompt "What is the capital of France?"
//! ```
//!
//! The first answer begins within a second on two cores, which write 130 tokens a second.
//!
//! The model's file holds everything: configuration, weights, tokenizer, chat template. At the end:
//! tokens a second for reading prompts and for writing, and what a written token costs.

use std::io::{BufRead, Write};
use std::path::Path;

use examples::Failure;
use examples::options::{Arguments, DEVICE, Known, TINY};
use gradloom::prelude::*;
use gradloom::text::{ChatTemplate, GgufVocabulary, Tokenizer};
use gradloom::zoo::generation::Sampler;
use gradloom::zoo::text::Chat;
use gradloom::zoo::{LlamaConfig, LlamaForCausalLanguageModel, ModelConfig, Pretrained};

const MODEL: &str = "assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const OPTIONS: [Known; 13] = [
    ("--prompt TEXT", "asks once and ends; else a conversation"),
    ("--system TEXT", "what the model is told first"),
    ("--model FILE", "another model in GGUF"),
    DEVICE,
    ("--tokens N", "of an answer at most (256)"),
    ("--context N", "tokens of the conversation at most (1024)"),
    ("--temperature T", "0 is always the likeliest token (0)"),
    ("--top-k N", "draws from so many of the likeliest tokens"),
    ("--top-p P", "draws from the likeliest that have this share together (1)"),
    ("--min-p P", "draws from those that have this share of the likeliest (0)"),
    ("--repetition-penalty R", "makes tokens that were written less likely (1)"),
    ("--seed N", "of drawn tokens (0)"),
    TINY,
];

/// Greedy unless a temperature is given.
fn sampler(arguments: &Arguments) -> Result<Sampler, Failure> {
    let temperature: f32 = arguments.number("--temperature", 0.0)?;
    let seed = arguments.number("--seed", 0)?;
    let (top_p, min_p) = (arguments.number("--top-p", 1.0)?, arguments.number("--min-p", 0.0)?);
    let sampler = match temperature > 0.0 {
        true => Sampler::new(seed).temperature(temperature).top_p(top_p).min_p(min_p),
        false => Sampler::greedy(),
    };
    let top_k = arguments.number("--top-k", 0)?;
    let sampler = if top_k > 0 { sampler.top_k(top_k) } else { sampler };
    Ok(sampler.repetition_penalty(arguments.number("--repetition-penalty", 1.0)?))
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::read(include_str!("11-chat.rs"), &OPTIONS)?;
    let tokens = arguments.number("--tokens", 256)?;
    let mut sampler = sampler(&arguments)?;
    let device = arguments.device()?;
    println!("device: {}", device.name());
    let (mut chat, bytes) = open(&arguments, &device)?;
    if let Some(system) = arguments.text("--system") {
        chat.system(system);
    }
    let start = device.statistics();
    match arguments.text("--prompt") {
        Some(prompt) => answer(&mut chat, prompt, &mut sampler, tokens)?,
        None if arguments.tiny() => answer(&mut chat, "Hello", &mut sampler, 8)?,
        None => loop {
            print!("> ");
            std::io::stdout().flush()?;
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            answer(&mut chat, line.trim(), &mut sampler, tokens)?;
        },
    }
    let timing = chat.timing();
    let per_second = |tokens: usize, seconds: f64| tokens as f64 / seconds.max(1e-9);
    println!(
        "prefill: {} tokens at {:.1} tokens/s; decode: {} at {:.1} tokens/s",
        timing.prefill_tokens,
        per_second(timing.prefill_tokens, timing.prefill.as_secs_f64()),
        timing.decode_tokens,
        per_second(timing.decode_tokens, timing.decode.as_secs_f64()),
    );
    let end = device.statistics();
    if let (Some(last), true) = (chat.last_step(), end.kernels > start.kernels) {
        println!(
            "a decoded token: {} kernels in {} submissions, {:.3} times the weights' {:.1} MB moved, \
             {} plans made",
            last.kernels,
            last.submissions,
            last.bytes_moved as f64 / bytes as f64,
            bytes as f64 / 1e6,
            last.plans,
        );
    }
    Ok(())
}

fn answer(
    chat: &mut Chat<LlamaForCausalLanguageModel>,
    question: &str,
    sampler: &mut Sampler,
    tokens: usize,
) -> Result<(), Failure> {
    let mut text = String::new();
    for piece in chat.ask(question, sampler, tokens)? {
        let piece = piece?;
        print!("{piece}");
        std::io::stdout().flush()?;
        text += &piece;
    }
    println!();
    chat.answered(&text);
    Ok(())
}

/// The model, and the bytes of its weights.
fn open(
    arguments: &Arguments,
    device: &Device,
) -> Result<(Chat<LlamaForCausalLanguageModel>, u64), Failure> {
    let path = Path::new(arguments.text("--model").unwrap_or(MODEL));
    if arguments.tiny() && !path.exists() {
        return tiny(device);
    }
    if !path.exists() {
        let path = path.display();
        return Err(format!("{path} is missing; `cargo xtask assets smollm2` gets it").into());
    }
    let context = if arguments.tiny() { 128 } else { arguments.number("--context", 1024)? };
    let chat = Chat::from_gguf(path, context, device)?;
    let checkpoint = gradloom::weights::Checkpoint::open(path)?;
    let bytes = checkpoint.entries().filter_map(|(_, entry)| entry.bytes()).sum::<usize>();
    Ok((chat, bytes as u64))
}

/// A model that knows nothing, and reads and writes single letters.
fn tiny(device: &Device) -> Result<(Chat<LlamaForCausalLanguageModel>, u64), Failure> {
    let config = LlamaConfig::from_json(
        r#"{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 96, "max_position_embeddings": 64}"#,
    )?;
    let mut model = LlamaForCausalLanguageModel::new(&config, &mut Init::new(Key::new(0), device))?;
    commit(&mut model)?;
    let mut letters: Vec<String> = (33..127u8).map(|byte| char::from(byte).to_string()).collect();
    letters.extend(["\u{120}".to_owned(), "<|end|>".to_owned()]);
    let mut types = vec![1; 95];
    types.push(3);
    let vocabulary = GgufVocabulary {
        model: "gpt2".to_owned(),
        tokens: letters,
        token_types: types,
        eos: Some(95),
        ..GgufVocabulary::default()
    };
    let tokenizer = Tokenizer::from_gguf(&vocabulary)?;
    let template =
        ChatTemplate::new("{% for message in messages %}{{ message.content }}<|end|>{% endfor %}")?;
    let bytes = 4 * model.parameter_count() as u64;
    Ok((Chat::new(&model, tokenizer, template, 64)?, bytes))
}
