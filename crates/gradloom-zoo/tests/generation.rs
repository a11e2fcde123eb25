//! Writing with a cache against forward passes over the whole text.

use gradloom_nn::{Context, Init, ModuleExt, quantize};
use gradloom_tensor::{BlockFormat, Device, Key, Tensor};
use gradloom_zoo::generation::{Generator, Sampler, Stop};
use gradloom_zoo::{
    CausalInput, CausalLanguageModel, Gpt2Config, Gpt2ForCausalLanguageModel, LlamaConfig,
    LlamaForCausalLanguageModel, ModelConfig, Pretrained, T5ForConditionalGeneration, T5Input,
};

fn llama(device: &Device) -> LlamaForCausalLanguageModel {
    let config = LlamaConfig::from_json(
        r#"{"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50,
            "initializer_range": 0.3, "max_position_embeddings": 32}"#,
    )
    .unwrap();
    LlamaForCausalLanguageModel::new(&config, &mut Init::new(Key::new(1), device)).unwrap()
}

fn gpt2(device: &Device) -> Gpt2ForCausalLanguageModel {
    let config = Gpt2Config {
        vocab_size: 50,
        n_positions: 32,
        n_embd: 16,
        n_layer: 2,
        n_head: 2,
        initializer_range: 0.3,
        ..Gpt2Config::default()
    };
    Gpt2ForCausalLanguageModel::new(&config, &mut Init::new(Key::new(1), device)).unwrap()
}

/// Logits of the token after a text, by one pass over all of it.
fn whole(forward: &dyn Fn(&CausalInput) -> Tensor, text: &[u32], device: &Device) -> Vec<f32> {
    let tokens: Vec<i32> = text.iter().map(|&token| token as i32).collect();
    let tokens = Tensor::from_slice(&tokens, [1, text.len()], device).unwrap();
    let logits = forward(&CausalInput::new(&tokens));
    logits.narrow(1, text.len() - 1, 1).to_vec::<f32>().unwrap()
}

/// `tolerance` is a part of the largest logit.
fn close(found: &[f32], expected: &[f32], tolerance: f32, context: &str) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0f32, |scale, value| scale.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < tolerance * scale, "{context}: {found} for {expected}");
    }
}

fn writes_what_whole_passes_say<M: CausalLanguageModel>(
    model: &M,
    forward: &dyn Fn(&CausalInput) -> Tensor,
    tolerance: f32,
    device: &Device,
) {
    let prompt = [3, 14, 15, 9, 2, 6];
    let mut generator = Generator::new(model, 1, 20).unwrap();
    generator.prefill(&[&prompt[..4]]).unwrap();
    generator.prefill(&[&prompt[4..]]).unwrap();
    let expected = whole(forward, &prompt, device);
    close(generator.logits(0), &expected, tolerance, "prompt in two parts");
    for token in [7, 1, 8] {
        generator.step(&[token]).unwrap();
        let text = generator.tokens(0).to_vec();
        close(generator.logits(0), &whole(forward, &text, device), tolerance, "step");
    }
    let again: Vec<u32> = {
        generator.clear();
        generator.prefill(&[&prompt]).unwrap();
        let mut sampler = Sampler::greedy();
        generator.decode(&mut sampler, &Stop::after(10)).map(|token| token.unwrap()).collect()
    };
    let mut text = prompt.to_vec();
    for token in again {
        let logits = whole(forward, &text, device);
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        assert_eq!(Some(token as usize), best, "greedy after {text:?}");
        text.push(token);
    }
}

#[test]
fn a_cache_changes_nothing() {
    let device = gradloom_cpu::device();
    let mut model = llama(&device);
    model.freeze();
    let forward = |input: &CausalInput| model.forward(input, &mut Context::eval()).logits;
    writes_what_whole_passes_say(&model, &forward, 2e-5, &device);
    let mut model = gpt2(&device);
    model.freeze();
    let forward = |input: &CausalInput| model.forward(input, &mut Context::eval()).logits;
    writes_what_whole_passes_say(&model, &forward, 2e-5, &device);
}

#[test]
fn t5_writes_what_whole_passes_say() {
    let device = gradloom_cpu::device();
    for folder in ["t5", "t5-gated"] {
        let folder = format!("{}/tests/golden/{folder}", env!("CARGO_MANIFEST_DIR"));
        let model = T5ForConditionalGeneration::from_folder(folder, &device).unwrap();
        let tokens = Tensor::new([[5, 9, 2, 11, 1]], &device).unwrap();
        let mask = Tensor::new([[1, 1, 1, 1, 0]], &device).unwrap();
        let writer = model.writer(&tokens, Some(&mask)).unwrap();
        let forward = |input: &CausalInput| {
            let input = T5Input::new(&tokens, &input.tokens).mask(&mask);
            model.forward(&input, &mut Context::eval()).logits
        };
        writes_what_whole_passes_say(&writer, &forward, 2e-5, &device);
    }
}

#[test]
fn matrices_in_blocks_write_the_same_with_and_without_a_cache() {
    let device = gradloom_cpu::device();
    let mut model = llama(&device);
    assert_eq!(quantize(&mut model, BlockFormat::Q8_0).unwrap(), 16);
    let forward = |input: &CausalInput| model.forward(input, &mut Context::eval()).logits;
    // What is rounded to 16 bits may fall to either side.
    writes_what_whole_passes_say(&model, &forward, 1e-3, &device);
}

#[test]
fn texts_of_different_lengths_do_not_disturb_each_other() {
    let device = gradloom_cpu::device();
    let model = llama(&device);
    let prompts: [&[u32]; 3] = [&[3, 14, 15], &[9], &[2, 6, 5, 3, 5]];
    let mut together = Generator::new(&model, 3, 16).unwrap();
    together.prefill(&prompts).unwrap();
    let mut samplers = vec![Sampler::greedy(); 3];
    let written = together.decode_all(&mut samplers, &Stop::after(8)).unwrap();
    for (prompt, written) in prompts.iter().zip(written) {
        let mut alone = Generator::new(&model, 1, 16).unwrap();
        alone.prefill(&[prompt]).unwrap();
        let mut sampler = Sampler::greedy();
        let expected: Vec<u32> =
            alone.decode(&mut sampler, &Stop::after(8)).map(|token| token.unwrap()).collect();
        assert_eq!(written, expected);
    }
}

#[test]
fn a_text_goes_on_as_if_it_were_one_call() {
    let device = gradloom_cpu::device();
    let model = llama(&device);
    let samplers = [
        Sampler::greedy(),
        Sampler::greedy().repetition_penalty(1.4).frequency_penalty(0.3),
        Sampler::new(5).temperature(0.9).repetition_penalty(1.2).presence_penalty(0.2),
    ];
    for sampler in samplers {
        let write = |parts: &[usize]| -> (Vec<u32>, Vec<u32>) {
            let (mut sampler, mut written) = (sampler.clone(), Vec::new());
            let mut generator = Generator::new(&model, 1, 20).unwrap();
            generator.prefill(&[&[3, 14, 15]]).unwrap();
            for &part in parts {
                let tokens = generator.decode(&mut sampler, &Stop::after(part));
                written.extend(tokens.map(|token| token.unwrap()));
            }
            (written, generator.tokens(0).to_vec())
        };
        let (whole, text) = write(&[10]);
        assert_eq!(text, [&[3, 14, 15], &whole[..]].concat());
        for parts in [&[4, 6][..], &[1; 10], &[0, 9, 0, 1]] {
            assert_eq!(write(parts), (whole.clone(), text.clone()), "{parts:?}");
        }
        // Whoever stops asking has the text so far, and penalties are not in the logits.
        let mut generator = Generator::new(&model, 1, 20).unwrap();
        generator.prefill(&[&[3, 14, 15]]).unwrap();
        let logits = generator.logits(0).to_vec();
        generator.decode(&mut sampler.clone(), &Stop::after(1)).for_each(drop);
        assert_eq!(generator.logits(0), logits);
        generator.clear();
        generator.prefill(&[&[3, 14, 15]]).unwrap();
        let mut one = sampler.clone();
        let mut written: Vec<u32> = Vec::new();
        for part in [4, 6] {
            let tokens = generator.decode(&mut one, &Stop::after(10)).take(part);
            written.extend(tokens.map(|token| token.unwrap()));
        }
        assert_eq!(written, whole);
        // All texts at once, and in the middle a prompt that goes on.
        let mut batch = Generator::new(&model, 2, 20).unwrap();
        batch.prefill(&[&[3, 14, 15], &[9]]).unwrap();
        let mut samplers = vec![sampler.clone(); 2];
        let mut all = vec![Vec::new(); 2];
        for part in [4, 6] {
            let parts = batch.decode_all(&mut samplers, &Stop::after(part)).unwrap();
            all.iter_mut().zip(parts).for_each(|(all, part)| all.extend(part));
        }
        assert_eq!(all[0], whole);
        batch.prefill(&[&[7, 8], &[7]]).unwrap();
        let text = [&[9], &all[1][..], &[7]].concat();
        assert_eq!(batch.tokens(1), text);
        let forward = |input: &CausalInput| model.forward(input, &mut Context::eval()).logits;
        close(batch.logits(1), &self::whole(&forward, &text, &device), 2e-5, "a prompt after it");
        batch.step(&[1, 2]).unwrap();
        let text = [&text[..], &[2]].concat();
        close(batch.logits(1), &self::whole(&forward, &text, &device), 2e-5, "a step after it");
    }
}

#[test]
fn texts_that_have_ended_leave_the_others_alone() {
    let device = gradloom_cpu::CpuBackend::new(Some(2)).unwrap().into_device();
    let model = llama(&device);
    let prompts: [&[u32]; 3] = [&[3, 14, 15, 9, 2, 6], &[9], &[2, 6, 5]];
    let alone = |prompt: &[u32], capacity: usize, stop: &Stop| -> Vec<u32> {
        let mut generator = Generator::new(&model, 1, capacity).unwrap();
        generator.prefill(&[prompt]).unwrap();
        let mut sampler = Sampler::greedy();
        generator.decode(&mut sampler, stop).map(|token| token.unwrap()).collect()
    };
    // The first text is full after two tokens and chooses a third.
    let mut together = Generator::new(&model, 3, 8).unwrap();
    together.prefill(&prompts).unwrap();
    let mut samplers = vec![Sampler::greedy(); 3];
    let stop = Stop::after(6);
    let written = together.decode_all(&mut samplers, &stop).unwrap();
    assert_eq!(written.iter().map(Vec::len).collect::<Vec<_>>(), [3, 6, 6]);
    for (prompt, written) in prompts.iter().zip(&written) {
        assert_eq!(*written, alone(prompt, 20, &stop)[..written.len()]);
    }
    // The others still go on, as far as they have room.
    let more = together.decode_all(&mut samplers, &Stop::after(9)).unwrap();
    assert_eq!(more.iter().map(Vec::len).collect::<Vec<_>>(), [0, 2, 0]);
    let long = alone(prompts[1], 20, &Stop::after(8));
    assert_eq!([&written[1][..], &more[1]].concat(), long);
    for (text, prompt) in prompts.iter().enumerate() {
        let text = together.tokens(text);
        assert_eq!((text.len(), &text[..prompt.len()]), (9, *prompt));
    }
    // A text that has ended gets no more tokens.
    let end = alone(prompts[2], 20, &Stop::after(2))[1];
    let stop = Stop::after(5).at(end);
    let mut together = Generator::new(&model, 3, 20).unwrap();
    together.prefill(&prompts).unwrap();
    let written = together.decode_all(&mut vec![Sampler::greedy(); 3], &stop).unwrap();
    for (text, prompt) in prompts.iter().enumerate() {
        assert_eq!(written[text], alone(prompt, 20, &stop));
        assert_eq!(together.tokens(text), [*prompt, &written[text][..]].concat());
    }
}

#[test]
fn prompts_of_any_length_replay_a_few_plans() {
    let device = gradloom_cpu::CpuBackend::new(Some(2)).unwrap().into_device();
    let model = llama(&device);
    let text: Vec<u32> = (0..31).map(|place| place * 7 % 50).collect();
    let forward = |input: &CausalInput| model.forward(input, &mut Context::eval()).logits;
    let logits = |generator: &mut Generator<_>, prompt: &[u32]| {
        generator.clear();
        generator.prefill(&[prompt]).unwrap();
        generator.logits(0).to_vec()
    };
    let mut generator = Generator::new(&model, 1, 32).unwrap();
    // One token, eight, sixteen and thirty-two, the last of a prompt and, without logits, others.
    let before = device.statistics().plans;
    let found: Vec<Vec<f32>> =
        (1..=text.len()).map(|length| logits(&mut generator, &text[..length])).collect();
    let plans = device.statistics().plans - before;
    assert!(plans <= 8, "{plans} plans");
    for (length, found) in (1..).zip(found) {
        close(&found, &whole(&forward, &text[..length], &device), 2e-5, "a prompt");
    }
    // A cache without room for what is filled up takes smaller passes.
    let mut narrow = Generator::new(&model, 1, 13).unwrap();
    let found = logits(&mut narrow, &text[..13]);
    close(&found, &whole(&forward, &text[..13], &device), 2e-5, "a full cache");
}

#[test]
fn prompts_longer_than_a_pass_are_fed_in_several() {
    let device = gradloom_cpu::device();
    let config = LlamaConfig::from_json(
        r#"{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 50, "initializer_range": 0.3,
            "max_position_embeddings": 1200}"#,
    )
    .unwrap();
    let model =
        LlamaForCausalLanguageModel::new(&config, &mut Init::new(Key::new(1), &device)).unwrap();
    let text: Vec<u32> = (0..1150).map(|place| place * place % 47).collect();
    let forward = |input: &CausalInput| model.forward(input, &mut Context::eval()).logits;
    // Texts that end in the first pass, in the second and in the last.
    let lengths = [3, 700, 1150];
    let prompts: Vec<&[u32]> = lengths.iter().map(|&length| &text[..length]).collect();
    let mut generator = Generator::new(&model, 3, 1200).unwrap();
    generator.prefill(&prompts).unwrap();
    for (index, prompt) in prompts.iter().enumerate() {
        assert_eq!(generator.tokens(index), *prompt);
        let expected = whole(&forward, prompt, &device);
        close(generator.logits(index), &expected, 1e-4, "a long prompt");
    }
    generator.step(&[1, 2, 3]).unwrap();
    for (index, prompt) in prompts.iter().enumerate() {
        let text = [prompt, &[1 + index as u32][..]].concat();
        let expected = whole(&forward, &text, &device);
        close(generator.logits(index), &expected, 1e-4, "a step after it");
    }
}

#[test]
fn positions_that_depend_on_the_length_see_the_whole_prompt() {
    let device = gradloom_cpu::device();
    let config = LlamaConfig::from_json(
        r#"{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 50, "initializer_range": 0.3,
            "max_position_embeddings": 100,
            "rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}"#,
    )
    .unwrap();
    let model =
        LlamaForCausalLanguageModel::new(&config, &mut Init::new(Key::new(1), &device)).unwrap();
    let text: Vec<u32> = (0..700).map(|place| place * place % 47).collect();
    let forward = |input: &CausalInput| model.forward(input, &mut Context::eval()).logits;
    // Filled up beyond the positions of the training, and in several passes.
    for length in [97, 700] {
        let mut generator = Generator::new(&model, 1, 1024).unwrap();
        generator.prefill(&[&text[..length]]).unwrap();
        let expected = whole(&forward, &text[..length], &device);
        close(generator.logits(0), &expected, 1e-4, "a prompt");
    }
}

#[test]
fn a_step_plans_nothing_and_asks_for_no_memory() {
    let device = gradloom_cpu::CpuBackend::new(Some(2)).unwrap().into_device();
    let mut model = llama(&device);
    quantize(&mut model, BlockFormat::Q4_1).unwrap();
    let mut generator = Generator::new(&model, 1, 32).unwrap();
    generator.prefill(&[&[1, 2, 3]]).unwrap();
    for token in 0..3 {
        generator.step(&[token]).unwrap();
    }
    let before = device.statistics();
    for token in 0..20 {
        generator.step(&[token]).unwrap();
    }
    let after = device.statistics();
    assert_eq!(after.plans, before.plans);
    assert_eq!(after.system_allocations, before.system_allocations);
    assert_eq!(after.bytes_in_use, before.bytes_in_use);
    assert_eq!(after.submissions - before.submissions, 20);
    let layers = 2;
    assert!((after.kernels - before.kernels) / 20 <= 12 * layers + 8);
}

#[test]
fn what_cannot_be_written_is_named() {
    let device = gradloom_cpu::device();
    let model = llama(&device);
    let error = |result: gradloom_zoo::Result<()>| result.unwrap_err().to_string();
    let mut generator = Generator::new(&model, 1, 4).unwrap();
    assert!(error(generator.prefill(&[&[]])).contains("no tokens"));
    assert!(error(generator.prefill(&[&[50]])).contains("vocabulary of 50"));
    assert!(error(generator.prefill(&[&[1, 2, 3, 4, 5]])).contains("do not fit"));
    generator.prefill(&[&[1, 2, 3]]).unwrap();
    let mut sampler = Sampler::greedy();
    let outcomes: Vec<_> = generator.decode(&mut sampler, &Stop::after(9)).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
    assert!(outcomes.last().unwrap().is_err(), "the cache is full");
    assert!(error(Generator::new(&model, 1, 33).map(|_| ())).contains("32 positions"));
}
