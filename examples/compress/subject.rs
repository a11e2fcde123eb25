//! [`Subject`]: a language model that is to become smaller, trained or opened, and texts to calibrate and to measure on.

use std::path::Path;

use examples::Failure;
use examples::options::Options;
use gradloom::compress::language::{
    Calibration, Quality, Running, Statistics, Variant, bytes_held,
};
use gradloom::data::text::TokenStream;
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::weights::{Checkpoint, Value};
use gradloom::zoo::generation::{Generator, Sampler, Stop};
use gradloom::zoo::text::vocabulary;
use gradloom::zoo::{CausalInput, LlamaConfig, LlamaForCausalLanguageModel, Pretrained};
use language_examples::shakespeare;
use serde_json::json;

use crate::characters::Alphabet;

pub(crate) type Llama = LlamaForCausalLanguageModel;

/// What tokens are, and how other programs are told of them.
pub(crate) enum Words {
    Characters(Alphabet),
    /// Entries of metadata in GGUF.
    Opened(Vec<(String, Value)>),
}

/// A whole model and the texts to calibrate and to measure on.
pub(crate) struct Subject {
    pub(crate) model: Llama,
    pub(crate) config: LlamaConfig,
    pub(crate) words: Words,
    /// What it may learn and be calibrated with.
    pub(crate) text: TokenStream,
    pub(crate) calibration: Vec<Tensor>,
    pub(crate) statistics: Statistics,
    /// Inputs, what follows, each `[B, T]`, and the logits of the whole model.
    pub(crate) unseen: Vec<(Tensor, Tensor, Tensor)>,
}

/// How much text is read: batches and rows to calibrate with, batches and rows to measure on.
struct Amounts {
    calibration: [usize; 2],
    unseen: [usize; 2],
}

pub(crate) fn run(model: &Llama, tokens: Tensor, ctx: &mut Context) -> Result<Tensor> {
    Ok(model.forward(&CausalInput::new(&tokens), ctx).logits)
}

impl Subject {
    /// A Llama that learns the characters of Shakespeare's works.
    pub(crate) fn trained(options: &Options, device: &Device) -> Result<Subject, Failure> {
        let text = shakespeare::works(options)?.join("\n\n");
        let alphabet = Alphabet::of(&text);
        let (size, inner, layers, length) =
            if options.tiny { (32, 64, 1, 32) } else { (128, 512, 4, 128) };
        let config = LlamaConfig {
            vocab_size: alphabet.len(),
            hidden_size: size,
            intermediate_size: inner,
            num_hidden_layers: layers,
            num_attention_heads: 4,
            max_position_embeddings: length,
            rms_norm_eps: 1e-5,
            ..LlamaConfig::default()
        };
        let mut model = Llama::new(&config, &mut Init::new(Key::new(options.seed), device))?;
        let mut tokens = alphabet.encode(&text);
        let unseen = TokenStream::new(tokens.split_off(tokens.len() / 20 * 19), length);
        let text = TokenStream::new(tokens, length);
        let steps = if options.tiny { 20 } else { 100 * options.epochs };
        learn(&mut model, &text, options, steps, 2e-3, |model, inputs, targets, ctx| {
            Ok(run(model, inputs, ctx)?.cross_entropy(targets))
        })?;
        let amounts = match options.tiny {
            true => Amounts { calibration: [2, 2], unseen: [1, 2] },
            false => Amounts { calibration: [16, 8], unseen: [8, 8] },
        };
        let words = Words::Characters(alphabet);
        Subject::new(model, config, words, [text, unseen], &amounts, options.seed, device)
    }

    /// A model in GGUF, its blocks as plain numbers, and the tokens that its tokenizer makes of Shakespeare's works.
    pub(crate) fn opened(
        path: &Path,
        options: &Options,
        device: &Device,
    ) -> Result<Subject, Failure> {
        let checkpoint = Checkpoint::open(path)?;
        let config = LlamaConfig::from_gguf(&checkpoint)?;
        let tokenizer = Tokenizer::from_gguf(&vocabulary(&checkpoint)?)?;
        let mut model = Llama::from_gguf_checkpoint(&checkpoint, device)?;
        gradloom::nn::dequantize(&mut model)?;
        let (length, amounts) = match options.tiny {
            true => (16, Amounts { calibration: [1, 1], unseen: [1, 1] }),
            false => (256, Amounts { calibration: [4, 2], unseen: [4, 1] }),
        };
        let works = shakespeare::works(options)?;
        let encode = |text: &str| {
            let options = EncodeOptions::new().special_tokens(false);
            let end = text.char_indices().nth(200_000).map_or(text.len(), |(end, _)| end);
            let tokens = tokenizer.encode(&text[..end], &options)?.ids;
            Ok::<_, Failure>(TokenStream::new(tokens, length))
        };
        let (Some(first), Some(last)) = (works.first(), works.last()) else {
            return Err("there are no works to read".into());
        };
        let texts = [encode(first)?, encode(last)?];
        let kept = |key: &str| key.starts_with("tokenizer.") || key == "general.name";
        let metadata = checkpoint.metadata().iter().filter(|(key, _)| kept(key));
        let words =
            Words::Opened(metadata.map(|(key, value)| (key.clone(), value.clone())).collect());
        Subject::new(model, config, words, texts, &amounts, options.seed, device)
    }

    fn new(
        mut model: Llama,
        config: LlamaConfig,
        words: Words,
        [text, unseen]: [TokenStream; 2],
        amounts: &Amounts,
        seed: u64,
        device: &Device,
    ) -> Result<Subject, Failure> {
        model.freeze();
        let (key, [batches, rows]) = (Key::new(seed).fold(3), amounts.calibration);
        let calibration: Vec<Tensor> = (0..batches as u32)
            .map(|batch| Ok(text.random_batch(rows, key.fold(batch), device)?.0))
            .collect::<Result<_>>()?;
        let rows = amounts.unseen[1].min(unseen.windows());
        let batches = amounts.unseen[0].min(unseen.windows() / rows);
        let unseen = (0..batches)
            .map(|batch| {
                let (inputs, targets) = unseen.batch_of_windows(batch * rows, rows, device)?;
                let mut logits = run(&model, inputs.clone(), &mut Context::eval())?;
                commit(&mut logits)?;
                Ok((inputs, targets, logits))
            })
            .collect::<Result<_>>()?;
        let statistics =
            Calibration::new().with_hessians().measure(&model, calibration.iter().cloned(), run)?;
        Ok(Subject { model, config, words, text, calibration, statistics, unseen })
    }

    /// How well a model does that became of this one.
    pub(crate) fn quality(&self, model: &Llama) -> Result<Quality> {
        let mut quality = Quality::new();
        for (inputs, targets, logits) in &self.unseen {
            quality.add(&run(model, inputs.clone(), &mut Context::eval())?, logits, targets)?;
        }
        Ok(quality)
    }

    /// A model that became of this one, by what it takes where it runs.
    pub(crate) fn measure(&self, name: &str, model: &Llama) -> Result<Variant, Failure> {
        Ok(Variant {
            name: name.to_owned(),
            bytes: bytes_held(model),
            quality: self.quality(model)?,
            layers: Default::default(),
            running: Some(self.running(model)?),
        })
    }

    /// What a model takes that writes one text, the second time that it does.
    pub(crate) fn running(&self, model: &Llama) -> Result<Running, Failure> {
        let (inputs, ..) = &self.unseen[0];
        let prompt = inputs.narrow(0, 0, 1).cast(DType::I32).to_vec::<i32>()?;
        let half = prompt.len() / 2;
        let prompt: Vec<u32> = prompt[..half].iter().map(|token| token.cast_unsigned()).collect();
        let mut generator = Generator::new(model, 1, 2 * half)?;
        let mut timings = Vec::new();
        for _ in 0..2 {
            generator.clear();
            generator.prefill(&[&prompt])?;
            let before = generator.timing();
            for token in generator.decode(&mut Sampler::greedy(), &Stop::after(half.min(48))) {
                token?;
            }
            let after = generator.timing();
            let seconds = (after.decode - before.decode).as_secs_f64();
            let tokens = after.decode_tokens - before.decode_tokens;
            timings.push(tokens as f64 / seconds.max(1e-9));
        }
        Ok(Running { bytes: bytes_held(model), tokens_per_second: timings[1] })
    }

    /// What `config.json` says of the model.
    pub(crate) fn config_json(&self) -> String {
        let config = &self.config;
        json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": config.model_type,
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "num_key_value_heads": config.key_value_heads(),
            "head_dim": config.head_size(),
            "max_position_embeddings": config.max_position_embeddings,
            "rms_norm_eps": config.rms_norm_eps,
            "rope_theta": config.theta(),
            "tie_word_embeddings": config.tie_word_embeddings,
            "hidden_act": config.hidden_act,
            "bos_token_id": 0,
            "eos_token_id": 0,
        })
        .to_string()
    }

    /// What GGUF files say of the tokens.
    pub(crate) fn metadata(&self) -> Vec<(&str, Value)> {
        match &self.words {
            Words::Characters(alphabet) => alphabet.gguf(),
            Words::Opened(entries) => {
                entries.iter().map(|(key, value)| (key.as_str(), value.clone())).collect()
            }
        }
    }
}

/// Steps of AdamW on random windows of a text, warmed up and cooled down.
pub(crate) fn learn<M: Module + Tensors>(
    model: &mut M,
    text: &TokenStream,
    options: &Options,
    steps: u32,
    learning_rate: f64,
    loss: impl Fn(&M, Tensor, &Tensor, &mut Context) -> Result<Tensor>,
) -> Result<(), Failure> {
    let device = match model.parameters().first() {
        Some((_, parameter)) => parameter.device().clone(),
        None => return Err("a model without weights learns nothing".into()),
    };
    let whole = u64::from(steps);
    let schedule = Schedule::cosine_to(learning_rate, learning_rate / 20.0, whole - whole / 10)
        .warmup(whole / 10);
    let optimizer = AdamW::new(0.0).betas([0.9, 0.99]).weight_decay(0.1);
    let mut optimizer = optimizer.decay_only(|_, weight| weight.rank() > 1);
    let key = Key::new(options.seed).fold(1);
    for step in 0..steps {
        let (inputs, targets) = text.random_batch(options.batch_size, key.fold(step), &device)?;
        let mut ctx = Context::train(key.fold(step));
        let mut loss = loss(model, inputs, &targets, &mut ctx)?;
        optimizer.set_learning_rate(schedule.at(step.into()));
        optimizer.step(&gradients(&loss, model), model);
        commit((&mut *model, &mut optimizer, &mut loss))?;
        if (step + 1).is_multiple_of(100) {
            println!("step {}: loss {:.3}", step + 1, loss.item()?);
        }
    }
    Ok(())
}
