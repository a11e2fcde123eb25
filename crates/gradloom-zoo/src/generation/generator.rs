//! [`Generator`]: a language model that goes on with texts: prefill of prompts, then decoding
//! token by token.
//!
//! Every step after the first has the structure of the one before, so its plan is replayed: nothing is
//! planned and no memory is asked for. Keys and values stay where they are. Prompts are fed in passes of a
//! few sizes, so that those of any length replay as many plans.

use std::time::Duration;

use crate::generation::clock::Clock;
use crate::generation::{Sampler, Stop, chunks};
use crate::{CausalLanguageModel, Result, error};
use gradloom_nn::layers::KeyValueCache;
use gradloom_nn::{Context, ModuleExt};
use gradloom_tensor::{Device, Statistics, Tensor, Tensors, commit};

/// A model with the texts it goes on with.
///
/// ```
/// use gradloom_nn::Init;
/// use gradloom_tensor::Key;
/// use gradloom_zoo::generation::{Generator, Sampler, Stop};
/// use gradloom_zoo::{LlamaConfig, LlamaForCausalLanguageModel, ModelConfig, Pretrained};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = gradloom_testkit::reference::device();
/// let config = LlamaConfig::from_json(r#"{"hidden_size": 8, "intermediate_size": 16,
///     "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 10}"#)?;
/// let model = LlamaForCausalLanguageModel::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let mut generator = Generator::new(&model, 1, 16)?;
/// generator.prefill(&[&[1, 2, 3]])?;
/// let stop = Stop::after(4);
/// let tokens: Vec<u32> = generator.decode(&mut Sampler::greedy(), &stop).collect::<Result<_, _>>()?;
/// assert_eq!(tokens.len(), 4);
/// # Ok(())
/// # }
/// ```
pub struct Generator<M> {
    model: M,
    cache: KeyValueCache,
    ctx: Context,
    device: Device,
    /// Most tokens of a text.
    capacity: usize,
    /// Tokens of each text so far.
    texts: Vec<Vec<u32>>,
    /// Logits of the next token of each text, one after another.
    logits: Vec<f32>,
    timing: Timing,
    last_step: Option<Statistics>,
}

/// How long prefill and decoding took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Tokens of prompts, of all texts.
    pub prefill_tokens: usize,
    /// Time for them.
    pub prefill: Duration,
    /// Tokens fed one by one, of all texts.
    pub decode_tokens: usize,
    /// Time for them.
    pub decode: Duration,
}

impl<M: CausalLanguageModel> Generator<M> {
    /// For `batch` texts of at most `capacity` tokens each. The model is copied without gradients; its
    /// weights are shared.
    ///
    /// # Errors
    /// If the capacity is above the model's number of positions, or the device has no memory.
    pub fn new(model: &M, batch: usize, capacity: usize) -> Result<Self> {
        if batch == 0 || capacity == 0 || capacity > model.positions_max() {
            return Err(error::generation(format!(
                "{batch} texts of {capacity} tokens; the model has {} positions",
                model.positions_max()
            )));
        }
        let mut model = model.clone();
        model.freeze();
        let cache = model.cache(batch, capacity)?;
        let device = cache.device().clone();
        Ok(Generator {
            model,
            cache,
            ctx: Context::eval(),
            device,
            capacity,
            texts: vec![Vec::new(); batch],
            logits: Vec::new(),
            timing: Timing::default(),
            last_step: None,
        })
    }

    /// Tokens of a text so far.
    pub fn tokens(&self, text: usize) -> &[u32] {
        &self.texts[text]
    }

    /// Tokens that a text may have.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of tokens that there are.
    pub fn vocabulary(&self) -> usize {
        self.model.vocabulary()
    }

    /// Logits of a text's next token.
    pub fn logits(&self, text: usize) -> &[f32] {
        let vocabulary = self.model.vocabulary();
        &self.logits[text * vocabulary..(text + 1) * vocabulary]
    }

    /// How long it took so far.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// What the last [`step`](Generator::step) cost the device: its counters that only grow.
    pub fn last_step(&self) -> Option<Statistics> {
        self.last_step
    }

    /// Forgets all texts.
    pub fn clear(&mut self) {
        self.cache.clear();
        self.texts.iter_mut().for_each(Vec::clear);
        self.logits.clear();
    }

    /// Feeds more tokens of each text, in passes of at most 512.
    ///
    /// # Errors
    /// If a text gets none, a token is not in the vocabulary, they do not fit, or the device fails.
    pub fn prefill(&mut self, prompts: &[&[u32]]) -> Result<()> {
        let begin = Clock::start();
        self.check(prompts)?;
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        self.cache.expect(Some(self.cache.filled() + longest));
        let fed = self.feed(prompts, longest);
        self.cache.expect(None);
        fed?;
        self.timing.prefill_tokens += prompts.iter().map(|prompt| prompt.len()).sum::<usize>();
        self.timing.prefill += begin.elapsed();
        Ok(())
    }

    /// All passes of prompts up to a length of `longest`.
    fn feed(&mut self, prompts: &[&[u32]], longest: usize) -> Result<()> {
        let mut fed = 0;
        while fed < longest {
            let filled = self.texts.iter().map(Vec::len).max().unwrap_or(0);
            let size = chunks::next_size(longest - fed, self.capacity - filled);
            let part = |prompt: &&'_ [u32]| -> Vec<u32> {
                prompt.iter().copied().skip(fed).take(size).collect()
            };
            let parts: Vec<Vec<u32>> = prompts.iter().map(part).collect();
            fed += size;
            let ends: Vec<bool> = prompts
                .iter()
                .zip(&parts)
                .map(|(prompt, part)| !part.is_empty() && prompt.len() <= fed)
                .collect();
            self.pass(&parts, size, &ends)?;
        }
        Ok(())
    }

    /// Adds one token to each text.
    ///
    /// # Errors
    /// As [`Generator::prefill`].
    pub fn step(&mut self, tokens: &[u32]) -> Result<()> {
        let (begin, before) = (Clock::start(), self.device.statistics());
        let parts: Vec<&[u32]> = tokens.chunks(1).collect();
        self.check(&parts)?;
        self.pass(&parts, 1, &vec![true; tokens.len()])?;
        self.timing.decode_tokens += tokens.len();
        self.timing.decode += begin.elapsed();
        self.last_step = Some(self.device.statistics().since(&before));
        Ok(())
    }

    /// One pass of `size` places for each text, of which its part takes the first ones. The logits of those
    /// that end here are kept.
    fn pass(&mut self, parts: &[impl AsRef<[u32]>], size: usize, ends: &[bool]) -> Result<()> {
        let parts: Vec<&[u32]> = parts.iter().map(AsRef::as_ref).collect();
        let mut padded = vec![0i32; parts.len() * size];
        for (part, row) in parts.iter().zip(padded.chunks_exact_mut(size)) {
            for (&token, slot) in part.iter().zip(row) {
                *slot = token as i32;
            }
        }
        let failed = |error: crate::Error| error.context("generation");
        let upload = |values: &[i32], shape: &[usize]| {
            Tensor::from_slice(values, shape, &self.device).map_err(failed)
        };
        let tokens = upload(&padded, &[parts.len(), size])?;
        let hidden = self.model.hidden(&tokens, &mut self.cache, &mut self.ctx)?;
        let last = if size == 1 && parts.iter().all(|part| part.len() == 1) {
            self.cache.end();
            hidden.clone()
        } else {
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            self.cache.end_with(&lengths).map_err(|error| error::weights("generation", error))?;
            // A text that has ended before has no last place here; its logits are there already.
            let places: Vec<i32> = lengths.iter().map(|&length| length.max(1) as i32 - 1).collect();
            let places = upload(&places, &[parts.len(), 1, 1])?;
            hidden.gather(1, &places.broadcast_to([parts.len(), 1, hidden.size(2)]))
        };
        if !ends.contains(&true) {
            drop((tokens, hidden, last));
            commit(&mut self.cache).map_err(failed)?;
        } else {
            let mut logits = self.model.logits(&last);
            // What else holds the graph would keep the cache from being written in place.
            drop((tokens, hidden, last));
            commit(&mut Pass { cache: &mut self.cache, logits: &mut logits }).map_err(failed)?;
            self.keep(&logits.to_vec::<f32>().map_err(failed)?, ends);
        }
        for (text, part) in self.texts.iter_mut().zip(parts) {
            text.extend_from_slice(part);
        }
        Ok(())
    }

    /// Keeps the logits of those texts.
    fn keep(&mut self, logits: &[f32], texts: &[bool]) {
        let vocabulary = self.model.vocabulary();
        self.logits.resize(logits.len(), 0.0);
        let rows = self.logits.chunks_exact_mut(vocabulary).zip(logits.chunks_exact(vocabulary));
        for ((kept, new), _) in rows.zip(texts).filter(|(_, wanted)| **wanted) {
            kept.copy_from_slice(new);
        }
    }

    fn check(&self, prompts: &[&[u32]]) -> Result<()> {
        if prompts.len() != self.texts.len() {
            let (given, texts) = (prompts.len(), self.texts.len());
            return Err(error::generation(format!("{given} prompts for {texts} texts")));
        }
        let vocabulary = self.model.vocabulary();
        for (index, prompt) in prompts.iter().enumerate() {
            if prompt.is_empty() {
                return Err(error::generation(format!(
                    "text {index} gets no tokens; begin with at least one, such as the one that \
                     begins a text"
                )));
            }
            if let Some(&token) = prompt.iter().find(|&&token| token as usize >= vocabulary) {
                return Err(error::generation(format!(
                    "token {token} of text {index} is not in the model's vocabulary of {vocabulary}; \
                     the tokenizer belongs to another model"
                )));
            }
        }
        // Every pass is as long for all texts.
        let there = self.texts.iter().map(Vec::len).max().unwrap_or(0);
        let longest = there + prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        if longest > self.capacity {
            return Err(error::generation(format!(
                "{longest} tokens of a text do not fit a capacity of {}; make it larger or shorten the \
                 text",
                self.capacity
            )));
        }
        Ok(())
    }

    /// Goes on with one text: tokens as they are chosen. [`prefill`](Generator::prefill) comes before.
    ///
    /// # Panics
    /// If there are several texts; see [`decode_all`](Generator::decode_all).
    #[track_caller]
    pub fn decode<'a>(&'a mut self, sampler: &'a mut Sampler, stop: &Stop) -> Decoding<'a, M> {
        assert!(self.texts.len() == 1, "decode: {} texts; use decode_all", self.texts.len());
        Decoding {
            generator: self,
            sampler,
            stop: stop.clone(),
            decoded: 0,
            last: None,
            ended: false,
        }
    }

    /// Goes on with all texts, each with its own sampler, until all have ended.
    ///
    /// # Errors
    /// As [`Generator::prefill`], and what a sampler reports.
    pub fn decode_all(&mut self, samplers: &mut [Sampler], stop: &Stop) -> Result<Vec<Vec<u32>>> {
        let count = self.texts.len();
        if samplers.len() != count || self.logits.is_empty() {
            let given = samplers.len();
            return Err(error::generation(format!(
                "{given} samplers for {count} texts that were prefilled"
            )));
        }
        let vocabulary = self.model.vocabulary();
        let mut decoded = vec![Vec::new(); count];
        let mut ended = vec![false; count];
        for step in 0..stop.tokens_max {
            let mut next = vec![0; count];
            for text in 0..count {
                let logits = &mut self.logits[text * vocabulary..(text + 1) * vocabulary];
                if !ended[text] {
                    next[text] = samplers[text].sample(logits, &self.texts[text])?;
                    ended[text] = stop.tokens.contains(&next[text]);
                }
                if !ended[text] {
                    decoded[text].push(next[text]);
                }
            }
            if ended.iter().all(|&ended| ended) || step + 1 == stop.tokens_max {
                break;
            }
            self.step(&next)?;
        }
        Ok(decoded)
    }
}

/// What a pass leaves behind.
struct Pass<'a> {
    cache: &'a mut KeyValueCache,
    logits: &'a mut Tensor,
}

impl Tensors for Pass<'_> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.cache.for_each_tensor(visit);
        visit(self.logits);
    }
}

/// New tokens of one text, as they are chosen.
pub struct Decoding<'a, M> {
    generator: &'a mut Generator<M>,
    sampler: &'a mut Sampler,
    stop: Stop,
    decoded: usize,
    /// The token that was chosen but not fed yet.
    last: Option<u32>,
    ended: bool,
}

impl<M: CausalLanguageModel> Decoding<'_, M> {
    fn advance(&mut self) -> Result<Option<u32>> {
        if self.generator.logits.is_empty() {
            return Err(error::generation("nothing was prefilled; prefill a prompt first"));
        }
        if let Some(token) = self.last.take() {
            self.generator.step(&[token])?;
        }
        if self.decoded == self.stop.tokens_max {
            return Ok(None);
        }
        let history = &self.generator.texts[0];
        let token = self.sampler.sample(&mut self.generator.logits, history)?;
        if self.stop.tokens.contains(&token) {
            return Ok(None);
        }
        self.decoded += 1;
        // The last token needs no pass: nobody asks what comes after it.
        if self.decoded < self.stop.tokens_max {
            self.last = Some(token);
        }
        Ok(Some(token))
    }
}

impl<M: CausalLanguageModel> Iterator for Decoding<'_, M> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Result<u32>> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
