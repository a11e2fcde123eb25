//! Makes a small language model smaller: trains a Llama on the characters of Shakespeare's works, quantizes it by four
//! methods to 4, 3 and 2 bits, and writes what transformers, vLLM and llama.cpp load.
//!
//! `cargo xtask assets shakespeare`, then
//! `cargo run --release -p compress-examples --example 33-compress-language-model`, a few minutes on two cores
//!
//! Ends with a table of sizes, perplexities and divergences, a picture of it, a folder of compressed-tensors that
//! `examples/compress/33-check-folder.py` holds against Python, GGUF files, an importance matrix, and a text.
#![forbid(unsafe_code)]

mod characters;

use std::collections::BTreeMap;

use examples::Failure;
use examples::options::{Options, Program};
use gradloom::BlockFormat;
use gradloom::compress::language::compressed_tensors::{Export, Folder};
use gradloom::compress::language::fold::{self, Fold};
use gradloom::compress::language::gptq::Gptq;
use gradloom::compress::language::hqq::Hqq;
use gradloom::compress::language::{
    Calibration, ImportanceMatrix, Method, Quality, QuantizedWeights, Scheme, Selection,
    Statistics, TradeOff, Variant, bytes_with, layer_errors, quantize, quantize_blocks,
    quantize_in_order,
};
use gradloom::data::text::TokenStream;
use gradloom::prelude::*;
use gradloom::weights::safetensors;
use gradloom::zoo::generation::{Generator, Sampler, Stop};
use gradloom::zoo::{
    CausalInput, LlamaConfig, LlamaForCausalLanguageModel, ModelConfig, Pretrained,
};
use language_examples::shakespeare;

use characters::Alphabet;

type Llama = LlamaForCausalLanguageModel;

/// A trained model and the texts to calibrate and to measure on.
struct Subject {
    model: Llama,
    config: LlamaConfig,
    calibration: Vec<Tensor>,
    statistics: Statistics,
    /// Inputs and what follows, each `[B, T]`.
    unseen: Vec<(Tensor, Tensor)>,
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "33-compress-language-model",
        source: include_str!("33-compress-language-model.rs"),
        epochs: 6,
        epoch: "hundreds of steps",
        batch_size: 12,
        data: "assets/shakespeare",
        own: &[],
    })?;
    let device = options.arguments.device()?;
    let text = shakespeare::works(&options)?.join("\n\n");
    let alphabet = Alphabet::of(&text);
    let json = config_json(alphabet.len(), options.tiny);
    let subject = train(&options, &alphabet, &text, &json, &device)?;

    let mut trade_off = TradeOff::default();
    trade_off.variants.push(subject.variant("f32", &subject.model, None)?);
    for bits in [4, 3, 2] {
        for (name, compressed) in by_each_method(&subject, bits)? {
            let (model, weights) = compressed;
            trade_off.variants.push(subject.variant(
                &format!("{name} int{bits}"),
                &model,
                Some(&weights),
            )?);
            if name == "GPTQ" && bits == 4 {
                write_folder(&options, &subject, &model, &weights, &alphabet, &json)?;
                write_gguf(&options, &subject, &weights, &alphabet)?;
            }
            if name == "GPTQ" && bits == 3 {
                println!(
                    "{}\n",
                    sample(&model, &alphabet, subject.config.max_position_embeddings)?
                );
            }
        }
    }
    for variant in blocks_with_and_without_importance(&options, &subject, &alphabet)? {
        trade_off.variants.push(variant);
    }
    println!("{}", trade_off.table());
    let picture = options.out.join("trade-off.svg");
    trade_off.save_svg(&picture)?;
    println!("wrote {} and what lies beside it", picture.display());
    Ok(())
}

/// What `config.json` says of the model.
fn config_json(vocabulary: usize, tiny: bool) -> String {
    let (size, inner, layers, length) = if tiny { (32, 64, 1, 32) } else { (128, 384, 4, 128) };
    format!(
        "{{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"vocab_size\": {vocabulary}, \
         \"hidden_size\": {size}, \"intermediate_size\": {inner}, \"num_hidden_layers\": {layers}, \
         \"num_attention_heads\": 4, \"num_key_value_heads\": 4, \"max_position_embeddings\": {length}, \
         \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, \"tie_word_embeddings\": false, \"hidden_act\": \"silu\", \
         \"bos_token_id\": 0, \"eos_token_id\": 0}}"
    )
}

fn run(model: &Llama, tokens: Tensor, ctx: &mut Context) -> Result<Tensor> {
    Ok(model.forward(&CausalInput::new(&tokens), ctx).logits)
}

fn train(
    options: &Options,
    alphabet: &Alphabet,
    text: &str,
    json: &str,
    device: &Device,
) -> Result<Subject, Failure> {
    let config = LlamaConfig::from_json(json)?;
    let length = config.max_position_embeddings;
    let mut model = Llama::new(&config, &mut Init::new(Key::new(options.seed), device))?;
    let mut tokens = alphabet.encode(text);
    let unseen = TokenStream::new(tokens.split_off(tokens.len() / 20 * 19), length);
    let stream = TokenStream::new(tokens, length);
    let steps: u32 = if options.tiny { 20 } else { 100 * options.epochs };
    let whole = u64::from(steps);
    let schedule = Schedule::cosine_to(2e-3, 1e-4, whole - whole / 10).warmup(whole / 10);
    let optimizer = AdamW::new(0.0).betas([0.9, 0.99]).weight_decay(0.1);
    let mut optimizer = optimizer.decay_only(|_, weight| weight.rank() > 1);
    let key = Key::new(options.seed).fold(1);
    for step in 0..steps {
        let (inputs, targets) = stream.random_batch(options.batch_size, key.fold(step), device)?;
        let mut ctx = Context::train(key.fold(step));
        let mut loss = run(&model, inputs, &mut ctx)?.cross_entropy(&targets);
        optimizer.set_learning_rate(schedule.at(step.into()));
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit((&mut model, &mut optimizer, &mut loss))?;
        if (step + 1).is_multiple_of(100) {
            println!("step {}: loss {:.3}", step + 1, loss.item()?);
        }
    }
    model.freeze();
    let (batches, rows) = if options.tiny { (2, 2) } else { (16, 8) };
    let calibration: Vec<Tensor> = (0..batches)
        .map(|batch| Ok(stream.random_batch(rows, key.fold(1_000_000 + batch), device)?.0))
        .collect::<Result<_>>()?;
    let count = unseen.windows().min(rows);
    let unseen = (0..(unseen.windows() / count).min(8))
        .map(|batch| unseen.batch_of_windows(batch * count, count, device))
        .collect::<Result<_>>()?;
    let statistics =
        Calibration::new().with_hessians().measure(&model, calibration.iter().cloned(), run)?;
    Ok(Subject { model, config, calibration, statistics, unseen })
}

/// Models and their quantized weights by the names of methods.
type Compressed = Vec<(&'static str, (Llama, QuantizedWeights))>;

fn by_each_method(subject: &Subject, bits: u32) -> Result<Compressed, Failure> {
    let asymmetric = Scheme::new(bits).group(32).asymmetric();
    // Zeros are worth more the fewer bits there are; without them transformers loads a folder as it is.
    let scheme = if bits == 4 { Scheme::new(bits).group(32) } else { asymmetric };
    let selection = Selection::default();
    let of = |mut model: Llama, method: Method, statistics: Option<&Statistics>| -> Result<_> {
        let weights = quantize(&model, &method, statistics, selection)?;
        weights.apply(&mut model)?;
        Ok((model, weights))
    };
    let nearest = of(subject.model.clone(), Method::Nearest(scheme), None)?;
    let hqq = of(subject.model.clone(), Method::Hqq(Hqq::new(asymmetric)), None)?;
    // Scales first, then ranges for the inputs that the scaled model has.
    let mut scaled = subject.model.clone();
    fold::apply_awq(&mut scaled, &Fold::known(&subject.model), &subject.statistics, scheme)?;
    let calibration = subject.calibration.iter().cloned();
    let statistics = Calibration::new().with_hessians().measure(&scaled, calibration, run)?;
    let awq = of(scaled, Method::Clipped(scheme), Some(&statistics))?;
    let mut model = subject.model.clone();
    let method = Method::Gptq(Gptq::new(scheme).by_activation_static());
    let weights = quantize_in_order(&mut model, &method, &subject.calibration, run, selection)?;
    Ok(vec![("nearest", nearest), ("HQQ", hqq), ("AWQ", awq), ("GPTQ", (model, weights))])
}

impl Subject {
    fn variant(
        &self,
        name: &str,
        model: &Llama,
        weights: Option<&QuantizedWeights>,
    ) -> Result<Variant, Failure> {
        let mut quality = Quality::new();
        for (inputs, targets) in &self.unseen {
            let logits = |model: &Llama| run(model, inputs.clone(), &mut Context::eval());
            quality.add(&logits(model)?, &logits(&self.model)?, targets)?;
        }
        let none = QuantizedWeights::default();
        let weights = weights.unwrap_or(&none);
        // AWQ's weights are those of a scaled model; theirs is no error of the weights as they were.
        let layers = match name.starts_with("AWQ") {
            true => BTreeMap::new(),
            false => layer_errors(&self.model, weights, &self.statistics)?,
        };
        Ok(Variant {
            name: name.to_owned(),
            bytes: bytes_with(&self.model, weights),
            quality,
            layers,
        })
    }
}

/// A folder for transformers and vLLM, read back, and what it answers for `33-check-folder.py`.
fn write_folder(
    options: &Options,
    subject: &Subject,
    model: &Llama,
    weights: &QuantizedWeights,
    alphabet: &Alphabet,
    json: &str,
) -> Result<(), Failure> {
    let folder = options.out.join("compressed-tensors");
    Export::new(json)?.save(model, weights, &folder)?;
    std::fs::write(folder.join("tokenizer.json"), alphabet.tokenizer_json())?;
    let (tokens, _) = &subject.unseen[0];
    let logits = run(model, tokens.clone(), &mut Context::eval())?;
    let check = [("tokens", tokens), ("logits", &logits)];
    safetensors::save(options.out.join("check.safetensors"), check, &BTreeMap::new())?;
    let read = Folder::open(&folder, tokens.device())?;
    let read = Llama::from_weights(&subject.config, &read.state_dict()?, tokens.device())?;
    let difference = run(&read, tokens.clone(), &mut Context::eval())? - &logits;
    println!("read back, logits differ by {:e}", difference.abs().max(..).item()?);
    Ok(())
}

/// GPTQ's codes as blocks of Q4_0 in a file for llama.cpp.
fn write_gguf(
    options: &Options,
    subject: &Subject,
    weights: &QuantizedWeights,
    alphabet: &Alphabet,
) -> Result<(), Failure> {
    let mut model = subject.model.clone();
    let blocks = weights.apply_blocks(&mut model)?;
    let path = options.out.join("gptq.gguf");
    model.save_gguf(&subject.config, &alphabet.gguf(), &path)?;
    println!("{blocks} matrices of blocks in {}", path.display());
    Ok(())
}

/// Q4_0 by ggml's rule and by importance, in files beside the importance matrix.
fn blocks_with_and_without_importance(
    options: &Options,
    subject: &Subject,
    alphabet: &Alphabet,
) -> Result<Vec<Variant>, Failure> {
    let named = ImportanceMatrix::of(&subject.statistics, Llama::gguf_name);
    named.save(options.out.join("imatrix.gguf"))?;
    named.save_legacy(options.out.join("imatrix.dat"))?;
    let importance = ImportanceMatrix::of(&subject.statistics, |name| Some(name.to_owned()));
    let mut variants = Vec::new();
    for (name, importance) in
        [("Q4_0", &ImportanceMatrix::default()), ("Q4_0 imatrix", &importance)]
    {
        let mut model = subject.model.clone();
        quantize_blocks(
            &mut model,
            |name| name.contains("_proj").then_some(BlockFormat::Q4_0),
            importance,
        )?;
        let path = options.out.join(format!("{}.gguf", name.to_lowercase().replace(' ', "-")));
        model.save_gguf(&subject.config, &alphabet.gguf(), &path)?;
        let mut variant = subject.variant(name, &model, None)?;
        let matrix = |(_, parameter): &(String, &Parameter)| match parameter.is_quantized() {
            true => parameter.count() / 32 * BlockFormat::Q4_0.bytes(),
            false => parameter.count() * parameter.dtype().size(),
        };
        variant.bytes = model.parameters().iter().map(matrix).sum();
        variants.push(variant);
    }
    Ok(variants)
}

/// A text from the quantized model.
fn sample(model: &Llama, alphabet: &Alphabet, length: usize) -> Result<String, Failure> {
    let mut text = alphabet.encode("To be, or not");
    let mut generator = Generator::new(model, 1, length)?;
    generator.prefill(&[&text])?;
    for token in
        generator.decode(&mut Sampler::new(0).temperature(0.8), &Stop::after(length - text.len()))
    {
        text.push(token?);
    }
    Ok(alphabet.decode(&text))
}
