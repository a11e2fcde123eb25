//! Chat with SmolLM2, a small language model whose weights are quantized to four bits.
//!
//! ```text
//! cargo xtask assets smollm2
//! cargo run --release -p language-examples --example 11-chat                      # a conversation, until an empty line
//! cargo run --release -p language-examples --example 11-chat -- --prompt "What is the capital of France?"
//! ```
//!
//! The model's file holds everything: configuration, weights, tokenizer, chat template. At the end:
//! tokens a second for reading prompts and for writing, and what a written token costs.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use examples::Failure;
use examples::options::{help, wants_tiny, words};
use gradloom::prelude::*;
use gradloom::text::{ChatTemplate, GgufVocabulary, Tokenizer};
use gradloom::zoo::generation::Sampler;
use gradloom::zoo::text::Chat;
use gradloom::zoo::{LlamaConfig, LlamaForCausalLanguageModel, ModelConfig, Pretrained};

const MODEL: &str = "assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const USAGE: &str = "  --prompt TEXT            asks once and ends; else a conversation
  --system TEXT            what the model is told first
  --model FILE             another model in GGUF
  --device NAME            cpu, gpu, a backend or a part of an adapter's name; else the best there is
  --tokens N               of an answer at most (256)
  --context N              tokens of the conversation at most (1024)
  --temperature T          0 is always the likeliest token (0)
  --top-k N, --top-p P, --min-p P, --repetition-penalty R
                           which tokens are drawn from
  --seed N                 of drawn tokens (0)
  --tiny                   a few tokens, to see that everything works
";

struct Options {
    prompt: Option<String>,
    system: Option<String>,
    model: PathBuf,
    device: Option<String>,
    tokens: usize,
    context: usize,
    temperature: f32,
    top_k: usize,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    seed: u64,
    tiny: bool,
}

impl Options {
    fn read() -> Result<Options, Failure> {
        let mut options = Options {
            prompt: None,
            system: None,
            model: MODEL.into(),
            device: None,
            tokens: 256,
            context: 1024,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
            tiny: wants_tiny(),
        };
        let mut words = words();
        while let Some(word) = words.next() {
            if word == "--tiny" {
                options.tiny = true;
                continue;
            }
            if word == "--help" || word == "-h" {
                help(include_str!("11-chat.rs"), USAGE);
            }
            let value = words.next().ok_or(format!("{word}: a value is missing"))?;
            let wrong = |error: &dyn std::fmt::Display| format!("{word} {value}: {error}");
            match word.as_str() {
                "--prompt" => options.prompt = Some(value),
                "--system" => options.system = Some(value),
                "--model" => options.model = value.into(),
                "--device" => options.device = Some(value),
                "--tokens" => options.tokens = value.parse().map_err(|error| wrong(&error))?,
                "--context" => options.context = value.parse().map_err(|error| wrong(&error))?,
                "--temperature" => {
                    options.temperature = value.parse().map_err(|error| wrong(&error))?;
                }
                "--top-k" => options.top_k = value.parse().map_err(|error| wrong(&error))?,
                "--top-p" => options.top_p = value.parse().map_err(|error| wrong(&error))?,
                "--min-p" => options.min_p = value.parse().map_err(|error| wrong(&error))?,
                "--repetition-penalty" => {
                    options.repetition_penalty = value.parse().map_err(|error| wrong(&error))?;
                }
                "--seed" => options.seed = value.parse().map_err(|error| wrong(&error))?,
                _ => {
                    return Err(format!(
                        "{word}: unknown option; `--help` lists those that there are"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }

    /// Greedy unless a temperature is given.
    fn sampler(&self) -> Sampler {
        let sampler = match self.temperature > 0.0 {
            true => Sampler::new(self.seed)
                .temperature(self.temperature)
                .top_p(self.top_p)
                .min_p(self.min_p),
            false => Sampler::greedy(),
        };
        let sampler = if self.top_k > 0 { sampler.top_k(self.top_k) } else { sampler };
        sampler.repetition_penalty(self.repetition_penalty)
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let device = match &options.device {
        Some(name) => Device::named(name)?,
        None => Device::best()?,
    };
    println!("device: {}", device.name());
    let (mut chat, bytes) = open(&options, &device)?;
    if let Some(system) = &options.system {
        chat.system(system);
    }
    let mut sampler = options.sampler();
    let start = device.statistics();
    match &options.prompt {
        Some(prompt) => answer(&mut chat, prompt, &mut sampler, options.tokens)?,
        None if options.tiny => answer(&mut chat, "Hello", &mut sampler, 8)?,
        None => loop {
            print!("> ");
            std::io::stdout().flush()?;
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            answer(&mut chat, line.trim(), &mut sampler, options.tokens)?;
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
    options: &Options,
    device: &Device,
) -> Result<(Chat<LlamaForCausalLanguageModel>, u64), Failure> {
    if options.tiny && !options.model.exists() {
        return tiny(device);
    }
    if !options.model.exists() {
        let path = options.model.display();
        return Err(format!("{path} is missing; `cargo xtask assets smollm2` gets it").into());
    }
    let context = if options.tiny { 128 } else { options.context };
    let chat = Chat::from_gguf(&options.model, context, device)?;
    let checkpoint = gradloom::weights::Checkpoint::open(&options.model)?;
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
