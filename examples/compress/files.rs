//! Files of compressed models, and texts from them.

use std::collections::BTreeMap;

use examples::Failure;
use examples::options::Options;
use gradloom::BlockFormat;
use gradloom::compress::language::compressed_tensors::{Export, Folder, Format};
use gradloom::compress::language::{ImportanceMatrix, QuantizedWeights, Variant, quantize_blocks};
use gradloom::prelude::*;
use gradloom::weights::safetensors;
use gradloom::zoo::Pretrained;
use gradloom::zoo::generation::{Generator, Sampler, Stop};
use gradloom::zoo::text::Chat;

use crate::Compressed;
use crate::subject::{Llama, Subject, Words, run};

/// A folder for transformers and vLLM, read back, and what it answers for `33-check-folder.py`.
pub(crate) fn folder(
    name: &str,
    options: &Options,
    subject: &Subject,
    found: &Compressed,
) -> Result<(), Failure> {
    let folder = options.out.join(name);
    let alone = |(_, matrix): (&str, &gradloom::compress::language::QuantizedMatrix)| {
        matrix.scheme().bits() == 8 && matrix.groups() == 1
    };
    let format = match found.weights.iter().all(alone) {
        true => Format::IntQuantized,
        false => Format::PackQuantized,
    };
    let json = subject.config_json();
    Export::new(&json)?.format(format).save(&found.model, &found.weights, &folder)?;
    if let Words::Characters(alphabet) = &subject.words {
        std::fs::write(folder.join("tokenizer.json"), alphabet.tokenizer_json())?;
    }
    let (tokens, ..) = &subject.unseen[0];
    let logits = run(&found.model, tokens.clone(), &mut Context::eval())?;
    let check = [("tokens", tokens), ("logits", &logits)];
    safetensors::save(folder.join("check.safetensors"), check, &BTreeMap::new())?;
    let read = Folder::open(&folder, tokens.device())?;
    let read = Llama::from_weights(&subject.config, &read.state_dict()?, tokens.device())?;
    let difference = run(&read, tokens.clone(), &mut Context::eval())? - &logits;
    println!("{name}, read back: logits differ by {:e}", difference.abs().max(..).item()?);
    Ok(())
}

/// GPTQ's codes as blocks of Q4_0 in a file for llama.cpp.
pub(crate) fn gguf(
    options: &Options,
    subject: &Subject,
    weights: &QuantizedWeights,
) -> Result<(), Failure> {
    let mut model = subject.model.clone();
    let blocks = weights.apply_blocks(&mut model)?;
    let path = options.out.join("gptq-int4.gguf");
    model.save_gguf(&subject.config, &subject.metadata(), &path)?;
    println!("{blocks} matrices of blocks in {}", path.display());
    Ok(())
}

/// Blocks by ggml's rules and by importance, in files beside the whole model, the importance matrix and unseen text.
pub(crate) fn blocks(options: &Options, subject: &Subject) -> Result<Vec<Variant>, Failure> {
    let tokens: Vec<Tensor> = subject.unseen.iter().map(|(tokens, ..)| tokens.clone()).collect();
    let tokens = Tensor::concat(&tokens, 0);
    let (.., logits) = &subject.unseen[0];
    let check = [("tokens", &tokens), ("logits", logits)];
    safetensors::save(options.out.join("unseen.safetensors"), check, &BTreeMap::new())?;
    let (config, metadata) = (&subject.config, subject.metadata());
    subject.model.save_gguf(config, &metadata, options.out.join("whole.gguf"))?;

    let mut named = ImportanceMatrix::of(&subject.statistics, Llama::gguf_name);
    named.datasets = vec!["shakespeare".to_owned()];
    let sizes = subject.calibration.iter().map(|batch| (batch.size(0), batch.size(1)));
    named.chunks = sizes.clone().map(|(rows, _)| rows as u32).sum();
    named.chunk_size = sizes.map(|(_, length)| length as u32).max().unwrap_or(0);
    named.save(options.out.join("imatrix.gguf"))?;
    named.save_legacy(options.out.join("imatrix.dat"))?;
    let importance = ImportanceMatrix::of(&subject.statistics, |name| Some(name.to_owned()));

    let mut variants = Vec::new();
    for wide in [BlockFormat::Q4_0, BlockFormat::Q3_K, BlockFormat::Q2_K] {
        // Only rows of whole super-blocks have fewer bits.
        if !config.intermediate_size.is_multiple_of(wide.elements()) {
            continue;
        }
        for (with, importance) in [("", &ImportanceMatrix::default()), (" imatrix", &importance)] {
            let mut model = subject.model.clone();
            let format = |name: &str| match name {
                name if name.contains("down_proj") => Some(wide),
                name if name.contains("_proj") => Some(BlockFormat::Q4_0),
                _ => None,
            };
            quantize_blocks(&mut model, format, importance)?;
            let name = format!("{wide}{with}");
            let file = format!("{}.gguf", name.to_lowercase().replace(' ', "-"));
            let path = options.out.join(file);
            model.save_gguf(config, &metadata, &path)?;
            variants.push(subject.measure(&name, &model)?);
            println!("{name} in {}", path.display());
        }
    }
    Ok(variants)
}

/// What a model in a file that was written says.
pub(crate) fn text(options: &Options, subject: &Subject, file: &str) -> Result<(), Failure> {
    let (path, device) = (options.out.join(file), subject.calibration[0].device());
    println!("\n{file} says");
    let alphabet = match &subject.words {
        Words::Characters(alphabet) => alphabet,
        Words::Opened(_) => {
            let mut chat = Chat::from_gguf(&path, 256, device)?;
            for piece in chat.ask("What is the capital of France?", &mut Sampler::greedy(), 48)? {
                print!("{}", piece?);
            }
            println!("\n");
            return Ok(());
        }
    };
    let model = Llama::from_gguf(&path, device)?;
    let mut tokens = alphabet.encode("To be, or not");
    let length = subject.config.max_position_embeddings;
    let mut generator = Generator::new(&model, 1, length)?;
    generator.prefill(&[&tokens])?;
    let stop = Stop::after(length - tokens.len());
    for token in generator.decode(&mut Sampler::new(0).temperature(0.7), &stop) {
        tokens.push(token?);
    }
    println!("{}\n", alphabet.decode(&tokens));
    Ok(())
}
