//! Trains a small GPT on the characters of Shakespeare's works, and lets it write.
//!
//! `cargo xtask assets shakespeare`, then `cargo run --release -p language-examples --example 13-char-gpt`
//!
//! Ends with the loss on unseen text, a sample, and the curve of the loss.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::time::Instant;

use examples::options::{Options, Program};
use examples::{Failure, picture};
use gradloom::data::text::TokenStream;
use gradloom::prelude::*;
use gradloom::zoo::generation::{Generator, Sampler, Stop};
use gradloom::zoo::{CausalInput, Gpt2Config, Gpt2ForCausalLanguageModel, Pretrained};
use indicatif::{ProgressBar, ProgressStyle};
use language_examples::shakespeare;

/// Windows of a batch.
const BATCH: usize = 12;

/// The characters of a text; their places are their tokens.
struct Alphabet(Vec<char>);

impl Alphabet {
    fn of(text: &str) -> Self {
        Alphabet(text.chars().collect::<BTreeSet<char>>().into_iter().collect())
    }

    fn encode(&self, text: &str) -> Vec<u32> {
        let token = |character: char| self.0.binary_search(&character).ok();
        text.chars().filter_map(token).map(|token| token as u32).collect()
    }

    fn decode(&self, tokens: &[u32]) -> String {
        tokens.iter().filter_map(|&token| self.0.get(token as usize)).collect()
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "13-char-gpt",
        source: include_str!("13-char-gpt.rs"),
        epochs: 20,
        data: "assets/shakespeare",
        own: &[],
    })?;
    let device = options.device()?;
    let text = shakespeare::works(&options)?.join("\n\n");
    let alphabet = Alphabet::of(&text);
    let (length, layers, size) = if options.tiny { (32, 1, 32) } else { (128, 4, 128) };
    let config = Gpt2Config {
        vocab_size: alphabet.0.len(),
        n_positions: length,
        n_embd: size,
        n_layer: layers,
        n_head: 4,
        resid_pdrop: 0.0,
        embd_pdrop: 0.0,
        attn_pdrop: 0.0,
        ..Gpt2Config::default()
    };
    let mut init = Init::new(Key::new(options.seed), &device);
    let mut model = Gpt2ForCausalLanguageModel::new(&config, &mut init)?;
    let mut tokens = alphabet.encode(&text);
    let unseen = TokenStream::new(tokens.split_off(tokens.len() / 20 * 19), length);
    let stream = TokenStream::new(tokens, length);
    println!(
        "{} parameters, {} characters of {} kinds, on {}",
        model.parameter_count(),
        stream.tokens().len(),
        alphabet.0.len(),
        device.name()
    );

    let losses = learn(&mut model, &stream, &options, &device)?;
    model.freeze();
    let loss = measure(&model, &unseen, &device)?;

    println!("{}", generate(&model, &alphabet, "To be, or not", length, options.seed)?);

    std::fs::create_dir_all(&options.out)?;
    let file = options.out.join("loss.png");
    picture::curves(&file, &[("loss of each step, nats per character", &losses)])?;
    println!("wrote {}", file.display());
    println!(
        "loss on unseen text {loss:.3} nats per character, {:.3} bits",
        loss / std::f64::consts::LN_2
    );
    Ok(())
}

/// Trains, a hundred steps for each epoch that was asked for, and returns the loss of every step.
fn learn(
    model: &mut Gpt2ForCausalLanguageModel,
    stream: &TokenStream,
    options: &Options,
    device: &Device,
) -> Result<Vec<f64>, Failure> {
    let steps = if options.tiny { 20 } else { 100 * u64::from(options.epochs) };
    let schedule = Schedule::cosine_to(2e-3, 1e-4, steps - steps / 10).warmup(steps / 10);
    let mut optimizer = AdamW::new(0.0)
        .betas([0.9, 0.99])
        .weight_decay(0.1)
        .decay_only(|_, weight| weight.rank() > 1);
    let bar = ProgressBar::new(steps);
    bar.set_style(ProgressStyle::with_template(
        "{elapsed_precise} [{bar:30}] {pos}/{len} {msg} eta {eta}",
    )?);
    let mut ctx = Context::train(Key::new(options.seed).fold(1));
    let mut losses = Vec::new();
    let start = Instant::now();
    for step in 0..steps {
        let key = Key::new(options.seed).fold(2).fold(step as u32);
        let (inputs, targets) = stream.random_batch(BATCH, key, device)?;
        let logits = model.forward(&CausalInput::new(&inputs), &mut ctx).logits;
        let loss = logits.cross_entropy(&targets);
        optimizer.set_learning_rate(schedule.at(step));
        let (gradients, _) = gradients(&loss, model).clip_norm(1.0);
        optimizer.step(&gradients, model);
        drop((logits, gradients));
        commit((&mut *model, &mut optimizer))?;
        losses.push(check_finite(loss.item()?, step)?);
        let characters_per_s =
            ((step + 1) as usize * inputs.count()) as f64 / start.elapsed().as_secs_f64();
        let loss = losses[losses.len() - 1];
        bar.set_message(format!("loss {loss:.3}, {characters_per_s:.0} characters/s"));
        bar.inc(1);
    }
    bar.finish();
    println!("trained in {:.1} s", start.elapsed().as_secs_f64());
    Ok(losses)
}

/// Generates text, four windows long: when a window is full, its second half begins the next.
fn generate(
    model: &Gpt2ForCausalLanguageModel,
    alphabet: &Alphabet,
    prompt: &str,
    length: usize,
    seed: u64,
) -> Result<String, Failure> {
    let mut generator = Generator::new(model, 1, length)?;
    let mut sampler = Sampler::new(seed).temperature(0.8);
    let mut text = alphabet.encode(prompt);
    while text.len() < 4 * length {
        let window = text[text.len().saturating_sub(length / 2)..].to_vec();
        generator.clear();
        generator.prefill(&[&window])?;
        for token in generator.decode(&mut sampler, &Stop::after(length - window.len())) {
            text.push(token?);
        }
    }
    Ok(alphabet.decode(&text))
}

/// The mean loss over at most a hundred batches of unseen text.
fn measure(
    model: &Gpt2ForCausalLanguageModel,
    unseen: &TokenStream,
    device: &Device,
) -> Result<f64, Failure> {
    let count = unseen.windows().min(BATCH);
    let batches = (unseen.windows() / count).min(100);
    let mut sum = 0.0;
    for batch in 0..batches {
        let (inputs, targets) = unseen.batch_of_windows(batch * count, count, device)?;
        let output = model.forward(&CausalInput::new(&inputs), &mut Context::eval());
        sum += output.logits.cross_entropy(&targets).item()?;
    }
    Ok(sum / batches as f64)
}
