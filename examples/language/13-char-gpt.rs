//! Trains a small GPT on the characters of Shakespeare's works, and lets it write.
//!
//! `cargo xtask assets shakespeare`, then
//! `cargo run --release -p language-examples --example 13-char-gpt`, a few minutes on two cores
//!
//! Ends with a sample, the loss on unseen text, and a report with the curves of both losses.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use examples::Failure;
use examples::options::{Options, Program};
use examples::report::{self, StepLosses};
use gradloom::data::text::TokenStream;
use gradloom::prelude::*;
use gradloom::train::{Batches, Outcome, Setting};
use gradloom::zoo::generation::{Generator, Sampler, Stop};
use gradloom::zoo::{CausalInput, Gpt2Config, Gpt2ForCausalLanguageModel, Pretrained};
use language_examples::shakespeare;

/// Inputs and targets, each `[B, T]`.
type Windows = (Tensor, Tensor);

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

/// Windows of a text at random places; an epoch is a hundred batches.
struct RandomWindows {
    stream: TokenStream,
    batch_size: usize,
    batches: usize,
    key: Key,
    device: Device,
}

impl Batches for RandomWindows {
    type Batch = Windows;

    fn batch_count(&self) -> Option<usize> {
        Some(self.batches)
    }

    fn sample_count(&self) -> Option<usize> {
        Some(self.batches * self.batch_size)
    }

    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<Windows>> {
        let key = move |batch: usize| self.key.fold(epoch).fold(batch as u32);
        (first..self.batches)
            .map(move |batch| self.stream.random_batch(self.batch_size, key(batch), &self.device))
    }

    fn order(&self) -> String {
        format!("{} x {} random windows, key {:?}", self.batches, self.batch_size, self.key)
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "13-char-gpt",
        source: include_str!("13-char-gpt.rs"),
        epochs: 20,
        epoch: "hundreds of steps",
        batch_size: 12,
        data: "assets/shakespeare",
        own: &[],
    })?;
    let device = options.arguments.device()?;
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
    let key = |stream| Key::new(options.seed).fold(stream);
    let mut init = Init::new(Key::new(options.seed), &device);
    let model = Gpt2ForCausalLanguageModel::new(&config, &mut init)?;
    let mut tokens = alphabet.encode(&text);
    let unseen = TokenStream::new(tokens.split_off(tokens.len() / 20 * 19), length);
    let unseen = windows(&unseen, options.batch_size, &device)?;
    let train = RandomWindows {
        stream: TokenStream::new(tokens, length),
        batch_size: options.batch_size,
        batches: if options.tiny { 10 } else { 100 },
        key: key(2),
        device: device.clone(),
    };
    println!(
        "{} parameters, {} characters of {} kinds, on {}",
        model.parameter_count(),
        train.stream.tokens().len(),
        alphabet.0.len(),
        device.name()
    );

    let optimizer = AdamW::new(0.0)
        .betas([0.9, 0.99])
        .weight_decay(0.1)
        .decay_only(|_, weight| weight.rank() > 1);
    let task = |model: &Gpt2ForCausalLanguageModel,
                (inputs, targets): &Windows,
                ctx: &mut Context,
                _: &Setting| {
        let logits = model.forward(&CausalInput::new(inputs), ctx).logits;
        Ok(Outcome::new(logits.cross_entropy(targets), inputs.size(0)))
    };
    let steps = StepLosses::default();
    let mut trainer = Trainer::with_task(model, optimizer, task)
        .epochs(if options.tiny { 2 } else { options.epochs })
        .key(key(1))
        .schedule_over(|steps| {
            Schedule::cosine_to(2e-3, 1e-4, steps - steps / 10).warmup(steps / 10)
        })
        .clip_norm(1.0)
        .callback(steps.clone());
    // A part of the unseen text after every epoch, all of it at the end.
    let fit = trainer.fit(&train, &unseen[..unseen.len().min(10)].to_vec())?;
    trainer.model.freeze();
    let loss = trainer.evaluate(&unseen)?[0].1;

    let sample = generate(&trainer.model, &alphabet, "To be, or not", length, options.seed)?;
    println!("{sample}");
    let figure = format!(
        "loss on unseen text {loss:.3} nats per character, {:.3} bits",
        loss / std::f64::consts::LN_2
    );
    let mut page = report::page(&options, &fit.history, &steps, &device);
    page.figures = vec![("at the end".into(), figure.clone()), ("it writes".into(), sample)];
    report::save(&options, &trainer.model, &page)?;
    println!("{figure}");
    Ok(())
}

/// At most a hundred batches of a text, one window after another.
fn windows(stream: &TokenStream, batch_size: usize, device: &Device) -> Result<Vec<Windows>> {
    let count = stream.windows().min(batch_size);
    let batches = (stream.windows() / count).min(100);
    (0..batches).map(|batch| stream.batch_of_windows(batch * count, count, device)).collect()
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
