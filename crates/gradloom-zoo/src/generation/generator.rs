//! [`Generator`]: a language model that goes on with texts: prefill of prompts, then decoding
//! token by token.
//!
//! Every step after the first has the structure of the one before, so its plan is replayed: nothing is
//! planned and no memory is asked for. Keys and values stay where they are. Prompts are fed in passes of a
//! few sizes, so that those of any length replay as many plans.

use std::time::Duration;

use crate::generation::chunks;
use crate::generation::clock::Clock;
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
    /// Tokens of each text so far. The last one may not be [`fed`](Self::fed) yet.
    pub(super) texts: Vec<Vec<u32>>,
    /// How many of them are in the cache.
    pub(super) fed: Vec<usize>,
    /// Logits of the token after those, one text after another.
    pub(super) logits: Vec<f32>,
    /// Logits that a sampler changes.
    pub(super) scratch: Vec<f32>,
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
            fed: vec![0; batch],
            logits: Vec::new(),
            scratch: Vec::new(),
            timing: Timing::default(),
            last_step: None,
        })
    }

    /// Tokens of a text so far, those that decoding chose among them.
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

    /// Logits of the token that follows what the model has read: all of a prompt, and of what was decoded all
    /// but the last token, which is read when the text goes on.
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
        self.fed.fill(0);
        self.logits.clear();
    }

    /// Feeds more tokens of each text, in passes of at most 512. What was decoded is part of the text: it is
    /// not to be fed again.
    ///
    /// # Errors
    /// If a text gets none, a token is not in the vocabulary, they do not fit, or the device fails.
    pub fn prefill(&mut self, prompts: &[&[u32]]) -> Result<()> {
        let begin = Clock::start();
        self.check(prompts)?;
        let whole: Vec<Vec<u32>> =
            (0..).zip(prompts).map(|(text, prompt)| [self.unfed(text), prompt].concat()).collect();
        let longest = whole.iter().map(Vec::len).max().unwrap_or(0);
        self.cache.rest(&vec![false; whole.len()]);
        self.cache.expect(Some(self.cache.filled() + longest));
        let fed = self.feed(&whole, longest);
        self.cache.expect(None);
        fed?;
        self.timing.prefill_tokens += prompts.iter().map(|prompt| prompt.len()).sum::<usize>();
        self.timing.prefill += begin.elapsed();
        Ok(())
    }

    /// All passes of prompts up to a length of `longest`.
    fn feed(&mut self, prompts: &[Vec<u32>], longest: usize) -> Result<()> {
        let mut fed = 0;
        while fed < longest {
            let filled = self.fed.iter().copied().max().unwrap_or(0);
            let size = chunks::next_size(longest - fed, self.capacity - filled);
            let part = |prompt: &Vec<u32>| -> Vec<u32> {
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
        let parts: Vec<&[u32]> = tokens.chunks(1).collect();
        self.check(&parts)?;
        self.catch_up(&vec![true; self.texts.len()])?;
        self.feed_one(&parts)
    }

    /// Feeds the last token of those texts where that is still to be done.
    pub(super) fn catch_up(&mut self, texts: &[bool]) -> Result<()> {
        let unfed = |text: usize| if texts[text] { self.unfed(text) } else { &[] };
        let parts: Vec<Vec<u32>> = (0..texts.len()).map(|text| unfed(text).to_vec()).collect();
        match parts.iter().all(Vec::is_empty) {
            true => Ok(()),
            false => self.feed_one(&parts),
        }
    }

    /// A pass of one token for the texts that have one in their part.
    fn feed_one(&mut self, parts: &[impl AsRef<[u32]>]) -> Result<()> {
        let (begin, before) = (Clock::start(), self.device.statistics());
        let ends: Vec<bool> = parts.iter().map(|part| !part.as_ref().is_empty()).collect();
        let resting: Vec<bool> = ends.iter().map(|takes_part| !takes_part).collect();
        if let Some(full) = (0..ends.len()).find(|&at| ends[at] && self.is_full(at)) {
            return Err(self.does_not_fit(self.fed[full] + 1));
        }
        self.cache.rest(&resting);
        self.pass(parts, 1, &ends)?;
        self.timing.decode_tokens += ends.iter().filter(|&&takes_part| takes_part).count();
        self.timing.decode += begin.elapsed();
        self.last_step = Some(self.device.statistics().since(&before));
        Ok(())
    }

    /// What was chosen for a text but is not in the cache yet.
    fn unfed(&self, text: usize) -> &[u32] {
        &self.texts[text][self.fed[text]..]
    }

    /// Whether the cache has no place left for a text.
    pub(super) fn is_full(&self, text: usize) -> bool {
        self.fed[text] == self.capacity
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
        for ((text, fed), part) in self.texts.iter_mut().zip(&mut self.fed).zip(parts) {
            // What was decoded is in the text before it is fed.
            text.extend_from_slice(&part[(text.len() - *fed).min(part.len())..]);
            *fed += part.len();
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
            return Err(self.does_not_fit(longest));
        }
        Ok(())
    }

    fn does_not_fit(&self, tokens: usize) -> crate::Error {
        error::generation(format!(
            "{tokens} tokens of a text do not fit a capacity of {}; make it larger or shorten the text",
            self.capacity
        ))
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
